//! Where image bytes are kept: two slots, in RAM here, in flash on boards that have it to spare.

use engram_image::header::Header;
use engram_kernels::CacheLine;
use sha2::{Digest, Sha256};
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

    /// Its own of a pair.
    pub(crate) const fn of<T>(self, [a, b]: &[T; 2]) -> &T {
        match self {
            Slot::A => a,
            Slot::B => b,
        }
    }

    pub(crate) const fn of_mut<T>(self, [a, b]: &mut [T; 2]) -> &mut T {
        match self {
            Slot::A => a,
            Slot::B => b,
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
    /// The flash has no room for a journal and two slots of a sector each.
    #[error("the flash has {bytes} bytes, journal and slots take {least} at least")]
    Small {
        /// Its bytes.
        bytes: usize,
        /// The fewest.
        least: usize,
    },
    /// The flash could not erase a sector.
    #[error("the sector of flash at byte {0} could not be erased")]
    Erase(u32),
    /// The flash could not program bytes, or they are not what was programmed.
    #[error("flash at byte {0} could not be programmed")]
    Program(u32),
    /// The half of the journal in use has no room left, and may not be given up for the other one in flight.
    #[error(
        "all {0} places of the journal are taken, and none is erased in flight or to arm: restart the board, disarmed"
    )]
    JournalFull(u32),
    /// The slot holds the image that is rolled back to.
    #[error("slot {0:?} holds the confirmed image")]
    Protected(Slot),
    /// The image is older than the confirmed one.
    #[error("the image's counter is {counter}, and the confirmed image's is {least}")]
    Older {
        /// The image's counter.
        counter: u32,
        /// That of the confirmed image.
        least: u32,
    },
}

/// An image that a store knows of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Found {
    /// Where it lies.
    pub slot: Slot,
    /// Its bytes.
    pub length: u32,
    /// SHA-256 of them.
    pub sha256: [u8; 32],
}

impl Found {
    /// The image that `bytes` begin with, all of a slot; `None` if there is none by its header.
    #[must_use]
    pub fn at(slot: Slot, bytes: &[u8]) -> Option<Self> {
        let length = Header::read(bytes).ok()?.total_length;
        let image = bytes.get(..usize::try_from(length).ok()?)?;
        Some(Self {
            slot,
            length,
            sha256: Sha256::digest(image).into(),
        })
    }
}

/// What becomes of an image in its slot: told to stores that outlast a reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Mark {
    /// All its bytes are there, and are about to be checked.
    Checking,
    /// It passed all checks.
    Passed,
    /// It failed a check or its trial.
    Refused,
    /// It is about to fly.
    Flying,
    /// It flew without a fault, not long enough, and nothing moves any more.
    Landed,
    /// It flew long enough without a fault: its trial is over.
    Proven,
}

/// Two slots whose bytes can be read in place.
///
/// The runtime writes only to the slot that is not active, and does so in flight too: `begin` and
/// `write` must return well within the control period.
///
/// A store that outlasts a reset keeps records of what its slots hold, too, and takes an image on trial; see [`crate::flash`].
/// Others leave the methods from [`ImageStore::spare`] to [`ImageStore::mark`] as they are.
pub trait ImageStore {
    /// Bytes that each slot holds.
    fn capacity(&self) -> usize;

    /// Whether [`ImageStore::begin`] may take longer than a control period: it is then called only where nothing moves.
    fn begin_stalls(&self) -> bool {
        false
    }

    /// The same of [`ImageStore::write`].
    fn write_stalls(&self) -> bool {
        false
    }

    /// All bytes of a slot.
    fn bytes(&self, slot: Slot) -> &[u8];

    /// Makes a slot ready for an image of `length` bytes with that hash. Returns how many of its first bytes lie there from an upload before
    /// the start; whatever else was in the slot is lost.
    ///
    /// # Errors
    /// [`StoreError`] if they do not fit or the device fails.
    fn begin(&mut self, slot: Slot, length: usize, sha256: &[u8; 32]) -> Result<usize, StoreError>;

    /// Writes bytes; within one image offsets only grow, without gaps.
    ///
    /// # Errors
    /// [`StoreError`] if they do not fit or the device fails.
    fn write(&mut self, slot: Slot, offset: usize, data: &[u8]) -> Result<(), StoreError>;

    /// The slot that receives while no image is active.
    fn spare(&self) -> Slot {
        Slot::A
    }

    /// The image to start with: that in slot A, whoever put it there. A store with records says what they say, and another one once that failed
    /// its checks.
    fn found(&mut self) -> Option<Found> {
        Found::at(Slot::A, self.bytes(Slot::A))
    }

    /// Where an image on trial lies, if there is another one to roll back to.
    fn on_trial(&self) -> Option<Slot> {
        None
    }

    /// Takes note of what becomes of an image. Called in flight with [`Mark::Proven`] only.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot, or if the image may not be checked.
    fn mark(&mut self, slot: Slot, mark: Mark) -> Result<(), StoreError> {
        let _ = (slot, mark);
        Ok(())
    }

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

/// A store without lines.
#[derive(Debug)]
pub struct NoLines;

impl AsRef<[CacheLine]> for NoLines {
    fn as_ref(&self) -> &[CacheLine] {
        &[]
    }
}

impl AsMut<[CacheLine]> for NoLines {
    fn as_mut(&mut self) -> &mut [CacheLine] {
        &mut []
    }
}

/// Slots in RAM, with lines for packed weights or without. `B` is `&'static mut [u8]` on a board and may be `Vec<u8>` on a
/// host, `L` `Vec<CacheLine>` there.
#[derive(Debug)]
pub struct RamStore<B, L = NoLines> {
    bytes: [B; 2],
    lines: [L; 2],
}

impl<B> RamStore<B> {
    /// A store over two buffers, without lines. The shorter one decides how long an image may be.
    pub const fn new(a: B, b: B) -> Self {
        Self::packed([a, b], [NoLines, NoLines])
    }
}

impl<B, L> RamStore<B, L> {
    /// A store over two buffers, each with its lines ([`crate::policy::LINES`] of each slot are enough).
    pub const fn packed(bytes: [B; 2], lines: [L; 2]) -> Self {
        Self { bytes, lines }
    }
}

impl<B, L> ImageStore for RamStore<B, L>
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    L: AsRef<[CacheLine]> + AsMut<[CacheLine]>,
{
    fn capacity(&self) -> usize {
        let [a, b] = self.bytes.each_ref().map(|bytes| bytes.as_ref().len());
        a.min(b)
    }

    fn bytes(&self, slot: Slot) -> &[u8] {
        slot.of(&self.bytes).as_ref()
    }

    fn begin(&mut self, _: Slot, length: usize, _: &[u8; 32]) -> Result<usize, StoreError> {
        if length > self.capacity() {
            return Err(StoreError::Bounds);
        }
        Ok(0)
    }

    fn write(&mut self, slot: Slot, offset: usize, data: &[u8]) -> Result<(), StoreError> {
        let bytes = slot.of_mut(&mut self.bytes).as_mut();
        let end = offset.checked_add(data.len()).ok_or(StoreError::Bounds)?;
        bytes
            .get_mut(offset..end)
            .ok_or(StoreError::Bounds)?
            .copy_from_slice(data);
        Ok(())
    }

    fn parts(&mut self, slot: Slot) -> (&[u8], &mut [CacheLine]) {
        let lines = slot.of_mut(&mut self.lines);
        (slot.of(&self.bytes).as_ref(), lines.as_mut())
    }

    fn lines(&self, slot: Slot) -> &[CacheLine] {
        slot.of(&self.lines).as_ref()
    }
}
