//! Where image bytes are kept: two slots, in RAM here, in flash on boards that have it to spare.

use engram_kernels::CacheLine;
use thiserror::Error;

/// One of the two places for an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Slot {
    /// The first.
    A,
    /// The second.
    B,
}

impl Slot {
    /// The other slot.
    #[must_use]
    pub const fn other(self) -> Slot {
        match self {
            Slot::A => Slot::B,
            Slot::B => Slot::A,
        }
    }
}

/// The store could not take the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum StoreError {
    /// The bytes do not lie inside the slot.
    #[error("the bytes do not lie inside the slot")]
    Bounds,
    /// The device failed to erase or write.
    #[error("the device failed to erase or write")]
    Device,
}

/// Two slots whose bytes can be read in place.
///
/// The runtime writes only to the slot that is not active, and does so in flight too: `begin` and
/// `write` must return well within the control period.
pub trait ImageStore {
    /// Bytes that each slot holds.
    fn capacity(&self) -> usize;

    /// All bytes of a slot.
    fn bytes(&self, slot: Slot) -> &[u8];

    /// Makes a slot ready for `length` new bytes; what was in it is lost.
    ///
    /// # Errors
    /// [`StoreError`] if they do not fit or the device fails.
    fn begin(&mut self, slot: Slot, length: usize) -> Result<(), StoreError>;

    /// Writes bytes; within one image offsets only grow, without gaps.
    ///
    /// # Errors
    /// [`StoreError`] if they do not fit or the device fails.
    fn write(&mut self, slot: Slot, offset: usize, data: &[u8]) -> Result<(), StoreError>;

    /// All bytes of a slot, and the lines that belong to it: for weights packed for this machine
    /// ([`crate::policy::Backend::pack`]). A store without lines has images run as they lie.
    fn parts(&mut self, slot: Slot) -> (&[u8], &mut [CacheLine]) {
        (self.bytes(slot), &mut [])
    }

    /// The lines of [`ImageStore::parts`].
    fn lines(&self, slot: Slot) -> &[CacheLine] {
        let _ = slot;
        &[]
    }
}

/// Slots in RAM. `B` is `&'static mut [u8]` on a board and may be `Vec<u8>` on a host.
#[derive(Debug)]
pub struct RamStore<B> {
    a: B,
    b: B,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> RamStore<B> {
    /// A store over two buffers. The shorter one decides how long an image may be.
    pub const fn new(a: B, b: B) -> Self {
        Self { a, b }
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> ImageStore for RamStore<B> {
    fn capacity(&self) -> usize {
        self.a.as_ref().len().min(self.b.as_ref().len())
    }

    fn bytes(&self, slot: Slot) -> &[u8] {
        match slot {
            Slot::A => self.a.as_ref(),
            Slot::B => self.b.as_ref(),
        }
    }

    fn begin(&mut self, _: Slot, length: usize) -> Result<(), StoreError> {
        if length > self.capacity() {
            return Err(StoreError::Bounds);
        }
        Ok(())
    }

    fn write(&mut self, slot: Slot, offset: usize, data: &[u8]) -> Result<(), StoreError> {
        let bytes = match slot {
            Slot::A => self.a.as_mut(),
            Slot::B => self.b.as_mut(),
        };
        let end = offset.checked_add(data.len()).ok_or(StoreError::Bounds)?;
        bytes
            .get_mut(offset..end)
            .ok_or(StoreError::Bounds)?
            .copy_from_slice(data);
        Ok(())
    }
}

/// Slots in RAM with lines for packed weights ([`crate::policy::LINES`] of each slot are enough). `L` is
/// `Vec<CacheLine>` on a host or in a process.
#[derive(Debug)]
pub struct PackedStore<B, L> {
    store: RamStore<B>,
    a: L,
    b: L,
}

impl<B, L> PackedStore<B, L> {
    /// A store over two buffers, each with its lines.
    pub const fn new(store: RamStore<B>, a: L, b: L) -> Self {
        Self { store, a, b }
    }
}

impl<B, L> ImageStore for PackedStore<B, L>
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    L: AsRef<[CacheLine]> + AsMut<[CacheLine]>,
{
    fn capacity(&self) -> usize {
        self.store.capacity()
    }

    fn bytes(&self, slot: Slot) -> &[u8] {
        self.store.bytes(slot)
    }

    fn begin(&mut self, slot: Slot, length: usize) -> Result<(), StoreError> {
        self.store.begin(slot, length)
    }

    fn write(&mut self, slot: Slot, offset: usize, data: &[u8]) -> Result<(), StoreError> {
        self.store.write(slot, offset, data)
    }

    fn parts(&mut self, slot: Slot) -> (&[u8], &mut [CacheLine]) {
        let lines = match slot {
            Slot::A => self.a.as_mut(),
            Slot::B => self.b.as_mut(),
        };
        (self.store.bytes(slot), lines)
    }

    fn lines(&self, slot: Slot) -> &[CacheLine] {
        match slot {
            Slot::A => self.a.as_ref(),
            Slot::B => self.b.as_ref(),
        }
    }
}
