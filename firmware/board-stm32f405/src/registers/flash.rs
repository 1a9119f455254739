//! The flash controller's registers, and where images lie in flash.

use stm32f4xx_hal::pac;

use crate::flash::{FlashControl, SECTOR_BYTES, SECTORS};

unsafe extern "C" {
    /// The sectors for images.
    static mut _images: [u8; SECTORS * SECTOR_BYTES];
}

/// The flash controller, for images.
pub struct FlashRegisters(pub(crate) pac::FLASH);

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
