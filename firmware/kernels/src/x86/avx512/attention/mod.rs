//! Attention of one token over the window.
//!
//! Heads come in groups of four; those that are missing in the last group are computed for nothing. Keys
//! lie as `[head / 4][position / 4][channel / 4][4 heads][4 positions][4 channels]`, as `k + 128`, values as
//! `[head / 4][position / 4][channel / 4][4 heads][4 channels][4 positions]`: a line holds four of each. So a
//! group's maximum and total are those of 128 bits, and no number leaves the registers on the way.
//!
//! Shapes and biases that this does not fit are left to [`crate::Portable`].

mod context;
mod group;
mod kv_cache;
mod positions;

use super::Avx512Vnni;
use super::requant::{High, Room, Single, alone, room, store_i32};
use super::softmax::Exponential;
use crate::simd::biases::{self, AttentionLayout, WINDOW};
use crate::simd::take;
use crate::x86::prescale::{MEAN_MAX, Prescale};
use crate::{Attention, CacheLine, CachePosition, HeadHook, Requant, Shape};
use context::Output;
pub(super) use context::Reciprocals;
use group::{Common, Weights, fetch, logits};
use kv_cache::{Quads, insert_keys, insert_values};
use positions::Present;

/// The age biases of one layer.
pub(super) type Biases<'a> = biases::Biases<'a, Avx512Vnni>;

/// Heads of a group.
const HEADS: usize = 4;
/// Places of a line.
const PLACES: usize = 4;
/// Channels of the widest head.
const WIDTH: usize = 128;

/// Largest magnitude of a product of query and key. Scaled up until its upper half is enough, and down
/// again, no logit is larger than `2^29`: with a bias, none has to be limited.
const PRODUCT_MAX: u64 = 127 * 127 * WIDTH as u64;

impl AttentionLayout for Avx512Vnni {
    const WIDTH: usize = WIDTH;
    const CHANNELS: usize = 4;
    const HEADS: usize = HEADS;
    const PLACES: usize = PLACES;

    fn kv_bytes(shape: Shape) -> [usize; 2] {
        let fours = shape.window.div_ceil(PLACES);
        let lines = fours.saturating_mul(shape.width / 4);
        let lines = lines.saturating_mul(shape.heads.div_ceil(HEADS));
        [lines.saturating_mul(size_of::<CacheLine>()); 2]
    }

    fn takes(logit: Requant) -> bool {
        Prescale::of(logit.shift, PRODUCT_MAX).is_some()
    }
}

/// [`crate::Kernels::attend`].
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn run(
    mut attention: Attention<'_, Biases<'_>>,
    falling: &[i32],
    hook: Option<&mut HeadHook<'_>>,
) {
    if attention.shape.window > SHORT * PLACES {
        return long(attention, falling, hook);
    }
    in_room(&mut attention, falling, hook, &mut room::<SHORT>());
}

/// Quads of positions whose logits need no large frame on the stack.
const SHORT: usize = 16;

/// Windows that do.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn long(
    mut attention: Attention<'_, Biases<'_>>,
    falling: &[i32],
    hook: Option<&mut HeadHook<'_>>,
) {
    let mut room = room::<{ WINDOW / PLACES }>();
    in_room(&mut attention, falling, hook, &mut room);
}

/// All heads of a layer, with room for the logits of four.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn in_room(
    attention: &mut Attention<'_, Biases<'_>>,
    falling: &[i32],
    hook: Option<&mut HeadHook<'_>>,
    room: &mut Room,
) {
    // Heads of up to 32 channels have their quads in registers.
    macro_rules! by_quads {
        ($($quads:literal)+) => {
            match attention.shape.width / 4 {
                $($quads => heads::<$quads, true>(attention, falling, hook, room),)+
                _ => heads::<{ WIDTH / 4 }, false>(attention, falling, hook, room),
            }
        };
    }
    by_quads!(1 2 3 4 5 6 7 8)
}

/// All heads of a layer, each with `Q` quads of channels, or at most `Q` unless `EXACT`. See [`group::Weights`] for
/// the numbers.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn heads<const Q: usize, const EXACT: bool>(
    attention: &mut Attention<'_, Biases<'_>>,
    falling: &[i32],
    mut hook: Option<&mut HeadHook<'_>>,
    room: &mut Room,
) {
    let CachePosition { index, filled } = attention.position;
    let position = CachePosition {
        index: alone(index),
        filled: alone(filled),
    };
    let shape = Shape {
        heads: alone(attention.shape.heads),
        window: alone(attention.shape.window),
        ..attention.shape
    };
    let factor = |factor: Requant| Requant {
        multiplier: alone(factor.multiplier as usize) as i32,
        shift: factor.shift,
    };
    let (Some(logit), Some(start)) = (
        High::new(factor(attention.logit), PRODUCT_MAX),
        shape.window.checked_sub(position.index.saturating_add(1)),
    ) else {
        return;
    };
    // A number that the compiler knows, where it can.
    let quads = if EXACT {
        Q
    } else {
        (shape.width / 4).clamp(1, Q)
    };
    let positions = shape.window.div_ceil(PLACES);
    let (ring, width) = (positions * quads, 4 * quads);
    let common = Common {
        present: Present::new(position, shape.window),
        logit,
        exponential: Exponential::new(),
        quads,
    };
    let output = Output(Single::new(factor(attention.output), MEAN_MAX));
    let (Ok(mut keys), Ok(mut values)) = (
        bytemuck::try_cast_slice_mut::<i8, CacheLine>(&mut *attention.keys),
        bytemuck::try_cast_slice_mut::<i8, CacheLine>(&mut *attention.values),
    ) else {
        return;
    };
    // Where a step reads one linear stream, the next map lies behind the biases.
    let mut behind = falling.as_ptr_range().end.cast::<CacheLine>();
    let model = shape.heads.saturating_mul(width);
    for group in 0..shape.heads.div_ceil(HEADS) {
        let first = group * HEADS * width;
        let part = |number: usize| {
            let part = attention.qkv.get(number * model + first..);
            Quads::<Q, EXACT>::new(part.unwrap_or_default(), quads)
        };
        let (Some(keys), Some(values), Some(biases), Some(context)) = (
            take(&mut keys, ring),
            take(&mut values, ring),
            falling.get(group * Avx512Vnni::bias_lines(shape.window) * 16 + start * HEADS..),
            attention.context.get_mut(first..),
        ) else {
            return;
        };
        insert_keys(keys, position, quads, part(1));
        insert_values(values, position, quads, part(2));
        let (logits, max) = logits(&common, part(0), (keys, biases), &mut *room);
        behind = fetch(behind, group::ahead(positions, quads));
        let probabilities = Weights::new(&common, logits, max);
        let reciprocals = Reciprocals::new(probabilities.totals);
        if EXACT {
            let acc = probabilities.acc::<Q>(values, 0, quads);
            output.store(acc, reciprocals, context, (0, width));
        } else {
            let mut quad = 0;
            while quad + 4 <= quads {
                let acc = probabilities.acc::<4>(values, quad, quads);
                output.store(acc, reciprocals, context, (quad, width));
                quad += 4;
            }
            for quad in quad..quads {
                let acc = probabilities.acc::<1>(values, quad, quads);
                output.store(acc, reciprocals, context, (quad, width));
            }
        }
        if let Some(hook) = &mut hook {
            report(
                *hook,
                (shape, group),
                &probabilities,
                attention.probabilities,
            );
        }
    }
}

/// Tells the hook what the heads of a group attend to. `room`: for the weights of one.
#[cold]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn report(
    hook: &mut HeadHook<'_>,
    (shape, group): (Shape, usize),
    weights: &Weights<'_>,
    room: &mut [i16],
) {
    let of_heads = |x| {
        let mut lanes = [0; 16];
        store_i32(&mut lanes, x);
        bytemuck::must_cast::<_, [[i32; 4]; HEADS]>(lanes)
    };
    let totals = of_heads(weights.totals);
    let first = HEADS * group;
    for (head, [total, ..]) in (first..shape.heads).zip(totals) {
        for (places, &lanes) in room.chunks_mut(PLACES).zip(weights.positions) {
            for (place, &weight) in places.iter_mut().zip(&of_heads(lanes)[head % HEADS]) {
                *place = weight as i16;
            }
        }
        let probabilities = room.get(..shape.window).unwrap_or_default();
        hook(head, probabilities, total.cast_unsigned());
    }
}
