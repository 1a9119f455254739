//! Engram on QEMU's Cortex-M7 machine `mps2-an500` and its Cortex-M55 machine `mps3-an547`, behind UART0.
//!
//! The host is the plant: sensors are injected over the link, actuators only report. A robot has
//! drivers in both places and the same loop (see `firmware/robot-template`).
//!
//! `unsafe` stands in `uart.rs`, which touches registers, and nowhere else. No heap, no panic (feature
//! `prove-no-panic`), and a stack that overflows into a fault (`memory.x`, `memory-m55.x`).
#![no_std]
#![no_main]

#[cfg(not(target_os = "none"))]
compile_error!("this is a Cortex-M firmware: build it with `scripts/build-boards mps2 mps3`");

mod machine;
mod uart;

use cortex_m_rt::entry;
use engram_cortex_m::{Board, Journal, injected_node, logger};
use engram_firmware::platform::Platform as _;
use engram_firmware::policy::Memory;
use engram_firmware::store::RamStore;
use engram_image::limits::IMAGE_BYTES;

use crate::machine::MACHINE;
use crate::uart::Uart;

engram_cortex_m::last_words_over!(Uart);

/// One image slot; weights are read in place, so it has their alignment.
#[repr(align(16))]
struct Slot([u8; IMAGE_BYTES]);

#[entry]
fn main() -> ! {
    static mut MEMORY: Memory<[i8; MACHINE.cache_bytes]> = Memory::new();
    static mut SLOT_A: Slot = Slot([0; IMAGE_BYTES]);
    static mut SLOT_B: Slot = Slot([0; IMAGE_BYTES]);

    // Both are there: this is the only place that takes them, and it runs once.
    let (Some(core), Some(mut uart)) = (cortex_m::Peripherals::take(), Uart::take()) else {
        engram_cortex_m::stop("the peripherals are taken")
    };
    let mut node = injected_node(
        RamStore::new(SLOT_A.0.as_mut_slice(), SLOT_B.0.as_mut_slice()),
        MEMORY,
        Board::start(MACHINE.name, MACHINE.mhz, core.SYST),
    );
    let mut journal = Journal::start(&node.platform().identity());
    loop {
        if node.serve(&mut uart) {
            journal.note(node.state(), node.faults());
            // Only now: a host listens.
            node.log_defmt(logger::take);
        } else {
            uart.sleep();
        }
        node.step_if_due();
        #[cfg(feature = "inject-panic")]
        if u32::try_from(node.remaining_us()).unwrap() == 1 {
            uart.sleep();
        }
    }
}
