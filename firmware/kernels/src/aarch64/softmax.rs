//! Softmax weights, eight at a time.

use core::arch::aarch64::*;

/// `2^(g/1024) * 32767 * 2^16 * 2^(-1023/1024) + 2^15` for `0 <= g < 1024`, as a polynomial in `g/1024`
/// whose products are rounded: near enough that the upper 16 bits are those of the reference's table. A test
/// compares every argument.
const COEFFICIENTS: [i32; 6] = [
    1_074_468_859,
    744_750_351,
    258_016_807,
    60_015_801,
    9_619_205,
    2_033_841,
];

/// The lower coefficients as [`super::attention`] loads them: each for eight lanes, that of the highest power first.
pub(super) static STEPS: [[i32; 4]; 10] = {
    let mut steps = [[0; 4]; 10];
    let mut i = 0;
    while i < 10 {
        steps[i] = [COEFFICIENTS[4 - i / 2]; 4];
        i += 1;
    }
    steps
};
/// The coefficient of the highest power.
pub(super) const FIRST: i32 = COEFFICIENTS[5];

/// By how much a logit lies above the largest for which `2^0` would come out: 1023 of 1024 parts and one exponent.
const RAISE: i32 = 1 - 1024;

/// Weights below one largest logit.
#[derive(Clone, Copy)]
pub(super) struct Exponential {
    /// `max +` [`RAISE`].
    pub(super) top: int32x4_t,
}

impl Exponential {
    /// Below `max`, the same in all lanes, a logit of at most `2^30` in magnitude.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(super) fn below(max: int32x4_t) -> Self {
        Self {
            top: vaddq_s32(max, vdupq_n_s32(RAISE)),
        }
    }

    /// [`crate::exp2_neg_q10`] of how far eight logits lie below the largest.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(super) fn probabilities(self, logits: [int32x4_t; 2]) -> int16x8_t {
        // With d = max - logit = 1024 n + f it is -1024 n + 1023 - f.
        let t = logits.map(|logits| vqsubq_s32(logits, self.top));
        // What is limited has an exponent of -32: its weight is 0.
        let limited = vqmovn_high_s32(vqmovn_s32(t[0]), t[1]);
        let exponent = vshrq_n_s16::<10>(limited);
        let [a, b] = t.map(|t| {
            let fraction = vreinterpretq_u32_s32(vshlq_n_s32::<22>(t));
            let y = vreinterpretq_s32_u32(vshrq_n_u32::<1>(fraction));
            let [lower @ .., first] = COEFFICIENTS;
            let mut power = vdupq_n_s32(first);
            for coefficient in lower.into_iter().rev() {
                power = vaddq_s32(vqrdmulhq_s32(power, y), vdupq_n_s32(coefficient));
            }
            vreinterpretq_s16_s32(power)
        });
        // The table's entries, then halves up.
        vrshlq_s16(vuzp2q_s16(a, b), exponent)
    }
}
