//! Flash and controllers of the part, which assert that they are used as its manual says.

use super::super::{
    BANK_SECTORS, Bank, Controller, SECTOR_BYTES, START, Status, WORD_BYTES, bank as bank_of,
};

/// Of the whole flash.
pub(super) const BYTES: usize = 2 * BANK_SECTORS * SECTOR_BYTES;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Blank,
    Whole,
    /// Its code does not fit: a load from it is a bus fault.
    Broken,
}

/// One bank's controller.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Side {
    pub(super) unlocked: bool,
    status: Status,
    /// Looks until it is no longer busy.
    busy_for: u32,
}

/// See the text of the file.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) bytes: Vec<u8>,
    words: Vec<Word>,
    pub(super) sides: std::cell::RefCell<[Side; 2]>,
    /// What was asked for, sectors and words.
    pub(super) asked: Vec<(Bank, u32)>,
    /// The operation after so many of them is refused.
    pub(super) refuses: Option<usize>,
    /// It takes no keys.
    pub(super) stays_locked: bool,
    /// It never ends.
    pub(super) hangs: bool,
    /// The power fails in the operation after so many of them.
    pub(super) cut: Option<usize>,
    /// Offsets and bytes that caches were told to drop.
    pub(super) dropped: Vec<(u32, usize)>,
    /// A word that the core looked at ahead of time.
    pub(super) ahead: Option<u32>,
}

impl Part {
    /// As it left the factory.
    pub(super) fn new() -> Self {
        Self {
            bytes: vec![0xFF; BYTES],
            words: vec![Word::Blank; BYTES / WORD_BYTES],
            sides: Default::default(),
            asked: Vec::new(),
            refuses: None,
            stays_locked: false,
            hangs: false,
            cut: None,
            dropped: Vec::new(),
            ahead: None,
        }
    }

    /// Begins an operation; whether it is carried out.
    fn begin(&mut self, bank: Bank, what: u32) -> bool {
        let mut sides = self.sides.borrow_mut();
        let side = &mut sides[bank as usize];
        assert!(side.unlocked && !side.status.busy && !side.status.failed);
        let number = self.asked.len();
        self.asked.push((bank, what));
        side.status.busy = true;
        side.busy_for = if self.hangs { u32::MAX } else { 5 };
        side.status.failed = self.refuses == Some(number);
        !side.status.failed && self.cut.is_none_or(|cut| number < cut)
    }
}

impl Controller for &mut Part {
    fn mapped(&self) -> &[u8] {
        &self.bytes[START as usize..]
    }
    fn status(&self, bank: Bank) -> Status {
        let mut sides = self.sides.borrow_mut();
        let side = &mut sides[bank as usize];
        side.busy_for = side.busy_for.saturating_sub(1);
        side.status.busy &= side.busy_for > 0;
        side.status
    }
    fn forget(&mut self, bank: Bank) {
        let status = &mut self.sides.get_mut()[bank as usize].status;
        (status.failed, status.broken_word) = (false, None);
    }
    fn unlock(&mut self, bank: Bank) -> bool {
        self.sides.get_mut()[bank as usize].unlocked = !self.stays_locked;
        !self.stays_locked
    }
    fn lock(&mut self, bank: Bank) {
        self.sides.get_mut()[bank as usize].unlocked = false;
    }
    fn erase(&mut self, bank: Bank, sector: u8) {
        let whole = self.begin(bank, sector.into());
        let at = (bank as usize * BANK_SECTORS + usize::from(sector)) * SECTOR_BYTES;
        assert!(at >= START as usize, "the firmware");
        for word in at / WORD_BYTES..(at + SECTOR_BYTES) / WORD_BYTES {
            self.words[word] = if whole { Word::Blank } else { Word::Broken };
        }
        self.bytes[at..at + SECTOR_BYTES].fill(0xFF);
    }
    fn program(&mut self, bank: Bank, offset: u32, word: &[u8; WORD_BYTES]) {
        assert_eq!(bank_of(offset).0, bank);
        assert!(offset >= START && (offset as usize).is_multiple_of(WORD_BYTES));
        let whole = self.begin(bank, offset);
        let at = offset as usize;
        assert_eq!(self.words[at / WORD_BYTES], Word::Blank, "written twice");
        self.words[at / WORD_BYTES] = if whole { Word::Whole } else { Word::Broken };
        self.bytes[at..at + WORD_BYTES].copy_from_slice(word);
    }
    fn read(&mut self, offset: u32, word: &mut [u8; WORD_BYTES]) -> bool {
        let at = offset as usize;
        word.copy_from_slice(&self.bytes[at..at + WORD_BYTES]);
        let broken = self.words[at / WORD_BYTES] == Word::Broken;
        for (of, is_broken) in [(self.ahead, true), (Some(offset), broken)] {
            if let Some(of) = of.filter(|_| is_broken) {
                let (bank, in_bank) = bank_of(of);
                // It keeps the first until it is told to forget.
                (self.sides.get_mut()[bank as usize].status.broken_word)
                    .get_or_insert(in_bank / WORD_BYTES as u32);
            }
        }
        !broken
    }
    fn drop_cached(&mut self, offset: u32, bytes: usize) {
        self.dropped.push((offset, bytes));
    }
}
