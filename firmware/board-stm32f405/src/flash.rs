//! Sectors 7 to 11 of the part's flash, 128 KiB each, as an embedded-storage device: the journal of images and their two slots.
//!
//! The part has one bank: while it erases or programs, the core gets no instruction. Its flash has no error correction, so a word whose
//! programming was cut reads as some bits or other and never faults.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_write,
};
use engram_firmware::flash::MappedFlash;

/// Bytes of a sector.
pub const SECTOR_BYTES: usize = 128 * 1024;
/// The first sector for images.
pub const FIRST_SECTOR: u8 = 7;
/// Sectors for images: two of the journal, and three that both slots share.
pub const SECTORS: usize = 5;
/// Bytes of a word.
const WORD_BYTES: usize = 4;

/// How often the flag of an operation is looked at before it counts as never ending. Erasing a sector takes 2 s at most, in which a loop in
/// flash does not run at all, and one in the instruction cache looks every 6 cycles or so at 168 MHz: 60 million times.
pub const PATIENCE: u32 = 200_000_000;

/// The flash controller, as far as images need it.
pub trait FlashControl {
    /// Lets the controller take operations; whether it does.
    fn unlock(&mut self) -> bool;
    /// It takes none any more, until it is unlocked.
    fn lock(&mut self);
    /// Whether an operation is under way.
    fn is_busy(&self) -> bool;
    /// Whether an operation has failed; forgets it.
    fn take_error(&mut self) -> bool;
    /// Begins to erase a sector.
    fn erase(&mut self, sector: u8);
    /// Begins to program a word, so many bytes behind the first one for images.
    fn program(&mut self, offset: usize, word: u32);
    /// Forgets what the caches hold of the flash.
    fn drop_caches(&mut self);
    /// All bytes for images, [`SECTORS`] of them.
    fn bytes(&self) -> &[u8];
}

/// Why flash could not be read, erased or programmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlashError {
    /// The place is none that the device has, or in the middle of a word or sector.
    Place(NorFlashErrorKind),
    /// The controller stays locked: its option bytes protect it, or an operation of somebody else's failed.
    Locked,
    /// The controller says that it failed.
    Failed,
    /// The controller says nothing.
    Silent,
}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Place(kind) => *kind,
            Self::Locked | Self::Failed | Self::Silent => NorFlashErrorKind::Other,
        }
    }
}

/// Reads bytes of a memory that is all there.
///
/// # Errors
/// [`FlashError::Place`].
pub(crate) fn read(all: &[u8], offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
    let from = usize::try_from(offset)
        .ok()
        .and_then(|offset| all.get(offset..)?.get(..bytes.len()));
    let outside = FlashError::Place(NorFlashErrorKind::OutOfBounds);
    for (to, from) in bytes.iter_mut().zip(from.ok_or(outside)?) {
        *to = *from;
    }
    Ok(())
}

/// The part's flash for images.
#[derive(Debug)]
pub struct PartFlash<C>(C);

impl<C: FlashControl> PartFlash<C> {
    /// Over the controller.
    pub const fn new(control: C) -> Self {
        Self(control)
    }

    /// Carries out operations between unlocking and locking.
    fn unlocked(
        &mut self,
        operations: impl FnOnce(&mut Self) -> Result<(), FlashError>,
    ) -> Result<(), FlashError> {
        if !self.0.unlock() {
            return Err(FlashError::Locked);
        }
        // Of an operation before.
        self.0.take_error();
        let result = operations(self);
        self.0.lock();
        result
    }

    /// Waits for what has been begun.
    fn finish(&mut self) -> Result<(), FlashError> {
        if !(0..PATIENCE).any(|_| !self.0.is_busy()) {
            return Err(FlashError::Silent);
        }
        match self.0.take_error() {
            true => Err(FlashError::Failed),
            false => Ok(()),
        }
    }
}

impl<C: FlashControl> ErrorType for PartFlash<C> {
    type Error = FlashError;
}

impl<C: FlashControl> ReadNorFlash for PartFlash<C> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        read(self.0.bytes(), offset, bytes)
    }

    fn capacity(&self) -> usize {
        SECTORS * SECTOR_BYTES
    }
}

impl<C: FlashControl> NorFlash for PartFlash<C> {
    const WRITE_SIZE: usize = WORD_BYTES;
    const ERASE_SIZE: usize = SECTOR_BYTES;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        check_erase(self, from, to).map_err(FlashError::Place)?;
        let sectors = (FIRST_SECTOR..)
            .zip((0..to).step_by(SECTOR_BYTES))
            .filter(|(_, start)| *start >= from);
        let result = self.unlocked(|flash| {
            for (sector, _) in sectors {
                flash.0.erase(sector);
                flash.finish()?;
            }
            Ok(())
        });
        // What was there before must not be read any more, whether or not it was erased.
        self.0.drop_caches();
        result
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        check_write(self, offset, bytes.len()).map_err(FlashError::Place)?;
        let words = bytes.as_chunks::<WORD_BYTES>().0;
        self.unlocked(|flash| {
            for (place, word) in (offset..).step_by(WORD_BYTES).zip(words) {
                let place = usize::try_from(place).unwrap_or(usize::MAX);
                flash.0.program(place, u32::from_le_bytes(*word));
                flash.finish()?;
            }
            Ok(())
        })
    }
}

impl<C: FlashControl> MappedFlash for PartFlash<C> {
    fn erase_stalls(&self) -> bool {
        true
    }

    fn write_stalls(&self) -> bool {
        true
    }

    fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What a controller does with its sectors.
    #[derive(Debug)]
    pub(crate) struct Part {
        bytes: Vec<u8>,
        /// What the caches would still show of it.
        stale: bool,
        locked: bool,
        protected: bool,
        /// Looks until an operation is over; `None`: never.
        looks: Option<u32>,
        left: std::cell::Cell<u32>,
        fails: bool,
        error: bool,
    }

    impl Part {
        pub(crate) fn new() -> Self {
            Self {
                bytes: vec![0; SECTORS * SECTOR_BYTES],
                stale: false,
                locked: true,
                protected: false,
                looks: Some(3),
                left: 0.into(),
                fails: false,
                error: true,
            }
        }

        fn operate(&mut self) -> bool {
            assert!(!self.locked && self.left.get() == 0);
            self.left.set(self.looks.unwrap_or(u32::MAX));
            self.error |= self.fails;
            !self.fails
        }
    }

    impl FlashControl for Part {
        fn unlock(&mut self) -> bool {
            self.locked = self.protected;
            !self.locked
        }
        fn lock(&mut self) {
            self.locked = true;
        }
        fn is_busy(&self) -> bool {
            let left = self.left.get();
            if self.looks.is_some() {
                self.left.set(left.saturating_sub(1));
            }
            left > 0
        }
        fn take_error(&mut self) -> bool {
            std::mem::take(&mut self.error)
        }
        fn erase(&mut self, sector: u8) {
            if self.operate() {
                let sector = usize::from(sector - FIRST_SECTOR);
                self.bytes[sector * SECTOR_BYTES..][..SECTOR_BYTES].fill(0xFF);
            }
            self.stale = true;
        }
        fn program(&mut self, offset: usize, word: u32) {
            if self.operate() {
                let place = &mut self.bytes[offset..][..WORD_BYTES];
                let erased = u32::from_le_bytes((&*place).try_into().expect("a word"));
                place.copy_from_slice(&(erased & word).to_le_bytes());
            }
        }
        fn drop_caches(&mut self) {
            self.stale = false;
        }
        fn bytes(&self) -> &[u8] {
            assert!(!self.stale, "the caches show what was erased");
            &self.bytes
        }
    }

    #[test]
    fn it_erases_sectors_programs_words_and_locks_itself_again() {
        let mut flash = PartFlash::new(Part::new());
        let second = SECTOR_BYTES as u32;
        assert_eq!(flash.erase(second, 3 * second), Ok(()));
        let erased: Vec<usize> = (0..SECTORS)
            .filter(|sector| flash.bytes()[sector * SECTOR_BYTES] == 0xFF)
            .collect();
        assert_eq!(erased, [1, 2]);
        assert_eq!(flash.write(second + 8, &[1, 2, 3, 4, 5, 6, 7, 8]), Ok(()));
        let mut read = [0; 10];
        assert_eq!(flash.read(second + 7, &mut read), Ok(()));
        assert_eq!(read, [0xFF, 1, 2, 3, 4, 5, 6, 7, 8, 0xFF]);
        assert!(flash.0.locked);
    }

    #[test]
    fn what_cannot_be_done_is_said_and_the_controller_locked() {
        let all = (SECTORS * SECTOR_BYTES) as u32;
        let place = |kind| Err(FlashError::Place(kind));
        let mut flash = PartFlash::new(Part::new());
        let outside = place(NorFlashErrorKind::OutOfBounds);
        assert_eq!(flash.read(all, &mut [0]), outside);
        assert_eq!(flash.write(all, &[0; 4]), outside);
        let aligned = place(NorFlashErrorKind::NotAligned);
        assert_eq!(flash.write(2, &[0; 4]), aligned);
        assert_eq!(flash.erase(4, 8), aligned);
        flash.0.fails = true;
        for _ in 0..2 {
            assert_eq!(flash.write(0, &[0; 4]), Err(FlashError::Failed));
            assert!(flash.0.locked);
        }
        flash.0.protected = true;
        assert_eq!(flash.write(0, &[0; 4]), Err(FlashError::Locked));
    }

    #[test]
    fn a_controller_that_never_ends_is_given_up() {
        let mut flash = PartFlash::new(Part::new());
        flash.0.looks = None;
        assert_eq!(flash.write(0, &[0; 4]), Err(FlashError::Silent));
        assert!(flash.0.locked);
    }

    /// `_image` in `memory.x`, and what the host gives QEMU, is slot A.
    #[test]
    fn memory_x_says_the_same() {
        let script = include_str!("../memory.x");
        // Four sectors of 16 KiB, one of 64 and two of 128 are before these.
        let origin = 0x0800_0000 + 3 * SECTOR_BYTES;
        let images = format!(
            "IMAGES : ORIGIN = 0x{origin:08x}, LENGTH = {}K",
            SECTORS * SECTOR_BYTES / 1024
        );
        assert!(script.contains(&images), "{images}");
        let slot_a = format!("_image = ORIGIN(IMAGES) + {}K;", 2 * SECTOR_BYTES / 1024);
        assert!(script.contains(&slot_a), "{slot_a}");
    }
}
