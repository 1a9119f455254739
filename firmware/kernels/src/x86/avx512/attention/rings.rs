//! A token's key and values on their way into the rings.
//!
//! Whole lines are read and written: a masked store could not be read again before it is done.

use core::arch::x86_64::*;

use super::super::numbers::{load, load_bytes, load_i32, store};
use super::{ANY, BLOCK};
use crate::Line;

/// All bits of one lane: sixteen from `15 - lane` on.
static LANE: [i32; 31] = {
    let mut lanes = [0; 31];
    lanes[15] = -1;
    lanes
};

/// `new` where `mask` has bits, else `old`.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn blend(mask: __m512i, new: __m512i, old: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0b11_00_10_10>(mask, new, old)
}

/// Puts a key into its place.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn insert_key<const Q: usize>(keys: &mut [Line], index: usize, key: &[[i8; 4]]) {
    let Some(mask) = LANE
        .get(15 - index % BLOCK..)
        .and_then(<[i32]>::first_chunk)
    else {
        return;
    };
    let mask = load_i32(mask);
    let quads = if Q == ANY { key.len() } else { Q };
    let first = (index / BLOCK).wrapping_mul(quads);
    let lines = keys.get_mut(first..first + quads).unwrap_or_default();
    for (line, &quad) in lines.iter_mut().zip(key) {
        let quad = i32::from_le_bytes(bytemuck::must_cast(quad)) ^ 0x8080_8080_u32.cast_signed();
        let new = blend(mask, _mm512_set1_epi32(quad), load(line));
        store(line, new);
    }
}

/// Puts values into their place: `PLACES` of one channel lie side by side.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn insert_value<const PLACES: usize>(values: &mut [Line], index: usize, value: &[i8]) {
    let Some(line) = values.get_mut(index / PLACES) else {
        return;
    };
    let mut padded = [0; 16];
    let value: &[i8; 16] = match value.first_chunk() {
        Some(whole) => whole,
        None => {
            for (place, &value) in padded.iter_mut().zip(value) {
                *place = value;
            }
            &padded
        }
    };
    let value = load_bytes(bytemuck::must_cast_ref(value));
    let place = index % PLACES;
    let count = _mm_cvtsi32_si128(8 * place as i32);
    let (spread, mask) = if PLACES == 8 {
        (
            _mm512_sll_epi64(_mm512_cvtepu8_epi64(value), count),
            _mm512_sll_epi64(_mm512_set1_epi64(0xff), count),
        )
    } else {
        (
            _mm512_sll_epi32(_mm512_cvtepu8_epi32(value), count),
            _mm512_sll_epi32(_mm512_set1_epi32(0xff), count),
        )
    };
    let new = blend(mask, spread, load(line));
    store(line, new);
}
