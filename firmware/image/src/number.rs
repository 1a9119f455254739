//! Floats in the texts of errors.
//!
//! `core`'s own formatting of floats can panic (its bounds checks stay in the firmware), so errors
//! that a board reports print theirs with this.

use core::fmt;

/// Prints a float to six digits after the point, with an exponent where it is very large or small.
pub struct Number(pub f32);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_nan() {
            return f.write_str("NaN");
        }
        if self.0.is_sign_negative() {
            f.write_str("-")?;
        }
        let mut value = f64::from(self.0.abs());
        if value.is_infinite() {
            return f.write_str("inf");
        }
        if value == 0.0 || (1e-3..1e9).contains(&value) {
            return decimal(f, value);
        }
        let mut exponent = 0_i32;
        while value >= 10.0 {
            (value, exponent) = (value / 10.0, exponent.wrapping_add(1));
        }
        while value < 1.0 {
            (value, exponent) = (value * 10.0, exponent.wrapping_sub(1));
        }
        decimal(f, value)?;
        write!(f, "e{exponent}")
    }
}

/// `value` is in `0.0..1e9`.
fn decimal(f: &mut fmt::Formatter<'_>, value: f64) -> fmt::Result {
    // Casts saturate; with the sum below 1e15 every integer in between is exact.
    let millionths = (value * 1e6 + 0.5) as u64;
    write!(f, "{}", millionths / 1_000_000)?;
    let mut fraction = millionths % 1_000_000;
    if fraction == 0 {
        return Ok(());
    }
    f.write_str(".")?;
    let mut place = 100_000;
    while fraction > 0 && place > 0 {
        write!(f, "{}", fraction / place)?;
        fraction %= place;
        place /= 10;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::string::ToString;

    #[test]
    fn prints_what_a_reader_expects() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (-12.5, "-12.5"),
            (0.001_25, "0.00125"),
            (999_999.94, "999999.9375"),
            (2.0e9, "2e9"),
            (f32::NAN, "NaN"),
            (f32::INFINITY, "inf"),
            (f32::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(Number(value).to_string(), text);
        }
        assert_eq!(Number(f32::MAX).to_string(), "3.402823e38");
        assert!(Number(f32::MIN_POSITIVE).to_string().ends_with("e-38"));
    }
}
