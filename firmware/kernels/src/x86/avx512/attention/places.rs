//! Which places of a ring hold a memory that is attended to.

use core::arch::x86_64::__mmask16;

use super::PLACES;
use crate::Place;

/// Places in one word.
const WORD: usize = 32;
/// Words of the longest window.
const WORDS: usize = super::WINDOW / WORD;

/// The bits of word `index` that stand for places below `end`.
const fn below(end: usize, index: usize) -> u32 {
    let count = end.saturating_sub(index * WORD);
    if count >= WORD {
        u32::MAX
    } else {
        (1_u32 << count).wrapping_sub(1)
    }
}

/// One bit for every place.
#[derive(Clone, Copy)]
pub(super) struct Present([u32; WORDS]);

impl Present {
    /// Of a window of at most `places`: memories of an age below `place.filled`: those up to the newest place, and from the end on.
    #[inline]
    pub(super) fn new(place: Place, window: usize, places: usize) -> Self {
        let mut words = [0; WORDS];
        if place.filled >= window {
            for (index, word) in words.iter_mut().enumerate().take(places.div_ceil(WORD)) {
                *word = below(window, index);
            }
            return Self(words);
        }
        let newest = place.index.wrapping_add(1);
        let first = newest.saturating_sub(place.filled);
        let wrapped = window.saturating_sub(place.filled.saturating_sub(newest));
        for (index, word) in words.iter_mut().enumerate().take(places.div_ceil(WORD)) {
            let below = |end| below(end, index);
            *word = below(newest) & !below(first) | below(window) & !below(wrapped);
        }
        Self(words)
    }

    /// Lanes of the four places from `4 quad` on: the same four for every head.
    #[inline]
    pub(super) fn lanes(&self, quad: usize) -> __mmask16 {
        const QUADS: usize = WORD / PLACES;
        let word = self.0.get(quad / QUADS).copied().unwrap_or(0);
        let four = word >> (quad % QUADS * PLACES) & 0xf;
        (four * 0x1111) as __mmask16
    }
}
