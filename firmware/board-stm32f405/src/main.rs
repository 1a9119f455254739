//! The firmware for hardware in the loop: the host is the plant, sensors are injected over the link, actuators only report.
//!
//! A robot has drivers in both places and the same loop (see `firmware/robot-template`). No heap, no panic (feature
//! `prove-no-panic`), and a stack that overflows into a fault (`memory.x`).
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

#[cfg(not(target_os = "none"))]
compile_error!("this is a Cortex-M firmware: build it with `scripts/build-boards f405`");

use engram_board_stm32f405::{Wiring, entry, injected_node, run, start};

#[entry]
fn main() -> ! {
    let board = start(Wiring::Betaflight);
    let node = injected_node(board.store, board.memory, board.platform);
    run(node, board.line)
}
