//! The hyperbolic tangent of the head, sixteen at a time.
//!
//! `127 tanh(x / 4096) = 127 - 254 / (2^u + 1)` with `u = |x| * 2 log2(e) / 4096`, in f32. That is not
//! exact, but near enough: a test compares every argument with [`crate::tanh_q12`].

use core::arch::x86_64::*;

use crate::tanh::approximation::{LIMIT, POWER_OF_TWO, SCALE};

/// [`crate::tanh_q12`] of sixteen preactivations, as i32.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn tanh(x: __m512i) -> __m512i {
    // As unsigned numbers: the magnitude of i32::MIN is above the limit, too.
    let magnitude = _mm512_min_epu32(_mm512_abs_epi32(x), _mm512_set1_epi32(LIMIT.cast_signed()));
    let u = _mm512_mul_ps(_mm512_cvtepi32_ps(magnitude), _mm512_set1_ps(SCALE));
    let whole = _mm512_roundscale_ps::<0>(u);
    let f = _mm512_sub_ps(u, whole);
    let [highest, lower @ ..] = POWER_OF_TWO;
    let mut power = _mm512_set1_ps(highest);
    for c in lower {
        power = _mm512_fmadd_ps(power, f, _mm512_set1_ps(c));
    }
    let exponential = _mm512_scalef_ps(power, whole);
    let quotient = _mm512_div_ps(
        _mm512_set1_ps(254.0),
        _mm512_add_ps(exponential, _mm512_set1_ps(1.0)),
    );
    // The quotient is rounded alone: where it is small it has more digits than the difference.
    let rounded = _mm512_sub_epi32(_mm512_set1_epi32(127), _mm512_cvtps_epi32(quotient));
    let negative = _mm512_movepi32_mask(x);
    _mm512_mask_sub_epi32(rounded, negative, _mm512_setzero_si512(), rounded)
}
