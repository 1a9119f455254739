//! From weighted sums of the values to the input of the next map.

use core::arch::aarch64::*;

use super::super::dot::SIDE;
use super::super::memory::store as store_tile;
use super::super::requant::{Single, to_i8};
use crate::Reciprocal;

/// [`Reciprocal`] for vectors.
#[derive(Clone, Copy)]
pub(in crate::aarch64) struct Reciprocals {
    /// As signed numbers.
    factor: int32x4_t,
    /// All bits where that is negative: the product then lacks 2^32 times the sum.
    top: int32x4_t,
    /// By how much a sum is scaled up, so that every shift is 39.
    up: int32x4_t,
}

impl Reciprocals {
    /// Of a total below 2^24.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(in crate::aarch64) fn new(reciprocal: Reciprocal) -> Self {
        let factor = vdupq_n_s32(reciprocal.factor.cast_signed());
        Self {
            factor,
            top: vshrq_n_s32::<31>(factor),
            up: vdupq_n_s32(39_u32.wrapping_sub(reciprocal.shift).cast_signed()),
        }
    }

    /// [`Reciprocal::context_q16`] of sums of at most 127 times the total.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(in crate::aarch64) fn context(self, acc: int32x4_t) -> int32x4_t {
        let acc = vshlq_s32(acc, self.up);
        let lacking = vandq_s32(acc, self.top);
        let high = vsraq_n_s32::<1>(lacking, vqdmulhq_s32(acc, self.factor));
        vrshrq_n_s32::<7>(high)
    }
}

/// The means of a head, from its sums.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn store<const Q: usize>(
    acc: [int32x4_t; Q],
    reciprocals: Reciprocals,
    output: Single,
    out: &mut [[i8; SIDE]; Q],
) {
    let results = output.apply(acc.map(|acc| reciprocals.context(acc)));
    for (results, out) in results.chunks(4).zip(out.chunks_mut(4)) {
        let mut sixteen = [vdupq_n_s32(0); 4];
        for (position, &result) in sixteen.iter_mut().zip(results) {
            *position = result;
        }
        let mut bytes = [[0; SIDE]; 4];
        store_tile(bytemuck::must_cast_mut(&mut bytes), to_i8(sixteen, -127));
        for (out, quad) in out.iter_mut().zip(bytes) {
            *out = quad;
        }
    }
}
