//! How the rows of a map are packed: blocks of sixteen rows, in groups of two blocks (at the end one), so
//! that a product reads one line after the other.
//!
//! A map starts with a line that says whether its shifts are all [`HIGH_SHIFT`] or more. Every group of `G` blocks
//! has `G` lines of biases, of multipliers and of counts (31 minus the shift), then for every four columns (two of an
//! int16 input) `G` lines of sixteen rows each: four tiles, or two columns of i16.

use core::marker::PhantomData;
use core::num::NonZeroUsize;

use super::dot::{Dot, SIDE, byte};
use super::numbers::HIGH_SHIFT;
use crate::portable::Rows;
use crate::{Line, PackedMap};

/// Rows of a block.
pub(super) const ROWS: usize = 16;
/// Columns of an int8 input that are multiplied in a row.
pub(super) const COLUMNS: usize = 16;
/// Columns of an int16 input that lie in a register.
pub(super) const WIDE_COLUMNS: usize = 8;
/// Lines before the weights of a block: biases, multipliers, counts.
pub(super) const HEADER: usize = 3;

/// A packed map. `WIDE`: of an int16 input.
#[derive(Clone, Copy, Debug)]
pub struct Packed<'a, D, const WIDE: bool> {
    pub(super) lines: &'a [Line],
    /// Runs of [`COLUMNS`] columns, or pairs of an int16 input.
    pub(super) depth: usize,
    /// Whether every shift is at least [`HIGH_SHIFT`].
    pub(super) high: bool,
    order: PhantomData<D>,
}

/// Runs of columns, or pairs of an int16 input.
const fn depth<const WIDE: bool>(columns: usize) -> usize {
    columns.div_ceil(if WIDE { 2 } else { COLUMNS })
}

/// Lines of weights of one block, for a run of columns.
pub(super) const RUN: usize = 4;

/// Lines of one block.
pub(super) const fn block_lines<const WIDE: bool>(depth: usize) -> NonZeroUsize {
    let weights = depth.saturating_mul(if WIDE { 1 } else { RUN });
    NonZeroUsize::MIN.saturating_add(weights.saturating_add(HEADER - 1))
}

/// Blocks of the group that `block` is in, and its first block. An int16 input has groups of one.
const fn group_of<const WIDE: bool>(block: usize, blocks: usize) -> (usize, usize) {
    let first = block / 2 * 2;
    if WIDE || first + 2 > blocks {
        (block, 1)
    } else {
        (first, 2)
    }
}

impl<D: Dot, const WIDE: bool> Packed<'_, D, WIDE> {
    /// Blocks of sixteen rows.
    #[inline]
    pub(super) fn blocks(&self) -> usize {
        self.lines.len() / block_lines::<WIDE>(self.depth)
    }
}

impl<'a, D: Dot, const WIDE: bool> PackedMap<'a> for Packed<'a, D, WIDE> {
    fn lines(rows: usize, columns: usize) -> usize {
        let blocks = rows.div_ceil(ROWS);
        let groups = blocks.saturating_mul(block_lines::<WIDE>(depth::<WIDE>(columns)).get());
        groups.saturating_add(1)
    }

    fn view(map: Rows<'a>, columns: usize, lines: &'a [Line]) -> Option<Self> {
        if columns == 0 || lines.len() != Self::lines(map.rows, columns) {
            return None;
        }
        let (first, lines) = lines.split_first()?;
        Some(Self {
            lines,
            depth: depth::<WIDE>(columns),
            high: first.0[0] == HIGH,
            order: PhantomData,
        })
    }

    fn pack(map: Rows<'_>, columns: usize, lines: &mut [Line]) -> Option<()> {
        let fits = columns > 0
            && map.weight.len() == map.rows.checked_mul(columns)?
            && (map.bias.is_empty() || map.bias.len() == map.rows)
            && map.multiplier.len() == map.rows
            && map.shift.len() == map.rows
            && lines.len() == Self::lines(map.rows, columns);
        if !fits {
            return None;
        }
        lines.fill(Line::ZERO);
        let (first, lines) = lines.split_first_mut()?;
        let factors = map.multiplier.iter().zip(map.shift);
        let mut high = true;
        for (row, (weights, (&multiplier, &shift))) in
            map.weight.chunks_exact(columns).zip(factors).enumerate()
        {
            let bias = map.bias.get(row).copied().map_or(0, i32::from_le_bytes);
            let multiplier = i32::from_le_bytes(multiplier);
            // A row of zeros gives 0 whatever it is shifted by.
            let shift = if multiplier == 0 { HIGH_SHIFT } else { shift };
            high &= shift >= HIGH_SHIFT;
            let header = [bias, multiplier, 31 - i32::from(shift)];
            pack_row::<D, WIDE>(lines, (row, map.rows), header, weights)?;
        }
        if high {
            first.0[0] = HIGH;
        }
        Some(())
    }
}

/// Marks a map whose shifts are all at least [`HIGH_SHIFT`].
const HIGH: u8 = 1;

/// Puts one row of `rows` at its places.
fn pack_row<D: Dot, const WIDE: bool>(
    lines: &mut [Line],
    (row, rows): (usize, usize),
    header: [i32; HEADER],
    weights: &[i8],
) -> Option<()> {
    let (block, row) = (row / ROWS, row % ROWS);
    let (first, blocks) = group_of::<WIDE>(block, rows.div_ceil(ROWS));
    let lines_of_block = block_lines::<WIDE>(depth::<WIDE>(weights.len()));
    let group = lines.get_mut(first.checked_mul(lines_of_block.get())?..)?;
    let mut own = group.iter_mut().skip(block - first).step_by(blocks);
    for number in header {
        own.next()?.put_i32(row, core::iter::once(number));
    }
    if WIDE {
        for pair in weights.chunks(2) {
            let numbers: &mut [i16; 32] = bytemuck::must_cast_mut(own.next()?);
            for (place, &weight) in numbers.iter_mut().skip(row).step_by(ROWS).zip(pair) {
                *place = i16::from(weight);
            }
        }
        return Some(());
    }
    for quad in weights.chunks(SIDE) {
        let tiles: &mut [[i8; 16]; SIDE] = bytemuck::must_cast_mut(own.next()?);
        let tile = tiles.get_mut(row / SIDE)?;
        for (column, &weight) in quad.iter().enumerate() {
            *tile.get_mut(byte::<D>(row % SIDE, column))? = weight;
        }
    }
    Some(())
}
