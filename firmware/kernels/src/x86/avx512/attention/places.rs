//! Which places of a ring hold a memory that is attended to.

use core::arch::x86_64::*;

use super::super::numbers::load_i32;
use super::PLACES;
use crate::Place;

/// Places in one word.
const WORD: usize = 32;
/// Words of the longest window.
const WORDS: usize = super::WINDOW / WORD;

/// The bit of every lane's place within a word, for the quads of places of a word.
static BITS: [[i32; 16]; WORD / PLACES] = {
    let mut bits = [[0; 16]; WORD / PLACES];
    let mut i = 0;
    while i < WORD / PLACES * 16 {
        bits[i / 16][i % 16] = 1 << (i / 16 * PLACES + i % PLACES);
        i += 1;
    }
    bits
};

/// One bit for every place.
#[derive(Clone, Copy)]
pub(super) struct Present([u32; WORDS]);

impl Present {
    /// Of a window of at most `places`: memories of an age below `place.filled`: those up to the newest place, and from the end on.
    #[inline]
    pub(super) fn new(place: Place, window: usize, places: usize) -> Self {
        let newest = place.index.wrapping_add(1);
        let first = newest.saturating_sub(place.filled);
        let wrapped = window.saturating_sub(place.filled.saturating_sub(newest));
        let mut words = [0; WORDS];
        for (index, word) in words.iter_mut().enumerate().take(places.div_ceil(WORD)) {
            let below = |end: usize| {
                let count = end.saturating_sub(index * WORD).min(WORD);
                (1_u64 << count).wrapping_sub(1) as u32
            };
            *word = below(newest) & !below(first) | below(window) & !below(wrapped);
        }
        Self(words)
    }

    /// Lanes of the four places from `4 quad` on.
    #[inline]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    pub(super) fn lanes(&self, quad: usize) -> __mmask16 {
        const QUADS: usize = WORD / PLACES;
        let word = self.0.get(quad / QUADS).copied().unwrap_or(0);
        let bits = load_i32(&BITS[quad % QUADS]);
        _mm512_test_epi32_mask(_mm512_set1_epi32(word.cast_signed()), bits)
    }
}
