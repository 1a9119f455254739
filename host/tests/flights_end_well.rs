//! However a flight ends, the command says why, and its log says what it holds: on request, with no place left for it, beside
//! another flight, and where nobody can see what it shows.
#![cfg(unix)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const ENGRAM: &str = env!("CARGO_BIN_EXE_engram");
/// More steps than any of these flights gets to make.
const ENDLESS: &str = "100000000";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn engram(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(ENGRAM);
        command.args(arguments).current_dir(self.0.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.engram(arguments).output().expect("it runs")
    }

    /// Runs a line of shell in the folder; `$ENGRAM` is the command.
    fn shell(&self, line: &str) -> Output {
        let mut bash = Command::new("bash");
        bash.args(["-c", line]).env("ENGRAM", ENGRAM);
        bash.current_dir(self.0.path()).output().expect("bash runs")
    }

    /// Whether a replay succeeds, and what it prints with --json.
    fn replay(&self, log: &str) -> (bool, Value) {
        let output = self.run(&["replay", log, "--json"]);
        (output.status.success(), object(&output.stdout))
    }

    fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.engram(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("it starts")
    }
}

fn object(bytes: &[u8]) -> Value {
    let text = String::from_utf8_lossy(bytes);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?}"))
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Waits until the log of a flight in the making has steps.
fn wait_for(log: &Path) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while std::fs::metadata(log).map_or(0, |file| file.len()) < 100_000 {
        assert!(Instant::now() < deadline, "{}: no flight", log.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn signal(child: &Child, name: &str) {
    let mut kill = Command::new("kill");
    let sent = kill.args(["-s", name, &child.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
}

#[test]
fn a_flight_ends_in_good_order_when_asked_to() {
    let folder = Folder::new();
    for name in ["INT", "TERM", "HUP"] {
        if name == "HUP" && engram::interrupt::hang_ups_are_ignored() {
            // These tests were started with nohup.
            continue;
        }
        let log = format!("{name}.mcap");
        let arguments = ["fly", "--steps", ENDLESS, "--json", "--log", &log];
        let flight = folder.start(&arguments);
        wait_for(&folder.path(&log));
        signal(&flight, name);
        let output = flight.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(1), "{name}: {}", error(&output));
        let summary = object(&output.stdout);
        assert!(error(&output).contains("interrupted"), "{name}");
        assert_eq!(summary["log_complete"], true, "{name}");
        assert_eq!(
            summary["weights_sha256_before"],
            summary["weights_sha256_after"]
        );
        let (success, replay) = folder.replay(&log);
        assert!(success && replay["equal"] == true, "{name}: {replay}");
        assert_eq!(replay["steps"], summary["steps"], "{name}");
    }
}

#[test]
fn a_flight_under_nohup_outlives_its_terminal() {
    let folder = Folder::new();
    let mut nohup = Command::new("nohup");
    nohup.args([
        ENGRAM, "fly", "--steps", ENDLESS, "--json", "--log", "on.mcap",
    ]);
    nohup.current_dir(folder.0.path()).stdin(Stdio::null());
    nohup.stdout(Stdio::piped()).stderr(Stdio::piped());
    let flight = nohup.spawn().expect("it starts");
    let log = folder.path("on.mcap");
    wait_for(&log);
    signal(&flight, "HUP");
    let length = std::fs::metadata(&log).expect("a log").len();
    let deadline = Instant::now() + Duration::from_secs(60);
    while std::fs::metadata(&log).expect("a log").len() < length + 1_000_000 {
        assert!(Instant::now() < deadline, "it flies no further");
        std::thread::sleep(Duration::from_millis(5));
    }
    signal(&flight, "TERM");
    let output = flight.wait_with_output().expect("it ends");
    assert!(error(&output).contains("interrupted"), "{}", error(&output));
    assert_eq!(object(&output.stdout)["log_complete"], true);
}

#[test]
fn a_killed_flight_leaves_what_it_had_and_that_is_no_success() {
    let folder = Folder::new();
    let arguments = ["fly", "--steps", ENDLESS, "--log", "killed.mcap"];
    let mut flight = folder.start(&arguments);
    wait_for(&folder.path("killed.mcap"));
    flight.kill().expect("killed");
    flight.wait().expect("it ends");
    let (success, replay) = folder.replay("killed.mcap");
    assert!(!success && replay["equal"] == false && replay["log_complete"] == false);
    assert_eq!(replay["flaws"][0]["kind"], "cut-short", "{replay}");
    assert!(replay["replayed"].as_u64() >= Some(50), "{replay}");
    assert_eq!(replay["first_difference"], Value::Null);
}

#[test]
fn two_flights_at_once_write_two_logs() {
    let folder = Folder::new();
    let fly = |seed| folder.start(&["fly", "--steps", "400", "--json", "--task-seed", seed]);
    let flights = [fly("1"), fly("2"), fly("3")];
    let mut logs = Vec::new();
    for flight in flights {
        let output = flight.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", error(&output));
        let summary = object(&output.stdout);
        logs.push(summary["log"].as_str().expect("a log").to_owned());
    }
    logs.sort();
    let expected = [
        "runs/flight-2.mcap",
        "runs/flight-3.mcap",
        "runs/flight.mcap",
    ];
    assert_eq!(logs, expected);
    for log in logs {
        let (success, replay) = folder.replay(&log);
        assert!(success && replay["steps"] == 400, "{log}: {replay}");
    }
}

#[test]
fn a_log_that_is_in_use_is_refused() {
    let folder = Folder::new();
    let flight = folder.start(&["fly", "--steps", ENDLESS, "--log", "one.mcap"]);
    wait_for(&folder.path("one.mcap"));
    let second = folder.run(&["fly", "--steps", "100", "--log", "one.mcap"]);
    assert!(!second.status.success());
    assert!(
        error(&second).contains("another flight"),
        "{}",
        error(&second)
    );
    signal(&flight, "TERM");
    flight.wait_with_output().expect("it ends");
    let (success, replay) = folder.replay("one.mcap");
    assert!(success, "{replay}");
}

#[test]
fn a_log_that_cannot_grow_ends_the_flight_with_its_numbers() {
    let folder = Folder::new();
    // 200 KiB at most, as on a small disk; not on the way to its end but in mid-flight.
    let output = folder.shell(
        "trap '' XFSZ; ulimit -f 200; exec \"$ENGRAM\" fly --steps 100000 --json --log small.mcap",
    );
    assert_eq!(output.status.code(), Some(1), "{}", error(&output));
    assert!(
        error(&output).contains("File too large"),
        "{}",
        error(&output)
    );
    assert!(error(&output).contains("small.mcap"), "{}", error(&output));
    let summary = object(&output.stdout);
    assert_eq!(summary["log_complete"], false);
    assert_eq!(summary["log"], "small.mcap");
    assert_eq!(summary["words_equal"], true);
    assert!(summary["steps"].as_u64() >= Some(100), "{summary}");
    let (success, replay) = folder.replay("small.mcap");
    assert!(!success && replay["log_complete"] == false, "{replay}");
    assert!(replay["replayed"].as_u64() >= Some(50), "{replay}");
    // Others read it, too: it ends as an MCAP file does.
    let bytes = std::fs::read(folder.path("small.mcap")).expect("bytes");
    assert!(bytes.ends_with(mcap::MAGIC));
    let messages = mcap::MessageStream::new(&bytes).expect("an MCAP file");
    let messages: Vec<_> = messages.map(|message| message.expect("sound")).collect();
    assert!(messages.len() > 150);
}

#[test]
fn no_step_is_no_replay() {
    let folder = Folder::new();
    let flight = folder.run(&["fly", "--steps", "0", "--json", "--log", "none.mcap"]);
    assert!(flight.status.success(), "{}", error(&flight));
    assert_eq!(object(&flight.stdout)["held_share"], Value::Null);
    let (success, replay) = folder.replay("none.mcap");
    assert!(!success && replay["equal"] == false && replay["log_complete"] == true);
    let report = folder.run(&["report", "--flight", "none.mcap", "-o", "none.html"]);
    assert_eq!(report.status.code(), Some(1), "{}", error(&report));
    assert!(error(&report).contains("no step"), "{}", error(&report));
    assert!(!folder.path("none.html").exists());
}

#[test]
fn a_flight_in_the_making_is_no_replay() {
    let folder = Folder::new();
    let flight = folder.start(&["fly", "--steps", ENDLESS, "--log", "now.mcap"]);
    wait_for(&folder.path("now.mcap"));
    let replay = folder.run(&["replay", "now.mcap", "--json"]);
    assert_eq!(replay.status.code(), Some(1));
    let told = error(&replay);
    assert!(told.contains("a flight is being written into it"), "{told}");
    assert_eq!(object(&replay.stdout)["equal"], false);
    signal(&flight, "TERM");
    flight.wait_with_output().expect("it ends");
    let (success, replay) = folder.replay("now.mcap");
    assert!(success, "{replay}");
}

#[test]
fn a_place_that_takes_no_log_is_refused_before_the_board_is_asked() {
    let folder = Folder::new();
    std::fs::write(folder.path("file"), "mine").expect("written");
    let made = folder.shell("mkfifo pipe");
    assert!(made.status.success(), "{}", error(&made));
    for (log, words) in [
        ("pipe", "is a pipe"),
        ("/dev/stdout", "is a pipe"),
        ("file/x.mcap", "file is a file and no folder"),
        ("file/new/x.mcap", "file is a file and no folder"),
        (".", "Is a directory"),
    ] {
        let output = folder.run(&["fly", "--steps", "10", "--log", log]);
        assert_eq!(output.status.code(), Some(1), "{log}");
        let told = error(&output);
        assert!(told.contains(words), "{log}: {told}");
        assert!(!told.contains("answers"), "{log}: {told}");
    }
    let kept = std::fs::read_to_string(folder.path("file")).expect("read");
    assert_eq!(kept, "mine");
    std::fs::rename(folder.path("file"), folder.path("runs")).expect("renamed");
    let told = error(&folder.run(&["fly", "--steps", "10"]));
    assert!(told.contains("runs is a file and no folder"), "{told}");
    assert!(!told.contains("answers"), "{told}");
}

#[test]
fn steps_that_do_not_arrive_are_no_difference_between_board_and_host() {
    let folder = Folder::new();
    let fault = "drop=0.1,seed=4";
    let arguments = [
        "fly",
        "--real-time",
        "--seconds",
        "1",
        "--fault",
        fault,
        "--json",
        "--log",
        "lost.mcap",
    ];
    let output = folder.run(&arguments);
    let summary = object(&output.stdout);
    assert!(!error(&output).contains("disagree"), "{}", error(&output));
    assert!(summary["steps_lost"].as_u64() > Some(0), "{summary}");
    assert_eq!(summary["log_complete"], false);
    assert_eq!(summary["first_difference"], Value::Null);
    let replay = folder.run(&["replay", "lost.mcap"]);
    assert_eq!(replay.status.code(), Some(1));
    let told = error(&replay);
    assert!(told.contains("did not arrive in flight"), "{told}");
    let (_, replay) = folder.replay("lost.mcap");
    assert_eq!(replay["first_difference"], Value::Null, "{replay}");
    assert!(
        replay["replayed"].as_u64() < summary["steps"].as_u64(),
        "{replay}"
    );
}

#[test]
fn a_damaged_log_is_no_other_controllers_flight() {
    let folder = Folder::new();
    let flight = folder.run(&["fly", "--steps", "20", "--log", "sound.mcap"]);
    assert!(flight.status.success(), "{}", error(&flight));
    let bytes = std::fs::read(folder.path("sound.mcap")).expect("bytes");
    for bit in (0..8 * bytes.len()).step_by(8 * bytes.len() / 40 + 3) {
        let mut altered = bytes.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(folder.path("altered.mcap"), altered).expect("written");
        let output = folder.run(&["replay", "altered.mcap", "--json"]);
        assert_eq!(output.status.code(), Some(1), "bit {bit}");
        assert!(
            error(&output).contains("damaged"),
            "bit {bit}: {}",
            error(&output)
        );
        let replay = object(&output.stdout);
        assert!(
            replay["log_complete"] == false && replay["equal"] == false,
            "bit {bit}"
        );
    }
}

#[test]
fn what_cannot_be_shown_ends_no_flight() {
    let folder = Folder::new();
    for (log, line) in [
        (
            "a.mcap",
            "\"$ENGRAM\" fly --steps 200 --log a.mcap >out 2>/dev/full",
        ),
        (
            "b.mcap",
            "\"$ENGRAM\" fly --steps 200 --show --log b.mcap >out 2>/dev/full",
        ),
        (
            "c.mcap",
            "\"$ENGRAM\" fly --steps 200 --show --log c.mcap >out 2>&-",
        ),
        (
            "d.mcap",
            "set -o pipefail; \"$ENGRAM\" fly --steps 4000 --show --log d.mcap 2>&1 >out | head -2 >/dev/null",
        ),
        (
            "e.mcap",
            "set -o pipefail; \"$ENGRAM\" fly --steps 200 --log e.mcap 2>err | true",
        ),
    ] {
        let output = folder.shell(line);
        assert_eq!(output.status.code(), Some(0), "{line}: {}", error(&output));
        let (success, replay) = folder.replay(log);
        assert!(
            success && replay["log_complete"] == true,
            "{line}: {replay}"
        );
    }
    let output = folder.shell("\"$ENGRAM\" fly --steps 200 --log f.mcap >/dev/full");
    assert_eq!(output.status.code(), Some(1), "{}", error(&output));
    assert!(folder.replay("f.mcap").0);
}
