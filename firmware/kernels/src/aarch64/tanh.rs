//! The hyperbolic tangent of the head, four at a time.
//!
//! `127 tanh(x / 4096) = 127 - 254 / (2^u + 1)` with `u = |x| * 2 log2(e) / 4096`, in f32. That is not
//! exact, but near enough: a test compares every argument with [`crate::tanh_q12`].

use core::arch::aarch64::*;

use crate::tanh::approximation::{LIMIT, POWER_OF_TWO, SCALE};

/// [`crate::tanh_q12`] of four preactivations, as i32.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn tanh(x: int32x4_t) -> int32x4_t {
    // As unsigned numbers: the magnitude of i32::MIN is above the limit, too.
    let magnitude = vminq_u32(vreinterpretq_u32_s32(vabsq_s32(x)), vdupq_n_u32(LIMIT));
    let u = vmulq_f32(vcvtq_f32_u32(magnitude), vdupq_n_f32(SCALE));
    let whole = vrndnq_f32(u);
    let f = vsubq_f32(u, whole);
    let [highest, lower @ ..] = POWER_OF_TWO;
    let mut power = vdupq_n_f32(highest);
    for c in lower {
        power = vfmaq_f32(vdupq_n_f32(c), power, f);
    }
    // The exponent is at most 9: no overflow.
    let exponent = vshlq_n_s32::<23>(vcvtq_s32_f32(whole));
    let power = vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(power), exponent));
    let quotient = vdivq_f32(vdupq_n_f32(254.0), vaddq_f32(power, vdupq_n_f32(1.0)));
    // The quotient is rounded alone: where it is small it has more digits than the difference.
    let rounded = vsubq_s32(vdupq_n_s32(127), vcvtnq_s32_f32(quotient));
    vbslq_s32(vcltzq_s32(x), vnegq_s32(rounded), rounded)
}
