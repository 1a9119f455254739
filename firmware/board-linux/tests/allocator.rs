//! The allocator of a board that flies: what ends the process, and what is exempt. That a flight of a policy allocates nothing is shown by every case
//! of hil-tests on `qemu-linux` and `qemu-linux-rt`, whose programs have it.

use std::hint::black_box;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use embedded_io::WriteReady as _;
use engram_board_linux::allocator::{allow, forbid};
use engram_board_linux::{Allocating, End, Line, Linux, Options, Robot, StartUpOnly, node, run};
use engram_firmware::DriverError;
use engram_firmware::actuators::Actuators;
use engram_firmware::fallback::NoFallback;
use engram_firmware::node::ContractSource;
use engram_firmware::platform::Clock as _;
use engram_firmware::safety::Settings;
use engram_firmware::sensors::{Sample, Sensors};
use engram_image::{ActionChannel, Channel, Contract, List, Reward};
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serialport::{SerialPort as _, TTYPort};

#[global_allocator]
static ALLOCATOR: StartUpOnly = StartUpOnly;

/// What the second process of a test is to do after the start.
const VARIABLE: &str = "ENGRAM_ALLOCATE";

fn take_bytes() {
    drop(black_box(Vec::<u8>::with_capacity(black_box(100))));
}

/// Sensors whose driver allocates in every transfer.
struct Listing;

impl Sensors for Listing {
    fn read(&mut self, _: &mut Sample) -> Result<(), DriverError> {
        take_bytes();
        Err(DriverError::NotReady)
    }
}

/// Actuators that move nothing.
struct Still;

impl Actuators for Still {
    fn write(&mut self, _: &[f32]) -> Result<(), DriverError> {
        Ok(())
    }
}

const CONTRACT: Contract<'static> = Contract {
    period_us: 5_000,
    observations: List::from_slice(&[Channel::new("angle", "rad", [-1.0, 1.0])]),
    actions: List::from_slice(&[ActionChannel::new("torque", "Nm", [-1.0, 1.0])]),
    reward: Reward::External,
};

/// Makes control steps with `sensors`, as a robot's own program does, until a signal comes.
fn fly(sensors: impl Sensors) {
    let robot = Robot {
        contract: ContractSource::Board {
            contract: &CONTRACT,
            settings: Settings::for_period(CONTRACT.period_us),
        },
        sensors,
        actuators: Still,
        fallback: NoFallback,
    };
    let options = Options {
        port: None,
        baud: 0,
        pty: true,
        image: None,
        key: None,
        realtime: None,
        cpu: None,
        watchdog: None,
    };
    let (line, _) = Line::pseudo_terminal().expect("a pseudo-terminal");
    let mut node = node(robot, Linux { board: "test" }, None);
    std::thread::spawn(|| {
        std::thread::sleep(Duration::from_millis(200));
        kill(Pid::this(), Signal::SIGTERM).expect("this process");
    });
    let end = run(&mut node, line, &options);
    assert!(matches!(end, Ok(End::Safe)), "{end:?}");
    assert!(node.control().counters().steps > 5, "it made no steps");
}

/// Loses a serial device in flight, looks for it in vain, and finds it again.
fn lose_and_find() {
    let link = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tty-{}", std::process::id()));
    let device = || {
        let (host, board) = TTYPort::pair().expect("a pseudo-terminal");
        let path = board.name().expect("a path");
        (host, board, path)
    };
    let (host, board, path) = device();
    symlink(path, &link).expect("a link");
    let mut line = Line::open(&link.display().to_string(), 115_200).expect("it opens");
    drop(board);
    forbid();
    drop(host);
    let mut clock = Linux { board: "test" };
    let mut wait = |time_us| line.wait(clock.now_us() + time_us, false);
    wait(50_000);
    wait(1_100_000);
    let _again = allow(|| {
        std::fs::remove_file(&link).expect("the link");
        let (host, board, path) = device();
        symlink(path, &link).expect("a link");
        (host, board)
    });
    wait(1_100_000);
    allow(|| {
        let found = line.write_ready();
        std::fs::remove_file(&link).expect("the link");
        assert_eq!(found, Ok(true), "it was not found again");
        // The harness would go on in this thread.
        std::process::exit(0);
    });
}

/// This program again, one test of it, in which `what` is done.
fn second(what: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command
        .args([
            "--exact",
            "the_second_process",
            "--nocapture",
            "--test-threads=2",
        ])
        .env(VARIABLE, what);
    command
}

/// Runs this program again, one test of it, in which `what` is done; returns the signal that ended it, and its last words.
fn again(what: &str) -> (Option<i32>, String) {
    let output = second(what).output().expect("it starts");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.signal(), words)
}

#[test]
fn the_second_process() {
    let Ok(what) = std::env::var(VARIABLE) else {
        return;
    };
    match &*what {
        "a robot's drivers" => return fly(Listing),
        "a robot's drivers that may" => return fly(Allocating(Listing)),
        "a device that was gone" => return lose_and_find(),
        _ => {}
    }
    let (sender, receiver) = mpsc::channel();
    let (done, finished) = mpsc::channel();
    // Threads that are there at the start.
    let other = std::thread::spawn(move || {
        for () in receiver {
            take_bytes();
            done.send(()).expect("the other end is there");
        }
    });
    let grown: Vec<u8> = vec![0; 4];
    forbid();
    match &*what {
        "take" => take_bytes(),
        "zeroed" => drop(black_box(vec![0_u8; black_box(100)])),
        "grow" => {
            let mut grown = grown;
            grown.reserve_exact(black_box(1_000));
            black_box(&grown);
        }
        // What is exempt.
        _ => {
            drop(grown);
            allow(take_bytes);
            allow(|| sender.send(()).expect("the other thread is there"));
            allow(|| finished.recv().expect("the other thread allocated"));
        }
    }
    allow(|| {
        drop(sender);
        other.join().expect("the other thread ends");
    });
    // The harness goes on in this thread.
    std::process::exit(0);
}

#[test]
fn an_allocation_after_the_start_ends_the_process() {
    for (what, bytes) in [
        ("take", 100),
        ("zeroed", 100),
        ("grow", 1_004),
        ("a robot's drivers", 100),
    ] {
        let (signal, words) = again(what);
        assert_eq!(signal, Some(6), "{what}: it went on: {words}");
        let said = format!("{bytes} bytes were to be allocated in flight");
        assert!(words.contains(&said), "{what}: {words}");
    }
}

#[test]
fn a_standard_error_that_takes_nothing_keeps_no_process_alive() {
    let (words, mut pipe) = std::io::pipe().expect("a pipe");
    let room = fcntl(words.as_raw_fd(), FcntlArg::F_GETPIPE_SZ).expect("its size");
    let full = vec![b'.'; usize::try_from(room).expect("a size")];
    pipe.write_all(&full).expect("there is room");
    let mut child = (second("take").stdout(Stdio::null()).stderr(pipe))
        .spawn()
        .expect("it starts");
    for _ in 0..100 {
        if let Some(status) = child.try_wait().expect("it is there") {
            return assert_eq!(status.signal(), Some(Signal::SIGALRM as i32), "{status}");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    child.kill().expect("it is there");
    panic!("it hung for 10 s");
}

#[test]
fn giving_back_other_threads_and_what_is_allowed_are_exempt() {
    for what in [
        "what is exempt",
        "a robot's drivers that may",
        "a device that was gone",
    ] {
        let (signal, words) = again(what);
        assert_eq!(signal, None, "{what}: {words}");
        assert!(
            !words.contains("allocated in flight") && !words.contains("panicked"),
            "{what}: {words}"
        );
    }
}
