//! Softmax weights of a head, and sums of its values by them.
//!
//! A weight `w` of 15 bits becomes two signed bytes of `-w = 256 high + low`: it is the negative that always
//! has two. A register holds the low bytes of eight positions before their high bytes.

use core::arch::aarch64::*;
use core::num::NonZeroU32;

use super::super::dot::{Dot, Tile, dot};
use super::super::memory::load;
use super::super::softmax::{Exponential, FIRST};
use super::sdot;

/// The weights of all positions as bytes; returns their sum.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn weigh(
    logits: &[[int32x4_t; 2]],
    max: int32x4_t,
    probabilities: &mut [int8x16_t],
) -> NonZeroU32 {
    let exponential = Exponential::below(max);
    let mut total = vdupq_n_s32(0);
    for (bytes, &logits) in probabilities.iter_mut().zip(logits) {
        let words = exponential.probabilities(logits);
        total = vpadalq_s16(total, words);
        let negative = vnegq_s16(words);
        *bytes = vrshrn_high_n_s16::<8>(vmovn_s16(negative), negative);
    }
    across(total)
}

/// What [`weigh`] made bytes of.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn weights_of(bytes: int8x16_t) -> int16x8_t {
    let high = vshlq_n_s16::<8>(vmovl_high_s8(bytes));
    vnegq_s16(vaddq_s16(high, vmovl_s8(vget_low_s8(bytes))))
}

/// Sums of the values of a head, whose positions are `[position / 4][channel / 4]`, by the weights of logits below `max`;
/// and the sum of the weights. `probabilities` is room for them.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn acc<D: Dot, const Q: usize>(
    token: D,
    logits: &[[int32x4_t; 2]],
    max: int32x4_t,
    probabilities: &mut [int8x16_t],
    values: &[[Tile; Q]],
) -> ([int32x4_t; Q], NonZeroU32) {
    let constants = [
        Exponential::below(max).top,
        vdupq_n_s32(FIRST),
        vdupq_n_s32(0),
    ];
    let done = if D::SDOT && sdot::has_loops(Q) {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { sdot::sums(logits, values, constants) }
    } else {
        None
    };
    if let Some(([low, high], total)) = done {
        return (together(|i| (low[i % 4], high[i % 4])), across(total));
    }
    let total = weigh(logits, max, probabilities);
    (by_weights(token, probabilities, values), total)
}

/// Sums of four lanes.
#[inline]
#[target_feature(enable = "neon")]
fn across(total: int32x4_t) -> NonZeroU32 {
    NonZeroU32::new(vaddvq_s32(total).cast_unsigned()).unwrap_or(NonZeroU32::MIN)
}

/// Sums of low and of high bytes of negative weights as sums of weights.
#[inline]
#[target_feature(enable = "neon")]
fn together<const Q: usize>(bytes: impl Fn(usize) -> (int32x4_t, int32x4_t)) -> [int32x4_t; Q] {
    core::array::from_fn(|i| {
        let (low, high) = bytes(i);
        vnegq_s32(vaddq_s32(low, vshlq_n_s32::<8>(high)))
    })
}

/// Sums of the values of a head by the bytes of their weights.
#[inline]
#[target_feature(enable = "neon")]
fn by_weights<D: Dot, const Q: usize>(
    token: D,
    probabilities: &[int8x16_t],
    values: &[[Tile; Q]],
) -> [int32x4_t; Q] {
    let mut low = [vdupq_n_s32(0); Q];
    let mut high = low;
    let (pairs, _) = values.as_chunks::<2>();
    for (&probabilities, [first, second]) in probabilities.iter().zip(pairs) {
        for (i, tile) in first.iter().enumerate() {
            let tile = load(tile);
            low[i] = dot::<D, 0>(token, low[i], tile, probabilities);
            high[i] = dot::<D, 2>(token, high[i], tile, probabilities);
        }
        for (i, tile) in second.iter().enumerate() {
            let tile = load(tile);
            low[i] = dot::<D, 1>(token, low[i], tile, probabilities);
            high[i] = dot::<D, 3>(token, high[i], tile, probabilities);
        }
    }
    together(|i| (low[i], high[i]))
}
