//! From weighted sums of the values to the input of the next map: [`Reciprocal`] and a factor.

use core::arch::x86_64::*;
use core::num::NonZeroU32;

use super::super::memory::store_i8;
use super::super::packed::ROWS;
use super::super::requant::{Single, shift_signed, to_i8};
use crate::{Reciprocal, Requant};

/// Largest magnitude of a mean in Q16.
const MEAN_MAX: u64 = 127 << 16;

/// [`Reciprocal`] in registers.
#[derive(Clone, Copy)]
pub(in super::super) struct Context {
    factor: __m256i,
    half: __m256i,
    shift: __m256i,
}

impl Context {
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(in super::super) fn new(total: NonZeroU32) -> Self {
        let Reciprocal { factor, shift } = Reciprocal::new(total);
        Self {
            factor: _mm256_set1_epi64x(i64::from(factor)),
            half: _mm256_set1_epi64x(1_i64.wrapping_shl(shift.wrapping_sub(1))),
            shift: _mm256_set1_epi64x(i64::from(shift)),
        }
    }

    /// [`Reciprocal::context_q16`] of sums of at most 127 times the total.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(in super::super) fn of(self, acc: __m256i) -> __m256i {
        let even = self.four(acc);
        let odd = self.four(_mm256_srli_epi64::<32>(acc));
        _mm256_blend_epi32::<0b1010_1010>(even, _mm256_slli_epi64::<32>(odd))
    }

    /// The means of the sums of even numbers, as i64.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn four(self, acc: __m256i) -> __m256i {
        // The factor may need 32 bits: a signed product would take it for negative.
        let product = _mm256_mul_epu32(_mm256_abs_epi32(acc), self.factor);
        let negative = _mm256_srai_epi32::<31>(_mm256_shuffle_epi32::<0b10_10_00_00>(acc));
        let product = _mm256_sub_epi64(_mm256_xor_si256(product, negative), negative);
        shift_signed(_mm256_add_epi64(product, self.half), self.shift)
    }
}

/// From means to the input of a map.
#[derive(Clone, Copy)]
pub(super) struct Output(Single);

impl Output {
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn new(factor: Requant) -> Self {
        Self(Single::new(factor, MEAN_MAX))
    }

    /// Stores the results of up to eight channels.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn store(self, context: __m256i, out: &mut [i8]) {
        let bytes = to_i8(self.0.apply(context), -127);
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
}
