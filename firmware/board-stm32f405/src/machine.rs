//! The registers of this part that no other module owns, and the constants of the board. Nothing here waits.

#![expect(unsafe_code, reason = "register access")]

use engram_board_stm32f405::clock::ClockControl;
use engram_board_stm32f405::watchdog::{LONGEST_MS, counts};
use engram_firmware::watchdog::Timer;
use stm32f4xx_hal::pac;

/// Frequency of the crystal, MHz: that of Crazyflie, Betaflight's boards and the Olimex board.
const CRYSTAL_MHZ: u8 = 8;
/// Bits per second of the line.
pub(crate) const BAUD: u32 = 921_600;

/// Bytes of cache that the board lends to policies. `ENGRAM_CACHE_BYTES` sets another number at build time.
pub(crate) const CACHE_BYTES: usize = bytes(option_env!("ENGRAM_CACHE_BYTES"), 4 * 1024);
/// Bytes of each slot in RAM that takes an upload. `ENGRAM_SLOT_BYTES` sets another number at build time.
pub(crate) const SLOT_BYTES: usize = bytes(option_env!("ENGRAM_SLOT_BYTES"), 39 * 1024);

const fn bytes(set: Option<&str>, usual: usize) -> usize {
    match set {
        None => usual,
        Some(text) => match usize::from_str_radix(text, 10) {
            Ok(bytes) => bytes,
            Err(_) => panic!("ENGRAM_CACHE_BYTES and ENGRAM_SLOT_BYTES are numbers of bytes"),
        },
    }
}

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
pub(crate) struct Iwdg(pub(crate) pac::IWDG);

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

/// The flash that holds an image, or whatever else lies there.
pub(crate) fn image() -> &'static [u8] {
    unsafe extern "C" {
        static _image: [u8; 512 * 1024];
    }
    // SAFETY: `memory.x` keeps this flash free of the firmware, which writes no flash.
    unsafe { &_image }
}

/// Whether the watchdog restarted the part; the flags of the last reset are cleared.
pub(crate) fn restarted_by_watchdog(rcc: &mut pac::RCC) -> bool {
    let was = rcc.csr().read().wdgrstf().bit_is_set();
    rcc.csr().modify(|_, w| w.rmvf().set_bit());
    was
}
