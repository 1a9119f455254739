//! A token's query, key and value as the rings hold them.
//!
//! Whole lines are read and written: a masked store could not be read again before it is done.

use core::arch::x86_64::*;

use super::super::numbers::{load, load_half, load_i32, load_whole, store};
use super::{HEADS, PLACES};
use crate::{Line, Place};

/// Which of a group's quads goes to every lane, for heads of two and of four quads.
static SPREAD: [[i32; 16]; 2] = [spread_of(2), spread_of(4)];

const fn spread_of(quads: i32) -> [i32; 16] {
    let mut lanes = [0; 16];
    let mut i = 0;
    while i < 16 {
        lanes[i] = i as i32 / 4 * quads;
        i += 1;
    }
    lanes
}

/// All bits of one place of every head.
static LANES: [[i32; 16]; PLACES] = {
    let mut lanes = [[0; 16]; PLACES];
    let mut i = 0;
    while i < 16 {
        lanes[i % PLACES][i] = -1;
        i += 1;
    }
    lanes
};

/// Queries, keys or values of four heads, with `Q` quads each: two or four if `EXACT`.
#[derive(Clone, Copy)]
pub(super) struct Quads<'a, const Q: usize, const EXACT: bool> {
    /// All of them, if `EXACT`.
    register: __m512i,
    /// What is the first quad of every lane, if `EXACT`.
    first: __m512i,
    memory: &'a [[i8; 4]],
    quads: usize,
}

impl<'a, const Q: usize, const EXACT: bool> Quads<'a, Q, EXACT> {
    /// Of heads with `quads` quads each.
    #[inline]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    pub(super) fn new(part: &'a [i8], quads: usize) -> Self {
        let part: &[u8] = bytemuck::must_cast_slice(part);
        let register = if !EXACT {
            _mm512_setzero_si512()
        } else if Q == 2 {
            load_half(part.first_chunk().unwrap_or(&[0; 32]))
        } else {
            load_whole(part.first_chunk().unwrap_or(&[0; 64]))
        };
        Self {
            register,
            first: load_i32(&SPREAD[usize::from(Q == 4)]),
            memory: bytemuck::must_cast_slice(part.as_chunks::<4>().0),
            quads,
        }
    }

    /// Quad `quad` of head `h` in the four lanes of that head.
    #[inline]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    pub(super) fn spread(self, quad: usize) -> __m512i {
        if EXACT {
            let index = _mm512_add_epi32(self.first, _mm512_set1_epi32(quad as i32));
            return _mm512_permutexvar_epi32(index, self.register);
        }
        let mut all = _mm512_setzero_si512();
        for head in 0..HEADS {
            let quad = self.memory.get(head * self.quads + quad);
            let quad = quad.copied().unwrap_or_default();
            let quad = i32::from_le_bytes(bytemuck::must_cast(quad));
            all = _mm512_mask_set1_epi32(all, 0xf << (4 * head), quad);
        }
        all
    }
}

/// `new` where `mask` has bits, else `old`. Not by a mask register: that would become a masked store.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn blend(mask: __m512i, new: __m512i, old: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0b11_00_10_10>(mask, new, old)
}

/// Puts the keys of four heads into their place.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn insert_keys<const Q: usize, const EXACT: bool>(
    keys: &mut [Line],
    place: Place,
    quads: usize,
    key: Quads<'_, Q, EXACT>,
) {
    let first = (place.index / PLACES).wrapping_mul(quads);
    let mask = load_i32(&LANES[place.index % PLACES]);
    let lines = keys.get_mut(first..first.wrapping_add(quads));
    for (quad, line) in lines.unwrap_or_default().iter_mut().enumerate() {
        let new = _mm512_xor_si512(key.spread(quad), _mm512_set1_epi8(-128));
        store(line, blend(mask, new, load(line)));
    }
}

/// Puts the values of four heads into their place.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn insert_values<const Q: usize, const EXACT: bool>(
    values: &mut [Line],
    place: Place,
    quads: usize,
    value: Quads<'_, Q, EXACT>,
) {
    let first = (place.index / PLACES).wrapping_mul(quads);
    let mask = _mm512_set1_epi32(0xff << (8 * (place.index % PLACES)));
    // Every channel's byte in all four places.
    let bytes = _mm512_set_epi32(
        0x0303_0303,
        0x0202_0202,
        0x0101_0101,
        0,
        0x0303_0303,
        0x0202_0202,
        0x0101_0101,
        0,
        0x0303_0303,
        0x0202_0202,
        0x0101_0101,
        0,
        0x0303_0303,
        0x0202_0202,
        0x0101_0101,
        0,
    );
    // A head's quad lies in all its lanes: the byte of a channel is the same in each of them.
    let lines = values.get_mut(first..first.wrapping_add(quads));
    for (quad, line) in lines.unwrap_or_default().iter_mut().enumerate() {
        let new = _mm512_shuffle_epi8(value.spread(quad), bytes);
        store(line, blend(mask, new, load(line)));
    }
}
