//! The packed layout of AVX-512.

use super::Avx512Vnni;
use super::requant::SHIFT_MAX;
use crate::CacheLine;
use crate::simd::packed::{PackedLayout, Prescale, QUAD};
use crate::x86::prescale::HIGH_SHIFT;

/// Rows of a block.
pub(super) const ROWS: usize = 16;
/// Blocks whose shifts share a line, one byte each.
pub(super) const SHIFTS: usize = 4;

impl<const COLUMNS: usize> PackedLayout<COLUMNS> for Avx512Vnni {
    type CacheLine = CacheLine;
    const GROUPS: &'static [usize] = &[4, 2, 1];
    const SHIFTS: usize = SHIFTS;
    const INPUT_OFFSET: i32 = if COLUMNS == QUAD { 128 } else { 0 };
    const HIGH_SHIFT: u8 = HIGH_SHIFT;

    fn prescale(least: u8, magnitude: u64) -> Option<Prescale> {
        Prescale::of(least, magnitude)
    }

    fn shift(shift: u8, prescale: Option<Prescale>) -> i32 {
        let high = |Prescale(up)| {
            let shift = shift.saturating_add(up).saturating_sub(HIGH_SHIFT);
            shift.min(SHIFT_MAX)
        };
        prescale.map_or(shift, high).into()
    }

    /// Two blocks share 32 rows, four by turns: so the instruction that packs two registers of i32 into one of
    /// i16 puts them in order. A last block that is alone has its rows in a row.
    fn place(row: usize, blocks: usize) -> (usize, usize) {
        let (pair, of_pair) = (row / (2 * ROWS), row % (2 * ROWS));
        if blocks == 1 {
            return (0, row);
        }
        (2 * pair + of_pair % 8 / 4, of_pair / 8 * 4 + of_pair % 4)
    }
}
