//! Between physical units and integers: working memories in, commands out.
//!
//! Every function is a fixed sequence of single f32 operations, each rounded to nearest even, so
//! that all targets agree on the bits.

/// Largest magnitude of a quantized entry and of a command word; `i16::MIN` never occurs.
pub const WORD_MAX: i16 = 32_767;

const WORD_MAX_F32: f32 = 32_767.0;

/// `clamp(round_half_even((x - mean) * inverse), -32767, 32767)`; NaN gives 0.
///
/// Three f32 operations in this order: subtract, multiply, round. Whoever cares for non-finite
/// inputs checks them before; infinities saturate.
#[inline]
#[must_use]
pub(crate) fn quantize(x: f32, mean: f32, inverse: f32) -> i16 {
    round_to_word((x - mean) * inverse)
}

/// `word / 32767`: a command word as the fraction of the half range, as it stands in a working memory.
#[inline]
#[must_use]
pub fn fraction_from_word(word: i16) -> f32 {
    f32::from(word) / WORD_MAX_F32
}

/// The command of a word in the units of its channel: `mid + half * (word / 32767)`, limited to
/// `min..=max`, with `mid = 0.5 * min + 0.5 * max` and `half = 0.5 * max - 0.5 * min`.
///
/// Expects finite `min <= max`.
#[inline]
#[must_use]
pub fn command_from_word(word: i16, min: f32, max: f32) -> f32 {
    let middle = 0.5 * min + 0.5 * max;
    let half = 0.5 * max - 0.5 * min;
    let command = middle + half * fraction_from_word(word);
    if command < min {
        min
    } else if command > max {
        max
    } else {
        command
    }
}

/// The word of a command: `clamp(round_half_even((command - mid) / half * 32767), -32767, 32767)`;
/// NaN and an empty range give 0.
///
/// Inverse of [`command_from_word`] for every word while `|mid| <= 32 * half`; beyond, f32 has too
/// few digits to tell neighbouring words apart.
#[inline]
#[must_use]
pub fn word_from_command(command: f32, min: f32, max: f32) -> i16 {
    let middle = 0.5 * min + 0.5 * max;
    let half = 0.5 * max - 0.5 * min;
    round_to_word((command - middle) / half * WORD_MAX_F32)
}

/// Sum of two values of the residual stream, saturated to `[-32767, 32767]`.
#[inline]
#[must_use]
pub const fn add_saturating(a: i16, b: i16) -> i16 {
    let sum = a.saturating_add(b);
    if sum < -WORD_MAX { -WORD_MAX } else { sum }
}

/// Nearest integer, halves to even, limited to `[-32767, 32767]`; NaN gives 0.
#[inline]
fn round_to_word(x: f32) -> i16 {
    // In [2^23, 2^24) neighbouring f32 lie 1 apart: adding 1.5 * 2^23 rounds to the nearest
    // integer, ties to even, and leaves it in the low bits of the significand.
    const MAGIC: f32 = 12_582_912.0;
    let limited = if x > WORD_MAX_F32 {
        WORD_MAX_F32
    } else if x < -WORD_MAX_F32 {
        -WORD_MAX_F32
    } else if x.is_nan() {
        0.0
    } else {
        x
    };
    (limited + MAGIC).to_bits().wrapping_sub(MAGIC.to_bits()) as i16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reference(x: f32) -> i16 {
        if x.is_nan() {
            return 0;
        }
        x.round_ties_even().clamp(-32_767.0, 32_767.0) as i16
    }

    #[test]
    fn rounding_is_half_to_even_for_every_half_and_its_neighbours() {
        for doubled in -70_000..=70_000_i32 {
            let half = doubled as f32 * 0.5;
            for x in [half, half.next_up(), half.next_down()] {
                assert_eq!(round_to_word(x), reference(x), "{x}");
            }
        }
        for x in [
            f32::NAN,
            f32::INFINITY,
            -f32::INFINITY,
            f32::MAX,
            f32::MIN,
            -0.0,
            1e-45,
        ] {
            assert_eq!(round_to_word(x), reference(x), "{x}");
        }
    }

    #[test]
    fn the_ends_of_a_range_are_its_words() {
        for (min, max) in [(-12.0, 12.0), (0.0, 1.0), (-3.4e38, 3.4e38), (0.1, 0.3)] {
            assert!((command_from_word(WORD_MAX, min, max) - max).abs() <= max * 1e-6);
            assert!((command_from_word(-WORD_MAX, min, max) - min).abs() <= max * 1e-6);
            assert_eq!(word_from_command(min, min, max), -WORD_MAX);
            assert_eq!(word_from_command(max, min, max), WORD_MAX);
        }
        assert_eq!(word_from_command(1.0, 1.0, 1.0), 0);
        assert_eq!(command_from_word(i16::MIN, -1.0, 1.0), -1.0);
    }

    proptest! {
        #[test]
        fn quantize_matches_the_formula(x in -1e3_f32..1e3, mean in -1e2_f32..1e2, inverse in 1e-3_f32..1e5) {
            prop_assert_eq!(quantize(x, mean, inverse), reference((x - mean) * inverse));
        }

        #[test]
        fn rounding_matches_for_all_bit_patterns(bits in any::<u32>()) {
            let x = f32::from_bits(bits);
            prop_assert_eq!(round_to_word(x), reference(x));
        }

        #[test]
        fn a_command_stays_in_range_and_comes_back(
            word in -WORD_MAX..=WORD_MAX, half in 1e-3_f32..1e6, offset in -32.0_f32..32.0,
        ) {
            let (min, max) = (half * (offset - 1.0), half * (offset + 1.0));
            let command = command_from_word(word, min, max);
            prop_assert!(command >= min && command <= max);
            prop_assume!((0.5 * min + 0.5 * max).abs() <= 32.0 * (0.5 * max - 0.5 * min));
            prop_assert_eq!(word_from_command(command, min, max), word);
        }

        #[test]
        fn residuals_saturate(a in any::<i16>(), b in any::<i16>()) {
            let exact = (i32::from(a) + i32::from(b)).clamp(-32_767, 32_767);
            prop_assert_eq!(i32::from(add_saturating(a, b)), exact);
        }
    }
}
