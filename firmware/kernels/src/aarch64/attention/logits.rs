//! Products of a query with the keys of a window, as logits.

use core::arch::aarch64::*;

use super::super::dot::{Dot, SIDE, Tile, dot};
use super::super::memory::{load, load_i32};
use super::super::requant::Factors;
use super::sdot;
use crate::MASKED_LOGIT;

/// Products of a query, sixteen channels to a register, with four positions.
#[inline]
#[target_feature(enable = "neon")]
fn products<D: Dot, const Q: usize>(
    token: D,
    query: [int8x16_t; 2],
    tiles: &[Tile; Q],
) -> int32x4_t {
    let mut acc = vdupq_n_s32(0);
    for (quad, tile) in tiles.iter().enumerate() {
        let (tile, query) = (load(tile), query[quad / 4 % 2]);
        acc = match quad % 4 {
            0 => dot::<D, 0>(token, acc, tile, query),
            1 => dot::<D, 1>(token, acc, tile, query),
            2 => dot::<D, 2>(token, acc, tile, query),
            _ => dot::<D, 3>(token, acc, tile, query),
        };
    }
    acc
}

/// Logits of all positions, [`MASKED_LOGIT`] where there is no memory; returns the largest, in all lanes.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn of_positions<D: Dot, const Q: usize>(
    token: D,
    logits: &mut [[int32x4_t; 2]],
    keys: &[[Tile; Q]],
    query: &[[i8; SIDE]; Q],
    (factors, biases, limits): (Factors, &[i32], &[[int32x4_t; 2]]),
) -> int32x4_t {
    let mut sixteens = [[[0; SIDE]; 4]; 2];
    for (position, &quad) in sixteens.as_flattened_mut().iter_mut().zip(query) {
        *position = quad;
    }
    let query = sixteens.map(|sixteen| load(bytemuck::must_cast_ref(&sixteen)));
    let least = vdupq_n_s32(MASKED_LOGIT);
    let constants = [factors.multiplier, factors.count];
    let max = if D::SDOT && sdot::has_loops(Q) {
        // SAFETY: the token proves that SDOT may be used.
        unsafe { sdot::logits(logits, keys, query[0], constants, (biases, limits), least) }
    } else {
        None
    };
    let mut max = match max {
        Some([a, b]) => return across(a, b),
        None => [least; 2],
    };
    let (biases, _) = biases.as_chunks::<SIDE>();
    let positions = biases.as_chunks::<2>().0.iter().zip(limits);
    let positions = keys.as_chunks::<2>().0.iter().zip(positions);
    for (logits, (keys, (biases, limits))) in logits.iter_mut().zip(positions) {
        for i in 0..2 {
            let product = factors.apply::<true>(products(token, query, &keys[i]));
            let biased = vaddq_s32(product, load_i32(&biases[i]));
            logits[i] = vminq_s32(biased, limits[i]);
            max[i] = vmaxq_s32(max[i], logits[i]);
        }
    }
    across(max[0], max[1])
}

/// The largest of eight lanes, in all of them.
#[inline]
#[target_feature(enable = "neon")]
fn across(a: int32x4_t, b: int32x4_t) -> int32x4_t {
    vdupq_n_s32(vmaxvq_s32(vmaxq_s32(a, b)))
}
