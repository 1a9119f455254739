//! Which positions of a ring hold a memory that is attended to.

use core::arch::x86_64::__mmask16;

use super::PLACES;
use crate::CachePosition;

/// Places in one word.
const WORD: usize = u64::BITS as usize;

/// The bits of word `index` that stand for positions below `end`.
const fn below(end: usize, index: usize) -> u64 {
    let count = end.saturating_sub(index.wrapping_mul(WORD));
    if count >= WORD {
        u64::MAX
    } else {
        (1_u64 << count).wrapping_sub(1)
    }
}

/// Which lanes of every four positions hold a memory, from position 0 on: the same four for every head.
#[derive(Clone, Copy)]
pub(super) struct Present {
    position: CachePosition,
    window: usize,
    /// Words so far.
    words: usize,
    /// Quads that are left of the last word.
    left: usize,
    /// The next quad lowest.
    word: u64,
}

impl Present {
    pub(super) const fn new(position: CachePosition, window: usize) -> Self {
        Self {
            position,
            window,
            words: 0,
            left: 0,
            word: 0,
        }
    }

    /// Memories of an age below `position.filled`: those up to the newest position, and from the end of the window on.
    #[inline(always)]
    const fn word(&self, index: usize) -> u64 {
        let CachePosition {
            index: newest,
            filled,
        } = self.position;
        // What a policy sees most of the time.
        if filled >= self.window {
            return below(self.window, index);
        }
        let newest = newest.wrapping_add(1);
        let first = newest.saturating_sub(filled);
        let wrapped = self.window.saturating_sub(filled.saturating_sub(newest));
        below(newest, index) & !below(first, index)
            | below(self.window, index) & !below(wrapped, index)
    }
}

impl Iterator for Present {
    type Item = __mmask16;

    #[inline(always)]
    fn next(&mut self) -> Option<__mmask16> {
        if self.left == 0 {
            self.word = self.word(self.words);
            self.words = self.words.wrapping_add(1);
            self.left = WORD / PLACES;
        }
        let four = self.word & 0xf;
        self.word >>= PLACES;
        self.left = self.left.wrapping_sub(1);
        Some((four * 0x1111) as __mmask16)
    }
}
