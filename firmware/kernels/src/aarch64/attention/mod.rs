//! Attention of one token over the window, one head after the other.
//!
//! Keys of a head lie as `[position / 4][channel / 4]` tiles of four positions by four channels, values as as many
//! tiles of four channels by four positions. Positions are computed in pairs of four; those behind the window are
//! masked like those that are empty.
//!
//! Heads whose width is no multiple of four or more than 32, and factors and biases that this does not fit, are left to
//! [`crate::Portable`].

mod context;
mod kv_cache;
mod logits;
mod positions;
mod sdot;
mod values;

use core::arch::aarch64::*;
use core::num::NonZeroU32;

use super::dot::{Dot, SIDE, Tile};
use super::memory::store_i16;
use super::requant::{Factors, HIGH_SHIFT, Single};
use crate::simd::biases::{AttentionLayout, Biases, WINDOW};
use crate::simd::take;
use crate::{Attention, HeadHook, MASKED_LOGIT, Reciprocal, Requant, Shape};
#[cfg(test)]
pub(super) use context::Reciprocals;
use positions::Limits;

/// Places that are computed together.
const PAIR: usize = 2 * SIDE;

impl<D: Dot> AttentionLayout for D {
    const WIDTH: usize = 32;
    const CHANNELS: usize = SIDE;
    const HEADS: usize = 1;
    const PLACES: usize = PAIR;

    fn kv_bytes(shape: Shape) -> [usize; 2] {
        let fours = shape.window.div_ceil(PAIR).saturating_mul(2);
        let tiles = fours.saturating_mul(shape.width / SIDE);
        let bytes = tiles.saturating_mul(size_of::<Tile>());
        [bytes.saturating_mul(shape.heads); 2]
    }

    /// Products of at most 2^19 give logits of at most 2^18.
    fn takes(logit: Requant) -> bool {
        logit.shift >= HIGH_SHIFT
    }
}

/// [`crate::Kernels::attend`].
#[target_feature(enable = "neon")]
pub(super) fn run<D: Dot>(
    token: D,
    attention: Attention<'_, Biases<'_, D>>,
    falling: &[i32],
    hook: Option<&mut HeadHook<'_>>,
) {
    let Shape { width, window, .. } = attention.shape;
    // Up to 64 positions have a smaller frame on the stack.
    macro_rules! by_quads {
        ($($quads:literal)+) => {
            match (width / SIDE, window <= 8 * PAIR) {
                $(($quads, true) => heads::<D, $quads, 8>(token, attention, falling, hook),
                ($quads, false) => {
                    heads::<D, $quads, { WINDOW / PAIR }>(token, attention, falling, hook);
                })+
                _ => {}
            }
        };
    }
    by_quads!(1 2 3 4 5 6 7 8);
}

/// Four channels of every head with `Q` of them.
#[inline]
fn quads<const Q: usize>(numbers: &[i8]) -> &[[[i8; SIDE]; Q]] {
    numbers.as_chunks::<SIDE>().0.as_chunks::<Q>().0
}

/// All heads of a layer, each with `Q` quads of channels and at most `P` pairs of four positions.
#[target_feature(enable = "neon")]
fn heads<D: Dot, const Q: usize, const P: usize>(
    token: D,
    attention: Attention<'_, Biases<'_, D>>,
    falling: &[i32],
    mut hook: Option<&mut HeadHook<'_>>,
) {
    let Attention {
        shape, position, ..
    } = attention;
    let pairs = shape.window.div_ceil(PAIR).min(P);
    let limits = Limits::<P>::new(position, shape.window, pairs);
    let logit = Factors::splat(attention.logit);
    let output = Single::new(attention.output);
    let mut logits = [[vdupq_n_s32(MASKED_LOGIT); 2]; P];
    let mut probabilities = [vdupq_n_s8(0); P];
    let (Some(logits), Some(probabilities), Some(limits)) = (
        logits.get_mut(..pairs),
        probabilities.get_mut(..pairs),
        limits.0.get(..pairs),
    ) else {
        return;
    };
    let model = shape.heads.saturating_mul(Q * SIDE);
    let Some((query, rest)) = attention.qkv.split_at_checked(model) else {
        return;
    };
    let Some((key, value)) = rest.split_at_checked(model) else {
        return;
    };
    let (tiles, _) = attention.keys.as_chunks_mut::<16>();
    let mut keys = tiles.as_chunks_mut::<Q>().0;
    let (tiles, _) = attention.values.as_chunks_mut::<16>();
    let mut values = tiles.as_chunks_mut::<Q>().0;
    let row = D::bias_lines(shape.window) * 16;
    let newest = shape.window.wrapping_sub(position.index.wrapping_add(1));
    let mut biases = falling.get(newest..).unwrap_or_default();
    let (context, _) = attention.context.as_chunks_mut::<SIDE>();
    let (context, _) = context.as_chunks_mut::<Q>();
    let token_of_heads = quads(query).iter().zip(quads(key)).zip(quads(value));
    for (head, (context, ((query, key), value))) in
        context.iter_mut().zip(token_of_heads).enumerate()
    {
        let (Some(keys), Some(values)) = (take(&mut keys, 2 * pairs), take(&mut values, 2 * pairs))
        else {
            return;
        };
        kv_cache::insert_key::<D, Q>(keys, position.index, key);
        kv_cache::insert_value::<D, Q>(values, position.index, value);
        let max = logits::of_positions(token, logits, keys, query, (logit, biases, limits));
        biases = biases.get(row..).unwrap_or_default();
        let (acc, total) = values::acc(token, logits, max, probabilities, values);
        let reciprocals = context::Reciprocals::new(Reciprocal::new(total));
        context::store(acc, reciprocals, output, context);
        if let Some(hook) = &mut hook {
            values::weigh(logits, max, probabilities);
            report(*hook, (head, shape), probabilities, total);
        }
    }
}

/// Tells the hook what a head attends to.
#[cold]
#[target_feature(enable = "neon")]
fn report(
    hook: &mut HeadHook<'_>,
    (head, shape): (usize, Shape),
    probabilities: &[int8x16_t],
    total: NonZeroU32,
) {
    let mut plain = [[0; PAIR]; WINDOW / PAIR];
    for (plain, &bytes) in plain.iter_mut().zip(probabilities) {
        store_i16(plain, values::weights_of(bytes));
    }
    let probabilities = plain.as_flattened().get(..shape.window).unwrap_or_default();
    hook(head, probabilities, total.get());
}
