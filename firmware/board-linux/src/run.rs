//! The main loop: it sleeps until a byte comes or a control step is due, until the process is told to end.

use core::borrow::BorrowMut;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use engram_firmware::actuators::Actuators;
use engram_firmware::fallback::Fallback;
use engram_firmware::node::Node;
use engram_firmware::policy::Memory;
use engram_firmware::sensors::Sensors;
use engram_firmware::store::ImageStore;
use engram_firmware::watchdog::Watchdog;
use engram_link::{Pace, Reason};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::line::{Line, LineError};
use crate::linux::{Linux, now_us};
use crate::options::Options;
use crate::real_time::RealTimeError;
use crate::watchdog::{LinuxWatchdog, WatchdogError};
use crate::{allocator, news, say};

/// How long a lock-step board sleeps at most before it looks whether it was told to end, microseconds.
const PATIENCE_US: u64 = 200_000;
/// How long a board that was told to end may take to reach its safe command, microseconds.
pub const SETTLING_US: u64 = 10_000_000;

/// Why the process ends before it is told to.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No serial line.
    #[error(transparent)]
    Line(#[from] LineError),
    /// Nobody would know the pseudo-terminal.
    #[error("cannot print the path of the pseudo-terminal: {0}")]
    Path(std::io::Error),
    /// Something still moves.
    #[error("told to end; disarmed, but not at the safe command after {} s", SETTLING_US / 1_000_000)]
    NotSettled,
    /// The process could not be told to end.
    #[error("cannot catch signals: {0}")]
    Signals(std::io::Error),
    /// Nobody would say what happens in flight.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// The image of the command line is not there.
    #[error("cannot read the image {}: {cause}", path.display())]
    ImageFile {
        /// Its path.
        path: PathBuf,
        /// The operating system's words.
        cause: std::io::Error,
    },
    /// The image of the command line does not fly here.
    #[error("{0}")]
    Image(Reason),
    /// The kernel did not give what real time takes.
    #[error(transparent)]
    RealTime(#[from] RealTimeError),
    /// No watchdog.
    #[error(transparent)]
    Watchdog(#[from] WatchdogError),
}

/// How a board stands that ended because it was told to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Disarmed, and the command is the safe one.
    Safe,
    /// Disarmed in lock-step, where the host makes the steps to the safe command.
    LockStep,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Safe => "told to end; disarmed, at the safe command",
            Self::LockStep => {
                "told to end; disarmed, in lock-step: nothing moves, and no host makes the steps to the safe command"
            }
        })
    }
}

/// Flies `node` behind `line` until the process is told to end (SIGTERM, SIGINT, SIGHUP), and says how it stands then. A line that
/// goes away is a lost link and ends nothing.
///
/// First everything that takes its time or memory: the image and the watchdog of `options`, and what real time takes. From then on this
/// thread allocates nothing (see [`allocator`]).
///
/// # Errors
/// [`Failure`]: what `options` ask for and the system does not give, before the first step; [`Failure::NotSettled`] at the end.
pub fn run<S, A, F, I, M>(
    node: &mut Node<S, A, F, I, M, Linux>,
    mut line: Line,
    options: &Options,
) -> Result<End, Failure>
where
    S: Sensors,
    A: Actuators,
    F: Fallback,
    I: ImageStore,
    M: BorrowMut<Memory>,
{
    let told = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&told)).map_err(Failure::Signals)?;
    }
    // Before real time, which it would inherit.
    news::start().map_err(Failure::Thread)?;
    if let Some(image) = options.read_image()? {
        node.install(&image).map_err(Failure::Image)?;
    }
    options.real_time().enter()?;
    // The last thing: what fails before it leaves no watchdog running.
    let device = (options.watchdog.as_deref()).map(LinuxWatchdog::open);
    let mut watchdog = device.transpose()?.map(Watchdog::start);
    say(format_args!("ready"));
    allocator::forbid();
    let end = turns(node, &mut line, watchdog.as_mut(), &told);
    allocator::permit();
    if let (Some(watchdog), Ok(_)) = (watchdog, &end) {
        watchdog.into_timer().stop();
    }
    end
}

/// The loop itself.
fn turns<S, A, F, I, M>(
    node: &mut Node<S, A, F, I, M, Linux>,
    line: &mut Line,
    mut watchdog: Option<&mut Watchdog<LinuxWatchdog>>,
    told: &AtomicBool,
) -> Result<End, Failure>
where
    S: Sensors,
    A: Actuators,
    F: Fallback,
    I: ImageStore,
    M: BorrowMut<Memory>,
{
    // Told to end, it goes on until nothing moves any more.
    let mut ends_us = None;
    loop {
        let until_us = match node.pace() {
            Pace::LockStep => now_us() + PATIENCE_US,
            Pace::RealTime => node.due_us(),
        };
        let writes = !node.outgoing().front().is_empty();
        line.wait(until_us, writes);
        // All that came, but no more than until the next step is due.
        while node.serve(line) && node.remaining_us() > 0 {}
        // After all that a host may have said in this turn: it arms nothing any more.
        let ending = told.load(Ordering::Relaxed);
        if ending {
            node.disarm();
        }
        node.step_if_due();
        if let Some(watchdog) = &mut watchdog {
            watchdog.turn(node.progress());
        }
        if ending {
            if node.is_settled() {
                return Ok(End::Safe);
            }
            if node.pace() == Pace::LockStep {
                return Ok(End::LockStep);
            }
            if now_us() > *ends_us.get_or_insert_with(|| now_us() + SETTLING_US) {
                return Err(Failure::NotSettled);
            }
        }
    }
}
