//! Attention weights for whoever looks on.

use core::arch::aarch64::*;
use core::num::NonZeroU32;

use super::super::memory::store_i16;
use super::values::weights_of;
use super::{PAIR, WINDOW};
use crate::{Shape, Watch};

/// What a head attends to.
#[cold]
#[target_feature(enable = "neon")]
pub(super) fn head(
    watch: &mut Watch<'_>,
    (head, shape): (usize, Shape),
    weights: &[int8x16_t],
    total: NonZeroU32,
) {
    let mut plain = [[0; PAIR]; WINDOW / PAIR];
    for (plain, &bytes) in plain.iter_mut().zip(weights) {
        store_i16(plain, weights_of(bytes));
    }
    let weights = plain.as_flattened().get(..shape.window).unwrap_or_default();
    watch(head, weights, total.get());
}
