//! Engram as a Linux process: the same node as on a microcontroller, behind a serial device or a
//! pseudo-terminal.
//!
//! The host is the plant: sensors are injected over the link, actuators only report. Real-time
//! scheduling and device drivers are not here yet. In lock-step the host's messages carry the time;
//! in real time the process keeps it with the monotonic clock.
#![forbid(unsafe_code)]

mod line;

use std::fmt::Arguments as Text;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use engram_firmware::process::ProcessNode;
use engram_firmware::signature::{NotAKey, PublicKey};
use engram_link::{Pace, Reason};

use crate::line::{Line, LineError};

/// How long a lock-step board sleeps at most before it looks whether it was told to end.
const PATIENCE: Duration = Duration::from_millis(200);
/// The same while frames wait for a line that took nothing.
const FULL_LINE: Duration = Duration::from_millis(1);
/// How long a board that was told to end may take to reach its safe command.
const SETTLING: Duration = Duration::from_secs(10);

/// Set by SIGTERM, SIGINT and SIGHUP.
static END: AtomicBool = AtomicBool::new(false);

/// Flies a policy image as a Linux process, behind the Engram link.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Arguments {
    /// Serial device to listen on
    #[arg(
        long,
        value_name = "DEVICE",
        required_unless_present = "pty",
        conflicts_with = "pty"
    )]
    port: Option<String>,
    /// Speed of the serial device, bits per second
    #[arg(long, value_name = "RATE", default_value_t = 921_600)]
    baud: u32,
    /// Make a pseudo-terminal and print the path that the host opens
    #[arg(long)]
    pty: bool,
    /// Install this image at the start, with all checks of an upload
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// Take images signed by this key alone: its 64 hexadecimal digits, as `engram keygen` prints them
    #[arg(long, value_name = "KEY", value_parser = key)]
    key: Option<PublicKey>,
    /// Name that the host is told
    #[arg(long, value_name = "NAME", default_value = "linux")]
    name: String,
}

const EXAMPLES: &str = "Examples:
  On a Jetson, on the UART of its header:
    engram-board-linux --port /dev/ttyTHS1
  On any Linux, for a host on the same machine:
    engram-board-linux --pty
    engram fly images/pendulum.engram --port /dev/pts/7
  One that flies what the owner of a key has signed, and nothing else (engram keygen, engram sign):
    engram-board-linux --port /dev/ttyTHS1 --key 3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c
  The aarch64 build on an x86-64 machine (serial devices need more than QEMU's user mode emulates):
    QEMU_LD_PREFIX=/usr/aarch64-linux-gnu qemu-aarch64 -cpu max engram-board-linux-aarch64 --pty";

/// Why the process ends before it is told to.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Line(#[from] LineError),
    #[error("cannot print the path of the pseudo-terminal: {0}")]
    Path(std::io::Error),
    #[error("told to end; disarmed, but not at the safe command after {SETTLING:?}")]
    NotSettled,
    #[error("cannot catch signals: {0}")]
    Signals(#[from] ctrlc::Error),
    #[error("cannot read the image {}: {source}", path.display())]
    ImageFile {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{0}")]
    Image(Reason),
}

/// The public key of an argument; one that nothing can be signed by is none.
fn key(text: &str) -> Result<PublicKey, NotAKey> {
    text.parse()
        .and_then(|key: PublicKey| key.is_valid().then_some(key).ok_or(NotAKey))
}

/// A line on standard error. That it cannot be shown changes nothing.
pub(crate) fn say(text: Text<'_>) {
    let _ = writeln!(std::io::stderr(), "engram-board-linux: {text}");
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(end) => {
            say(format_args!("told to end; disarmed, {end}"));
            ExitCode::SUCCESS
        }
        Err(failure) => {
            say(format_args!("{failure}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs until it is told to end, and says how it stands then. A line that goes away is a lost link and does not end it.
fn run(arguments: Arguments) -> Result<&'static str, Failure> {
    ctrlc::set_handler(|| END.store(true, Ordering::Relaxed))?;
    let mut node = ProcessNode::start(&arguments.name, arguments.key);
    if let Some(path) = arguments.image {
        let image = std::fs::read(&path).map_err(|source| Failure::ImageFile { path, source })?;
        node.install(&image).map_err(Failure::Image)?;
    }
    let mut line = match &arguments.port {
        Some(path) => Line::open(path, arguments.baud)?,
        None => {
            let (line, path) = Line::pseudo_terminal()?;
            writeln!(std::io::stdout(), "{path}").map_err(Failure::Path)?;
            line
        }
    };
    // Told to end, it goes on until nothing moves any more.
    let mut ends: Option<Instant> = None;
    loop {
        let mut patience = match node.pace() {
            Pace::LockStep => PATIENCE,
            Pace::RealTime => Duration::from_micros(node.remaining_us()),
        };
        if !node.outgoing().front().is_empty() {
            patience = patience.min(FULL_LINE);
        }
        line.wait(patience);
        // All that came, but no more than until the next step is due.
        while node.serve(&mut line) && node.remaining_us() > 0 {}
        // After all that a host may have said in this turn: it arms nothing any more.
        let ending = END.load(Ordering::Relaxed);
        if ending {
            node.disarm();
        }
        node.step_if_due();
        if ending {
            if node.is_settled() {
                return Ok("at the safe command");
            }
            if node.pace() == Pace::LockStep {
                return Ok(
                    "in lock-step: nothing moves, and no host makes the steps to the safe command",
                );
            }
            if ends.get_or_insert_with(Instant::now).elapsed() > SETTLING {
                return Err(Failure::NotSettled);
            }
        }
    }
}
