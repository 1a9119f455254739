//! Functions of a register, on the whole of their domains.

use core::num::NonZeroU32;
use std::vec::Vec;

use proptest::prelude::*;

use crate::{Reciprocal, Requant, exp2_neg_q10, tanh_q12};

/// What kernels compute `L` numbers of at once.
pub(crate) trait Vectors<const L: usize> {
    /// [`tanh_q12`].
    fn tanh(x: [i32; L]) -> [i32; L];
    /// [`exp2_neg_q10`] of `most - logits`, which may not be negative.
    fn probabilities(most: i32, logits: [i32; L]) -> [i32; L];
    /// [`Reciprocal::context_q16`].
    fn context(total: NonZeroU32, acc: [i32; L]) -> [i32; L];
    /// [`Requant::to_i32`], in every way that such a factor and such numbers may take.
    fn scaled(factor: Requant, x: [i32; L]) -> Vec<[i32; L]>;
}

/// Where there is no instruction for it.
#[cfg(target_arch = "x86_64")]
pub(crate) trait Sums<const L: usize> {
    /// [`i32::saturating_add`].
    fn sum(a: [i32; L], b: [i32; L]) -> [i32; L];
}

/// Every number, `L` at a time.
fn in_vectors<const L: usize>(numbers: impl IntoIterator<Item = i32>) -> Vec<[i32; L]> {
    let mut numbers: Vec<i32> = numbers.into_iter().collect();
    numbers.resize(numbers.len().next_multiple_of(L), 0);
    numbers.as_chunks::<L>().0.to_vec()
}

pub(crate) fn tanh<V: Vectors<L>, const L: usize>() {
    let ends = [i32::MIN, i32::MIN + 1, i32::MAX, -1, 65_536, -65_536];
    for x in in_vectors((-20_000..=20_000).chain(ends)) {
        assert_eq!(V::tanh(x), x.map(|x| i32::from(tanh_q12(x))), "{x:?}");
    }
}

pub(crate) fn exponential<V: Vectors<L>, const L: usize>() {
    for most in [0_i32, 1 << 30, -(1 << 30), 12_345] {
        // As far as a logit that is not masked can lie below the largest.
        let far = [(1_u32 << 31) - 1, 1 << 30].map(|d| d as i32);
        for below in in_vectors((0..40 * 1024).chain(far)) {
            let logits = below.map(|d| most.saturating_sub(d));
            let expected = logits.map(|logit| i32::from(exp2_neg_q10(most.abs_diff(logit))));
            assert_eq!(V::probabilities(most, logits), expected, "{most} {below:?}");
        }
    }
}

pub(crate) fn context<V: Vectors<L>, const L: usize>() {
    // The stride is odd, so all low bits occur; the first and the last have the most and the fewest zeros.
    let totals = (1..512 * 32_767).step_by(251);
    for total in totals.chain([32_767, 65_535, 65_536, (1 << 24) - 1, 512 * 32_767]) {
        let total = NonZeroU32::new(total).unwrap();
        let (reciprocal, whole) = (Reciprocal::new(total), total.get() as i32);
        let acc = [127 * whole, -127 * whole].into_iter();
        let acc = acc.chain((2..16).map(|i| (i - 8) * (whole / 8) + i / 4));
        for acc in in_vectors(acc) {
            let expected = acc.map(|sum| reciprocal.context_q16(sum));
            assert_eq!(V::context(total, acc), expected, "{total}");
        }
    }
}

pub(crate) fn factors<V: Vectors<L>, const L: usize>() {
    let x = prop_oneof![
        any::<i32>(),
        -40_000..40_000,
        Just(i32::MIN),
        Just(i32::MAX)
    ];
    let x = proptest::collection::vec(x, L);
    proptest!(|(x in x, multiplier in (1_i32 << 30)..=i32::MAX, shift in 1_u8..=62)| {
        let factor = Requant { multiplier, shift };
        // Some ways take numbers of a known magnitude only.
        for down in [0, 11, 16] {
            let x = core::array::from_fn(|lane| x[lane] >> down);
            let expected = x.map(|x| factor.to_i32(x));
            for scaled in V::scaled(factor, x) {
                assert_eq!(scaled, expected);
            }
        }
    });
}

#[cfg(target_arch = "x86_64")]
pub(crate) fn sums<V: Sums<L>, const L: usize>() {
    let vector = || proptest::collection::vec(any::<i32>(), L);
    proptest!(|(a in vector(), b in vector())| {
        let expected = core::array::from_fn(|lane| a[lane].saturating_add(b[lane]));
        let [a, b] = [a, b].map(|x| core::array::from_fn(|lane| x[lane]));
        assert_eq!(V::sum(a, b), expected);
    });
}

/// Tests of functions of a register, where `$detect` finds the instructions.
macro_rules! stamp_vectors {
    ($vectors:ty, $lanes:literal, $detect:expr; $($test:ident)+) => {
        mod vectors {
            use super::*;

            $(
                #[test]
                fn $test() {
                    if $detect.is_some() {
                        $crate::suite::vectors::$test::<$vectors, $lanes>();
                    }
                }
            )+
        }
    };
}
pub(crate) use stamp_vectors;
