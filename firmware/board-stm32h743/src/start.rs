//! What a robot's firmware gets of this part, by one call at its start: [`start`].

#![expect(unsafe_code, reason = "a static that is lent once")]

use engram_cortex_m::pwm::{NoSuchFrequency, Output, Timing};
use engram_cortex_m::spi::{Device, Spi};
use engram_cortex_m::{Board, Delay, clock};
use engram_firmware::flash::FlashStore;
use engram_firmware::policy::{LargestMemory, Memory};
use engram_firmware::watchdog::Watchdog;
use stm32h7::stm32h743 as pac;

use crate::flash::Flash;
use crate::registers::flash::FlashControl;
use crate::registers::pins::{self, Port};
use crate::registers::pwm::{MotorChannel, Timer};
use crate::registers::spi::SpiRegisters;
use crate::registers::{self, Clocks, Iwdg};
use crate::uart::{self, Uart};

/// The internal oscillator, from which the line and SPI1 have their clocks, whatever the core runs on, Hz.
const INTERNAL_HZ: u32 = 64_000_000;

/// Room for every policy that the image format admits.
static mut MEMORY: LargestMemory = LargestMemory::new();

/// Which pins are what. On all of them the line is USART3 on PD8 (out) and PD9 (in), the motors are 1 to 4 on PD12, PD13, PD14 and PD15 (TIM4), and SPI1 is on
/// PA5 (clock) and PA6 (in).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wiring {
    /// As on a Nucleo-H743ZI2: the line goes to its debugger's serial port, SPI1 out is PA7, and a device on it is chosen by PA4.
    Nucleo,
    /// As on a Matek H743: the line is its UART 3, the motors its outputs 7 to 10, SPI1 out is PD7, and the gyro on it is chosen by PC15.
    Matek,
}

/// All of it. `line` goes to [`run`](crate::run), `store`, `memory` and `platform` to the node, the rest to the robot's drivers.
pub struct Stm32h743 {
    /// The serial line to the host, at 921,600 bits per second, and what the main loop needs beside.
    pub line: Line,
    /// Clock and identity. A clone reads the same clock, for sensors.
    pub platform: Board,
    /// Image slots in flash, which outlast a reset.
    pub store: FlashStore<Flash<FlashControl>>,
    /// Memory for the policy.
    pub memory: &'static mut Memory,
    /// Four PWM outputs, off until they are started.
    pub motors: Motors,
    /// SPI1 in mode 3 at 1 MHz: [`Spi::set`] changes both.
    pub spi: SpiBus,
    /// Waits of microseconds, for drivers that wake their devices.
    pub delay: Delay,
    /// What chooses the device on SPI1, high.
    pub select: Pin,
}

/// The line to the host.
pub type Line = engram_cortex_m::Line<Uart, Iwdg>;
/// SPI1.
pub type SpiBus = Spi<SpiRegisters>;
/// A pin that is an output.
pub type Pin = pins::Output;
/// The device on SPI1.
pub type SpiDevice = Device<SpiRegisters, Pin, Delay>;
/// A motor's output.
pub type MotorOutput = Output<MotorChannel>;

/// The motors' outputs before they are started: inputs, which a resistor should hold low.
pub struct Motors {
    pins: Port,
    timer: Timer,
    clock_hz: u32,
}

impl Motors {
    /// Starts all four at `hz`, low: 20,000 for brushed motors, 400 for ESCs that take pulses of 1 to 2 ms, 50 for servos.
    ///
    /// # Errors
    /// [`NoSuchFrequency`]: 1 Hz to 781 kHz can be had.
    pub fn start(self, hz: u32) -> Result<[MotorOutput; 4], NoSuchFrequency> {
        let timing = Timing::of(hz, self.clock_hz)?;
        let Self { pins, timer, .. } = self;
        timer.start(timing, &[1, 2, 3, 4]);
        // The pins follow the timer once it counts.
        for pin in 12..=15 {
            pins.give(pin, 2, false);
        }
        Ok([1, 2, 3, 4].map(|channel| Output::new(MotorChannel { timer, channel }, timing.counts)))
    }
}

/// Brings up watchdog, clock, caches, line and bus; the motors stay off. From here to [`run`](crate::run) the watchdog waits some 33 s.
///
/// A second call ends with last words: there is one of everything.
pub fn start(wiring: Wiring) -> Stm32h743 {
    let (Some(mut core), Some(mut part)) =
        (cortex_m::Peripherals::take(), pac::Peripherals::take())
    else {
        engram_cortex_m::stop("the peripherals are taken")
    };
    registers::read_ram_in_turn(&part.DBGMCU, &part.AXI);
    // First of all: whatever a start may get stuck in, it begins anew.
    let watchdog = Watchdog::start(Iwdg(part.IWDG));
    let missing = clock::start(&mut Clocks {
        pwr: &mut part.PWR,
        rcc: &mut part.RCC,
        flash: &mut part.FLASH,
    })
    .err();
    // 400 MHz: what every revision of the part does, up to its highest temperature. Timers get twice the clock of a bus that is divided.
    let (core_mhz, timer_hz) = match missing {
        None => (400, 200_000_000),
        Some(_) => (64, INTERNAL_HZ),
    };
    core.SCB.enable_icache();
    core.SCB.enable_dcache(&mut core.CPUID);
    let delay = Delay::new(core_mhz);

    let rcc = &mut part.RCC;
    registers::turn_on(rcc);
    let (a, c, d) = (
        Port::a(part.GPIOA),
        Port::c(part.GPIOC),
        Port::d(part.GPIOD),
    );
    d.give(8, 7, false);
    // A line that is not plugged in rests, instead of bringing noise.
    d.give(9, 7, true);
    let uart = uart::start(part.USART3, INTERNAL_HZ);

    let select = match wiring {
        Wiring::Nucleo => {
            a.give(7, 5, false);
            a.output(4)
        }
        Wiring::Matek => {
            d.give(7, 5, false);
            c.output(15)
        }
    };
    a.give(5, 5, false);
    a.give(6, 5, false);
    let spi = Spi::new(SpiRegisters(part.SPI1), INTERNAL_HZ);

    let flash = Flash::new(FlashControl {
        registers: part.FLASH,
        core: core.SCB,
    });
    let Ok(store) = FlashStore::new(flash) else {
        engram_cortex_m::stop("the flash is too small")
    };
    let memory = &raw mut MEMORY;
    Stm32h743 {
        line: Line {
            uart,
            watchdog,
            missing: missing.map(|missing| (missing, core_mhz)),
            restarted_by_watchdog: registers::restarted_by_watchdog(rcc),
        },
        platform: Board::start("stm32h743", core_mhz, core.SYST),
        store,
        // SAFETY: the peripherals are taken once, so this is reached once, and nothing else names this static.
        memory: unsafe { &mut *memory },
        motors: Motors {
            pins: d,
            timer: Timer::tim4(part.TIM4),
            clock_hz: timer_hz,
        },
        spi,
        delay,
        select,
    }
}
