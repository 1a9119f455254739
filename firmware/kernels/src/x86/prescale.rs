//! When the upper half of a product of 32 bits is all that a fixed-point factor needs.

use crate::portable::Rows;

/// From this shift on, the upper half of a product is enough.
pub(super) const HIGH_SHIFT: u8 = 33;

/// By how much accumulators are scaled up, so that the upper half of a product is enough: `x * 2^k`
/// times `m / 2^(s+k)` is `x` times `m / 2^s`, rounding included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prescale(pub(super) u8);

impl Prescale {
    /// For accumulators of at most this magnitude and shifts from `least` on; `None`: they would overflow.
    pub(super) const fn of(least: u8, magnitude: u64) -> Option<Self> {
        let k = HIGH_SHIFT.saturating_sub(least);
        if magnitude < 1 << 31 >> k {
            Some(Self(k))
        } else {
            None
        }
    }

    /// For a map with rows of so many weights, whose inputs are at most `input`.
    pub(super) fn of_map(map: &Rows<'_>, columns: usize, input: u64) -> Option<Self> {
        let (mut least, mut most) = (HIGH_SHIFT, 0);
        for (row, weight) in map.weight.chunks_exact(columns).enumerate() {
            let (_, shift) = factor(map, row)?;
            let bias = map.bias.get(row).copied().map_or(0, i32::from_le_bytes);
            least = least.min(shift);
            most = most.max(magnitude(weight, bias, input));
        }
        Self::of(least, most)
    }
}

/// Multiplier and shift of a row. A row of zeros gives 0 whatever it is shifted by.
pub(super) fn factor(map: &Rows<'_>, row: usize) -> Option<(i32, u8)> {
    let multiplier = i32::from_le_bytes(*map.multiplier.get(row)?);
    let shift = if multiplier == 0 {
        HIGH_SHIFT
    } else {
        *map.shift.get(row)?
    };
    Some((multiplier, shift))
}

/// Largest magnitude of a row's sum for inputs of at most `input`.
fn magnitude(weight: &[i8], bias: i32, input: u64) -> u64 {
    let weights = weight
        .iter()
        .map(|weight| u64::from(weight.unsigned_abs()))
        .fold(0, u64::wrapping_add);
    weights
        .wrapping_mul(input)
        .wrapping_add(u64::from(bias.unsigned_abs()))
}
