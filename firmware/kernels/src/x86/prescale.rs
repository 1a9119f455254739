//! When the upper half of a product of 32 bits is all that a fixed-point factor needs.

pub(super) use crate::simd::packed::Prescale;

/// From this shift on, the upper half of a product is enough.
pub(super) const HIGH_SHIFT: u8 = 33;

/// Largest magnitude of a mean of values, in Q16.
pub(super) const MEAN_MAX: u64 = 127 << 16;

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
}
