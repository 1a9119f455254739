//! What a robot's firmware gets of this part, by one call at its start: [`start`].

#![expect(unsafe_code, reason = "statics that are lent once")]

use embedded_hal::delay::DelayNs;
use engram_cortex_m::pwm::{NoSuchFrequency, Output, Timing};
use engram_cortex_m::spi::{Device, Spi};
use engram_cortex_m::{Board, Delay, clock};
use engram_firmware::platform::bytes_of_build;
use engram_firmware::policy::Memory;
use engram_firmware::watchdog::Watchdog;
use stm32f4xx_hal::gpio::{
    GpioExt as _, PA1, PA4, PA15, PB0, PB1, PB5, PB8, PB9, PB11, PC2, PC6, PC7, PC8, PC9,
};
use stm32f4xx_hal::pac;
use stm32f4xx_hal::rcc::Enable as _;

use crate::flash::PartFlash;
use crate::i2c::{self, I2c};
use crate::registers::flash::FlashRegisters;
use crate::registers::i2c::I2cRegisters;
use crate::registers::pwm::{MotorChannel, Timer};
use crate::registers::spi::SpiRegisters;
use crate::registers::{self, Clocks, Frequencies, Iwdg};
use crate::store::{BoardFlash, BoardStore};
use crate::uart::{self, Uart};

/// Bytes of cache that the board lends to policies. `ENGRAM_CACHE_BYTES` sets another number at build time.
const CACHE_BYTES: usize = bytes_of_build(option_env!("ENGRAM_CACHE_BYTES"), 11 * 1024);
/// Bytes of RAM that stand in for an emulator's flash: two kilobytes of journal, and two slots. `ENGRAM_STAND_IN_BYTES` sets another number at
/// build time.
const STAND_IN_BYTES: usize = bytes_of_build(option_env!("ENGRAM_STAND_IN_BYTES"), 70 * 1024);

/// Where an emulator's uploads go; weights are read in place, so it has their alignment.
#[repr(align(16))]
struct StandIn([u8; STAND_IN_BYTES]);

static mut MEMORY: Memory<[i8; CACHE_BYTES]> = Memory::new();
static mut STAND_IN: StandIn = StandIn([0; STAND_IN_BYTES]);

/// Which pins are what. The line is USART2 on PA2 (out) and PA3 (in), and SPI1 is on PA5 (clock), PA6 (in) and PA7 (out) in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wiring {
    /// As on a Matek F405 and its like: motors 1 to 4 on PC6, PC7, PC8, PC9 (TIM3), I2C1 on PB6 (clock) and PB7 (data). Gyros lie on SPI1, the
    /// Matek's is chosen by PC2, others' by PA4.
    Betaflight,
    /// As on a Crazyflie 2: motors 1 to 4 on PA1, PB11, PA15 (TIM2) and PB9 (TIM4), I2C3 on PA8 (clock) and PC9 (data) with the
    /// sensors; the line and SPI1 on its expansion connector.
    Crazyflie,
}

/// All of it. `line` goes to [`run`](crate::run), `store`, `memory` and `platform` to the node, the rest to the robot's drivers.
pub struct Stm32f405 {
    /// The serial line to the host, at 921,600 bits per second, and what the main loop needs beside.
    pub line: Line,
    /// Clock and identity. A clone reads the same clock, for sensors.
    pub platform: Board,
    /// The images in flash.
    pub store: BoardStore<'static, FlashRegisters>,
    /// Memory for the policy.
    pub memory: &'static mut Memory,
    /// Four PWM outputs, off until they are started.
    pub motors: Motors,
    /// SPI1 in mode 3 at 1 MHz: [`Spi::set`] changes both.
    pub spi: SpiBus,
    /// I2C1 or I2C3 at 400 kHz; a clone for each device.
    pub i2c: I2cBus,
    /// Waits of microseconds, for drivers that wake their devices.
    pub delay: Delay,
    /// Pins that nothing else has.
    pub pins: Pins,
}

/// The line to the host.
pub type Line = engram_cortex_m::Line<Uart, Iwdg>;
/// SPI1.
pub type SpiBus = Spi<SpiRegisters>;
/// A device that is alone on its bus.
pub type SpiDevice<P> = Device<SpiRegisters, P, Delay>;
/// The I2C bus of the [`Wiring`].
pub type I2cBus = I2c<I2cRegisters>;
/// A motor's output.
pub type MotorOutput = Output<MotorChannel>;

/// Pins that nothing else has, as inputs; `into_push_pull_output()` makes one an output.
#[expect(missing_docs, reason = "their names say all")]
pub struct Pins {
    pub pa4: PA4,
    pub pb0: PB0,
    pub pb1: PB1,
    pub pb5: PB5,
    pub pb8: PB8,
    pub pc2: PC2,
}

/// The motors' outputs before they are started: inputs, which a resistor should hold low.
pub struct Motors {
    pins: MotorPins,
    timers: [Timer; 3],
    clock_hz: u32,
}

enum MotorPins {
    Betaflight(PC6, PC7, PC8, PC9),
    Crazyflie(PA1, PB11, PA15, PB9),
}

impl Motors {
    /// Starts all four at `hz`, low: 20,000 for brushed motors, 400 for ESCs that take pulses of 1 to 2 ms, 50 for servos.
    ///
    /// # Errors
    /// [`NoSuchFrequency`]: 1 Hz to 328 kHz can be had.
    pub fn start(self, hz: u32) -> Result<[MotorOutput; 4], NoSuchFrequency> {
        let timing = Timing::of(hz, self.clock_hz)?;
        let [tim2, tim3, tim4] = self.timers;
        // The pins follow the timers once these count.
        let channels = match self.pins {
            MotorPins::Betaflight(one, two, three, four) => {
                tim3.start(timing, &[1, 2, 3, 4]);
                let _ = (one.into_alternate::<2>(), two.into_alternate::<2>());
                let _ = (three.into_alternate::<2>(), four.into_alternate::<2>());
                [(tim3, 1), (tim3, 2), (tim3, 3), (tim3, 4)]
            }
            MotorPins::Crazyflie(one, two, three, four) => {
                tim2.start(timing, &[1, 2, 4]);
                tim4.start(timing, &[4]);
                let _ = (one.into_alternate::<1>(), two.into_alternate::<1>());
                let _ = (three.into_alternate::<1>(), four.into_alternate::<2>());
                [(tim2, 2), (tim2, 4), (tim2, 1), (tim4, 4)]
            }
        };
        Ok(channels
            .map(|(timer, channel)| Output::new(MotorChannel { timer, channel }, timing.counts)))
    }
}

/// Brings up watchdog, clock, line and buses; the motors stay off. From here to [`run`](crate::run) the watchdog waits 33 s.
///
/// A second call ends with last words: there is one of everything.
pub fn start(wiring: Wiring) -> Stm32f405 {
    let (Some(core), Some(mut part)) = (cortex_m::Peripherals::take(), pac::Peripherals::take())
    else {
        engram_cortex_m::stop("the peripherals are taken")
    };
    // First of all: whatever a start may get stuck in, it begins anew.
    let watchdog = Watchdog::start(Iwdg(part.IWDG));
    let mut clocks = Clocks {
        rcc: &mut part.RCC,
        flash: &mut part.FLASH,
    };
    let is_part = clocks.are_there();
    let missing = is_part.then(|| clock::start(&mut clocks).err()).flatten();
    let frequencies = match missing {
        None => Frequencies::PLL,
        Some(_) => Frequencies::INTERNAL,
    };
    let Frequencies {
        core_mhz,
        apb1_hz,
        apb2_hz,
    } = frequencies;
    let mut delay = Delay::new(core_mhz);
    let rcc = &mut part.RCC;
    let a = part.GPIOA.split(rcc);
    let b = part.GPIOB.split(rcc);
    let c = part.GPIOC.split(rcc);

    a.pa2.into_alternate::<7>();
    // A line that is not plugged in rests, instead of bringing noise.
    a.pa3.into_alternate::<7>().internal_pull_up(true);
    pac::USART2::enable(rcc);
    let uart = uart::start(part.USART2, apb1_hz);

    a.pa5.into_alternate::<5>();
    a.pa6.into_alternate::<5>();
    a.pa7.into_alternate::<5>();
    pac::SPI1::enable(rcc);
    let spi = Spi::new(SpiRegisters(part.SPI1), apb2_hz);

    let half_period = || delay.delay_us(5);
    let (motors, registers) = match wiring {
        Wiring::Betaflight => {
            let mut clock_line = b.pb6.into_open_drain_output();
            let mut data_line = b.pb7.into_open_drain_output();
            i2c::free(&mut clock_line, &mut data_line, half_period);
            clock_line.into_alternate_open_drain::<4>();
            data_line.into_alternate_open_drain::<4>();
            pac::I2C1::enable(rcc);
            (
                MotorPins::Betaflight(c.pc6, c.pc7, c.pc8, c.pc9),
                pac::I2C1::ptr(),
            )
        }
        Wiring::Crazyflie => {
            let mut clock_line = a.pa8.into_open_drain_output();
            let mut data_line = c.pc9.into_open_drain_output();
            i2c::free(&mut clock_line, &mut data_line, half_period);
            clock_line.into_alternate_open_drain::<4>();
            data_line.into_alternate_open_drain::<4>();
            pac::I2C3::enable(rcc);
            let three = a.pa15.into_input();
            (
                MotorPins::Crazyflie(a.pa1, b.pb11, three, b.pb9),
                pac::I2C3::ptr(),
            )
        }
    };
    // SAFETY: the registers are there for ever, and `part`, which alone can hand them out, ends here.
    let registers = unsafe { &*registers };
    let i2c = I2c::new(I2cRegisters::new(registers, i2c::Timing::of(apb1_hz)));

    pac::TIM2::enable(rcc);
    pac::TIM3::enable(rcc);
    pac::TIM4::enable(rcc);
    let motors = Motors {
        pins: motors,
        timers: [
            Timer::tim2(part.TIM2),
            Timer::tim3(part.TIM3),
            Timer::tim4(part.TIM4),
        ],
        clock_hz: apb2_hz,
    };

    let (memory, stand_in) = (&raw mut MEMORY, &raw mut STAND_IN);
    // SAFETY: the peripherals are taken once, so this is reached once, and nothing else names these statics.
    let (memory, stand_in) = unsafe { (&mut *memory, &mut *stand_in) };
    let (name, flash) = if is_part {
        let flash = PartFlash::new(FlashRegisters(part.FLASH));
        ("stm32f405", BoardFlash::Part(flash))
    } else {
        ("qemu-f405", BoardFlash::StandIn(&mut stand_in.0))
    };
    let Ok(store) = BoardStore::new(flash, registers::flash::loaded()) else {
        engram_cortex_m::stop("no room for images")
    };
    Stm32f405 {
        line: Line {
            uart,
            watchdog,
            missing: missing.map(|missing| (missing, core_mhz)),
            restarted_by_watchdog: registers::restarted_by_watchdog(rcc),
        },
        platform: Board::start(name, core_mhz, core.SYST),
        store,
        memory,
        motors,
        spi,
        i2c,
        delay,
        pins: Pins {
            pa4: a.pa4,
            pb0: b.pb0,
            pb1: b.pb1,
            pb5: b.pb5,
            pb8: b.pb8,
            pc2: c.pc2,
        },
    }
}
