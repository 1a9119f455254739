//! Standard output and standard error that close, are full or are no terminal, under every command that prints.
#![cfg(target_os = "linux")]

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn engram(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_engram"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// The end of a pipe that nobody reads.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

fn full() -> Stdio {
    let full = OpenOptions::new().write(true).open("/dev/full");
    full.expect("/dev/full").into()
}

fn ended(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command.output().expect("the command starts");
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

fn image() -> String {
    let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images/pendulum.engram");
    image.to_str().expect("a path in UTF-8").to_owned()
}

/// A flight log in `folder`, which `replay` and `report` read.
fn flight(folder: &Path) -> String {
    let log = folder
        .join("flight.mcap")
        .to_str()
        .expect("UTF-8")
        .to_owned();
    let (code, said) = ended(&mut engram(&["fly", "--seconds", "1", "--log", &log]));
    assert_eq!(code, Some(0), "{said}");
    log
}

/// Every command that prints a result, each way in which it does.
fn printing(folder: &Path) -> Vec<Vec<String>> {
    let (image, log) = (image(), flight(folder));
    let again = folder
        .join("again.mcap")
        .to_str()
        .expect("UTF-8")
        .to_owned();
    let commands: [&[&str]; 15] = [
        &["--help"],
        &["fly", "--help"],
        &["--version"],
        &["boards"],
        &["boards", "--json"],
        &["inspect", &image],
        &["inspect", &image, "--json"],
        &["policy", &image, "--describe"],
        &["flash", "loopback", &image],
        &["fly", "--seconds", "1", "--log", &again],
        &["fly", "--seconds", "1", "--json", "--log", &again],
        &["eval", &image, "--tasks", "2"],
        &["eval", &image, "--tasks", "2", "--json"],
        &["replay", &log],
        &["bench", "--plant", "pendulum"],
    ];
    commands
        .iter()
        .map(|command| command.iter().map(|&word| word.to_owned()).collect())
        .collect()
}

#[test]
fn a_result_that_nobody_reads_ends_a_command_quietly_and_a_full_device_with_one_sentence() {
    let folder = tempfile::tempdir().expect("a folder");
    for command in printing(folder.path()) {
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let again = folder.path().join("again.mcap");
        let flies = command.contains(&"--log");
        let _ = std::fs::remove_file(&again);
        let quiet = |command: &[&str]| {
            let mut command = engram(command);
            command.env("ENGRAM_LOG", "error");
            command
        };
        let (code, said) = ended(quiet(&command).stdout(closed()));
        assert_eq!((code, said.as_str()), (Some(0), ""), "{command:?} | true");
        assert_eq!(again.exists(), flies, "{command:?}");
        let _ = std::fs::remove_file(&again);

        let (code, said) = ended(quiet(&command).stdout(full()));
        assert_eq!(code, Some(1), "{command:?} >/dev/full: {said}");
        let sentence = "error: the result cannot be written to standard output: No space left";
        assert!(said.starts_with(sentence), "{command:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{command:?}: {said}");
        // The flight itself was made, and is in its log.
        assert_eq!(again.exists(), flies, "{command:?}");
    }
}

/// A full disk, as far as a program can tell: a file grows to 4096 bytes, and no further.
#[test]
fn a_report_on_a_full_disk_leaves_the_old_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("report.html");
    let picture = folder.path().join("picture.svg");
    let (image, output) = (image(), page.to_str().expect("UTF-8"));
    let report = |more: &[&str]| {
        let mut bash = Command::new("bash");
        bash.args(["-c", "trap '' XFSZ; ulimit -f 4; exec \"$0\" \"$@\""]);
        bash.arg(env!("CARGO_BIN_EXE_engram"));
        bash.args(["report", "--image", &image, "-o", output])
            .args(more);
        ended(&mut bash)
    };
    std::fs::write(&page, "the old page").expect("written");
    for more in [
        &[][..],
        &["--picture", picture.to_str().expect("UTF-8")][..],
    ] {
        let (code, said) = report(more);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("cannot write the report"), "{said}");
        let there = std::fs::read_to_string(&page).expect("there");
        assert_eq!(there, "the old page");
        let files = std::fs::read_dir(folder.path()).expect("a folder");
        assert_eq!(files.count(), 1, "nothing half written is left");
    }
}

/// What is far too long for what it should be is refused before it is read.
#[test]
fn no_text_of_20_gb_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let huge = folder.path().join("huge.toml");
    let file = File::create(&huge).expect("a file");
    file.set_len(20 << 30).expect("sparse files");
    let huge = huge.to_str().expect("UTF-8");
    let out = folder.path().join("run");
    let out = out.to_str().expect("UTF-8");
    for command in [
        &["train", "pendulum", "--out", out, "--config", huge][..],
        &["bench", "--plant", huge],
        &["report", "--eval", huge, "-o", out],
    ] {
        let (code, said) = ended(&mut engram(command));
        assert_eq!(code, Some(1), "{command:?}: {said}");
        assert!(
            said.contains("huge.toml") && said.contains("at most 16777216"),
            "{command:?}: {said}"
        );
    }
}

#[test]
fn answers_that_nobody_takes_end_the_policy_quietly_and_a_full_device_with_one_sentence() {
    let serve = |stdout: Stdio| {
        let mut child = engram(&["policy", &image()])
            .stdin(Stdio::piped())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let mut input = child.stdin.take().expect("its input");
        // It may have ended before it has read all of them.
        let _ = input.write_all("{\"observation\": [[-1, 0, 0.3]]}\n".repeat(100).as_bytes());
        drop(input);
        let output = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), said)
    };
    assert_eq!(serve(closed()), (Some(0), String::new()));
    let (code, said) = serve(full());
    assert_eq!(code, Some(1));
    assert!(
        said.starts_with("error: the result cannot be written"),
        "{said}"
    );
}

#[test]
fn words_that_cannot_be_shown_end_neither_a_flight_nor_a_training_nor_a_report() {
    for (name, stderr) in [("closed", closed as fn() -> Stdio), ("full", full)] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |file: &str| folder.path().join(file).to_str().expect("UTF-8").to_owned();
        let (log, page, run) = (path("flight.mcap"), path("report.html"), path("run"));
        let train = [
            "train", "pendulum", "--agent", "markov", "--out", &run, "--steps", "2000",
        ];
        let image = image();
        for command in [
            &["fly", "--seconds", "1", "--show", "--log", &log] as &[&str],
            &["flash", "loopback", &image],
            &["replay", &log],
            &["report", "--flight", &log, "-o", &page],
            &train,
        ] {
            let mut command = engram(command);
            let status = command.stdout(Stdio::null()).stderr(stderr()).status();
            let status = status.expect("the command starts");
            assert!(status.success(), "{name}: {command:?}: {status}");
        }
        for made in [&log, &page, &format!("{run}/policy.safetensors")] {
            assert!(Path::new(made).exists(), "{name}: {made} is not there");
        }
        // Of a command that fails, the exit code remains.
        let mut command = engram(&["inspect", "no-such-file"]);
        assert_eq!(
            command.stderr(stderr()).status().expect("it starts").code(),
            Some(1)
        );
    }
}

#[test]
fn nothing_but_a_terminal_is_sent_colours() {
    let folder = tempfile::tempdir().expect("a folder");
    let words = folder.path().join("words");
    for arguments in [
        &["fly", "--seconds", "1", "--show"] as &[&str],
        &["fly", "--change", "nonsense"],
        &["--help"],
        &["no-such-command"],
    ] {
        let log = folder.path().join("flight.mcap");
        let mut command = engram(arguments);
        if arguments[0] == "fly" {
            command.arg("--log").arg(&log);
        }
        let file = File::create(&words).expect("a file");
        let output = command.stderr(file).output().expect("the command starts");
        let said = std::fs::read(&words).expect("what it said");
        assert!(
            !said.contains(&0x1b) && !output.stdout.contains(&0x1b),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&said).escape_debug()
        );
    }
}
