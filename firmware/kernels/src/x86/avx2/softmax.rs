//! Softmax weights, eight at a time.

use core::arch::x86_64::*;

use crate::LOGIT_FRACTION_BITS;
use crate::softmax::EXP2_NEG;

const LENGTH: usize = 1 << LOGIT_FRACTION_BITS;

/// [`EXP2_NEG`], twice each: what a shift halves again, with halves up.
static DOUBLED: [i32; LENGTH] = {
    let mut table = [0; LENGTH];
    let mut i = 0;
    while i < LENGTH {
        table[i] = 2 * EXP2_NEG[i] as i32;
        i += 1;
    }
    table
};

/// [`crate::exp2_neg_q10`] of eight u32, as i32.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn probabilities(d: __m256i) -> __m256i {
    let index = _mm256_and_si256(d, _mm256_set1_epi32(LENGTH as i32 - 1));
    // SAFETY: every index is below the length of the table.
    let double = unsafe { _mm256_i32gather_epi32::<4>(DOUBLED.as_ptr(), index) };
    // What is shifted out in between cannot change the rounding. A shift of 32 and more gives 0.
    let shifted = _mm256_srlv_epi32(double, _mm256_srli_epi32::<10>(d));
    _mm256_srli_epi32::<1>(_mm256_add_epi32(shifted, _mm256_set1_epi32(1)))
}
