//! Engram on the STM32H743, behind USART3: Nucleo-H743ZI2, Pixhawk 6, Matek H743.
//!
//! The host is the plant: sensors are injected over the link, actuators only report. A robot has
//! drivers in both places and the same loop (see `firmware/robot-template`).
//!
//! `unsafe` stands in `machine.rs`, `flash_control.rs` and `uart.rs`, which touch registers, and nowhere else. No heap, no panic (feature
//! `prove-no-panic`), and a stack that overflows into a fault (`memory.x`).
#![no_std]
#![no_main]

#[cfg(not(target_os = "none"))]
compile_error!("this is a Cortex-M firmware: build it with `scripts/build-boards h743`");

mod flash_control;
mod machine;
mod uart;

use cortex_m_rt::entry;
use engram_board_stm32h743::clock::{self, Clock};
use engram_board_stm32h743::flash::Flash;
use engram_cortex_m::{Board, Journal, logger};
use engram_firmware::fallback::NoFallback;
use engram_firmware::flash::FlashStore;
use engram_firmware::injected::{InjectedSensors, ReportedActuators};
use engram_firmware::node::{ContractSource, Node, Parts};
use engram_firmware::platform::Platform as _;
use engram_firmware::policy::{LargestMemory, Memory};
use engram_firmware::watchdog::Watchdog;
use engram_link::{Pace, Reason};
use stm32h7::stm32h743 as pac;

use crate::flash_control::FlashControl;
use crate::machine::{BAUD, Clocks, INTERNAL_HZ, Iwdg};
use crate::uart::{LastWords, Uart};

engram_cortex_m::last_words_over!(LastWords);

#[entry]
fn main() -> ! {
    // Room for every policy that the image format admits.
    static mut MEMORY: LargestMemory = LargestMemory::new();

    // Both are there: this is the only place that takes them, and it runs once.
    let (Some(mut core), Some(mut part)) =
        (cortex_m::Peripherals::take(), pac::Peripherals::take())
    else {
        engram_cortex_m::stop("the peripherals are taken")
    };
    // First of all: whatever the start may get stuck in, it begins anew.
    let mut watchdog = Watchdog::start(Iwdg(part.IWDG));
    let clock = clock::start(&mut Clocks {
        pwr: &mut part.PWR,
        rcc: &mut part.RCC,
        flash: &mut part.FLASH,
    });
    core.SCB.enable_icache();
    core.SCB.enable_dcache(&mut core.CPUID);
    machine::connect_line(&mut part.RCC, &part.GPIOD);
    let mut uart = Uart::start(part.USART3, INTERNAL_HZ, BAUD);
    let Ok(store) = FlashStore::new(Flash::new(FlashControl {
        registers: part.FLASH,
        core: core.SCB,
    })) else {
        engram_cortex_m::stop("the flash is too small")
    };
    let mut node = Node::new(Parts {
        contract: ContractSource::Image,
        pace: Pace::LockStep,
        sensors: InjectedSensors::new(),
        actuators: ReportedActuators,
        fallback: NoFallback,
        store,
        memory: MEMORY as &mut Memory,
        platform: Board::start("stm32h743", clock.core_mhz(), core.SYST),
    });
    let mut journal = Journal::start(&node.platform().identity());
    if let Clock::Internal { missing } = clock {
        defmt::warn!(
            "no {=str}: the core stays at {=u16} MHz",
            missing,
            clock.core_mhz()
        );
    }
    if machine::restarted_by_watchdog(&mut part.RCC) {
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
