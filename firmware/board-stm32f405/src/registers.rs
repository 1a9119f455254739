//! The registers of this part, behind the traits of the modules that decide. Nothing here waits.

#![expect(unsafe_code, reason = "register access")]

pub(crate) mod flash;
pub(crate) mod i2c;
pub(crate) mod pwm;
pub(crate) mod spi;

use engram_cortex_m::clock::ClockControl;
use stm32f4xx_hal::pac;

/// Frequency of the crystal, MHz: that of Crazyflie, Betaflight's boards and the Olimex board.
const CRYSTAL_MHZ: u8 = 8;

/// What the clocks are.
#[derive(Clone, Copy)]
pub(crate) struct Frequencies {
    /// Of the core and of SysTick, MHz.
    pub(crate) core_mhz: u16,
    /// Of the bus that USART2, I2C1 and I2C3 lie on, Hz.
    pub(crate) apb1_hz: u32,
    /// Of the bus that SPI1 lies on, and of TIM2, TIM3 and TIM4, Hz: timers get twice the clock of a bus that is divided.
    pub(crate) apb2_hz: u32,
}

impl Frequencies {
    /// On the PLL. An emulator's core is said to run at that.
    pub(crate) const PLL: Self = Self {
        core_mhz: 168,
        apb1_hz: 42_000_000,
        apb2_hz: 84_000_000,
    };
    /// On the internal oscillator.
    pub(crate) const INTERNAL: Self = Self {
        core_mhz: 16,
        apb1_hz: 16_000_000,
        apb2_hz: 16_000_000,
    };
}

/// RCC and the flash controller.
pub(crate) struct Clocks<'a> {
    pub(crate) rcc: &'a mut pac::RCC,
    pub(crate) flash: &'a mut pac::FLASH,
}

impl Clocks<'_> {
    /// Whether the oscillator that a part starts on says that it runs. Where it does not, registers read zero: an emulator.
    pub(crate) fn are_there(&self) -> bool {
        self.rcc.cr().read().hsirdy().bit_is_set()
    }
}

/// On the way to the PLL.
#[derive(Clone, Copy)]
pub(crate) enum Step {
    Crystal,
    Pll,
    Switch,
}

impl ClockControl for Clocks<'_> {
    type Step = Step;
    const STEPS: &'static [(Step, &'static str)] = &[
        (Step::Crystal, "crystal"),
        (Step::Pll, "PLL lock"),
        (Step::Switch, "switch to the PLL"),
    ];

    fn ask(&mut self, step: Step) {
        match step {
            Step::Crystal => {
                self.rcc.cr().modify(|_, w| w.hseon().set_bit());
            }
            Step::Pll => {
                self.rcc.pllcfgr().write(|w| {
                    // SAFETY: the fields take these numbers: 1 MHz into the VCO, 336 MHz out of it, of which the core takes half
                    // and USB a seventh.
                    unsafe { w.pllm().bits(CRYSTAL_MHZ).plln().bits(336).pllq().bits(7) };
                    w.pllp().div2().pllsrc().hse()
                });
                self.rcc.cr().modify(|_, w| w.pllon().set_bit());
            }
            // With wait states and prescalers for 168 MHz.
            Step::Switch => {
                self.flash.acr().modify(|_, w| {
                    let w = w.latency().ws5();
                    w.prften().set_bit().icen().set_bit().dcen().set_bit()
                });
                (self.rcc.cfgr()).modify(|_, w| w.ppre1().div4().ppre2().div2());
                // Prescalers act after at most so many cycles; the buses must not get the PLL's clock undivided.
                cortex_m::asm::delay(16);
                self.rcc.cfgr().modify(|_, w| w.sw().pll());
            }
        }
    }

    fn has_come(&self, step: Step) -> bool {
        match step {
            Step::Crystal => self.rcc.cr().read().hserdy().bit_is_set(),
            Step::Pll => self.rcc.cr().read().pllrdy().bit_is_set(),
            Step::Switch => self.rcc.cfgr().read().sws().is_pll(),
        }
    }

    fn stay(&mut self) {
        (self.rcc.cfgr()).modify(|_, w| w.sw().hsi().ppre1().div1().ppre2().div1());
    }
}

engram_cortex_m::independent_watchdog!(pac::IWDG);

/// Whether the watchdog restarted the part; the flags of the last reset are cleared.
pub(crate) fn restarted_by_watchdog(rcc: &mut pac::RCC) -> bool {
    let was = rcc.csr().read().wdgrstf().bit_is_set();
    rcc.csr().modify(|_, w| w.rmvf().set_bit());
    was
}
