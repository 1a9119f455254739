//! Attention weights for whoever looks on.

use super::super::requant::store_i32;
use super::group::Weights;
use super::{HEADS, WINDOW};
use crate::{HeadHook, Shape};

/// What the heads of a group attend to.
#[cold]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn group(
    hook: &mut HeadHook<'_>,
    shape: Shape,
    group: usize,
    probabilities: &Weights<'_>,
) {
    let mut totals = [0; 16];
    store_i32(&mut totals, probabilities.totals);
    let mut plain = [[0; WINDOW]; HEADS];
    for (quad, &probabilities) in probabilities.positions.iter().enumerate() {
        let mut lanes = [0; 16];
        store_i32(&mut lanes, probabilities);
        for (plain, lanes) in plain.iter_mut().zip(lanes.as_chunks::<4>().0) {
            let positions = plain.get_mut(4 * quad..).unwrap_or_default();
            for (position, &probability) in positions.iter_mut().zip(lanes) {
                *position = probability as i16;
            }
        }
    }
    let heads = totals.as_chunks::<4>().0.iter().zip(&plain).enumerate();
    for (head, (&[total, ..], plain)) in heads {
        let number = HEADS * group + head;
        if number < shape.heads {
            let probabilities = plain.get(..shape.window).unwrap_or_default();
            hook(number, probabilities, total.cast_unsigned());
        }
    }
}
