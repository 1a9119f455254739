//! Attention weights for whoever looks on.

use core::arch::aarch64::*;
use core::num::NonZeroU32;

use super::super::memory::store_i16;
use super::values::weights_of;
use super::{PAIR, WINDOW};
use crate::{HeadHook, Shape};

/// What a head attends to.
#[cold]
#[target_feature(enable = "neon")]
pub(super) fn head(
    hook: &mut HeadHook<'_>,
    (head, shape): (usize, Shape),
    probabilities: &[int8x16_t],
    total: NonZeroU32,
) {
    let mut plain = [[0; PAIR]; WINDOW / PAIR];
    for (plain, &bytes) in plain.iter_mut().zip(probabilities) {
        store_i16(plain, weights_of(bytes));
    }
    let probabilities = plain.as_flattened().get(..shape.window).unwrap_or_default();
    hook(head, probabilities, total.get());
}
