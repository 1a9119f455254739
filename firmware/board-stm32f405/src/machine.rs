//! The registers of this part that no other module owns, and the constants of the board. Nothing here waits.

#![expect(unsafe_code, reason = "register access")]

use engram_board_stm32f405::clock::ClockControl;
use engram_board_stm32f405::flash::{FlashControl, SECTOR_BYTES, SECTORS};
use engram_board_stm32f405::watchdog::Registers;
use stm32f4xx_hal::pac;

/// Frequency of the crystal, MHz: that of Crazyflie, Betaflight's boards and the Olimex board.
const CRYSTAL_MHZ: u8 = 8;
/// Bits per second of the line.
pub(crate) const BAUD: u32 = 921_600;

/// Bytes of cache that the board lends to policies. `ENGRAM_CACHE_BYTES` sets another number at build time.
pub(crate) const CACHE_BYTES: usize = bytes(option_env!("ENGRAM_CACHE_BYTES"), 11 * 1024);
/// Bytes of RAM that stand in for an emulator's flash, in kilobytes: two of journal, and two slots. `ENGRAM_STAND_IN_BYTES` sets another number at
/// build time.
pub(crate) const STAND_IN_BYTES: usize = bytes(option_env!("ENGRAM_STAND_IN_BYTES"), 70 * 1024);

const fn bytes(set: Option<&str>, usual: usize) -> usize {
    match set {
        None => usual,
        Some(text) => match usize::from_str_radix(text, 10) {
            Ok(bytes) => bytes,
            Err(_) => panic!("ENGRAM_CACHE_BYTES and ENGRAM_STAND_IN_BYTES are numbers of bytes"),
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

impl Registers for Iwdg {
    fn start(&mut self, counts: u16) {
        self.key(0xCCCC);
        self.key(0x5555);
        self.0.pr().write(|w| w.pr().divide_by256());
        self.0.rlr().write(|w| w.rl().set(counts));
        self.key(0xAAAA);
    }

    fn set(&mut self, counts: u16) {
        self.key(0x5555);
        self.0.rlr().write(|w| w.rl().set(counts));
    }

    fn is_setting(&self) -> bool {
        self.0.sr().read().rvu().bit_is_set()
    }

    fn feed(&mut self) {
        self.key(0xAAAA);
    }
}

unsafe extern "C" {
    /// The sectors for images.
    static mut _images: [u8; SECTORS * SECTOR_BYTES];
}

/// The flash controller, for images.
pub(crate) struct FlashRegisters(pub(crate) pac::FLASH);

impl FlashControl for FlashRegisters {
    fn unlock(&mut self) -> bool {
        if self.0.cr().read().lock().bit_is_set() {
            for key in [0x4567_0123, 0xCDEF_89AB] {
                // SAFETY: the two keys of the reference manual, in their order.
                self.0.keyr().write(|w| unsafe { w.key().bits(key) });
            }
        }
        self.0.cr().read().lock().bit_is_clear()
    }

    fn lock(&mut self) {
        self.0.cr().write(|w| w.lock().set_bit());
    }

    fn is_busy(&self) -> bool {
        self.0.sr().read().bsy().bit_is_set()
    }

    fn take_error(&mut self) -> bool {
        let status = self.0.sr().read();
        let failed = status.pgserr().bit_is_set()
            || status.pgperr().bit_is_set()
            || status.pgaerr().bit_is_set()
            || status.wrperr().bit_is_set()
            || status.operr().bit_is_set();
        // Flags are cleared by ones.
        self.0.sr().write(|w| {
            let w = w.pgserr().clear_bit_by_one().pgperr().clear_bit_by_one();
            let w = w.pgaerr().clear_bit_by_one().wrperr().clear_bit_by_one();
            w.operr().clear_bit_by_one()
        });
        failed
    }

    fn erase(&mut self, sector: u8) {
        self.0.cr().write(|w| {
            // SAFETY: a sector of the part.
            unsafe { w.snb().bits(sector) };
            w.ser().set_bit().psize().psize32()
        });
        self.0.cr().modify(|_, w| w.strt().set_bit());
    }

    fn program(&mut self, offset: usize, word: u32) {
        self.0.cr().write(|w| w.pg().set_bit().psize().psize32());
        if offset.is_multiple_of(size_of::<u32>()) && offset < SECTORS * SECTOR_BYTES {
            let place = (&raw mut _images).cast::<u32>();
            // SAFETY: an aligned word of the flash that `memory.x` keeps for images; `&mut self` says that nobody holds a reference to it.
            unsafe { place.byte_add(offset).write_volatile(word) };
        }
    }

    fn drop_caches(&mut self) {
        // They may be reset while they are off.
        self.0
            .acr()
            .modify(|_, w| w.icen().clear_bit().dcen().clear_bit());
        self.0
            .acr()
            .modify(|_, w| w.icrst().set_bit().dcrst().set_bit());
        self.0
            .acr()
            .modify(|_, w| w.icrst().clear_bit().dcrst().clear_bit());
        self.0
            .acr()
            .modify(|_, w| w.icen().set_bit().dcen().set_bit());
    }

    fn bytes(&self) -> &[u8] {
        let bytes = &raw const _images;
        // SAFETY: `memory.x` keeps this flash free of the firmware, and it changes through `&mut self` alone.
        unsafe { &*bytes }
    }
}

/// What an emulator was given beside the firmware, an image or not.
pub(crate) fn loaded() -> &'static [u8] {
    unsafe extern "C" {
        static _image: [u8; SECTORS * SECTOR_BYTES - 2 * SECTOR_BYTES];
    }
    // SAFETY: `memory.x` keeps this flash free of the firmware; an emulator's is not written.
    unsafe { &_image }
}

/// Whether the watchdog restarted the part; the flags of the last reset are cleared.
pub(crate) fn restarted_by_watchdog(rcc: &mut pac::RCC) -> bool {
    let was = rcc.csr().read().wdgrstf().bit_is_set();
    rcc.csr().modify(|_, w| w.rmvf().set_bit());
    was
}
