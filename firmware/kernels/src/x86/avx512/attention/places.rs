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

/// Which lanes of four places from `4 quad` on hold a memory: the same four for every head.
pub(super) trait Places: Copy {
    fn lanes(self, quad: usize) -> __mmask16;
}

/// A full window of `N` quads of places, of which only the last can lack some: what a policy sees most of the time.
#[derive(Clone, Copy)]
pub(super) struct Full<const N: usize> {
    last: __mmask16,
}

impl<const N: usize> Full<N> {
    /// `None`: the window is not full, or has not so many quads.
    #[inline]
    pub(super) fn new(place: Place, window: usize) -> Option<Self> {
        let full = place.filled >= window && window.div_ceil(PLACES) == N;
        let missing = N.wrapping_mul(PLACES).wrapping_sub(window);
        full.then_some(Self {
            last: (0xf_u32.wrapping_shr(missing as u32) * 0x1111) as __mmask16,
        })
    }
}

impl<const N: usize> Places for Full<N> {
    #[inline(always)]
    fn lanes(self, quad: usize) -> __mmask16 {
        if quad + 1 == N { self.last } else { 0xffff }
    }
}

/// One bit for every place.
#[derive(Clone, Copy)]
pub(super) struct Present([u32; WORDS]);

impl Present {
    /// Memories of an age below `place.filled`: those up to the newest place, and from the end of the window on.
    #[inline]
    pub(super) fn new(place: Place, window: usize) -> Self {
        let mut words = [0; WORDS];
        let newest = place.index.wrapping_add(1);
        let first = newest.saturating_sub(place.filled);
        let wrapped = window.saturating_sub(place.filled.saturating_sub(newest));
        for (index, word) in words.iter_mut().enumerate().take(window.div_ceil(WORD)) {
            let below = |end| below(end, index);
            *word = below(newest) & !below(first) | below(window) & !below(wrapped);
        }
        Self(words)
    }
}

impl Places for Present {
    #[inline(always)]
    fn lanes(self, quad: usize) -> __mmask16 {
        const QUADS: usize = WORD / PLACES;
        let word = self.0.get(quad / QUADS).copied().unwrap_or(0);
        let four = word >> (quad % QUADS * PLACES) & 0xf;
        (four * 0x1111) as __mmask16
    }
}
