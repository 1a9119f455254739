//! The journal: what each slot holds, in records that are appended to one half of it, while the other half waits to be erased.
//!
//! `docs/src/adding-a-board.md` has the format of a record and the places of a half. A word is programmed once after its sector was erased, and
//! only by a run of the firmware that erased it: what a cut of power left behind is never written to, whatever it reads as. So the first record
//! after a start goes to the other half, together with all that holds.

use super::MappedFlash;
use crate::store::{Found, Slot, StoreError};
use core::num::NonZeroU32;
use crc::{CRC_32_ISO_HDLC, Crc, NoTable};
use embedded_storage::nor_flash::NorFlash;

/// Bytes of a record; what a flash writes and reads at once must divide it.
pub(super) const RECORD_BYTES: usize = 64;
/// The same as an offset.
const STRIDE: u32 = RECORD_BYTES as u32;
/// Places of a half that its first records take: one for each slot, then the header twice.
const FIRST_PLACES: u32 = 4;
/// Places that stay free for what is recorded in flight, where no half may be erased: nine of an upload's progress, one of a trial's end, and two to spare.
const MARGIN: u32 = 12;
/// Bytes that a half has at least.
const LEAST_BYTES: u32 = (FIRST_PLACES + MARGIN) * STRIDE;
/// Places that are tried for a record before the half is given up.
const TRIES: u32 = 3;

/// First bytes of every record, its version included.
const MAGIC: [u8; 4] = *b"ENJ1";
const CRC: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);

/// What a record says of its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Of no slot: the two records before it are all there was when the half began; `counter` is the half's generation.
    Header = 1,
    /// There is no image in it.
    Empty = 2,
    /// An image arrives, of which whole `sectors` are there.
    Upload = 3,
    /// A whole image, which may fly.
    Trial = 4,
    /// A whole image, which has proved itself: the one to roll back to.
    Confirmed = 5,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::Header,
        Self::Empty,
        Self::Upload,
        Self::Trial,
        Self::Confirmed,
    ];
}

/// The newest record of a slot says all about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) kind: Kind,
    pub(super) slot: Slot,
    /// Of a trial: starts that began to check the image; [`Record::FLOWN`] once it was about to fly.
    pub(super) attempts: u8,
    /// Of the image, bytes.
    pub(super) length: u32,
    /// Counts versions of images: none takes the place of one with a higher counter.
    pub(super) counter: u32,
    /// Of an upload: whole sectors of the slot that are there.
    pub(super) sectors: u32,
    /// Of the image's bytes.
    pub(super) sha256: [u8; 32],
}

impl Record {
    /// `attempts` of an image whose trial flight began.
    pub(super) const FLOWN: u8 = u8::MAX;

    pub(super) const fn empty(slot: Slot) -> Self {
        Self {
            kind: Kind::Empty,
            slot,
            attempts: 0,
            length: 0,
            counter: 0,
            sectors: 0,
            sha256: [0; 32],
        }
    }

    /// The image that it is of.
    pub(super) const fn found(&self) -> Found {
        Found {
            slot: self.slot,
            length: self.length,
            sha256: self.sha256,
        }
    }

    fn encode(&self) -> [u8; RECORD_BYTES] {
        let fields = MAGIC
            .into_iter()
            .chain([self.kind as u8, self.slot as u8, self.attempts, 0])
            .chain(self.length.to_le_bytes())
            .chain(self.counter.to_le_bytes())
            .chain(self.sectors.to_le_bytes())
            .chain(self.sha256);
        let mut record = [0; RECORD_BYTES];
        for (place, byte) in record.iter_mut().zip(fields) {
            *place = byte;
        }
        if let Some((body, crc)) = record.split_last_chunk_mut::<4>() {
            *crc = CRC.checksum(body).to_le_bytes();
        }
        record
    }

    /// `None` if the bytes are no whole record.
    fn decode(bytes: &[u8; RECORD_BYTES]) -> Option<Self> {
        let (body, crc) = bytes.split_last_chunk::<4>()?;
        let (magic, rest) = body.split_first_chunk::<4>()?;
        if *magic != MAGIC || CRC.checksum(body) != u32::from_le_bytes(*crc) {
            return None;
        }
        let ([kind, slot, attempts, _], rest) = rest.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (counter, rest) = rest.split_first_chunk::<4>()?;
        let (sectors, rest) = rest.split_first_chunk::<4>()?;
        let (sha256, _) = rest.split_first_chunk::<32>()?;
        Some(Self {
            kind: Kind::ALL.into_iter().find(|known| *known as u8 == *kind)?,
            slot: [Slot::A, Slot::B]
                .into_iter()
                .find(|known| *known as u8 == *slot)?,
            attempts: *attempts,
            length: u32::from_le_bytes(*length),
            counter: u32::from_le_bytes(*counter),
            sectors: u32::from_le_bytes(*sectors),
            sha256: *sha256,
        })
    }
}

/// Whether sectors may be erased, in which time no control step is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Erasing {
    Allowed,
    Never,
}

/// The newest record of each slot, and where the next one goes.
#[derive(Debug)]
pub(super) struct Journal {
    slots: [Record; 2],
    /// Bytes of a half.
    half_bytes: u32,
    /// 0 or 1: the half that holds these records.
    half: u32,
    generation: u32,
    /// The half that is erased next.
    next_half: u32,
    /// Where the next record goes in `half`; `None` until this run has erased a half.
    place: Option<u32>,
    /// Whether all of `half` will read after the next start as it did after this one: a record whose programming was cut may not.
    certain: bool,
}

impl Journal {
    /// Bytes of a half on that flash: a sector, or as many as it takes.
    pub(super) fn half_bytes(sector_bytes: NonZeroU32) -> u32 {
        sectors(LEAST_BYTES, sector_bytes).saturating_mul(sector_bytes.get())
    }

    /// Reads the journal at the start of a flash. What cannot be read is no record.
    pub(super) fn open<F: MappedFlash>(flash: &mut F) -> Self {
        let half_bytes = Self::half_bytes(flash.sector_bytes());
        let mut journal = Self {
            half_bytes,
            slots: [Record::empty(Slot::A), Record::empty(Slot::B)],
            half: 1,
            generation: 0,
            next_half: 0,
            place: None,
            certain: true,
        };
        let [a, b] = [0, half_bytes].map(|start| Begun::read(flash, start));
        let (half, begun, other) = if b.generation() > a.generation() {
            (1, b, a)
        } else {
            (0, a, b)
        };
        let (Some(generation), [Some(slot_a), Some(slot_b)]) = (begun.generation(), begun.slots)
        else {
            return journal;
        };
        journal.half = half;
        journal.generation = generation;
        // Whichever was confirmed later. Only the end of the records decides what became of the other: a record that failed, and that nobody acted by, may
        // read as a whole one now, with newer ones behind it.
        let mut latest = None;
        let mut hold = |record: Record| {
            if record.kind == Kind::Confirmed {
                latest = Some(record.slot);
            }
            if record.kind != Kind::Header {
                *record.slot.of_mut(&mut journal.slots) = record;
            }
        };
        hold(slot_a);
        hold(slot_b);
        // Only the second header proves that the first was written to its end, and will read so after the next start, too. Without
        // it the half before this one is kept.
        let [_, second] = begun.headers;
        journal.certain = second.is_some();
        journal.next_half = if !journal.certain && other.generation().is_some() {
            half
        } else {
            1 - half
        };
        for place in FIRST_PLACES..half_bytes / STRIDE {
            let mut bytes = [0; RECORD_BYTES];
            let read = flash.read(half * half_bytes + place * STRIDE, &mut bytes);
            let blank = read.is_ok() && bytes.iter().all(|byte| *byte == 0xFF);
            journal.certain &= blank;
            if read.is_ok()
                && let Some(record) = Record::decode(&bytes)
            {
                hold(record);
            }
        }
        if let Some(slot) = latest
            && journal
                .slots
                .iter()
                .all(|record| record.kind == Kind::Confirmed)
        {
            *slot.other().of_mut(&mut journal.slots) = Record::empty(slot.other());
        }
        journal
    }

    /// Places for records in a half.
    const fn places(&self) -> u32 {
        self.half_bytes / STRIDE
    }

    /// Where a place is on the flash.
    const fn offset(&self, half: u32, place: u32) -> u32 {
        half * self.half_bytes + place * STRIDE
    }

    /// Where the next record goes.
    #[cfg(test)]
    pub(super) fn next_place(&self) -> u32 {
        self.offset(self.half, self.place.expect("a half that was begun"))
    }

    /// The newest record of a slot.
    pub(super) fn of(&self, slot: Slot) -> Record {
        *slot.of(&self.slots)
    }

    /// The record of the confirmed image.
    pub(super) fn confirmed(&self) -> Option<Record> {
        (self.slots.iter())
            .find(|record| record.kind == Kind::Confirmed)
            .copied()
    }

    /// Whether a half was ever begun whole.
    pub(super) fn has_begun(&self) -> bool {
        self.generation != 0
    }

    /// Lets a record hold until the next one of its slot, without writing it.
    pub(super) fn suppose(&mut self, record: Record) {
        take(&mut self.slots, record);
    }

    /// Whether what holds is certain to hold after the next start.
    pub(super) fn is_certain(&self) -> bool {
        self.certain
    }

    /// Writes a record, which holds from then on. One that a slot is empty holds in any case until the next start.
    ///
    /// # Errors
    /// [`StoreError::JournalFull`] where it would take erasing; [`StoreError::Erase`], [`StoreError::Program`].
    pub(super) fn append<F: MappedFlash>(
        &mut self,
        flash: &mut F,
        record: Record,
        erasing: Erasing,
    ) -> Result<(), StoreError> {
        let mut slots = self.slots;
        take(&mut slots, record);
        let written = self.write(flash, &slots, &record, erasing);
        if written.is_ok() || record.kind == Kind::Empty {
            self.slots = slots;
        }
        written
    }

    fn write<F: MappedFlash>(
        &mut self,
        flash: &mut F,
        slots: &[Record; 2],
        record: &Record,
        erasing: Erasing,
    ) -> Result<(), StoreError> {
        let kept = match erasing {
            Erasing::Allowed => MARGIN,
            Erasing::Never => 0,
        };
        let mut written = Err(StoreError::JournalFull(self.places()));
        for _ in 0..TRIES {
            let Some(place) = self.place else { break };
            if place.saturating_add(kept) >= self.places() {
                break;
            }
            self.place = Some(place + 1);
            written = program(flash, self.offset(self.half, place), record);
            if written.is_ok() {
                return written;
            }
        }
        match erasing {
            Erasing::Allowed => self.begin_half(flash, slots),
            Erasing::Never => written,
        }
    }

    /// Begins the other half with what holds.
    fn begin_half<F: MappedFlash>(
        &mut self,
        flash: &mut F,
        slots: &[Record; 2],
    ) -> Result<(), StoreError> {
        let half = self.next_half;
        let from = self.offset(half, 0);
        erase(flash, from, from + self.half_bytes)?;
        // From its header on this half is the one that is read, so nothing more goes to the one before, even if it is not finished.
        self.place = None;
        let header = Record {
            kind: Kind::Header,
            counter: self.generation.saturating_add(1),
            ..Record::empty(Slot::A)
        };
        let [a, b] = slots;
        for (record, place) in [a, b, &header, &header].into_iter().zip(0..) {
            program(flash, self.offset(half, place), record)?;
        }
        self.half = half;
        self.generation = header.counter;
        self.next_half = 1 - half;
        self.place = Some(FIRST_PLACES);
        self.certain = true;
        Ok(())
    }
}

/// What holds after a record.
fn take(slots: &mut [Record; 2], record: Record) {
    let other = record.slot.other().of_mut(slots);
    if record.kind == Kind::Confirmed && other.kind == Kind::Confirmed {
        *other = Record::empty(other.slot);
    }
    *record.slot.of_mut(slots) = record;
}

/// Sectors that hold so many bytes.
pub(super) fn sectors(bytes: u32, sector_bytes: NonZeroU32) -> u32 {
    bytes.saturating_add(sector_bytes.get() - 1) / sector_bytes
}

/// What a half begins with, each place read once: what was cut may read otherwise the next time.
struct Begun {
    slots: [Option<Record>; 2],
    headers: [Option<Record>; 2],
}

impl Begun {
    /// The half that begins at `start`.
    fn read<F: NorFlash>(flash: &mut F, start: u32) -> Self {
        let mut at = |place| read(flash, start + place * STRIDE);
        Self {
            slots: [0, 1].map(&mut at),
            headers: [2, 3].map(|place| at(place).filter(|header| header.kind == Kind::Header)),
        }
    }

    /// A header counts only with both records before it: it may be what an erase that was cut has left.
    fn generation(&self) -> Option<u32> {
        let [first, second] = self.headers;
        let whole = self.slots.iter().all(Option::is_some);
        let header = first.or(second).filter(|_| whole)?;
        Some(header.counter)
    }
}

/// The record at an offset, if a whole one can be read there.
fn read<F: NorFlash>(flash: &mut F, offset: u32) -> Option<Record> {
    let mut bytes = [0; RECORD_BYTES];
    flash.read(offset, &mut bytes).ok()?;
    Record::decode(&bytes)
}

/// Writes a record to an offset, and reads it back.
fn program<F: NorFlash>(flash: &mut F, offset: u32, record: &Record) -> Result<(), StoreError> {
    let written = flash.write(offset, &record.encode());
    if written.is_ok() && read(flash, offset) == Some(*record) {
        Ok(())
    } else {
        Err(StoreError::Program(offset))
    }
}

/// Erases from one byte of the flash to another, sector by sector.
pub(super) fn erase<F: MappedFlash>(flash: &mut F, from: u32, to: u32) -> Result<(), StoreError> {
    let sector = flash.sector_bytes().get();
    let mut from = from;
    while from < to {
        let next = from.saturating_add(sector);
        flash
            .erase(from, next)
            .map_err(|_| StoreError::Erase(from))?;
        from = next;
    }
    Ok(())
}
