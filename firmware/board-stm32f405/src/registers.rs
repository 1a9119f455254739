//! The registers of this part, behind the traits of the modules that decide. Nothing here waits.

#![expect(unsafe_code, reason = "register access")]

pub(crate) mod flash;
pub(crate) mod i2c;
pub(crate) mod pwm;
pub(crate) mod spi;

use engram_cortex_m::iwdg::{LONGEST_MS, counts};
use engram_firmware::watchdog::Timer;
use stm32f4xx_hal::pac;

use crate::clock::ClockControl;

/// Frequency of the crystal, MHz: that of Crazyflie, Betaflight's boards and the Olimex board.
const CRYSTAL_MHZ: u8 = 8;
/// RCC and the flash controller.
pub(crate) struct Clocks<'a> {
    pub(crate) rcc: &'a mut pac::RCC,
    pub(crate) flash: &'a mut pac::FLASH,
}

impl ClockControl for Clocks<'_> {
    fn internal_is_ready(&self) -> bool {
        self.rcc.cr().read().hsirdy().bit_is_set()
    }

    fn start_crystal(&mut self) {
        self.rcc.cr().modify(|_, w| w.hseon().set_bit());
    }

    fn crystal_is_ready(&self) -> bool {
        self.rcc.cr().read().hserdy().bit_is_set()
    }

    fn start_pll(&mut self) {
        self.rcc.pllcfgr().write(|w| {
            // SAFETY: the fields take these numbers: 1 MHz into the VCO, 336 MHz out of it, of which the core takes half
            // and USB a seventh.
            unsafe { w.pllm().bits(CRYSTAL_MHZ).plln().bits(336).pllq().bits(7) };
            w.pllp().div2().pllsrc().hse()
        });
        self.rcc.cr().modify(|_, w| w.pllon().set_bit());
    }

    fn pll_is_ready(&self) -> bool {
        self.rcc.cr().read().pllrdy().bit_is_set()
    }

    fn select_pll(&mut self) {
        self.flash.acr().modify(|_, w| {
            let w = w.latency().ws5();
            w.prften().set_bit().icen().set_bit().dcen().set_bit()
        });
        self.rcc
            .cfgr()
            .modify(|_, w| w.ppre1().div4().ppre2().div2());
        // Prescalers act after at most so many cycles; the buses must not get the PLL's clock undivided.
        cortex_m::asm::delay(16);
        self.rcc.cfgr().modify(|_, w| w.sw().pll());
    }

    fn runs_on_pll(&self) -> bool {
        self.rcc.cfgr().read().sws().is_pll()
    }

    fn select_internal(&mut self) {
        self.rcc
            .cfgr()
            .modify(|_, w| w.sw().hsi().ppre1().div1().ppre2().div1());
    }
}

/// The independent watchdog.
pub struct Iwdg(pub(crate) pac::IWDG);

impl Iwdg {
    fn key(&mut self, key: u16) {
        // SAFETY: the register takes any key; the four that exist are unlock, feed and start.
        self.0.kr().write(|w| unsafe { w.key().bits(key) });
    }
}

impl Timer for Iwdg {
    fn longest_ms(&self) -> u32 {
        LONGEST_MS
    }

    fn start(&mut self, wait_ms: u32) {
        self.key(0xCCCC);
        self.key(0x5555);
        self.0.pr().write(|w| w.pr().divide_by256());
        self.0.rlr().write(|w| w.rl().set(counts(wait_ms)));
        self.key(0xAAAA);
    }

    fn set(&mut self, wait_ms: u32) {
        self.key(0x5555);
        self.0.rlr().write(|w| w.rl().set(counts(wait_ms)));
    }

    fn is_setting(&self) -> bool {
        self.0.sr().read().rvu().bit_is_set()
    }

    fn feed(&mut self) {
        self.key(0xAAAA);
    }
}

/// Whether the watchdog restarted the part; the flags of the last reset are cleared.
pub(crate) fn restarted_by_watchdog(rcc: &mut pac::RCC) -> bool {
    let was = rcc.csr().read().wdgrstf().bit_is_set();
    rcc.csr().modify(|_, w| w.rmvf().set_bit());
    was
}
