//! From weighted sums of the values to the input of the next map: [`Reciprocal`] and a factor.

use core::arch::x86_64::*;
use core::num::NonZeroU32;

use super::super::memory::store_i8;
use super::super::packed::ROWS;
use super::super::requant::{Single, to_i8, upper_halves};
use crate::Reciprocal;

/// [`Reciprocal`] in registers.
#[derive(Clone, Copy)]
pub(in super::super) struct Reciprocals {
    factor: __m256i,
    /// All bits where a signed product takes the factor for negative: it then lacks 2^32 times the sum.
    top: __m256i,
    /// By how much a sum is scaled up, so that every shift is 39.
    up: __m128i,
}

impl Reciprocals {
    /// Of a total below 2^24.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(in super::super) fn new(total: NonZeroU32) -> Self {
        let Reciprocal { factor, shift } = Reciprocal::new(total);
        let factor = _mm256_set1_epi32(factor.cast_signed());
        Self {
            factor,
            top: _mm256_srai_epi32::<31>(factor),
            up: _mm_cvtsi32_si128(39_u32.wrapping_sub(shift).cast_signed()),
        }
    }

    /// [`Reciprocal::context_q16`] of sums of at most 127 times the total.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(in super::super) fn context(self, acc: __m256i) -> __m256i {
        let acc = _mm256_sll_epi32(acc, self.up);
        let even = _mm256_mul_epi32(acc, self.factor);
        let odd = _mm256_mul_epi32(_mm256_srli_epi64::<32>(acc), self.factor);
        let lacking = _mm256_and_si256(acc, self.top);
        let high = _mm256_add_epi32(upper_halves(even, odd), lacking);
        _mm256_srai_epi32::<7>(_mm256_add_epi32(high, _mm256_set1_epi32(1 << 6)))
    }
}

/// Stores means as the input of a map, of up to eight channels.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn store(context: __m256i, output: Single, out: &mut [i8]) {
    let bytes = to_i8(output.apply(context), -127);
    match out.first_chunk_mut::<ROWS>() {
        Some(out) => store_i8(out, bytes),
        None => {
            let mut whole = [0; ROWS];
            store_i8(&mut whole, bytes);
            for (out, value) in out.iter_mut().zip(whole) {
                *out = value;
            }
        }
    }
}
