//! How the rows of a map are packed: blocks of sixteen rows, in groups of blocks whose lines alternate, so
//! that a product reads one line after the other.
//!
//! A map starts with a line that says how far its accumulators are scaled up. Every group of `G` blocks
//! follows: `G` lines of biases, `G` lines of multipliers, the shifts of its rows, one byte each, then for
//! every four columns (two of an int16 input) `G` lines of sixteen rows each.
//!
//! Two blocks share 32 rows, four by turns: so the instruction that packs two registers of i32 into one of
//! i16 puts them in order. A last block that is alone has its rows in a row.

use core::marker::PhantomData;

use super::numbers::SHIFT_MAX;
use crate::portable::Rows;
use crate::x86::prescale::{HIGH_SHIFT, Prescale, factor};
use crate::{Line, PackedMap};

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

/// Blocks of the next group, of so many that are left.
pub(super) const fn group_size(left: usize) -> usize {
    match left {
        4.. => 4,
        2.. => 2,
        _ => left,
    }
}

/// Lines of the shifts of a group.
pub(super) const fn shift_lines(size: usize) -> usize {
    size.saturating_mul(ROWS).div_ceil(64)
}

/// Lines of a group.
const fn group_lines(size: usize, depth: usize) -> usize {
    size.saturating_mul(depth.saturating_add(2))
        .saturating_add(shift_lines(size))
}

impl<'a, const COLUMNS: usize> PackedMap<'a> for Packed<'a, COLUMNS> {
    fn lines(rows: usize, columns: usize) -> usize {
        let (mut left, depth) = (rows.div_ceil(ROWS), columns.div_ceil(COLUMNS));
        let mut lines: usize = 1;
        while left > 0 {
            let size = group_size(left);
            lines = lines.saturating_add(group_lines(size, depth));
            left = left.saturating_sub(size);
        }
        lines
    }

    fn view(map: Rows<'a>, columns: usize, lines: &'a [Line]) -> Option<Self> {
        let rows = map.rows;
        if columns == 0 || lines.len() != Self::lines(rows, columns) {
            return None;
        }
        let (blocks, depth) = (rows.div_ceil(ROWS), columns.div_ceil(COLUMNS));
        let (first, groups) = lines.split_first()?;
        Some(Self {
            groups,
            blocks,
            depth,
            prescale: first.0[0].checked_sub(1).map(Prescale),
            columns: PhantomData,
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
        let (blocks, depth) = (map.rows.div_ceil(ROWS), columns.div_ceil(COLUMNS));
        lines.fill(Line::ZERO);
        let (first, groups) = lines.split_first_mut()?;
        let input = if COLUMNS == QUAD { 128 } else { 32_768 };
        let prescale = Prescale::of_map(&map, columns, input);
        first.0[0] = prescale.map_or(0, |prescale| prescale.0.saturating_add(1));
        for (row, weight) in map.weight.chunks_exact(columns).enumerate() {
            let (multiplier, shift) = factor(&map, row)?;
            let shift = prescale.map_or(shift, |prescale| {
                let shift = shift.saturating_add(prescale.0);
                shift.saturating_sub(HIGH_SHIFT).min(SHIFT_MAX)
            });
            let bias = map.bias.get(row).copied().map_or(0, i32::from_le_bytes);
            let row = Row {
                bias: bias.wrapping_add(offset::<COLUMNS>(weight)),
                multiplier,
                shift,
                weight,
                place: Place::of(row, blocks),
            };
            row.pack::<COLUMNS>(groups, (blocks, depth))?;
        }
        Some(())
    }
}

/// What the bias of a row takes up besides its own: int8 inputs come as `x + 128`.
fn offset<const COLUMNS: usize>(weight: &[i8]) -> i32 {
    if COLUMNS != QUAD {
        return 0;
    }
    let sum = weight
        .iter()
        .fold(0, |sum, &weight| sum + i32::from(weight));
    sum.wrapping_mul(-128)
}

/// Where a row lies.
struct Place {
    block: usize,
    lane: usize,
}

impl Place {
    fn of(row: usize, blocks: usize) -> Self {
        let (pair, row) = (row / (2 * ROWS) * 2, row % (2 * ROWS));
        if pair + 1 < blocks {
            Self {
                block: pair + row % 8 / 4,
                lane: row / 8 * 4 + row % 4,
            }
        } else {
            Self {
                block: pair,
                lane: row % ROWS,
            }
        }
    }
}

/// What is packed of a row.
struct Row<'a> {
    bias: i32,
    multiplier: i32,
    shift: u8,
    weight: &'a [i8],
    place: Place,
}

impl Row<'_> {
    /// Puts it at its places.
    fn pack<const COLUMNS: usize>(
        &self,
        mut lines: &mut [Line],
        (blocks, depth): (usize, usize),
    ) -> Option<()> {
        let mut first = 0;
        let size = loop {
            let size = group_size(blocks.checked_sub(first)?);
            if size == 0 || self.place.block < first + size {
                break size;
            }
            lines = lines.get_mut(group_lines(size, depth)..)?;
            first += size;
        };
        let (block, lane) = (self.place.block - first, self.place.lane);
        let (factors, lines) = lines.split_at_mut_checked(2 * size)?;
        let (shifts, lines) = lines.split_at_mut_checked(shift_lines(size))?;
        let put = |lines: &mut [Line], value: i32| -> Option<()> {
            lines.get_mut(block)?.put_i32(lane, core::iter::once(value));
            Some(())
        };
        put(&mut *factors, self.bias)?;
        put(factors.get_mut(size..)?, self.multiplier)?;
        let shifts = bytemuck::cast_slice_mut::<Line, u8>(shifts);
        *shifts.get_mut(block * ROWS + lane)? = self.shift;
        for (columns, lines) in self
            .weight
            .chunks(COLUMNS)
            .zip(lines.chunks_exact_mut(size))
        {
            let mut bytes = [0; 4];
            for (place, &weight) in bytes.chunks_exact_mut(4 / COLUMNS).zip(columns) {
                let wide = i16::from(weight).to_le_bytes();
                for (byte, value) in place.iter_mut().zip(wide) {
                    *byte = value;
                }
            }
            put(lines, i32::from_le_bytes(bytes))?;
        }
        Some(())
    }
}
