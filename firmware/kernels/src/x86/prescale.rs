//! When the upper half of a product of 32 bits is all that a fixed-point factor needs.

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
}
