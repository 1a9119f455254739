//! Base-2 softmax in integers: logits to attention probabilities, and the one division of a head.
//!
//! A probability is `2^(logit - max)`, scaled so that the largest is 32767. The values are summed with
//! these weights first and divided by their total afterwards, so that a window of 512 loses
//! nothing to rounded quotients.

use core::num::NonZeroU32;

use crate::requant::saturate;
use crate::{CONTEXT_FRACTION_BITS, CachePosition, LOGIT_FRACTION_BITS, Requant};

/// The logit of a memory that does not exist: below every logit of [`biased_logit`] by so much
/// that its probability is 0.
pub(crate) const MASKED_LOGIT: i32 = i32::MIN;

/// Largest magnitude of a logit that is not masked.
const LOGIT_MAX: i32 = 1 << 30;

const TABLE_LENGTH: usize = 1 << LOGIT_FRACTION_BITS;

/// `round(32767 * 2^(-i / 1024))`.
pub(crate) static EXP2_NEG: [i16; TABLE_LENGTH] = {
    // 2^(-1/1024). A thousand products are off by less than 1e-12; no entry lies that near to a half.
    const RATIO: f64 = 0.999_323_327_505_021_1;
    let mut table = [0; TABLE_LENGTH];
    let mut value = 32_767.0;
    let mut i = 0;
    while i < TABLE_LENGTH {
        table[i] = (value + 0.5) as i16;
        value *= RATIO;
        i += 1;
    }
    table
};

/// `32767 * 2^(-d / 1024)`, with an error of at most 0.75; 0 for every `d >= 16 * 1024`.
///
/// `(EXP2_NEG[d mod 1024] + 2^(n-1)) >> n` with `n = d / 1024` (no addition for `n = 0`).
#[inline]
#[must_use]
pub fn exp2_neg_q10(d: u32) -> i16 {
    let whole = d >> LOGIT_FRACTION_BITS;
    let entry = EXP2_NEG
        .get(d as usize & (TABLE_LENGTH - 1))
        .copied()
        .unwrap_or(0);
    // Every shift from 16 on gives 0, so one of 16 stands for all.
    let whole = if whole > 16 { 16 } else { whole };
    let half = (1_i32 << whole) >> 1;
    ((i32::from(entry) + half) >> whole) as i16
}

/// `clamp(scale(product) + bias, -2^30, 2^30)`: the logit of one memory, base 2, Q10.
///
/// `product` is the inner product of query and key, `bias` the learned term for the memory's age.
#[inline]
#[must_use]
const fn biased_logit(product: i32, scale: Requant, bias: i32) -> i32 {
    let logit = scale.to_i32(product).saturating_add(bias);
    if logit > LOGIT_MAX {
        LOGIT_MAX
    } else if logit < -LOGIT_MAX {
        -LOGIT_MAX
    } else {
        logit
    }
}

/// Inner products by position to logits: scaled, biased by age, masked where empty.
///
/// Every entry costs the same, masked or not.
pub(crate) fn to_logits(
    products: &mut [i32],
    scale: Requant,
    biases: impl Iterator<Item = i32>,
    position: CachePosition,
) {
    // Ages fall along the positions up to the newest, and again from the end to behind it.
    let newest = position.index.wrapping_add(1);
    let Some((newer, older)) = products.split_at_mut_checked(newest) else {
        return;
    };
    let ascending = newer.iter_mut().rev().chain(older.iter_mut().rev());
    for (age, (product, bias)) in ascending.zip(biases).enumerate() {
        let logit = biased_logit(*product, scale, bias);
        *product = if age < position.filled {
            logit
        } else {
            MASKED_LOGIT
        };
    }
}

/// `probabilities[i] = exp2_neg_q10(max - logits[i])`, and their total; the work depends on the length alone.
///
/// The total is at least 32767, at most 32767 times the length, and 1 for no logits at all.
/// Masked logits get the probability 0 unless all are masked. Surplus entries of the longer slice are
/// left alone.
pub fn attention_probabilities(logits: &[i32], probabilities: &mut [i16]) -> NonZeroU32 {
    let max = logits.iter().fold(
        MASKED_LOGIT,
        |max, &logit| if logit > max { logit } else { max },
    );
    let mut total = 0_u32;
    for (probability, &logit) in probabilities.iter_mut().zip(logits) {
        // As u32 the wrapped difference is exact, whatever the signs.
        *probability = exp2_neg_q10(max.wrapping_sub(logit) as u32);
        total = total.wrapping_add(*probability as u32);
    }
    NonZeroU32::new(total).unwrap_or(NonZeroU32::MIN)
}

/// The reciprocal of a total of attention probabilities, made once per head.
///
/// With `z` = leading zeros of the total and `t = total << z`:
/// `r0 = (2^32 - 1) / (t >> 16)` (the only division, 32 bits),
/// `r = min((r0 * (2^32 - (t * r0 >> 17))) >> 16, 2^32 - 1)`, one Newton step in 64 bits.
/// `r * 2^(z - 63)` is `1 / total` within a relative `2^-28`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reciprocal {
    pub(crate) factor: u32,
    pub(crate) shift: u32,
}

impl Reciprocal {
    /// The reciprocal of `total`.
    #[inline]
    #[must_use]
    pub(crate) fn new(total: NonZeroU32) -> Self {
        let zeros = total.leading_zeros();
        let normal = total.get().wrapping_shl(zeros);
        // The top bit of `normal` is set, so its upper half is not zero.
        let top = NonZeroU32::new(normal >> 16).unwrap_or(NonZeroU32::MIN);
        let first = u64::from(u32::MAX / top);
        let product = u64::from(normal).wrapping_mul(first);
        let correction = (1_u64 << 32).wrapping_sub(product >> 17);
        let factor = first.wrapping_mul(correction) >> 16;
        Self {
            factor: u32::try_from(factor).unwrap_or(u32::MAX),
            shift: 63 - CONTEXT_FRACTION_BITS - zeros,
        }
    }

    /// `sum / total` in Q16: `(sum * r + 2^(s-1)) >> s` with `s = 47 - z`, saturated to i32.
    ///
    /// For `|sum| <= 127 * total` (which every weighted sum of int8 values fulfils) the error is
    /// at most 0.54 units of Q16.
    #[inline]
    #[must_use]
    pub(crate) const fn context_q16(self, sum: i32) -> i32 {
        let product = (sum as i64).wrapping_mul(self.factor as i64);
        let half = 1_i64.wrapping_shl(self.shift.wrapping_sub(1));
        let context = product.wrapping_add(half).wrapping_shr(self.shift);
        saturate(context, i32::MIN as i64, i32::MAX as i64) as i32
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn table_is_the_nearest_integer() {
        for (i, &entry) in EXP2_NEG.iter().enumerate() {
            let exact = 32_767.0 * (-(i as f64) / 1024.0).exp2();
            assert_eq!(f64::from(entry), exact.round(), "{i}");
        }
    }

    #[test]
    fn exponential_error_is_at_most_three_quarters() {
        let mut worst = 0.0_f64;
        for d in 0..40 * 1024 {
            let exact = 32_767.0 * (-f64::from(d) / 1024.0).exp2();
            worst = worst.max((f64::from(exp2_neg_q10(d)) - exact).abs());
        }
        assert!(worst <= 0.75, "{worst}");
        for d in [16 * 1024, u32::MAX, i32::MAX as u32, i32::MIN as u32] {
            assert_eq!(exp2_neg_q10(d), 0);
        }
        assert_eq!(exp2_neg_q10(0), 32_767);
    }

    #[test]
    fn exponential_never_rises() {
        let values: Vec<_> = (0..20 * 1024).map(exp2_neg_q10).collect();
        assert!(values.windows(2).all(|pair| pair[0] >= pair[1]));
    }

    #[test]
    fn masked_logits_weigh_nothing() {
        let one = Requant {
            multiplier: 1 << 30,
            shift: 30,
        };
        let lowest = biased_logit(i32::MIN, one, i32::MIN);
        let mut probabilities = [-1_i16; 3];
        let total =
            attention_probabilities(&[MASKED_LOGIT, lowest, MASKED_LOGIT], &mut probabilities);
        assert_eq!((probabilities, total.get()), ([0, 32_767, 0], 32_767));
        assert_eq!(attention_probabilities(&[], &mut []).get(), 1);
        assert_eq!(biased_logit(i32::MAX, one, i32::MAX), 1 << 30);
        assert_eq!(biased_logit(1000, one, -1), 999);
    }

    fn reciprocal_error(total: u32) -> f64 {
        let reciprocal = Reciprocal::new(NonZeroU32::new(total).unwrap());
        let approximate =
            f64::from(reciprocal.factor) / (f64::from(reciprocal.shift) + 16.0).exp2();
        1.0 - approximate * f64::from(total)
    }

    #[test]
    fn reciprocal_is_within_2_to_minus_28() {
        let limit = (-28.0_f64).exp2();
        let edges = (0..32).flat_map(|bit| {
            let power = 1_u64 << bit;
            [power - 1, power, power + 1, power * 3 / 2]
        });
        // Totals of a window of 512 end at 2^24; the stride is odd, so all low bits occur.
        for total in edges.chain((1..=1 << 24).step_by(37)) {
            let Ok(total @ 1..) = u32::try_from(total) else {
                continue;
            };
            let error = reciprocal_error(total);
            assert!(error.abs() <= limit, "{total}: {error:e}");
        }
    }

    proptest! {
        #[test]
        fn mean_is_within_its_bound(total in 1_u32..=(1 << 24), share in -1.0_f64..=1.0) {
            let sum = (127.0 * f64::from(total) * share) as i32;
            let mean = Reciprocal::new(NonZeroU32::new(total).unwrap()).context_q16(sum);
            let exact = f64::from(sum) / f64::from(total) * 65_536.0;
            prop_assert!((f64::from(mean) - exact).abs() <= 0.54, "{} {}", mean, exact);
        }

        #[test]
        fn a_whole_row_is_within_its_bound_of_softmax(
            rows in proptest::collection::vec((-30_000_i32..30_000, -127_i32..=127), 1..512),
        ) {
            let (logits, values): (Vec<i32>, Vec<i32>) = rows.into_iter().unzip();
            let mut probabilities = vec![0; logits.len()];
            let total = attention_probabilities(&logits, &mut probabilities);
            let sum = probabilities.iter().zip(&values).map(|(&w, &v)| i32::from(w) * v).sum();
            let mean = f64::from(Reciprocal::new(total).context_q16(sum)) / 65_536.0;
            let max = logits.iter().copied().max().unwrap();
            let exact: Vec<f64> = logits.iter().map(|&l| (f64::from(l - max) / 1024.0).exp2()).collect();
            let exact_total: f64 = exact.iter().sum();
            let exact_mean: f64 = exact.iter().zip(&values).map(|(e, &v)| e * f64::from(v)).sum::<f64>() / exact_total;
            // Each weight is off by 0.75 / 32767 of the largest: the mean of values within +-127 by
            // at most 2 * 127 * N * 0.75 / 32767 over the total of the exact weights.
            let bound = 254.0 * logits.len() as f64 * 0.75 / 32_767.0 / exact_total + 1e-5;
            prop_assert!((mean - exact_mean).abs() <= bound, "{} {}", mean, exact_mean);
        }
    }
}
