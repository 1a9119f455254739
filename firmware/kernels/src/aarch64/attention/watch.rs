//! Who looks on.

use core::arch::aarch64::*;
use core::num::{NonZeroU32, NonZeroUsize};

use super::super::dot::{Dot, SIDE, Tile};
use super::super::memory::store_i16;
use super::values::weights_of;
use super::{PAIR, WINDOW};
use crate::{HeadView, Shape, ValueOrder, Watch};

/// What a head attends to.
#[cold]
#[target_feature(enable = "neon")]
pub(super) fn head<D: Dot>(
    watch: &mut Watch<'_>,
    (head, shape): (usize, Shape),
    weights: &[int8x16_t],
    total: NonZeroU32,
    values: &[Tile],
) {
    let mut plain = [[0; PAIR]; WINDOW / PAIR];
    for (plain, &bytes) in plain.iter_mut().zip(weights) {
        store_i16(plain, weights_of(bytes));
    }
    let view = HeadView {
        weights: plain.as_flattened().get(..shape.window).unwrap_or_default(),
        values: values.as_flattened(),
        width: shape.width,
        total: total.get(),
        order: ValueOrder::Tiles {
            quads: NonZeroUsize::new(shape.width / SIDE).unwrap_or(NonZeroUsize::MIN),
            halves: !D::SDOT,
        },
    };
    watch(head, &view);
}
