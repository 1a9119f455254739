//! Image slots on NOR flash, which outlast a reset and a cut of power at any moment.
//!
//! The flash given to [`FlashStore`] holds the two halves of a journal and then two slots, each of whole sectors. What a slot holds is what
//! the newest record of the journal says of it, and a record is written only when what it says is true: *confirmed* and *on trial* after the last byte of
//! the image, *upload* before the first sector is erased. So at any cut the board has the images that it had before.
//!
//! **Trial.** An image that passed all checks is on trial as long as another one is confirmed, to which [`Node`](crate::node::Node) rolls back: where it fails a check
//! after a start, where too many steps miss their deadline, and after a reset in or after its first flight ([`Mark::Flying`]) or in [`ATTEMPTS`] checks of it, unless it was
//! confirmed before ([`Mark::Proven`]). Where no image is confirmed there is nothing to roll back to: the first to pass is confirmed.
//!
//! **Reading.** A word whose programming was cut may fault when it is read. So the journal, which cuts may tear, is read through [`ReadNorFlash::read`](embedded_storage::nor_flash::ReadNorFlash::read) alone,
//! which must report such a word as an error; and mapped bytes ([`MappedFlash::bytes`]) are read only of images whose record says that they are whole,
//! and no further than their last byte.
//!
//! **Writing.** A word is written at most once after an erase in the same run of the firmware. After a start an upload resumes at the last sector that
//! the journal says is whole, and the sectors after it are erased again.

mod journal;
#[cfg(test)]
pub(crate) mod tests;

use crate::store::{ImageStore, Mark, Slot, StoreError};
use embedded_storage::nor_flash::NorFlash;
use engram_image::header::Header;
use journal::{Erasing, Journal, Kind, RECORD_BYTES, Record};

/// Bytes that are programmed at once.
const GRANULE: usize = RECORD_BYTES;
/// Progress of an upload is recorded in so many steps, or after every sector where there are fewer.
const PROGRESS_STEPS: u32 = 8;
/// Starts that may begin to check an image on trial; the next one rolls back.
pub const ATTEMPTS: u8 = 3;

/// A flash that the processor reads like memory.
///
/// Beside what `NorFlash` asks, `read` returns an error, and never faults, for a word whose programming or erasing was cut, and what was
/// written or erased is seen by the next read of it, mapped or not (caches are the driver's business).
pub trait MappedFlash: NorFlash {
    /// Whether erasing a sector keeps control steps from being made: on almost every part, because the core gets no instructions or because `erase` waits.
    /// Uploads are then begun only where nothing moves.
    const ERASE_STALLS: bool;

    /// All its bytes: the byte at an offset is the one that `read` reads there.
    fn bytes(&self) -> &[u8];
}

impl<F: MappedFlash> MappedFlash for &mut F {
    const ERASE_STALLS: bool = F::ERASE_STALLS;

    fn bytes(&self) -> &[u8] {
        F::bytes(self)
    }
}

/// How far an image has been written.
#[derive(Debug)]
struct Writer {
    slot: Slot,
    /// Of the image, bytes.
    length: usize,
    /// Bytes of the image that are programmed.
    written: usize,
    /// What comes after them, `filled` bytes of it.
    granule: [u8; GRANULE],
    filled: usize,
}

/// Two image slots and their journal on a flash.
#[derive(Debug)]
pub struct FlashStore<F> {
    flash: F,
    journal: Journal,
    writer: Option<Writer>,
    slot_bytes: u32,
}

impl<F: MappedFlash> FlashStore<F> {
    const SECTOR: u32 = {
        assert!(F::ERASE_SIZE > 0 && F::ERASE_SIZE.is_multiple_of(GRANULE));
        assert!(GRANULE.is_multiple_of(F::WRITE_SIZE) && GRANULE.is_multiple_of(F::READ_SIZE));
        F::ERASE_SIZE as u32
    };
    /// Where the slots begin.
    const SLOTS: u32 = 2 * Journal::half_bytes::<F>();

    /// A store on the whole of a flash; changes nothing on it.
    ///
    /// # Errors
    /// [`StoreError::Small`].
    pub fn new(mut flash: F) -> Result<Self, StoreError> {
        let bytes = flash.capacity().min(flash.bytes().len());
        let all = u32::try_from(bytes).unwrap_or(u32::MAX);
        let slot_bytes = all.saturating_sub(Self::SLOTS) / 2 / Self::SECTOR * Self::SECTOR;
        if slot_bytes == 0 {
            let least = usize::try_from(Self::SLOTS + 2 * Self::SECTOR).unwrap_or(usize::MAX);
            return Err(StoreError::Small { bytes, least });
        }
        Ok(Self {
            journal: Journal::open(&mut flash),
            flash,
            writer: None,
            slot_bytes,
        })
    }

    /// Where a slot begins.
    fn start(&self, slot: Slot) -> u32 {
        match slot {
            Slot::A => Self::SLOTS,
            Slot::B => Self::SLOTS + self.slot_bytes,
        }
    }

    fn append(&mut self, record: Record, erasing: Erasing) -> Result<(), StoreError> {
        self.journal.append(&mut self.flash, record, erasing)
    }

    /// Programs what is filled of the granule.
    fn program(&mut self, writer: &mut Writer) -> Result<(), StoreError> {
        let Some(rest) = writer.granule.get_mut(writer.filled..) else {
            return Err(StoreError::Bounds);
        };
        rest.fill(0xFF);
        let written = u32::try_from(writer.written).map_err(|_| StoreError::Bounds)?;
        let offset = self.start(writer.slot) + written;
        self.flash
            .write(offset, &writer.granule)
            .map_err(|_| StoreError::Program(offset))?;
        writer.written += writer.filled;
        writer.filled = 0;
        self.note_progress(writer);
        Ok(())
    }

    /// Reads all of an image as no mapped read can: a word that lost its content is an error, not a fault.
    fn read_through(&mut self, record: &Record) -> Result<(), StoreError> {
        let start = self.start(record.slot);
        let mut offset = start;
        let mut granule = [0; GRANULE];
        while offset < start.saturating_add(record.length.min(self.slot_bytes)) {
            self.flash
                .read(offset, &mut granule)
                .map_err(|_| StoreError::Program(offset))?;
            offset += RECORD_BYTES as u32;
        }
        Ok(())
    }

    /// The counter of an image all of whose bytes were read through, unless it is lower than that of the confirmed one.
    fn counter(&self, record: &Record, confirmed: Option<Record>) -> Result<u32, StoreError> {
        let bytes = usize::try_from(self.start(record.slot))
            .ok()
            .zip(usize::try_from(record.length).ok())
            .and_then(|(start, length)| self.flash.bytes().get(start..)?.get(..length))
            .unwrap_or(&[]);
        // What is no image fails the checks that follow.
        let counter = Header::read(bytes).map_or(0, |header| header.counter);
        match confirmed.map(|record| record.counter) {
            Some(least) if counter < least => Err(StoreError::Older { counter, least }),
            _ => Ok(counter),
        }
    }

    /// Records whole sectors, now and then.
    fn note_progress(&mut self, writer: &Writer) {
        let record = self.journal.of(writer.slot);
        let all = record.length.div_ceil(Self::SECTOR);
        let sectors = match u32::try_from(writer.written) {
            Ok(written) if written < record.length => written / Self::SECTOR,
            _ => all,
        };
        let step = all.div_ceil(PROGRESS_STEPS);
        if sectors >= record.sectors + step || (sectors == all && record.sectors < all) {
            // Without it, more is to be sent again after a reset; nothing else.
            let _ = self.append(Record { sectors, ..record }, Erasing::Never);
        }
    }
}

impl<F: MappedFlash> ImageStore for FlashStore<F> {
    const BEGIN_STALLS: bool = F::ERASE_STALLS;

    fn capacity(&self) -> usize {
        usize::try_from(self.slot_bytes).unwrap_or(usize::MAX)
    }

    /// The image in a slot, where one is whole; nothing otherwise.
    fn bytes(&self, slot: Slot) -> &[u8] {
        let record = self.journal.of(slot);
        let range = match record.kind {
            Kind::Trial | Kind::Confirmed => usize::try_from(self.start(slot))
                .ok()
                .zip(usize::try_from(record.length).ok())
                .filter(|(_, length)| *length <= self.capacity()),
            Kind::Header | Kind::Empty | Kind::Upload => None,
        };
        range
            .and_then(|(start, length)| self.flash.bytes().get(start..)?.get(..length))
            .unwrap_or(&[])
    }

    fn begin(&mut self, slot: Slot, length: usize, sha256: &[u8; 32]) -> Result<usize, StoreError> {
        if length > self.capacity() {
            return Err(StoreError::Bounds);
        }
        let bytes = u32::try_from(length).map_err(|_| StoreError::Bounds)?;
        let before = self.journal.of(slot);
        if before.kind == Kind::Confirmed {
            return Err(StoreError::Protected(slot));
        }
        self.writer = None;
        let announced = Record {
            kind: Kind::Upload,
            length: bytes,
            sha256: *sha256,
            ..Record::empty(slot)
        };
        let sectors = before.sectors;
        let record = match (Record {
            sectors,
            ..announced
        }) {
            resumed if resumed == before => resumed,
            _ => announced,
        };
        // Before anything is erased; and what is recorded of the upload in flight finds an erased half.
        self.append(record, Erasing::Allowed)?;
        let start = self.start(slot);
        let all = bytes.div_ceil(Self::SECTOR);
        let there = record.sectors.min(all) * Self::SECTOR;
        journal::erase(&mut self.flash, start + there, start + all * Self::SECTOR)?;
        let written = usize::try_from(there.min(bytes)).map_err(|_| StoreError::Bounds)?;
        self.writer = Some(Writer {
            slot,
            length,
            written,
            granule: [0xFF; GRANULE],
            filled: 0,
        });
        Ok(written)
    }

    /// After an error the upload must be begun anew: bytes may be half written.
    fn write(&mut self, slot: Slot, offset: usize, data: &[u8]) -> Result<(), StoreError> {
        let mut writer = self.writer.take().ok_or(StoreError::Bounds)?;
        let end = offset.checked_add(data.len()).ok_or(StoreError::Bounds)?;
        if writer.slot != slot || offset != writer.written + writer.filled || end > writer.length {
            return Err(StoreError::Bounds);
        }
        let mut rest = data;
        // Each turn takes a byte at least.
        while !rest.is_empty() {
            let room = writer.granule.get_mut(writer.filled..).unwrap_or(&mut []);
            let count = room.len().min(rest.len());
            let (now, later) = rest.split_at_checked(count).ok_or(StoreError::Bounds)?;
            for (place, byte) in room.iter_mut().zip(now) {
                *place = *byte;
            }
            writer.filled += count;
            rest = later;
            if writer.filled == GRANULE || writer.written + writer.filled == writer.length {
                self.program(&mut writer)?;
            }
        }
        self.writer = Some(writer);
        Ok(())
    }

    fn spare(&self) -> Slot {
        self.journal
            .confirmed()
            .map_or(Slot::A, |confirmed| confirmed.slot.other())
    }

    /// The image on trial, unless its trial ended with the last reset; otherwise the confirmed one.
    fn found(&mut self) -> Option<(Slot, [u8; 32])> {
        for slot in [Slot::A, Slot::B] {
            let record = self.journal.of(slot);
            if record.kind != Kind::Trial {
                continue;
            }
            if record.attempts < ATTEMPTS {
                return Some((slot, record.sha256));
            }
            // Where that fails, it is found out again after the next start.
            let _ = self.mark(slot, Mark::Refused);
        }
        let confirmed = self.journal.confirmed()?;
        Some((confirmed.slot, confirmed.sha256))
    }

    fn on_trial(&self) -> bool {
        let trial = |slot| self.journal.of(slot).kind == Kind::Trial;
        self.journal.confirmed().is_some() && (trial(Slot::A) || trial(Slot::B))
    }

    fn mark(&mut self, slot: Slot, mark: Mark) -> Result<(), StoreError> {
        let record = self.journal.of(slot);
        let confirmed = self.journal.confirmed();
        if mark == Mark::Checking {
            let written = |writer: &Writer| writer.slot == slot && writer.written == writer.length;
            if record.kind == Kind::Upload && !self.writer.as_ref().is_some_and(written) {
                return Err(StoreError::Bounds);
            }
            self.read_through(&record)?;
        }
        let (next, erasing) = match (mark, record.kind) {
            (Mark::Checking, Kind::Upload) => {
                let counter = self.counter(&record, confirmed)?;
                let trial = Record {
                    kind: Kind::Trial,
                    counter,
                    sectors: 0,
                    ..record
                };
                (trial, Erasing::Allowed)
            }
            (Mark::Checking, Kind::Trial) => {
                let attempts = record.attempts.saturating_add(1);
                (Record { attempts, ..record }, Erasing::Allowed)
            }
            (Mark::Checking, Kind::Confirmed) if !self.journal.is_certain() => {
                // It flies in any case, now.
                let _ = self.append(record, Erasing::Allowed);
                return Ok(());
            }
            (Mark::Flying, Kind::Trial)
                if confirmed.is_some() && record.attempts < Record::FLOWN =>
            {
                let attempts = Record::FLOWN;
                (Record { attempts, ..record }, Erasing::Never)
            }
            (Mark::Passed, Kind::Trial) if confirmed.is_none() => {
                (proven(record), Erasing::Allowed)
            }
            (Mark::Proven, Kind::Trial) => (proven(record), Erasing::Never),
            (Mark::Refused, Kind::Trial) => (Record::empty(slot), Erasing::Allowed),
            _ => return Ok(()),
        };
        self.append(next, erasing)
    }
}

fn proven(record: Record) -> Record {
    Record {
        kind: Kind::Confirmed,
        attempts: 0,
        ..record
    }
}
