//! The hyperbolic tangent of the head, eight at a time.
//!
//! `127 tanh(x / 4096) = 127 - 254 / (2^u + 1)` with `u = |x| * 2 log2(e) / 4096`, in f32. That is not
//! exact, but near enough: a test compares every argument with [`crate::tanh_q12`].

use core::arch::x86_64::*;

use crate::tanh::approximation::{LIMIT, POWER_OF_TWO, SCALE};

/// Digits of an f32 below its exponent.
const MANTISSA_BITS: i32 = 23;

/// [`crate::tanh_q12`] of eight preactivations, as i32.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn tanh(x: __m256i) -> __m256i {
    // As unsigned numbers: the magnitude of i32::MIN is above the limit, too.
    let magnitude = _mm256_min_epu32(_mm256_abs_epi32(x), _mm256_set1_epi32(LIMIT.cast_signed()));
    let u = _mm256_mul_ps(_mm256_cvtepi32_ps(magnitude), _mm256_set1_ps(SCALE));
    let whole = _mm256_cvtps_epi32(u);
    let f = _mm256_sub_ps(u, _mm256_cvtepi32_ps(whole));
    let [highest, lower @ ..] = POWER_OF_TWO;
    let mut power = _mm256_set1_ps(highest);
    for c in lower {
        power = _mm256_fmadd_ps(power, f, _mm256_set1_ps(c));
    }
    // Times 2^whole, at most 2^10: the exponent is added to, without carry into the sign.
    let exponent = _mm256_slli_epi32::<MANTISSA_BITS>(whole);
    let exponential = _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(power), exponent));
    let quotient = _mm256_div_ps(
        _mm256_set1_ps(254.0),
        _mm256_add_ps(exponential, _mm256_set1_ps(1.0)),
    );
    // The quotient is rounded alone: where it is small it has more digits than the difference.
    let rounded = _mm256_sub_epi32(_mm256_set1_epi32(127), _mm256_cvtps_epi32(quotient));
    // Nothing where x is 0, and there it is nothing already.
    _mm256_sign_epi32(rounded, x)
}
