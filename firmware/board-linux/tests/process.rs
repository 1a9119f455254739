//! The board's program: what it asks the system for it has, or it says what is missing and does not fly.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::fcntl::{FcntlArg, fcntl};
use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;
use serialport::{SerialPort as _, TTYPort};

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
    let allowed = sched_getaffinity(Pid::from_raw(0)).expect("CPUs");
    let cpu = (0..CpuSet::count()).rfind(|cpu| allowed.is_set(*cpu) == Ok(true));
    let cpu = cpu.expect("this runs somewhere").to_string();
    let mut board = start(&["--realtime", "7", "--cpu", &cpu]);
    let mut lines = BufReader::new(board.stderr.take().expect("piped")).lines();
    let words = lines.next().expect("it says something").expect("text");
    if words.ends_with("ready") {
        assert_eq!(schedule(&board), (1, 7), "not under SCHED_FIFO");
        // Two slots of a megabyte, at least.
        assert!(status(&board, "VmLck:") > 2 * 1_024, "memory is not locked");
        assert_eq!(status(&board, "Cpus_allowed_list:").to_string(), cpu);
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

/// Standard error that takes nothing must not stop the control loop, nor the end of the process.
#[test]
fn a_standard_error_that_nobody_reads_stops_nothing() {
    let (host, far_end) = TTYPort::pair().expect("a pseudo-terminal");
    let path = far_end.name().expect("a path");
    let (mut words, mut pipe) = std::io::pipe().expect("a pipe");
    let mut board = Command::new(env!("CARGO_BIN_EXE_engram-board-linux"))
        .args(["--port", &path, "--baud", "115200"])
        .stderr(pipe.try_clone().expect("its other end"))
        .spawn()
        .expect("it starts");
    let mut ready = [0; "engram-board-linux: ready\n".len()];
    words.read_exact(&mut ready).expect("it says something");
    assert!(
        ready.ends_with(b"ready\n"),
        "{}",
        String::from_utf8_lossy(&ready)
    );
    let room = fcntl(words.as_raw_fd(), FcntlArg::F_GETPIPE_SZ).expect("its size");
    let full = vec![b'.'; usize::try_from(room).expect("a size")];
    pipe.write_all(&full).expect("there is room");
    // The device goes away, of which the board has to speak.
    drop((far_end, host));
    std::thread::sleep(Duration::from_millis(500));
    let told = Command::new("kill").arg(board.id().to_string()).status();
    assert!(told.expect("kill").success());
    for _ in 0..100 {
        if let Some(status) = board.try_wait().expect("it is there") {
            assert!(status.success(), "{status}");
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    board.kill().expect("it is there");
    panic!("told to end, it did not for 10 s");
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
