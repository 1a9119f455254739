//! How the rows of a map are packed: blocks of eight rows, in groups of four blocks (the last may have
//! fewer), so that a product reads one half of a line after the other.
//!
//! A map starts with a half that says how far its accumulators are scaled up. Every group of `G` blocks
//! follows: `G` halves of biases, `G` of multipliers, `G` of shifts, then for every four columns (two of an
//! int16 input) `G` halves of eight rows each.

use core::marker::PhantomData;

use super::super::prescale::{HIGH_SHIFT, Prescale, factor};
use super::memory::Half;
use crate::portable::Rows;
use crate::{Line, PackedMap};

/// Rows of a block.
pub(super) const ROWS: usize = 8;
/// Blocks of a group.
pub(super) const GROUP: usize = 4;
/// Columns in one i32 of int8 weights.
pub(super) const QUAD: usize = 4;
/// Columns in one i32 of int16 weights.
pub(super) const PAIR: usize = 2;
/// Halves of a block that hold no weights.
const FACTORS: usize = 3;

/// A packed map of an int8 input.
pub(super) type Map<'a> = Packed<'a, QUAD>;
/// A packed map of an int16 input, its weights widened.
pub(super) type WideMap<'a> = Packed<'a, PAIR>;

/// A packed map with `COLUMNS` columns in one i32.
#[derive(Clone, Copy, Debug)]
pub struct Packed<'a, const COLUMNS: usize> {
    /// The groups.
    pub(super) groups: &'a [Half],
    /// Blocks of eight rows.
    pub(super) blocks: usize,
    /// Halves of weights of one block.
    pub(super) depth: usize,
    /// How the upper half of a product is made enough, where it can be.
    pub(super) prescale: Option<Prescale>,
    columns: PhantomData<[(); COLUMNS]>,
}

impl<'a, const COLUMNS: usize> PackedMap<'a> for Packed<'a, COLUMNS> {
    fn lines(rows: usize, columns: usize) -> usize {
        let (blocks, depth) = (rows.div_ceil(ROWS), columns.div_ceil(COLUMNS));
        let groups = blocks.saturating_mul(depth.saturating_add(FACTORS));
        groups.saturating_add(1).div_ceil(2)
    }

    fn view(map: Rows<'a>, columns: usize, lines: &'a [Line]) -> Option<Self> {
        let rows = map.rows;
        if columns == 0 || lines.len() != Self::lines(rows, columns) {
            return None;
        }
        let (first, groups) = bytemuck::cast_slice::<Line, Half>(lines).split_first()?;
        Some(Self {
            groups,
            blocks: rows.div_ceil(ROWS),
            depth: columns.div_ceil(COLUMNS),
            prescale: first[0].checked_sub(1).map(Prescale),
            columns: PhantomData,
        })
    }

    /// `None` also for a weight of -128, whose sign these kernels cannot change.
    fn pack(map: Rows<'_>, columns: usize, lines: &mut [Line]) -> Option<()> {
        let fits = columns > 0
            && map.weight.len() == map.rows.checked_mul(columns)?
            && (map.bias.is_empty() || map.bias.len() == map.rows)
            && map.multiplier.len() == map.rows
            && map.shift.len() == map.rows
            && lines.len() == Self::lines(map.rows, columns)
            && !map.weight.contains(&i8::MIN);
        if !fits {
            return None;
        }
        lines.fill(Line::ZERO);
        let input = if COLUMNS == QUAD { 128 } else { 32_768 };
        let prescale = Prescale::of_map(&map, columns, input);
        let up = prescale.map_or(0, |prescale| prescale.0);
        let (first, groups) = bytemuck::cast_slice_mut::<Line, Half>(lines).split_first_mut()?;
        first[0] = prescale.map_or(0, |prescale| prescale.0.saturating_add(1));
        let of_map = (map.rows.div_ceil(ROWS), columns.div_ceil(COLUMNS));
        for (row, weight) in map.weight.chunks_exact(columns).enumerate() {
            let (multiplier, shift) = factor(&map, row)?;
            let shift = shift.saturating_add(up);
            let bias = map.bias.get(row).copied().map_or(0, i32::from_le_bytes);
            let numbers = [bias, multiplier, i32::from(shift)];
            pack_row::<COLUMNS>(groups, of_map, row, numbers, weight)?;
        }
        // Rows that fill up the last block: nothing, shifted by a number that is allowed.
        for row in map.rows..of_map.0.checked_mul(ROWS)? {
            pack_row::<COLUMNS>(groups, of_map, row, [0, 0, i32::from(HIGH_SHIFT)], &[])?;
        }
        Some(())
    }
}

/// Puts one row at its places.
fn pack_row<const COLUMNS: usize>(
    groups: &mut [Half],
    (blocks, depth): (usize, usize),
    row: usize,
    numbers: [i32; FACTORS],
    weight: &[i8],
) -> Option<()> {
    let (block, lane) = (row / ROWS, row % ROWS);
    let first = block / GROUP * GROUP;
    let size = GROUP.min(blocks.checked_sub(first)?);
    let halves = groups.get_mut(first.checked_mul(depth.checked_add(FACTORS)?)?..)?;
    let mut halves = halves.chunks_exact_mut(size.max(1));
    let mut put = |value: i32| -> Option<()> {
        let half = halves.next()?.get_mut(block.checked_sub(first)?)?;
        *half.as_chunks_mut::<4>().0.get_mut(lane)? = value.to_le_bytes();
        Some(())
    };
    for number in numbers {
        put(number)?;
    }
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
