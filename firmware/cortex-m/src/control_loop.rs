//! The main loop of boards with a watchdog and a line that wakes them: [`run`]; and the node of a board whose plant is the host: [`injected_node`].

use embedded_io::{Read, ReadReady, Write, WriteReady};
use engram_firmware::actuators::Actuators;
use engram_firmware::fallback::{Fallback, NoFallback};
use engram_firmware::injected::{InjectedSensors, ReportedActuators};
use engram_firmware::node::{ContractSource, Node, Parts};
use engram_firmware::platform::Platform as _;
use engram_firmware::policy::Memory;
use engram_firmware::sensors::Sensors;
use engram_firmware::signature::PublicKey;
use engram_firmware::store::ImageStore;
use engram_firmware::watchdog::{Timer, Watchdog};
use engram_link::{Pace, Reason};

use crate::{Board, Journal, logger};

/// A serial line on which the main loop sleeps.
pub trait Sleep: Read + ReadReady + Write + WriteReady {
    /// Sleeps until any interrupt comes, the clock's within a millisecond, unless a byte waits.
    fn sleep(&mut self);
}

/// The line to the host, and what the loop needs beside the node.
pub struct Line<U, T> {
    /// The line.
    pub uart: U,
    /// The watchdog, which runs already.
    pub watchdog: Watchdog<T>,
    /// What did not come when the core was to get its clock, and the clock that it has instead, MHz.
    pub missing: Option<(&'static str, u16)>,
    /// Whether the watchdog restarted the board.
    pub restarted_by_watchdog: bool,
}

/// A node whose sensors are injected over the link, and whose actuators only report.
pub type InjectedNode<I> =
    Node<InjectedSensors, ReportedActuators, NoFallback, I, &'static mut Memory, Board>;

/// That of a board for hardware in the loop, where the host is the plant.
#[inline(always)] // As `run`.
pub fn injected_node<I: ImageStore>(
    store: I,
    memory: &'static mut Memory,
    platform: Board,
) -> InjectedNode<I> {
    Node::new(Parts {
        contract: ContractSource::Image,
        key: const { PublicKey::of_build(option_env!("ENGRAM_PUBLIC_KEY")) },
        pace: Pace::LockStep,
        sensors: InjectedSensors::new(),
        actuators: ReportedActuators,
        fallback: NoFallback,
        store,
        memory,
        platform,
    })
}

/// Flies the image in flash, if there is one, and turns for ever: messages, control steps when they are due, logs, the watchdog, and sleep
/// in between.
#[inline(always)] // One frame of the stack with what calls it, which holds the node.
pub fn run<S, A, F, I, U, T>(
    mut node: Node<S, A, F, I, &'static mut Memory, Board>,
    line: Line<U, T>,
) -> !
where
    S: Sensors,
    A: Actuators,
    F: Fallback,
    I: ImageStore,
    U: Sleep,
    T: Timer,
{
    let Line {
        mut uart,
        mut watchdog,
        missing,
        restarted_by_watchdog,
    } = line;
    let mut journal = Journal::start(&node.platform().identity());
    if let Some((missing, mhz)) = missing {
        defmt::warn!("no {=str}: the core stays at {=u16} MHz", missing, mhz);
    }
    if restarted_by_watchdog {
        defmt::warn!("the watchdog restarted the board: control steps had stopped");
    }
    match node.install_found() {
        Ok(()) => defmt::info!("flies the image in flash"),
        Err(Reason::NoImage) => {}
        Err(reason) => defmt::warn!("the image in flash: {}", reason),
    }
    loop {
        if node.serve(&mut uart) {
            journal.note(node.state(), node.faults());
            // Only now: a host listens.
            node.log_defmt(logger::take);
        } else {
            uart.sleep();
        }
        node.step_if_due();
        watchdog.turn(node.progress());
        #[cfg(feature = "inject-panic")]
        if u16::try_from(node.period_us()).unwrap() == 1 {
            uart.sleep();
        }
    }
}
