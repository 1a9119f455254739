//! `engram policy` as a process: what its rows take, and what a limit of memory does to it.
#![cfg(target_os = "linux")]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use engram_image::Image;

fn image() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../images/pendulum.engram")
}

/// A line for so many rows.
fn line(rows: usize) -> String {
    let mut line = r#"{"observation": ["#.to_owned();
    for row in 0..rows {
        let comma = if row > 0 { "," } else { "" };
        write!(line, "{comma}[-1.0, 0.0, 0.3]").expect("into a string");
    }
    line.push_str("]}\n");
    line
}

/// Memory of the process in bytes after it has answered three lines of so many rows.
fn resident_bytes(rows: usize) -> usize {
    let mut child = Command::new(env!("CARGO_BIN_EXE_engram"))
        .arg("policy")
        .arg(image())
        .args(["--batch", &rows.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut input = child.stdin.take().expect("its input");
    let mut output = BufReader::new(child.stdout.take().expect("its output"));
    for _ in 0..3 {
        input.write_all(line(rows).as_bytes()).expect("it reads");
        let mut answer = String::new();
        output.read_line(&mut answer).expect("it answers");
        assert_eq!(answer.matches("],").count(), rows - 1, "{answer:.100}");
    }
    let said = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
    let said = said.expect("the process is there");
    let resident = said.lines().find_map(|line| {
        let kib = line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB")?;
        kib.trim().parse::<usize>().ok()
    });
    drop(input);
    assert!(child.wait().expect("it ends").success());
    1024 * resident.expect("its size")
}

#[test]
fn a_row_takes_at_most_twice_the_state_of_the_policy() {
    let bytes = std::fs::read(image()).expect("the image");
    let image = Image::read(&bytes).expect("an image");
    let state = usize::try_from(image.bounds.state_bytes).expect("bytes");
    let rows = 8192;
    let taken = resident_bytes(rows) - resident_bytes(1);
    assert!(taken <= 2 * state * (rows - 1), "{} per row", taken / rows);
}

#[test]
fn what_a_limit_of_memory_forbids_is_refused_at_the_start_with_the_numbers() {
    let limited = |kib: u32, rows: usize| {
        let mut child = Command::new("bash")
            .args(["-c", r#"ulimit -v $0 && exec "$@""#, &kib.to_string()])
            .arg(env!("CARGO_BIN_EXE_engram"))
            .arg("policy")
            .arg(image())
            .args(["--batch", &rows.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let mut input = child.stdin.take().expect("its input");
        // Where it refuses, it need not read.
        let _ = input.write_all(line(rows).as_bytes());
        drop(input);
        let output = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), said, output.stdout.len())
    };
    let (code, said, _) = limited(150_000, 65_536);
    assert_eq!(code, Some(1), "{said}");
    let sentence = "error: --batch 65536: 65536 rows of ";
    assert!(
        said.starts_with(sentence) && said.contains(" MiB of memory"),
        "{said}"
    );
    let (code, said, answered) = limited(2_000_000, 65_536);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    assert!(answered > 3 * 65_536);
}
