//! Image slots on NOR flash, which outlast a reset and a cut of power at any moment.
//!
//! The flash given to [`FlashStore`] holds the two halves of a journal and then two slots, which share all other sectors: slot A begins at the first of them, slot B
//! ends with the last, and each takes the whole sectors that its image needs. So a large image leaves less room for the next one. What a slot holds is what
//! the newest record of the journal says of it, and a record is written only when what it says is true: *confirmed* and *on trial* after the last byte of
//! the image, *upload* before the first sector is erased. So at any cut the board has the images that it had before.
//!
//! **Trial.** An image that passed all checks is on trial as long as another one is confirmed, to which [`Node`](crate::node::Node) rolls back: where it fails a check
//! after a start, where too many steps miss their deadline, and after a reset in flight ([`Mark::Flying`], until [`Mark::Landed`]) or in [`ATTEMPTS`] checks of it, unless it was
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

use crate::store::{Found, ImageStore, Mark, Slot, StoreError};
use core::num::NonZeroU32;
use embedded_storage::nor_flash::NorFlash;
use engram_image::header::{HEADER_BYTES, Header};
use journal::{Erasing, Journal, Kind, RECORD_BYTES, Record};
use sha2::{Digest, Sha256};

/// Bytes that are programmed at once.
const GRANULE: usize = RECORD_BYTES;
/// Progress of an upload is recorded in so many steps, or after every sector where there are fewer.
const PROGRESS_STEPS: u32 = 8;
/// Starts, one after the other, that may begin to check an image on trial and not end it; the next one rolls back.
pub const ATTEMPTS: u8 = 3;

/// A flash that the processor reads like memory.
///
/// Beside what `NorFlash` asks, `read` returns an error, and never faults, for a word whose programming or erasing was cut, and what was
/// written or erased is seen by the next read of it, mapped or not (caches are the driver's business).
pub trait MappedFlash: NorFlash {
    /// Whether erasing a sector keeps control steps from being made: on almost every part, because the core gets no instructions or because `erase` waits.
    /// Uploads are then begun only where nothing moves.
    fn erase_stalls(&self) -> bool;
    /// The same of writing a few words: where the core gets no instructions meanwhile. Uploads then go on only where nothing moves.
    fn write_stalls(&self) -> bool;

    /// Bytes of a sector, a multiple of `ERASE_SIZE`: more than that where one driver serves flashes with other sectors.
    fn sector_bytes(&self) -> NonZeroU32 {
        const { NonZeroU32::new(Self::ERASE_SIZE as u32).unwrap() }
    }

    /// All its bytes: the byte at an offset is the one that `read` reads there.
    fn bytes(&self) -> &[u8];
}

impl<F: MappedFlash> MappedFlash for &mut F {
    fn erase_stalls(&self) -> bool {
        F::erase_stalls(self)
    }

    fn write_stalls(&self) -> bool {
        F::write_stalls(self)
    }

    fn sector_bytes(&self) -> NonZeroU32 {
        F::sector_bytes(self)
    }

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
    /// Bytes of both slots together.
    slots_bytes: u32,
    /// Whose confirmed image failed its checks since the start: nothing to roll back to.
    unfit: Option<Slot>,
}

impl<F: MappedFlash> FlashStore<F> {
    /// What the driver must be able to.
    const FITS: () = {
        assert!(F::ERASE_SIZE > 0 && F::ERASE_SIZE.is_multiple_of(GRANULE));
        assert!(GRANULE.is_multiple_of(F::WRITE_SIZE) && GRANULE.is_multiple_of(F::READ_SIZE));
    };

    /// A store on the whole of a flash; changes nothing on it.
    ///
    /// # Errors
    /// [`StoreError::Small`].
    pub fn new(mut flash: F) -> Result<Self, StoreError> {
        let () = Self::FITS;
        let bytes = flash.capacity().min(flash.bytes().len());
        let all = u32::try_from(bytes).unwrap_or(u32::MAX);
        let sector = flash.sector_bytes();
        let journal = 2 * Journal::half_bytes(sector);
        let slots_bytes = all.saturating_sub(journal) / sector * sector.get();
        if slots_bytes < 2 * sector.get() {
            let least = usize::try_from(journal + 2 * sector.get()).unwrap_or(usize::MAX);
            return Err(StoreError::Small { bytes, least });
        }
        Ok(Self {
            journal: Journal::open(&mut flash),
            flash,
            writer: None,
            slots_bytes,
            unfit: None,
        })
    }

    /// Where an image of `length` bytes begins in a slot.
    fn start(&self, slot: Slot, length: u32) -> u32 {
        let slots = 2 * Journal::half_bytes(self.flash.sector_bytes());
        match slot {
            Slot::A => slots,
            Slot::B => slots + self.slots_bytes.saturating_sub(self.sectors_bytes(length)),
        }
    }

    /// Sectors that an image of so many bytes takes.
    fn sectors(&self, length: u32) -> u32 {
        journal::sectors(length, self.flash.sector_bytes())
    }

    /// Bytes of these.
    fn sectors_bytes(&self, length: u32) -> u32 {
        let sector = self.flash.sector_bytes().get();
        self.sectors(length).saturating_mul(sector)
    }

    /// Bytes that one slot may have beside what the other one holds. A sector is always left for the other, without which nothing
    /// could ever take an image's place.
    fn room_beside(&self, other: Option<Record>) -> u32 {
        let whole = other.filter(|other| matches!(other.kind, Kind::Trial | Kind::Confirmed));
        let taken = whole.map_or(0, |other| self.sectors_bytes(other.length));
        let least = self.flash.sector_bytes().get();
        self.slots_bytes.saturating_sub(taken.max(least))
    }

    /// The record of the image to roll back to.
    fn fallback(&self) -> Option<Record> {
        (self.journal.confirmed()).filter(|confirmed| Some(confirmed.slot) != self.unfit)
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
        let length = u32::try_from(writer.length).map_err(|_| StoreError::Bounds)?;
        let offset = self.start(writer.slot, length) + written;
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
        let start = self.start(record.slot, record.length);
        let mut offset = start;
        let mut granule = [0; GRANULE];
        while offset < start.saturating_add(record.length.min(self.slots_bytes)) {
            self.flash
                .read(offset, &mut granule)
                .map_err(|_| StoreError::Program(offset))?;
            offset += RECORD_BYTES as u32;
        }
        Ok(())
    }

    /// Takes what a programmer has put into slot A, beside a journal that was never begun, for an image on trial. With no other confirmed, that
    /// confirms it when it passes its checks.
    fn find_programmed(&mut self) -> Option<()> {
        if self.journal.has_begun() {
            return None;
        }
        let mut header = [0; HEADER_BYTES];
        self.flash.read(self.start(Slot::A, 0), &mut header).ok()?;
        let mut programmed = Record {
            kind: Kind::Trial,
            length: Header::read(&header).ok()?.total_length,
            ..Record::empty(Slot::A)
        };
        if programmed.length > self.room_beside(None) {
            return None;
        }
        self.read_through(&programmed).ok()?;
        self.journal.suppose(programmed);
        programmed.sha256 = Sha256::digest(self.bytes(Slot::A)).into();
        self.journal.suppose(programmed);
        Some(())
    }

    /// Ends the trial of an image for good.
    fn confirm(&mut self, record: Record, erasing: Erasing) -> Result<(), StoreError> {
        let other = self.journal.of(record.slot.other());
        if other.kind == Kind::Trial {
            // An older one, whose confirmation failed: with this one confirmed it would be on trial again.
            self.append(Record::empty(other.slot), erasing)?;
        }
        let confirmed = Record {
            kind: Kind::Confirmed,
            attempts: 0,
            ..record
        };
        self.append(confirmed, erasing)?;
        self.unfit = None;
        Ok(())
    }

    /// Records whole sectors, now and then.
    fn note_progress(&mut self, writer: &Writer) {
        let record = self.journal.of(writer.slot);
        let all = self.sectors(record.length);
        let sectors = match u32::try_from(writer.written) {
            Ok(written) if written < record.length => written / self.flash.sector_bytes(),
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
    /// What the next upload may have: all but what the confirmed image takes.
    fn capacity(&self) -> usize {
        let room = self.room_beside(self.journal.confirmed());
        usize::try_from(room).unwrap_or(usize::MAX)
    }

    fn begin_stalls(&self) -> bool {
        self.flash.erase_stalls()
    }

    fn write_stalls(&self) -> bool {
        self.flash.write_stalls()
    }

    /// The image in a slot, where one is whole; nothing otherwise.
    fn bytes(&self, slot: Slot) -> &[u8] {
        let record = self.journal.of(slot);
        let whole = matches!(record.kind, Kind::Trial | Kind::Confirmed);
        let start = usize::try_from(self.start(slot, record.length)).ok();
        let range = start
            .zip(usize::try_from(record.length).ok())
            .filter(|_| whole && record.length < self.slots_bytes);
        range
            .and_then(|(start, length)| self.flash.bytes().get(start..)?.get(..length))
            .unwrap_or(&[])
    }

    fn begin(&mut self, slot: Slot, length: usize, sha256: &[u8; 32]) -> Result<usize, StoreError> {
        let bytes = u32::try_from(length).map_err(|_| StoreError::Bounds)?;
        let other = self.journal.of(slot.other());
        if bytes > self.room_beside(Some(other)) {
            return Err(StoreError::Bounds);
        }
        let before = self.journal.of(slot);
        if before.kind == Kind::Confirmed {
            return Err(StoreError::Protected(slot));
        }
        self.writer = None;
        if other.kind == Kind::Upload {
            // Its sectors may be among those that are erased now.
            self.append(Record::empty(other.slot), Erasing::Allowed)?;
        }
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
        let start = self.start(slot, bytes);
        let all = self.sectors(bytes);
        let sector = self.flash.sector_bytes().get();
        let there = record.sectors.min(all) * sector;
        journal::erase(&mut self.flash, start + there, start + all * sector)?;
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

    /// The image on trial, unless its trial ended with the last reset; otherwise the confirmed one. Where there is nothing to roll back to, a trial ends
    /// for one start: an upload can then cure what keeps the checks from ending.
    fn found(&mut self) -> Option<Found> {
        let _ = self.find_programmed();
        for slot in [Slot::A, Slot::B] {
            let record = self.journal.of(slot);
            let spent = record.attempts >= ATTEMPTS;
            let without_end = record.attempts < Record::FLOWN;
            match (record.kind, self.fallback()) {
                (Kind::Trial, None) if spent && without_end => {
                    let attempts = 0;
                    let _ = self.append(Record { attempts, ..record }, Erasing::Allowed);
                    return None;
                }
                (Kind::Trial, None) => return Some(record.found()),
                (Kind::Trial, Some(_)) if !spent => return Some(record.found()),
                _ => {}
            }
        }
        self.fallback().map(|confirmed| confirmed.found())
    }

    fn on_trial(&self) -> Option<Slot> {
        self.fallback()?;
        [Slot::A, Slot::B]
            .into_iter()
            .find(|slot| self.journal.of(*slot).kind == Kind::Trial)
    }

    fn mark(&mut self, slot: Slot, mark: Mark) -> Result<(), StoreError> {
        let record = self.journal.of(slot);
        let fallback = self.fallback();
        match (mark, record.kind) {
            (Mark::Checking, Kind::Upload) => {
                let written =
                    |writer: &Writer| writer.slot == slot && writer.written == writer.length;
                if !self.writer.as_ref().is_some_and(written) {
                    return Err(StoreError::Bounds);
                }
                self.read_through(&record)?;
                let trial = Record {
                    kind: Kind::Trial,
                    counter: not_older(COUNTER, self.journal.confirmed())?,
                    sectors: 0,
                    ..record
                };
                self.append(trial, Erasing::Allowed)
            }
            (Mark::Checking, Kind::Trial) => {
                let attempts = record.attempts.saturating_add(1);
                self.append(Record { attempts, ..record }, Erasing::Allowed)?;
                self.read_through(&record)
            }
            (Mark::Checking, Kind::Confirmed) => {
                self.read_through(&record)?;
                if !self.journal.is_certain() {
                    // It flies in any case, now.
                    let _ = self.append(record, Erasing::Allowed);
                }
                Ok(())
            }
            (Mark::Passed, Kind::Trial) if fallback.is_none() => {
                self.confirm(record, Erasing::Allowed)
            }
            (Mark::Passed, Kind::Trial) if (1..Record::FLOWN).contains(&record.attempts) => {
                let attempts = 0;
                self.append(Record { attempts, ..record }, Erasing::Allowed)
            }
            (Mark::Passed, Kind::Confirmed) => {
                // Only now may the one go whose trial ended.
                let other = self.journal.of(slot.other());
                if other.kind == Kind::Trial && other.attempts >= ATTEMPTS {
                    self.append(Record::empty(other.slot), Erasing::Allowed)?;
                }
                Ok(())
            }
            (Mark::Refused, Kind::Trial | Kind::Upload) => {
                self.append(Record::empty(slot), Erasing::Allowed)
            }
            (Mark::Refused, Kind::Confirmed) => {
                self.unfit = Some(slot);
                Ok(())
            }
            (Mark::Flying, Kind::Trial)
                if fallback.is_some() && record.attempts < Record::FLOWN =>
            {
                let attempts = Record::FLOWN;
                self.append(Record { attempts, ..record }, Erasing::Never)
            }
            (Mark::Landed, Kind::Trial) if record.attempts == Record::FLOWN => {
                let attempts = 0;
                self.append(Record { attempts, ..record }, Erasing::Allowed)
            }
            (Mark::Proven, Kind::Trial) => self.confirm(record, Erasing::Never),
            _ => Ok(()),
        }
    }
}

/// The counter of an image, unless it is lower than that of the confirmed one.
fn not_older(counter: u32, confirmed: Option<Record>) -> Result<u32, StoreError> {
    match confirmed.map(|record| record.counter) {
        Some(least) if counter < least => Err(StoreError::Older { counter, least }),
        _ => Ok(counter),
    }
}

/// The counter of every image. Version 1 of the image format carries none: here belongs what reads it (signed, so from the header or the
/// body) once there is one. Records keep it, and an image with a lower one than the confirmed image's is refused already.
const COUNTER: u32 = 0;
