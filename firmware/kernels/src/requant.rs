//! Fixed-point factors: from the scale of an accumulator to the scale of its target.

use core::fmt;

/// `y = (x * multiplier + 2^(shift-1)) >> shift`, in 64 bits, then saturated to the target.
///
/// The factor it stands for is `multiplier / 2^shift`, with a multiplier in `[2^30, 2^31)` and a
/// shift in `1..=62`. Halves round towards plus infinity. The product needs at most 62 bits, so
/// the sum cannot overflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Requant {
    /// In `[2^30, 2^31)`, or 0 for [`Requant::ZERO`].
    pub multiplier: i32,
    /// In `1..=62`. Other values give a defined but meaningless result.
    pub shift: u8,
}

/// A factor that no [`Requant`] stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RequantError {
    /// The factor asked for; must be finite, positive, and in `[2^-32, 2^30)` after rounding.
    pub factor: f64,
}

impl fmt::Display for RequantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "fixed-point factor is {:e}, but must be at least 2^-32 and below 2^30",
            self.factor
        )
    }
}

impl core::error::Error for RequantError {}

impl Requant {
    /// The factor 0, for a row that is zero altogether.
    pub const ZERO: Self = Self {
        multiplier: 0,
        shift: 1,
    };

    /// The nearest fixed-point factor (halves up); its relative error is at most `2^-31`.
    ///
    /// # Errors
    /// A factor that is not finite, not positive, or outside `[2^-32, 2^30)`.
    pub fn from_f64(factor: f64) -> Result<Self, RequantError> {
        const FRACTION_BITS: u32 = 52;
        let refused = Err(RequantError { factor });
        let bits = factor.to_bits();
        let exponent = (bits >> FRACTION_BITS) as i32 - 1023;
        // The sign is the top bit of the shifted value: a negative factor has a huge exponent.
        if !(-34..=30).contains(&exponent) {
            return refused;
        }
        let significand = (bits & ((1 << FRACTION_BITS) - 1)) | (1 << FRACTION_BITS);
        let dropped = FRACTION_BITS - 30;
        let rounded = (significand + (1 << (dropped - 1))) >> dropped;
        let (multiplier, exponent) = if rounded == 1 << 31 {
            (1 << 30, exponent + 1)
        } else {
            (rounded as i32, exponent)
        };
        match u8::try_from(30 - exponent) {
            Ok(shift @ 1..=62) => Ok(Self { multiplier, shift }),
            _ => refused,
        }
    }

    /// The factor this stands for, exactly.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        let power = u64::from(1023_u16.saturating_sub(u16::from(self.shift))) << 52;
        f64::from(self.multiplier) * f64::from_bits(power)
    }

    /// The formula of the type without saturation; fits 62 bits.
    #[inline]
    #[must_use]
    pub const fn apply(self, x: i32) -> i64 {
        let product = x as i64 * self.multiplier as i64;
        let half = 1_i64.wrapping_shl((self.shift as u32).wrapping_sub(1));
        product.wrapping_add(half).wrapping_shr(self.shift as u32)
    }

    /// [`Requant::apply`], saturated to i32.
    #[inline]
    #[must_use]
    pub const fn to_i32(self, x: i32) -> i32 {
        saturate(self.apply(x), i32::MIN as i64, i32::MAX as i64) as i32
    }

    /// [`Requant::apply`], saturated to `[-32767, 32767]`.
    #[inline]
    #[must_use]
    pub const fn to_i16(self, x: i32) -> i16 {
        saturate(self.apply(x), -32_767, 32_767) as i16
    }

    /// [`Requant::apply`], saturated to `[-127, 127]`.
    #[inline]
    #[must_use]
    pub const fn to_i8(self, x: i32) -> i8 {
        saturate(self.apply(x), -127, 127) as i8
    }

    /// [`Requant::apply`], saturated to `[0, 127]`: the rectifier costs nothing extra.
    #[inline]
    #[must_use]
    pub const fn to_relu_i8(self, x: i32) -> i8 {
        saturate(self.apply(x), 0, 127) as i8
    }
}

/// `x` limited to `low..=high`; unlike `clamp` without a check of the limits that could panic.
pub(crate) const fn saturate(x: i64, low: i64, high: i64) -> i64 {
    if x < low {
        low
    } else if x > high {
        high
    } else {
        x
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn requants() -> impl Strategy<Value = Requant> {
        ((1_i32 << 30)..=i32::MAX, 1_u8..=62)
            .prop_map(|(multiplier, shift)| Requant { multiplier, shift })
    }

    /// In 128 bits: `floor(x * m / 2^s + 1/2)`.
    fn check(requant: Requant, x: i32) {
        let doubled = i128::from(x) * i128::from(requant.multiplier) * 2;
        let exact = ((doubled + (1 << requant.shift)) >> (requant.shift + 1)) as i64;
        assert_eq!(requant.apply(x), exact);
        assert_eq!(i64::from(requant.to_i8(x)), exact.clamp(-127, 127));
        assert_eq!(i64::from(requant.to_relu_i8(x)), exact.clamp(0, 127));
        assert_eq!(i64::from(requant.to_i16(x)), exact.clamp(-32_767, 32_767));
        let i32s = (i32::MIN.into(), i32::MAX.into());
        assert_eq!(i64::from(requant.to_i32(x)), exact.clamp(i32s.0, i32s.1));
    }

    proptest! {
        #[test]
        fn apply_is_the_nearest_integer_with_halves_up(requant in requants(), x in any::<i32>()) {
            check(requant, x);
        }

        #[test]
        fn from_f64_is_the_inverse_of_to_f64(requant in requants()) {
            prop_assert_eq!(Requant::from_f64(requant.to_f64()), Ok(requant));
        }

        #[test]
        fn from_f64_is_within_2_to_minus_31(power in -31.99_f64..29.99) {
            let factor = power.exp2();
            let error = (Requant::from_f64(factor).unwrap().to_f64() - factor).abs() / factor;
            prop_assert!(error <= (-31.0_f64).exp2(), "{}", error);
        }
    }

    #[test]
    fn extreme_products_do_not_overflow() {
        let multiplier = i32::MAX;
        for shift in [1, 31, 62] {
            check(Requant { multiplier, shift }, i32::MIN);
            check(Requant { multiplier, shift }, i32::MAX);
        }
        assert_eq!(Requant::ZERO.apply(i32::MIN), 0);
    }

    #[test]
    fn every_shift_is_total() {
        let multiplier = i32::MIN;
        for shift in 0..=u8::MAX {
            let requant = Requant { multiplier, shift };
            let _ = (requant.to_i32(i32::MIN), requant.to_f64());
        }
    }

    #[test]
    fn factors_out_of_range_are_refused() {
        let two = 2.0_f64;
        for factor in [
            0.0,
            -1.0,
            f64::NAN,
            f64::INFINITY,
            -f64::INFINITY,
            two.powi(30),
            two.powi(-33),
            two.powi(31),
            f64::MIN_POSITIVE,
        ] {
            assert!(Requant::from_f64(factor).is_err(), "{factor}");
        }
        // Rounds up to 2^30 and to 2^-32.
        assert!(Requant::from_f64(two.powi(30) * (1.0 - two.powi(-40))).is_err());
        let smallest = Requant {
            multiplier: 1 << 30,
            shift: 62,
        };
        for factor in [two.powi(-32) * (1.0 - two.powi(-40)), two.powi(-32)] {
            assert_eq!(Requant::from_f64(factor), Ok(smallest));
        }
    }
}
