//! Where images lie: one in flash, put there by whatever programs the part, and two slots in RAM for uploads.
//!
//! Uploads do not go to the flash: to erase a sector of this part takes a second or two, in which the core gets no instruction,
//! and an upload may come in flight.

use engram_firmware::store::{ImageStore, RamStore, Slot, StoreError};

/// Slot A is the flash until an upload wants it: from then on both slots are in RAM.
#[derive(Debug)]
pub struct FlashStore<'a, B> {
    flash: Option<&'a [u8]>,
    ram: RamStore<B>,
}

impl<'a, B: AsRef<[u8]> + AsMut<[u8]>> FlashStore<'a, B> {
    /// A store over what the flash holds, an image or not, and two slots in RAM.
    pub const fn new(flash: &'a [u8], ram: RamStore<B>) -> Self {
        Self {
            flash: Some(flash),
            ram,
        }
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> ImageStore for FlashStore<'_, B> {
    /// What an upload may have; the flash holds more.
    fn capacity(&self) -> usize {
        self.ram.capacity()
    }

    fn bytes(&self, slot: Slot) -> &[u8] {
        match (slot, self.flash) {
            (Slot::A, Some(flash)) => flash,
            _ => self.ram.bytes(slot),
        }
    }

    fn begin(&mut self, slot: Slot, length: usize, sha256: &[u8; 32]) -> Result<usize, StoreError> {
        if slot == Slot::A {
            self.flash = None;
        }
        self.ram.begin(slot, length, sha256)
    }

    fn write(&mut self, slot: Slot, offset: usize, data: &[u8]) -> Result<(), StoreError> {
        self.ram.write(slot, offset, data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flash_is_slot_a_until_an_upload_takes_it() {
        let flash = [7; 64];
        let mut store = FlashStore::new(&flash, RamStore::new([0; 16], [0; 16]));
        assert_eq!((store.capacity(), store.bytes(Slot::A)), (16, &flash[..]));
        store.begin(Slot::B, 4, &[0; 32]).expect("room");
        store.write(Slot::B, 0, &[1, 2, 3, 4]).expect("room");
        assert_eq!(store.bytes(Slot::A), flash);
        store.begin(Slot::A, 4, &[0; 32]).expect("room");
        store.write(Slot::A, 0, &[5, 6]).expect("room");
        assert_eq!(store.bytes(Slot::A)[..3], [5, 6, 0]);
        assert_eq!(store.bytes(Slot::B)[..4], [1, 2, 3, 4]);
        assert_eq!(store.begin(Slot::A, 17, &[0; 32]), Err(StoreError::Bounds));
    }
}
