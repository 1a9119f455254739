//! The board's program: what it asks the system for it has, or it says what is missing and does not fly.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// Starts the board with a pseudo-terminal and `options`.
fn start(options: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_engram-board-linux"))
        .arg("--pty")
        .args(options)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts")
}

/// How a board of `options` fails, which it must.
fn failure(options: &[&str]) -> String {
    let output = start(options).wait_with_output().expect("it ends");
    assert!(!output.status.success(), "{options:?} are not refused");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The number behind `name` in /proc/PID/status.
fn status(child: &Child, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it runs");
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    let value = value.and_then(|value| value.split_whitespace().next());
    value
        .and_then(|value| value.parse().ok())
        .expect("a number")
}

/// Scheduling policy and real-time priority: the last numbers of /proc/PID/stat, 41 and 40.
fn schedule(child: &Child) -> (u64, u64) {
    let text = fs::read_to_string(format!("/proc/{}/stat", child.id())).expect("it runs");
    let (_, numbers) = text.rsplit_once(')').expect("a name");
    let numbers: Vec<&str> = numbers.split_whitespace().collect();
    let number = |index: usize| numbers[index - 3].parse().expect("a number");
    (number(41), number(40))
}

#[test]
fn real_time_is_there_or_the_board_says_what_to_do() {
    let mut board = start(&["--realtime", "7", "--cpu", "0"]);
    let mut lines = BufReader::new(board.stderr.take().expect("piped")).lines();
    let words = lines.next().expect("it says something").expect("text");
    if words.ends_with("ready") {
        assert_eq!(schedule(&board), (1, 7), "not under SCHED_FIFO");
        // Two slots of a megabyte, at least.
        assert!(status(&board, "VmLck:") > 2 * 1_024, "memory is not locked");
        assert_eq!(status(&board, "Cpus_allowed_list:"), 0);
        let pid = board.id().to_string();
        let told = Command::new("kill").arg(&pid).status();
        assert!(told.expect("kill").success());
        assert!(board.wait().expect("it ends").success());
        let end = lines.next().expect("it says how it stands").expect("text");
        assert!(end.contains("told to end"), "{end}");
    } else {
        println!("this user has no right to real time: {words}");
        assert!(
            words.contains("setcap") && words.contains("limits.conf"),
            "{words}"
        );
        assert!(!board.wait().expect("it ends").success());
    }
}

#[test]
fn what_cannot_be_had_is_refused_with_what_to_do() {
    for (options, words) in [
        (["--realtime", "0"], "1..=99"),
        (["--realtime", "100"], "1..=99"),
        (["--cpu", "900"], "nproc"),
        (["--watchdog", "/nowhere"], "RuntimeWatchdogSec"),
        (["--watchdog", "/dev/null"], "wdctl"),
        (["--image", "/nowhere"], "/nowhere"),
    ] {
        let said = failure(&options);
        assert!(said.contains(words), "{options:?}: {said}");
    }
}

#[test]
fn systemd_takes_the_unit_where_there_is_systemd() {
    let unit = include_str!("../engram-board-linux.service");
    let program = "/usr/local/bin/engram-board-linux";
    assert!(unit.contains(program));
    // The unit of this build: what it starts must be there.
    let unit = unit.replace(program, env!("CARGO_BIN_EXE_engram-board-linux"));
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("engram-board-linux.service");
    fs::write(&file, unit).expect("written");
    match Command::new("systemd-analyze")
        .arg("verify")
        .arg(&file)
        .output()
    {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.is_empty(), "{said}");
        }
        Err(error) => println!(
            "not verified, there is no systemd-analyze ({error}); its options are tested beside main"
        ),
    }
}
