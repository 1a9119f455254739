//! The main loop of every firmware for this part: [`run`].

use engram_cortex_m::{Board, Journal, logger};
use engram_firmware::actuators::Actuators;
use engram_firmware::fallback::Fallback;
use engram_firmware::node::Node;
use engram_firmware::platform::Platform as _;
use engram_firmware::policy::Memory;
use engram_firmware::sensors::Sensors;
use engram_firmware::store::ImageStore;
use engram_firmware::watchdog::Watchdog;
use engram_link::Reason;

use crate::clock::Clock;
use crate::registers::Iwdg;
use crate::uart::Uart;

/// The line to the host, and what the loop needs beside the node.
pub struct Line {
    pub(crate) uart: Uart,
    pub(crate) clock: Clock,
    pub(crate) watchdog: Watchdog<Iwdg>,
    pub(crate) restarted_by_watchdog: bool,
}

/// Flies the image in flash, if there is one, and turns for ever: messages, control steps when they are due, logs, the watchdog, and sleep
/// in between.
#[inline(always)] // One frame of the stack with what calls it, which holds the node.
pub fn run<S, A, F, I>(mut node: Node<S, A, F, I, &'static mut Memory, Board>, line: Line) -> !
where
    S: Sensors,
    A: Actuators,
    F: Fallback,
    I: ImageStore,
{
    let Line {
        mut uart,
        clock,
        mut watchdog,
        restarted_by_watchdog,
    } = line;
    let mut journal = Journal::start(&node.platform().identity());
    if let Clock::Internal { missing } = clock {
        defmt::warn!(
            "no {=str}: the core stays at {=u16} MHz",
            missing,
            clock.core_mhz()
        );
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
