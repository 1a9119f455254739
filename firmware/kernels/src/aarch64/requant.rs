//! Numbers in registers: fixed-point factors, limits, sums.

use core::arch::aarch64::*;

use super::memory::load_i32;
use crate::{CacheLine, Requant};

/// From this shift on, the upper half of a product is enough.
pub(super) const HIGH_SHIFT: u8 = 32;

/// Sixteen numbers.
pub(super) type Sixteen = [int32x4_t; 4];

/// Multipliers and shifts of four numbers.
#[derive(Clone, Copy)]
pub(super) struct Factors {
    pub(super) multiplier: int32x4_t,
    /// 31 minus the shift.
    pub(super) count: int32x4_t,
}

impl Factors {
    /// Four times the same.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(super) fn splat(factor: Requant) -> Self {
        Self {
            multiplier: vdupq_n_s32(factor.multiplier),
            count: vdupq_n_s32(31 - i32::from(factor.shift)),
        }
    }

    /// Sixteen of a map's lines.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(super) fn load(multipliers: &CacheLine, counts: &CacheLine) -> [Self; 4] {
        let (multipliers, counts) = (numbers(multipliers), numbers(counts));
        core::array::from_fn(|i| Self {
            multiplier: multipliers[i],
            count: counts[i],
        })
    }

    /// [`Requant::to_i32`] of four accumulators. `HIGH`: all shifts are at least [`HIGH_SHIFT`].
    #[inline]
    #[target_feature(enable = "neon")]
    pub(super) fn apply<const HIGH: bool>(self, x: int32x4_t) -> int32x4_t {
        if HIGH {
            // 2^(shift-1) is a multiple of 2^31: what lies below decides nothing.
            return vrshlq_s32(vqdmulhq_s32(x, self.multiplier), self.count);
        }
        let count = vsubq_s32(self.count, vdupq_n_s32(31));
        let low = vmull_s32(vget_low_s32(x), vget_low_s32(self.multiplier));
        let high = vmull_high_s32(x, self.multiplier);
        let low = vrshlq_s64(low, vmovl_s32(vget_low_s32(count)));
        let high = vrshlq_s64(high, vmovl_high_s32(count));
        vqmovn_high_s64(vqmovn_s64(low), high)
    }
}

/// One factor for all numbers.
#[derive(Clone, Copy)]
pub(super) struct Single {
    pub(super) factors: Factors,
    pub(super) high: bool,
}

impl Single {
    #[inline]
    #[target_feature(enable = "neon")]
    pub(super) fn new(factor: Requant) -> Self {
        Self {
            factors: Factors::splat(factor),
            high: factor.shift >= HIGH_SHIFT,
        }
    }

    /// [`Requant::to_i32`].
    #[inline]
    #[target_feature(enable = "neon")]
    pub(super) fn apply<const N: usize>(self, x: [int32x4_t; N]) -> [int32x4_t; N] {
        if self.high {
            x.map(|x| self.factors.apply::<true>(x))
        } else {
            x.map(|x| self.factors.apply::<false>(x))
        }
    }
}

/// A line's i32.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn numbers(line: &CacheLine) -> Sixteen {
    let numbers: &[[i32; 4]; 4] = bytemuck::must_cast_ref(line);
    numbers.each_ref().map(|four| load_i32(four))
}

/// Limits numbers to `low..=127`.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn to_i8([a, b, c, d]: Sixteen, low: i8) -> int8x16_t {
    let first = vqmovn_high_s32(vqmovn_s32(a), b);
    let second = vqmovn_high_s32(vqmovn_s32(c), d);
    let bytes = vqmovn_high_s16(vqmovn_s16(first), second);
    vmaxq_s8(bytes, vdupq_n_s8(low))
}

/// Limits numbers to `-32767..=32767`.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn to_i16(a: int32x4_t, b: int32x4_t) -> int16x8_t {
    above_least(vqmovn_high_s32(vqmovn_s32(a), b))
}

/// [`crate::add_saturating`] of eight i16.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn add_i16(a: int16x8_t, b: int16x8_t) -> int16x8_t {
    above_least(vqaddq_s16(a, b))
}

/// Engram's numbers are symmetric.
#[inline]
#[target_feature(enable = "neon")]
fn above_least(x: int16x8_t) -> int16x8_t {
    vmaxq_s16(x, vdupq_n_s16(-32_767))
}
