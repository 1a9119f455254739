//! The registers of the flash's controller, and reads of the flash with faults masked.

use core::arch::asm;
use core::slice;

use cortex_m::asm::{dsb, isb};
use cortex_m::peripheral::SCB;
use stm32h7::stm32h743::{self as pac, flash};

use crate::flash::{
    Bank, Controller, FIRMWARE_SECTORS, IMAGE_SECTORS, SECTOR_BYTES, Status, WORD_BYTES,
};

/// Where the processor sees the flash.
const FLASH: usize = 0x0800_0000;
/// The keys that unlock a bank, one after the other.
const KEYS: [u32; 2] = [0x4567_0123, 0xCDEF_89AB];
/// All flags of FLASH_SR that FLASH_CCR clears.
const FLAGS: u32 = 0x0FEF_0000;
/// Ignore faults of data accesses where faults are masked: BFHFNMIGN of the configuration and control register.
const IGNORE_FAULTS: u32 = 1 << 8;
/// What the configurable fault status register says of bus faults.
const BUS_FAULTS: u32 = 0xFF00;

/// The controller, and the core's caches and faults.
pub struct FlashControl {
    pub(crate) registers: pac::FLASH,
    pub(crate) core: SCB,
}

impl FlashControl {
    fn bank(&self, bank: Bank) -> &flash::BANK {
        match bank {
            Bank::One => self.registers.bank1(),
            Bank::Two => self.registers.bank2(),
        }
    }
}

/// Where the processor sees a word.
fn pointer(offset: u32) -> *mut u32 {
    core::ptr::with_exposed_provenance_mut(FLASH + offset as usize)
}

impl Controller for FlashControl {
    fn mapped(&self) -> &[u8] {
        let start = pointer((FIRMWARE_SECTORS * SECTOR_BYTES) as u32);
        // SAFETY: this flash is always there, the firmware does not lie in it (a test compares memory.x), and it changes through `&mut self` alone.
        unsafe { slice::from_raw_parts(start.cast(), IMAGE_SECTORS * SECTOR_BYTES) }
    }

    fn status(&self, bank: Bank) -> Status {
        let bank = self.bank(bank);
        let status = bank.sr().read();
        let busy =
            status.bsy().bit_is_set() || status.wbne().bit_is_set() || status.qw().bit_is_set();
        let refused = status.wrperr().bit_is_set() || status.pgserr().bit_is_set();
        let broke = status.strberr().bit_is_set() || status.incerr().bit_is_set();
        let broken = status.dbeccerr().bit_is_set();
        Status {
            busy,
            failed: refused || broke || status.operr().bit_is_set(),
            broken_word: broken.then(|| bank.far().read().fail_ecc_addr().bits().into()),
        }
    }

    fn forget(&mut self, bank: Bank) {
        // SAFETY: ones clear flags, and nothing else is in the register.
        (self.bank(bank).ccr()).write(|w| unsafe { w.bits(FLAGS) });
    }

    fn unlock(&mut self, bank: Bank) -> bool {
        let bank = self.bank(bank);
        // A bank that is unlocked would take the keys for wrong ones, and stay locked until the next reset.
        if bank.cr().read().lock().bit_is_set() {
            for key in KEYS {
                // SAFETY: these are the keys.
                bank.keyr().write(|w| unsafe { w.bits(key) });
            }
        }
        bank.cr().read().lock().bit_is_clear()
    }

    fn lock(&mut self, bank: Bank) {
        let bank = self.bank(bank);
        (bank.cr()).modify(|_, w| w.pg().clear_bit().ser().clear_bit());
        bank.cr().modify(|_, w| w.lock().set_bit());
    }

    fn erase(&mut self, bank: Bank, sector: u8) {
        let bank = self.bank(bank);
        // SAFETY: 2 is 32 bits at a time; there are eight sectors.
        (bank.cr())
            .modify(|_, w| unsafe { w.ser().set_bit().psize().bits(2).snb().bits(sector & 7) });
        bank.cr().modify(|_, w| w.start().set_bit());
        dsb();
    }

    fn program(&mut self, bank: Bank, offset: u32, word: &[u8; WORD_BYTES]) {
        // SAFETY: 2 is 32 bits at a time.
        (self.bank(bank).cr()).modify(|_, w| unsafe { w.pg().set_bit().psize().bits(2) });
        dsb();
        let pieces = word.as_chunks::<4>().0.iter();
        for (piece, offset) in pieces.zip((offset..).step_by(4)) {
            // SAFETY: the driver asks for words of the images' sectors alone, aligned to 32 bytes; nobody borrows `mapped` meanwhile.
            unsafe { pointer(offset).write_volatile(u32::from_ne_bytes(*piece)) };
        }
        dsb();
        isb();
    }

    fn read(&mut self, offset: u32, word: &mut [u8; WORD_BYTES]) -> bool {
        self.drop_cached(offset, WORD_BYTES);
        let mut faults = 0;
        cortex_m::interrupt::free(|_| {
            // SAFETY: with faults masked and ignored, a load that faults brings any bits, and nothing else runs until both are as they were.
            // Ones clear bits of the fault status. The word is one of the images' sectors.
            unsafe {
                self.core.cfsr.write(BUS_FAULTS);
                self.core.ccr.modify(|ccr| ccr | IGNORE_FAULTS);
                asm!("cpsid f");
                dsb();
                isb();
                let pieces = word.as_chunks_mut::<4>().0.iter_mut();
                for (piece, offset) in pieces.zip((offset..).step_by(4)) {
                    *piece = pointer(offset).read_volatile().to_ne_bytes();
                }
                dsb();
                faults = self.core.cfsr.read() & BUS_FAULTS;
                self.core.cfsr.write(BUS_FAULTS);
                asm!("cpsie f");
                self.core.ccr.modify(|ccr| ccr & !IGNORE_FAULTS);
                dsb();
                isb();
            }
        });
        faults == 0
    }

    fn drop_cached(&mut self, offset: u32, bytes: usize) {
        // SAFETY: flash is written through, so that no line of it holds what is nowhere else.
        unsafe {
            self.core
                .invalidate_dcache_by_address(FLASH + offset as usize, bytes);
        }
    }
}
