//! The flash that holds images: words of 32 bytes, sectors of 128 KiB in two banks, written and read so that no word faults.
//!
//! Every word has an error-correcting code. Where its programming or erasing was cut, the code no longer fits, and to read it is a bus fault: [`Flash::read`] reads
//! with faults masked, and asks the controller, too. The registers stand behind [`Controller`].

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};
use engram_firmware::flash::MappedFlash;

/// What is programmed at once, bytes.
pub const WORD_BYTES: usize = 32;
/// What is erased at once, bytes.
pub const SECTOR_BYTES: usize = 128 * 1024;
/// The first sectors, which the firmware has: `FLASH` in `memory.x`.
pub const FIRMWARE_SECTORS: usize = 2;
/// Those behind it, for the journal and images: `IMAGES` in `memory.x`.
pub const IMAGE_SECTORS: usize = 2 * BANK_SECTORS - FIRMWARE_SECTORS;
const BANK_SECTORS: usize = 8;

/// How often the controller is looked at before a word counts as never programmed: a look takes 10 ns at least, a word 0.6 ms at most.
const WORD_PATIENCE: u32 = 200_000;
/// The same of a sector, which takes 4 s at most.
const SECTOR_PATIENCE: u32 = 500_000_000;

/// Half of the flash, with a controller of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bank {
    /// Holds the firmware.
    One,
    /// The upper half.
    Two,
}

/// What a bank's controller says of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Status {
    /// It programs, erases, or waits for the rest of a word.
    pub busy: bool,
    /// What it was asked for has failed: protection, sequence, strobe, inconsistency, operation.
    pub failed: bool,
    /// The word of the bank, counted from its beginning, whose code was found not to fit.
    pub broken_word: Option<u32>,
}

/// The registers of the flash's controller, and the flash as the processor sees it. Offsets count from its first byte, that of the firmware.
pub trait Controller {
    /// All that images may have: [`IMAGE_SECTORS`].
    fn mapped(&self) -> &[u8];
    /// What a bank says.
    fn status(&self, bank: Bank) -> Status;
    /// Clears the flags of a bank that say of failures and broken words.
    fn forget(&mut self, bank: Bank);
    /// Lets a bank be programmed and erased; whether it does.
    fn unlock(&mut self, bank: Bank) -> bool;
    /// Lets it no more.
    fn lock(&mut self, bank: Bank);
    /// Begins to erase a sector of a bank.
    fn erase(&mut self, bank: Bank, sector: u8);
    /// Begins to program a word.
    fn program(&mut self, bank: Bank, offset: u32, word: &[u8; WORD_BYTES]);
    /// Reads a word from the flash itself, with faults masked; `false` if there was one.
    fn read(&mut self, offset: u32, word: &mut [u8; WORD_BYTES]) -> bool;
    /// Drops what caches hold of so many bytes.
    fn drop_cached(&mut self, offset: u32, bytes: usize);
}

/// The sectors for images, as a NOR flash.
#[derive(Debug)]
pub struct Flash<C> {
    controller: C,
}

/// Where the sectors for images begin.
const START: u32 = (FIRMWARE_SECTORS * SECTOR_BYTES) as u32;
const BANK_BYTES: u32 = (BANK_SECTORS * SECTOR_BYTES) as u32;

impl<C: Controller> Flash<C> {
    /// The flash behind a controller.
    pub const fn new(controller: C) -> Self {
        Self { controller }
    }

    /// One operation of a bank, from its beginning to its end.
    fn operate(
        &mut self,
        bank: Bank,
        patience: u32,
        begin: impl FnOnce(&mut C),
    ) -> Result<(), NorFlashErrorKind> {
        let controller = &mut self.controller;
        // Nothing of ours is under way: an earlier operation that never ended may be.
        if controller.status(bank).busy {
            return Err(NorFlashErrorKind::Other);
        }
        controller.forget(bank);
        // What a locked bank is told to erase it ignores, and says nothing.
        if !controller.unlock(bank) {
            return Err(NorFlashErrorKind::Other);
        }
        begin(controller);
        let ended = (0..patience).any(|_| !controller.status(bank).busy);
        let failed = controller.status(bank).failed;
        controller.lock(bank);
        if ended && !failed {
            Ok(())
        } else {
            Err(NorFlashErrorKind::Other)
        }
    }
}

/// The bank of an offset, and the offset in it.
const fn bank(offset: u32) -> (Bank, u32) {
    if offset < BANK_BYTES {
        (Bank::One, offset)
    } else {
        (Bank::Two, offset - BANK_BYTES)
    }
}

impl<C> ErrorType for Flash<C> {
    type Error = NorFlashErrorKind;
}

impl<C: Controller> ReadNorFlash for Flash<C> {
    const READ_SIZE: usize = WORD_BYTES;

    /// # Errors
    /// `Other`: a word whose code does not fit.
    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        let words = bytes.as_chunks_mut::<WORD_BYTES>().0.iter_mut();
        for (word, offset) in words.zip((START + offset..).step_by(WORD_BYTES)) {
            let (bank, in_bank) = bank(offset);
            self.controller.forget(bank);
            let whole = self.controller.read(offset, word);
            // The core may have looked at other words ahead of time, of which the flags may say, too.
            let broken = self.controller.status(bank).broken_word;
            if !whole || broken == Some(in_bank / WORD_BYTES as u32) {
                return Err(NorFlashErrorKind::Other);
            }
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.controller.mapped().len()
    }
}

impl<C: Controller> NorFlash for Flash<C> {
    const WRITE_SIZE: usize = WORD_BYTES;
    const ERASE_SIZE: usize = SECTOR_BYTES;

    /// # Errors
    /// `Other`: the controller refused, or did not come to an end.
    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        for offset in (START + from..START + to).step_by(SECTOR_BYTES) {
            let (bank, in_bank) = bank(offset);
            let sector = (in_bank / SECTOR_BYTES as u32) as u8;
            let erased = self.operate(bank, SECTOR_PATIENCE, |controller| {
                controller.erase(bank, sector);
            });
            self.controller.drop_cached(offset, SECTOR_BYTES);
            erased?;
        }
        Ok(())
    }

    /// # Errors
    /// `Other`: the controller refused, or did not come to an end.
    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        let words = bytes.as_chunks::<WORD_BYTES>().0.iter();
        for (word, offset) in words.zip((START + offset..).step_by(WORD_BYTES)) {
            let (bank, _) = bank(offset);
            let written = self.operate(bank, WORD_PATIENCE, |controller| {
                controller.program(bank, offset, word);
            });
            self.controller.drop_cached(offset, WORD_BYTES);
            written?;
        }
        Ok(())
    }
}

impl<C: Controller> MappedFlash for Flash<C> {
    /// It waits for the controller; and the first bank, which holds the firmware, gives no instructions meanwhile.
    fn erase_stalls(&self) -> bool {
        true
    }

    /// So it does for words: a share of an upload takes milliseconds, which is more than the period of a fast robot.
    fn write_stalls(&self) -> bool {
        true
    }

    fn bytes(&self) -> &[u8] {
        self.controller.mapped()
    }
}

#[cfg(test)]
mod tests;
