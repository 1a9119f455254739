//! Where images lie: in the part's flash; in emulators, which have none that can be written, in RAM that behaves like it.

use core::num::NonZeroU32;

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash, check_erase, check_write};
use engram_firmware::flash::{FlashStore, MappedFlash};
use engram_firmware::store::{Found, ImageStore, Mark, Slot, StoreError};

use crate::flash::{FlashControl, FlashError, PartFlash};

/// Bytes of a sector of the RAM that stands in for flash.
const STAND_IN_SECTOR_BYTES: NonZeroU32 = NonZeroU32::new(1024).unwrap();

/// What images are kept in.
#[derive(Debug)]
pub enum BoardFlash<'a, C> {
    /// The flash of a part.
    Part(PartFlash<C>),
    /// RAM, in sectors and words, on which nothing fails, waits or lasts.
    StandIn(&'a mut [u8]),
}

impl<C: FlashControl> ErrorType for BoardFlash<'_, C> {
    type Error = FlashError;
}

impl<C: FlashControl> ReadNorFlash for BoardFlash<'_, C> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        match self {
            Self::Part(flash) => flash.read(offset, bytes),
            Self::StandIn(all) => crate::flash::read(all, offset, bytes),
        }
    }

    fn capacity(&self) -> usize {
        match self {
            Self::Part(flash) => flash.capacity(),
            Self::StandIn(all) => all.len(),
        }
    }
}

impl<C: FlashControl> NorFlash for BoardFlash<'_, C> {
    const WRITE_SIZE: usize = PartFlash::<C>::WRITE_SIZE;
    const ERASE_SIZE: usize = STAND_IN_SECTOR_BYTES.get() as usize;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        check_erase(self, from, to).map_err(FlashError::Place)?;
        match self {
            Self::Part(flash) => flash.erase(from, to)?,
            Self::StandIn(all) => {
                let sectors = all.get_mut(from as usize..to as usize);
                sectors.unwrap_or(&mut []).fill(0xFF);
            }
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        check_write(self, offset, bytes.len()).map_err(FlashError::Place)?;
        match self {
            Self::Part(flash) => flash.write(offset, bytes)?,
            Self::StandIn(all) => {
                for (to, from) in all.iter_mut().skip(offset as usize).zip(bytes) {
                    *to &= *from;
                }
            }
        }
        Ok(())
    }
}

impl<C: FlashControl> MappedFlash for BoardFlash<'_, C> {
    fn erase_stalls(&self) -> bool {
        matches!(self, Self::Part(_))
    }

    fn write_stalls(&self) -> bool {
        matches!(self, Self::Part(_))
    }

    fn sector_bytes(&self) -> NonZeroU32 {
        match self {
            Self::Part(flash) => flash.sector_bytes(),
            Self::StandIn(_) => STAND_IN_SECTOR_BYTES,
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Part(flash) => flash.bytes(),
            Self::StandIn(all) => all,
        }
    }
}

/// The images of the board.
#[derive(Debug)]
pub struct BoardStore<'a, C> {
    flash: FlashStore<BoardFlash<'a, C>>,
    /// What an emulator was given beside the firmware: it is slot A until an upload wants that. A part finds such a thing in its flash.
    loaded: Option<&'a [u8]>,
}

impl<'a, C: FlashControl> BoardStore<'a, C> {
    /// Images in `flash`; those of an emulator, whose flash [`BoardFlash::StandIn`] is not, in `loaded`, too.
    ///
    /// # Errors
    /// [`StoreError::Small`].
    pub fn new(flash: BoardFlash<'a, C>, loaded: &'a [u8]) -> Result<Self, StoreError> {
        let loaded = matches!(flash, BoardFlash::StandIn(_)).then_some(loaded);
        let flash = FlashStore::new(flash)?;
        Ok(Self { flash, loaded })
    }

    fn is_loaded(&self, slot: Slot) -> bool {
        slot == Slot::A && self.loaded.is_some()
    }
}

impl<C: FlashControl> ImageStore for BoardStore<'_, C> {
    fn capacity(&self) -> usize {
        self.flash.capacity()
    }

    fn begin_stalls(&self) -> bool {
        self.flash.begin_stalls()
    }

    fn write_stalls(&self) -> bool {
        self.flash.write_stalls()
    }

    fn bytes(&self, slot: Slot) -> &[u8] {
        match self.loaded {
            Some(loaded) if slot == Slot::A => loaded,
            _ => self.flash.bytes(slot),
        }
    }

    fn begin(&mut self, slot: Slot, length: usize, sha256: &[u8; 32]) -> Result<usize, StoreError> {
        if slot == Slot::A {
            self.loaded = None;
        }
        self.flash.begin(slot, length, sha256)
    }

    fn write(&mut self, slot: Slot, offset: usize, data: &[u8]) -> Result<(), StoreError> {
        self.flash.write(slot, offset, data)
    }

    fn spare(&self) -> Slot {
        self.flash.spare()
    }

    fn found(&mut self) -> Option<Found> {
        match self.loaded {
            Some(loaded) => Found::at(Slot::A, loaded),
            None => self.flash.found(),
        }
    }

    fn on_trial(&self) -> Option<Slot> {
        self.flash.on_trial()
    }

    fn mark(&mut self, slot: Slot, mark: Mark) -> Result<(), StoreError> {
        if self.is_loaded(slot) {
            return Ok(());
        }
        self.flash.mark(slot, mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flash::tests::Part;

    #[test]
    fn what_an_emulator_was_given_is_slot_a_until_an_upload_wants_it() {
        let loaded = [7; 64];
        let mut ram = [0; 6 * 1024];
        let mut store =
            BoardStore::<Part>::new(BoardFlash::StandIn(&mut ram), &loaded).expect("large enough");
        assert_eq!(
            (store.capacity(), store.bytes(Slot::A)),
            (3 * 1024, &loaded[..])
        );
        assert_eq!((store.found(), store.spare()), (None, Slot::A));
        let outside = store.begin(Slot::B, 3 * 1024 + 1, &[0; 32]);
        assert_eq!(outside, Err(StoreError::Bounds));
        for (slot, byte) in [(Slot::B, 5), (Slot::A, 6)] {
            assert_eq!(store.begin(slot, 70, &[byte; 32]), Ok(0));
            assert_eq!(store.write(slot, 0, &[byte; 70]), Ok(()));
            for mark in [Mark::Checking, Mark::Passed] {
                assert_eq!(store.mark(slot, mark), Ok(()));
            }
            assert_eq!(store.bytes(slot), [byte; 70]);
        }
        assert_eq!(store.on_trial(), Some(Slot::A));
        assert!(!store.begin_stalls() && !store.write_stalls());
    }

    #[test]
    fn on_a_part_there_is_its_flash_alone() {
        let flash = BoardFlash::StandIn(&mut []);
        assert!(BoardStore::<Part>::new(flash, &[]).is_err());
        let flash = BoardFlash::Part(PartFlash::new(Part::new()));
        let mut store = BoardStore::new(flash, &[7; 64]).expect("large enough");
        assert_eq!(
            (store.capacity(), store.bytes(Slot::A)),
            (2 * 128 * 1024, &[][..])
        );
        assert!(store.begin_stalls() && store.write_stalls());
        assert_eq!(store.begin(Slot::A, 100, &[7; 32]), Ok(0));
        assert_eq!(store.write(Slot::A, 0, &[9; 100]), Ok(()));
        for mark in [Mark::Checking, Mark::Passed] {
            assert_eq!(store.mark(Slot::A, mark), Ok(()));
        }
        let found = store.found().map(|found| (found.slot, found.length));
        assert_eq!(found, Some((Slot::A, 100)));
        assert_eq!(store.bytes(Slot::A), [9; 100]);
    }
}
