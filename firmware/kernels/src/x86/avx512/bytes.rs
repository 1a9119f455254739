//! The int8 results of a map, stored.

use core::arch::x86_64::*;

use super::map::ROWS;
use super::numbers::{store_bytes, store_half, store_whole};

/// Where the int8 results of a map go: a group by a single store, so that a load of all of it is served
/// from there.
pub(super) struct Bytes<'a> {
    pub(super) out: &'a mut [i8],
    pub(super) low: i8,
    /// What the bits change by.
    pub(super) flip: i8,
}

impl Bytes<'_> {
    #[inline]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    pub(super) fn store(&mut self, blocks: &[__m512i]) {
        let out = core::mem::take(&mut self.out);
        let Some((now, rest)) = out.split_at_mut_checked(ROWS * blocks.len()) else {
            return;
        };
        self.out = rest;
        let (low, flip) = (_mm512_set1_epi8(self.low), _mm512_set1_epi8(self.flip));
        let finish = |x| _mm512_xor_si512(_mm512_max_epi8(x, low), flip);
        match *blocks {
            [a, b, c, d] => {
                if let Some(now) = now.first_chunk_mut() {
                    store_whole(now, finish(four_to_bytes(a, b, c, d)));
                }
            }
            [a, b] => {
                if let Some(now) = now.first_chunk_mut() {
                    store_half(
                        now,
                        _mm512_castsi512_si256(finish(four_to_bytes(a, b, a, b))),
                    );
                }
            }
            _ => {
                let places = now.as_chunks_mut::<ROWS>().0.iter_mut();
                for (place, &x) in places.zip(blocks) {
                    let x = _mm512_castsi128_si512(_mm512_cvtsepi32_epi8(x));
                    store_bytes(place, _mm512_castsi512_si128(finish(x)));
                }
            }
        }
    }
}

/// Four blocks, limited to int8, one after the other.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn four_to_bytes(a: __m512i, b: __m512i, c: __m512i, d: __m512i) -> __m512i {
    let bytes = _mm512_packs_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
    let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    _mm512_permutexvar_epi32(order, bytes)
}
