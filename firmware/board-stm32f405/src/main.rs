//! Engram on the STM32F405, behind USART2; QEMU's machine `netduinoplus2` boots the same file.
//!
//! The host is the plant: sensors are injected over the link, actuators only report. A robot has
//! drivers in both places and the same loop (see `firmware/robot-template`).
//!
//! `unsafe` stands in `machine.rs` and `uart.rs`, which touch registers, and nowhere else. No heap, no panic (feature
//! `prove-no-panic`), and a stack that overflows into a fault (`memory.x`).
#![no_std]
#![no_main]

#[cfg(not(target_os = "none"))]
compile_error!("this is a Cortex-M firmware: build it with `scripts/build-boards f405`");

mod machine;
mod uart;

use cortex_m_rt::entry;
use engram_board_stm32f405::clock::{self, Clock};
use engram_board_stm32f405::store::FlashStore;
use engram_board_stm32f405::watchdog::{Progress, Watchdog};
use engram_cortex_m::{Board, Journal, logger};
use engram_firmware::fallback::NoFallback;
use engram_firmware::injected::{InjectedSensors, ReportedActuators};
use engram_firmware::node::{ContractSource, Node, Parts};
use engram_firmware::platform::Platform as _;
use engram_firmware::policy::Memory;
use engram_firmware::signature::PublicKey;
use engram_firmware::store::RamStore;
use engram_link::{Pace, Reason};
use stm32f4xx_hal::gpio::GpioExt as _;
use stm32f4xx_hal::pac;
use stm32f4xx_hal::rcc::Enable as _;

use crate::machine::{BAUD, CACHE_BYTES, Clocks, Iwdg, SLOT_BYTES};
use crate::uart::{LastWords, Uart};

engram_cortex_m::last_words_over!(LastWords);

/// One image slot; weights are read in place, so it has their alignment.
#[repr(align(16))]
struct Slot([u8; SLOT_BYTES]);

#[entry]
fn main() -> ! {
    static mut MEMORY: Memory<[i8; CACHE_BYTES]> = Memory::new();
    static mut SLOT_A: Slot = Slot([0; SLOT_BYTES]);
    static mut SLOT_B: Slot = Slot([0; SLOT_BYTES]);

    // Both are there: this is the only place that takes them, and it runs once.
    let (Some(core), Some(mut part)) = (cortex_m::Peripherals::take(), pac::Peripherals::take())
    else {
        engram_cortex_m::stop("the peripherals are taken")
    };
    let clock = clock::start(&mut Clocks {
        rcc: &mut part.RCC,
        flash: &mut part.FLASH,
    });
    let pins = part.GPIOA.split(&mut part.RCC);
    let _out = pins.pa2.into_alternate::<7>();
    // A line that is not plugged in rests, instead of bringing noise.
    let _in = pins.pa3.into_alternate::<7>().internal_pull_up(true);
    pac::USART2::enable(&mut part.RCC);
    let mut uart = Uart::start(part.USART2, clock.apb1_hz(), BAUD);
    let name = match clock {
        Clock::Emulated => "qemu-f405",
        Clock::Pll | Clock::Internal { .. } => "stm32f405",
    };
    let mut node = Node::new(Parts {
        contract: ContractSource::Image,
        key: const { PublicKey::of_build(option_env!("ENGRAM_PUBLIC_KEY")) },
        pace: Pace::LockStep,
        sensors: InjectedSensors::new(),
        actuators: ReportedActuators,
        fallback: NoFallback,
        store: FlashStore::new(
            machine::image(),
            RamStore::new(SLOT_A.0.as_mut_slice(), SLOT_B.0.as_mut_slice()),
        ),
        memory: MEMORY as &mut Memory,
        platform: Board::start(name, clock.core_mhz(), core.SYST),
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
    let mut watchdog = Watchdog::start(Iwdg(part.IWDG));
    loop {
        if node.serve(&mut uart) {
            journal.note(node.state(), node.faults());
            // Only now: a host listens.
            node.log_defmt(logger::take);
        } else {
            uart.sleep();
        }
        node.step_if_due();
        watchdog.turn(Progress {
            steps: node.control().counters().steps,
            pace: node.pace(),
            state: node.state(),
            period_us: node.period_us(),
        });
        #[cfg(feature = "inject-panic")]
        if u16::try_from(node.period_us()).unwrap() == 1 {
            uart.sleep();
        }
    }
}
