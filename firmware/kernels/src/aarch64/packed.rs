//! The packed layout of NEON and SDOT.

use super::dot::{Dot, SIDE, byte};
use super::requant::HIGH_SHIFT;
use crate::CacheLine;
use crate::simd::packed::{PAIR, PackedLayout, Prescale, QUAD};

/// Rows of a block.
pub(super) const ROWS: usize = 16;
/// Columns of an int8 input that are multiplied in a row.
pub(super) const COLUMNS: usize = RUN * QUAD;
/// Columns of an int16 input that lie in a register.
pub(super) const WIDE_COLUMNS: usize = RUN * PAIR;
/// Lines before the weights of a block: biases, multipliers, counts.
pub(super) const HEADER: usize = 3;
/// Lines of weights of one block, for a run of columns: as many as lie in a register of the input.
pub(super) const RUN: usize = 4;

impl<D: Dot, const COLUMNS: usize> PackedLayout<COLUMNS> for D {
    type CacheLine = CacheLine;
    const GROUPS: &'static [usize] = if COLUMNS == QUAD { &[2, 1] } else { &[1] };
    const RUN: usize = RUN;
    const HIGH_SHIFT: u8 = HIGH_SHIFT;

    /// Nothing is scaled up.
    fn prescale(least: u8, _: u64) -> Option<Prescale> {
        (least >= HIGH_SHIFT).then_some(Prescale(0))
    }

    /// As a count of [`super::requant::Factors`].
    fn shift(shift: u8, _: Option<Prescale>) -> i32 {
        31 - i32::from(shift)
    }

    /// Four tiles, or two columns of i16.
    fn byte(lane: usize, column: usize) -> usize {
        if COLUMNS == QUAD {
            lane / SIDE * (SIDE * SIDE) + byte::<D>(lane % SIDE, column)
        } else {
            2 * (ROWS * column + lane)
        }
    }
}
