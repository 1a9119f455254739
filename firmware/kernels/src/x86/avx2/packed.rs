//! The packed layout of AVX2.

use super::Avx2With;
use super::memory::Half;
use crate::simd::packed::{PackedLayout, Prescale};
use crate::x86::prescale::HIGH_SHIFT;

/// Rows of a block.
pub(super) const ROWS: usize = 8;

impl<const DOT: u8, const COLUMNS: usize> PackedLayout<COLUMNS> for Avx2With<DOT> {
    type CacheLine = Half;
    const GROUPS: &'static [usize] = &[4, 3, 2, 1];
    // The sign of -128 cannot be changed.
    const LEAST_WEIGHT: i8 = -127;
    const HIGH_SHIFT: u8 = HIGH_SHIFT;
    // One that is allowed.
    const NO_SHIFT: i32 = HIGH_SHIFT as i32;

    fn prescale(least: u8, magnitude: u64) -> Option<Prescale> {
        Prescale::of(least, magnitude)
    }

    fn shift(shift: u8, prescale: Option<Prescale>) -> i32 {
        let up = prescale.map_or(0, |prescale| prescale.0);
        shift.saturating_add(up).into()
    }
}
