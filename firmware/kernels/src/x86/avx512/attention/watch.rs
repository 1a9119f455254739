//! Attention weights for whoever looks on.

use super::super::numbers::store_i32;
use super::group::Weights;
use super::{HEADS, WINDOW};
use crate::{Shape, Watch};

/// What the heads of a group attend to.
#[cold]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn group(watch: &mut Watch<'_>, shape: Shape, group: usize, weights: &Weights<'_>) {
    let mut totals = [0; 16];
    store_i32(&mut totals, weights.totals);
    let mut plain = [[0; WINDOW]; HEADS];
    for (quad, &weights) in weights.places.iter().enumerate() {
        let mut lanes = [0; 16];
        store_i32(&mut lanes, weights);
        for (plain, lanes) in plain.iter_mut().zip(lanes.as_chunks::<4>().0) {
            let places = plain.get_mut(4 * quad..).unwrap_or_default();
            for (place, &weight) in places.iter_mut().zip(lanes) {
                *place = weight as i16;
            }
        }
    }
    let heads = totals.as_chunks::<4>().0.iter().zip(&plain).enumerate();
    for (head, (&[total, ..], plain)) in heads {
        let number = HEADS * group + head;
        if number < shape.heads {
            let weights = plain.get(..shape.window).unwrap_or_default();
            watch(number, weights, total.cast_unsigned());
        }
    }
}
