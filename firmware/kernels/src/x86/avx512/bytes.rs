//! The int8 results of a map, stored.

use core::arch::x86_64::*;

use super::packed::ROWS;
use super::requant::{store_bytes, store_half, store_whole};

/// Where the int8 results of a map go: a group by a single store, so that a load of all of it is served
/// from there.
///
/// Everything is computed 128 too high, as the input of a map: so the halves are rounded, the bytes limited
/// and the sign taken off at once.
pub(super) struct Bytes<'a> {
    pub(super) out: &'a mut [i8],
    /// The least result, 128 too high.
    pub(super) least: u8,
    /// What the bits change by at the end.
    pub(super) flip: i8,
}

impl Bytes<'_> {
    /// The numbers of a group of [`super::product::product`], doubled.
    #[inline]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    pub(super) fn store(&mut self, blocks: &[__m512i]) {
        let out = core::mem::take(&mut self.out);
        let Some((now, rest)) = out.split_at_mut_checked(ROWS * blocks.len()) else {
            return;
        };
        self.out = rest;
        let zero = _mm512_setzero_si512();
        match *blocks {
            [a, b, c, d] => {
                if let Some(now) = now.first_chunk_mut() {
                    let bytes = _mm512_packus_epi16(rounded(a, b), rounded(c, d));
                    // Eight of the first pair alternate with eight of the second.
                    let order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
                    let bytes = _mm512_permutexvar_epi64(order, bytes);
                    store_whole(now, self.finish(bytes));
                }
            }
            [a, b] => {
                if let Some(now) = now.first_chunk_mut() {
                    let words = _mm512_max_epi16(rounded(a, b), zero);
                    let bytes = _mm512_castsi256_si512(_mm512_cvtusepi16_epi8(words));
                    store_half(now, _mm512_castsi512_si256(self.finish(bytes)));
                }
            }
            [a] => {
                if let Some(now) = now.first_chunk_mut() {
                    let words = _mm512_max_epi16(rounded(a, a), zero);
                    let bytes = _mm512_castsi256_si512(_mm512_cvtusepi16_epi8(words));
                    // A register packed with itself holds every four lanes twice.
                    let order = _mm512_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6, 0, 2, 4, 6, 0, 2, 4, 6);
                    let bytes = self.finish(_mm512_permutexvar_epi32(order, bytes));
                    store_bytes(now, _mm512_castsi512_si128(bytes));
                }
            }
            _ => {}
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    fn finish(&self, bytes: __m512i) -> __m512i {
        let bytes = _mm512_max_epu8(bytes, _mm512_set1_epi8(self.least.cast_signed()));
        _mm512_xor_si512(bytes, _mm512_set1_epi8(self.flip))
    }
}

/// Half of two blocks, halves up, plus 128, as i16 in order.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn rounded(a: __m512i, b: __m512i) -> __m512i {
    let double = _mm512_adds_epi16(_mm512_packs_epi32(a, b), _mm512_set1_epi16(257));
    _mm512_srai_epi16::<1>(double)
}
