//! The firmware for hardware in the loop: the host is the plant, sensors are injected over the link, actuators only report.
//!
//! A robot has drivers in both places and the same loop (see `firmware/robot-template`). No heap, no panic (feature
//! `prove-no-panic`), and a stack that overflows into a fault (`memory.x`).
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

#[cfg(not(target_os = "none"))]
compile_error!("this is a Cortex-M firmware: build it with `scripts/build-boards h743`");

use engram_board_stm32h743::{Stm32h743, Wiring, entry, run, start};
use engram_firmware::fallback::NoFallback;
use engram_firmware::injected::{InjectedSensors, ReportedActuators};
use engram_firmware::node::{ContractSource, Node, Parts};
use engram_firmware::signature::PublicKey;
use engram_link::Pace;

#[entry]
fn main() -> ! {
    let Stm32h743 {
        line,
        platform,
        store,
        memory,
        ..
    } = start(Wiring::Nucleo);
    let node = Node::new(Parts {
        contract: ContractSource::Image,
        key: const { PublicKey::of_build(option_env!("ENGRAM_PUBLIC_KEY")) },
        pace: Pace::LockStep,
        sensors: InjectedSensors::new(),
        actuators: ReportedActuators,
        fallback: NoFallback,
        store,
        memory,
        platform,
    });
    run(node, line)
}
