//! The allocator of a board that flies: what ends the process, and what is exempt. That a flight allocates nothing is shown by every case of
//! hil-tests on `qemu-linux` and `qemu-linux-rt`, whose programs have it.

use std::hint::black_box;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::sync::mpsc;

use engram_board_linux::StartUpOnly;
use engram_board_linux::allocator::{allow, forbid};

#[global_allocator]
static ALLOCATOR: StartUpOnly = StartUpOnly;

/// What the second process of a test is to do after the start.
const VARIABLE: &str = "ENGRAM_ALLOCATE";

fn take_bytes() {
    drop(black_box(Vec::<u8>::with_capacity(black_box(100))));
}

/// Runs this program again, one test of it, in which `what` is done; returns the signal that ended it, and its last words.
fn again(what: &str) -> (Option<i32>, String) {
    let program = std::env::current_exe().expect("this program");
    let output = Command::new(program)
        .args([
            "--exact",
            "the_second_process",
            "--nocapture",
            "--test-threads=2",
        ])
        .env(VARIABLE, what)
        .output()
        .expect("it starts");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.signal(), words)
}

#[test]
fn the_second_process() {
    let Ok(what) = std::env::var(VARIABLE) else {
        return;
    };
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
    for (what, bytes) in [("take", 100), ("zeroed", 100), ("grow", 1_004)] {
        let (signal, words) = again(what);
        assert_eq!(signal, Some(6), "{what}: it went on: {words}");
        let said = format!("{bytes} bytes were to be allocated in flight");
        assert!(words.contains(&said), "{what}: {words}");
    }
}

#[test]
fn giving_back_other_threads_and_what_is_allowed_are_exempt() {
    let (signal, words) = again("what is exempt");
    assert_eq!(signal, None, "{words}");
    assert!(!words.contains("allocated in flight"), "{words}");
}
