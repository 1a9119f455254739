//! A NOR flash: words that are programmed once after an erase, cuts of power in the middle of any operation, worn places.

extern crate std;

use crate::flash::MappedFlash;
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};
use engram_image::random::SplitMix64;
use std::collections::BTreeSet;
use std::vec;
use std::vec::Vec;

/// What reading a torn word gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Torn {
    /// An error.
    Faults,
    /// Other bits each time, now and then those of an erased word.
    Random,
    /// What was written, an error, or other bits; another of them each time.
    Flickers,
}

impl Torn {
    pub(crate) const ALL: [Self; 3] = [Self::Faults, Self::Random, Self::Flickers];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Blank,
    Whole,
    Torn,
}

/// Words of `WORD` bytes in sectors of `SECTOR` bytes; whether the core waits for words that are written.
#[derive(Debug, Clone)]
pub(crate) struct Model<const WORD: usize, const SECTOR: usize, const STALLS: bool = false> {
    pub(crate) bytes: Vec<u8>,
    words: Vec<Word>,
    torn: Torn,
    random: SplitMix64,
    /// Operations so far: sectors erased, words programmed.
    pub(crate) operations: u32,
    /// The operation that the power fails in.
    pub(crate) cut: Option<u32>,
    /// There is no power.
    pub(crate) off: bool,
    /// Offsets of words that cannot be programmed and sectors that cannot be erased.
    pub(crate) worn: BTreeSet<usize>,
}

impl<const WORD: usize, const SECTOR: usize, const STALLS: bool> Model<WORD, SECTOR, STALLS> {
    /// A flash as it left the factory.
    pub(crate) fn new(sectors: usize, torn: Torn) -> Self {
        Self {
            bytes: vec![0xFF; sectors * SECTOR],
            words: vec![Word::Blank; sectors * SECTOR / WORD],
            torn,
            random: SplitMix64::new(1),
            operations: 0,
            cut: None,
            off: false,
            worn: BTreeSet::new(),
        }
    }

    /// Power returns; the next cut is `cut` operations away.
    pub(crate) fn power(&mut self, cut: Option<u32>) {
        self.off = false;
        self.operations = 0;
        self.cut = cut;
    }

    /// Other random bits than those of another seed.
    pub(crate) fn seed(&mut self, seed: u64) {
        self.random = SplitMix64::new(seed);
    }

    /// Fails if a mapped read of `bytes`, which are its own, would read a word that is not whole.
    pub(crate) fn assert_readable(&self, bytes: &[u8]) {
        let start = bytes.as_ptr() as usize - self.bytes.as_ptr() as usize;
        for byte in start..start + bytes.len() {
            assert_eq!(self.words[byte / WORD], Word::Whole, "at byte {byte}");
        }
    }

    /// The word at a byte can no longer be read.
    pub(crate) fn lose(&mut self, byte: usize) {
        self.words[byte / WORD] = Word::Torn;
    }

    /// Whether the operation is carried out; `None` if it is cut.
    fn operate(&mut self) -> Result<Option<()>, NorFlashErrorKind> {
        if self.off {
            return Err(NorFlashErrorKind::Other);
        }
        self.off = self.cut == Some(self.operations);
        self.operations += 1;
        Ok((!self.off).then_some(()))
    }

    fn tear(&mut self, word: usize, becomes: &[u8]) {
        self.words[word] = Word::Torn;
        let bytes = &mut self.bytes[word * WORD..][..WORD];
        match self.torn {
            Torn::Flickers => bytes.copy_from_slice(becomes),
            _ => bytes.fill_with(|| self.random.below(256) as u8),
        }
    }
}

impl<const WORD: usize, const SECTOR: usize, const STALLS: bool> ErrorType
    for Model<WORD, SECTOR, STALLS>
{
    type Error = NorFlashErrorKind;
}

impl<const WORD: usize, const SECTOR: usize, const STALLS: bool> ReadNorFlash
    for Model<WORD, SECTOR, STALLS>
{
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        if self.off {
            return Err(NorFlashErrorKind::Other);
        }
        let offset = offset as usize;
        bytes.copy_from_slice(&self.bytes[offset..][..bytes.len()]);
        for word in offset / WORD..(offset + bytes.len()).div_ceil(WORD) {
            if self.words[word] != Word::Torn {
                continue;
            }
            match (self.torn, self.random.below(3)) {
                (Torn::Faults, _) | (Torn::Flickers, 0) => return Err(NorFlashErrorKind::Other),
                (Torn::Flickers, 1) => continue,
                (_, chance) => {
                    let from = (word * WORD).max(offset) - offset;
                    let to = ((word + 1) * WORD).min(offset + bytes.len()) - offset;
                    bytes[from..to].fill_with(|| match chance {
                        0 => 0xFF,
                        _ => self.random.below(256) as u8,
                    });
                }
            }
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl<const WORD: usize, const SECTOR: usize, const STALLS: bool> NorFlash
    for Model<WORD, SECTOR, STALLS>
{
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = SECTOR;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        for sector in from as usize / SECTOR..to as usize / SECTOR {
            let whole = self.operate()?.is_some() && !self.worn.contains(&(sector * SECTOR));
            for word in sector * SECTOR / WORD..(sector + 1) * SECTOR / WORD {
                match self.random.below(3) {
                    _ if whole => {
                        self.words[word] = Word::Blank;
                        self.bytes[word * WORD..][..WORD].fill(0xFF);
                    }
                    0 => {}
                    1 => self.tear(word, &[0xFF; WORD]),
                    _ => {
                        let before = self.bytes[word * WORD..][..WORD].to_vec();
                        self.tear(word, &before);
                    }
                }
            }
            if !whole {
                return Err(NorFlashErrorKind::Other);
            }
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        for (word, data) in (offset as usize / WORD..).zip(bytes.chunks(WORD)) {
            let whole = self.operate()?.is_some() && !self.worn.contains(&(word * WORD));
            assert_eq!(self.words[word], Word::Blank, "word {word} written twice");
            if !whole {
                self.tear(word, data);
                return Err(NorFlashErrorKind::Other);
            }
            self.words[word] = Word::Whole;
            self.bytes[word * WORD..][..WORD].copy_from_slice(data);
        }
        Ok(())
    }
}

impl<const WORD: usize, const SECTOR: usize, const STALLS: bool> MappedFlash
    for Model<WORD, SECTOR, STALLS>
{
    fn erase_stalls(&self) -> bool {
        true
    }

    fn write_stalls(&self) -> bool {
        STALLS
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
