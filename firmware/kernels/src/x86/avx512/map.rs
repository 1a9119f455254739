//! How the rows of a map are packed: blocks of sixteen rows, in groups of four blocks (at the end two
//! and one), so that a product reads one line after the other.
//!
//! A map starts with a line that says how far its accumulators are scaled up, and the shifts of all rows, one byte each, padded to whole lines. Every group of `G`
//! blocks follows: `G` lines of biases, `G` lines of multipliers, then for every four columns (two of
//! an int16 input) `G` lines of sixteen rows each.

use core::marker::PhantomData;

use super::numbers::{HIGH_SHIFT, Prescale};
use crate::Line;
use crate::portable::Rows;

/// Rows of a block.
pub(super) const ROWS: usize = 16;
/// Columns in one i32 of a line of int8 weights.
pub(super) const QUAD: usize = 4;
/// Columns in one i32 of a line of int16 weights.
pub(super) const PAIR: usize = 2;

/// A packed map of an int8 input.
pub(super) type Map<'a> = Packed<'a, QUAD>;
/// A packed map of an int16 input, its weights widened.
pub(super) type WideMap<'a> = Packed<'a, PAIR>;

/// A packed map with `COLUMNS` columns in one i32.
#[derive(Clone, Copy, Debug)]
pub struct Packed<'a, const COLUMNS: usize> {
    /// Shifts of the rows, `blocks` times sixteen of them count.
    pub(super) shifts: &'a [[u8; ROWS]],
    /// The groups.
    pub(super) groups: &'a [Line],
    /// Blocks of sixteen rows.
    pub(super) blocks: usize,
    /// Lines of weights of one block.
    pub(super) depth: usize,
    /// How the upper half of a product is made enough, where it can be.
    pub(super) prescale: Option<Prescale>,
    columns: PhantomData<[(); COLUMNS]>,
}

/// Lines of a map with `per_lane` columns in one i32.
pub(super) fn lines(rows: usize, columns: usize, per_lane: usize) -> usize {
    let (blocks, depth) = (rows.div_ceil(ROWS), columns.div_ceil(per_lane));
    let groups = blocks.saturating_mul(depth.saturating_add(2));
    groups.saturating_add(shift_lines(blocks)).saturating_add(1)
}

fn shift_lines(blocks: usize) -> usize {
    blocks.saturating_mul(ROWS).div_ceil(64)
}

impl Packed<'_, QUAD> {
    /// Packs a map whose inputs come as `x + 128`.
    pub(super) fn pack(map: Rows<'_>, columns: usize, lines: &mut [Line]) -> Option<()> {
        Self::pack_with(map, columns, lines, |row| {
            let sum = row.iter().fold(0, |sum, &weight| sum + i32::from(weight));
            sum.wrapping_mul(-128)
        })
    }
}

impl Packed<'_, PAIR> {
    /// Packs a map of an int16 input.
    pub(super) fn pack(map: Rows<'_>, columns: usize, lines: &mut [Line]) -> Option<()> {
        Self::pack_with(map, columns, lines, |_| 0)
    }
}

impl<'a, const COLUMNS: usize> Packed<'a, COLUMNS> {
    /// The map that was packed into these lines.
    pub(super) fn view(rows: usize, columns: usize, lines: &'a [Line]) -> Option<Self> {
        if columns == 0 || lines.len() != self::lines(rows, columns, COLUMNS) {
            return None;
        }
        let (blocks, depth) = (rows.div_ceil(ROWS), columns.div_ceil(COLUMNS));
        let (first, lines) = lines.split_first()?;
        let (shifts, groups) = lines.split_at_checked(shift_lines(blocks))?;
        Some(Self {
            shifts: bytemuck::cast_slice::<Line, u8>(shifts)
                .as_chunks::<ROWS>()
                .0,
            groups,
            blocks,
            depth,
            prescale: first.0[0].checked_sub(1).map(Prescale),
            columns: PhantomData,
        })
    }

    /// `correct` is what the bias of a row takes up besides its own.
    fn pack_with(
        map: Rows<'_>,
        columns: usize,
        lines: &mut [Line],
        correct: impl Fn(&[i8]) -> i32,
    ) -> Option<()> {
        let fits = columns > 0
            && map.weight.len() == map.rows.checked_mul(columns)?
            && (map.bias.is_empty() || map.bias.len() == map.rows)
            && map.multiplier.len() == map.rows
            && map.shift.len() == map.rows
            && lines.len() == self::lines(map.rows, columns, COLUMNS);
        if !fits {
            return None;
        }
        let (blocks, depth) = (map.rows.div_ceil(ROWS), columns.div_ceil(COLUMNS));
        lines.fill(Line::ZERO);
        let (first, lines) = lines.split_first_mut()?;
        let (shifts, groups) = lines.split_at_mut_checked(shift_lines(blocks))?;
        let shifts = bytemuck::cast_slice_mut::<Line, u8>(shifts);
        let mut least = HIGH_SHIFT;
        let mut magnitude = 0;
        for (row, (place, (&shift, &multiplier))) in shifts
            .iter_mut()
            .zip(map.shift.iter().zip(map.multiplier))
            .enumerate()
        {
            let multiplier = i32::from_le_bytes(multiplier);
            // A row of zeros gives 0 whatever it is shifted by.
            *place = if multiplier == 0 { HIGH_SHIFT } else { shift };
            least = least.min(*place);
            let weight = map.weight.chunks_exact(columns).nth(row)?;
            let bias = map.bias.get(row).copied().map_or(0, i32::from_le_bytes);
            magnitude = magnitude.max(largest::<COLUMNS>(weight, bias));
            let bias = bias.wrapping_add(correct(weight));
            pack_row::<COLUMNS>(groups, (blocks, depth), row, (bias, multiplier), weight)?;
        }
        let prescale = Prescale::of(least, magnitude);
        let up = prescale.map_or(0, |prescale| prescale.0);
        first.0[0] = prescale.map_or(0, |prescale| prescale.0.saturating_add(1));
        for shift in shifts.iter_mut() {
            *shift = shift.saturating_add(up);
        }
        Some(())
    }
}

/// Largest magnitude of a row's sum.
fn largest<const COLUMNS: usize>(weight: &[i8], bias: i32) -> u64 {
    let input = if COLUMNS == QUAD { 128 } else { 32_768 };
    let weights = weight
        .iter()
        .map(|weight| u64::from(weight.unsigned_abs()))
        .fold(0, u64::wrapping_add);
    weights
        .wrapping_mul(input)
        .wrapping_add(u64::from(bias.unsigned_abs()))
}

/// Puts one row at its places.
fn pack_row<const COLUMNS: usize>(
    groups: &mut [Line],
    (blocks, depth): (usize, usize),
    row: usize,
    (bias, multiplier): (i32, i32),
    weight: &[i8],
) -> Option<()> {
    let (block, lane) = (row / ROWS, row % ROWS);
    let (first, size) = group_of(block, blocks);
    let lines = groups.get_mut(first.checked_mul(depth + 2)?..)?;
    let mut lines = lines.chunks_exact_mut(size);
    let mut put = |value: i32| -> Option<()> {
        lines
            .next()?
            .get_mut(block - first)?
            .put_i32(lane, core::iter::once(value));
        Some(())
    };
    put(bias)?;
    put(multiplier)?;
    for columns in weight.chunks(COLUMNS) {
        let mut bytes = [0; 4];
        for (place, &weight) in bytes.chunks_exact_mut(4 / COLUMNS).zip(columns) {
            let wide = i16::from(weight).to_le_bytes();
            for (byte, value) in place.iter_mut().zip(wide) {
                *byte = value;
            }
        }
        put(i32::from_le_bytes(bytes))?;
    }
    Some(())
}

/// The first block and the size of the group that `block` is in.
fn group_of(block: usize, blocks: usize) -> (usize, usize) {
    let first = block / 4 * 4;
    if first + 4 <= blocks {
        return (first, 4);
    }
    let pair = block / 2 * 2;
    if pair + 2 <= blocks {
        (pair, 2)
    } else {
        (block, 1)
    }
}
