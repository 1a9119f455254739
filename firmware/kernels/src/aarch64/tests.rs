//! The vector functions against the scalar ones.

use core::arch::aarch64::{int32x4_t, vdupq_n_s32};
use core::num::NonZeroU32;
use std::vec::Vec;

use proptest::prelude::*;

use super::attention::Reciprocals;
use super::dot::{Dot, SIDE, byte, dot};
use super::memory::{load, load_i32, store_i16, store_i32};
use super::numbers::Factors;
use super::softmax::Exponential;
use super::tanh::tanh;
use super::{Neon, Sdot};
use crate::{Reciprocal, Requant, exp2_neg_q10, tanh_q12};

/// `f` of four numbers, through vectors.
fn through(x: &[i32; 4], f: impl Fn(int32x4_t) -> int32x4_t) -> [i32; 4] {
    let mut out = [0; 4];
    // SAFETY: NEON is there.
    unsafe { store_i32(&mut out, f(load_i32(x))) };
    out
}

/// Every number of `numbers`, four at a time.
fn fours(numbers: impl IntoIterator<Item = i32>) -> Vec<[i32; 4]> {
    let mut numbers: Vec<i32> = numbers.into_iter().collect();
    numbers.resize(numbers.len().next_multiple_of(4), 0);
    numbers.as_chunks::<4>().0.to_vec()
}

#[test]
fn tanh_is_that_of_the_reference_everywhere() {
    let ends = [i32::MIN, i32::MIN + 1, i32::MAX, -1, 65_536, -65_536];
    for x in fours((-20_000..=20_000).chain(ends)) {
        // SAFETY: NEON is there.
        let got = through(&x, |x| unsafe { tanh(x) });
        assert_eq!(got, x.map(|x| i32::from(tanh_q12(x))), "{x:?}");
    }
}

#[test]
fn exponential_is_that_of_the_reference_everywhere() {
    for max in [0_i32, 1 << 30, -(1 << 30), 12_345] {
        let far = [(1_u32 << 31) - 1, 1 << 30].map(|d| d as i32);
        for d in fours((0..40 * 1024).chain(far)) {
            let logits = d.map(|d| max.saturating_sub(d));
            let expected = logits.map(|logit| exp2_neg_q10(max.abs_diff(logit)));
            let mut got = [0; 8];
            // SAFETY: NEON is there.
            unsafe {
                let logits = load_i32(&logits);
                let exponential = Exponential::below(vdupq_n_s32(max));
                store_i16(&mut got, exponential.weights([logits, logits]));
            }
            assert_eq!(got, [expected; 2].as_flattened(), "{max} {d:?}");
        }
    }
}

#[test]
fn means_are_those_of_the_reference() {
    // The stride is odd, so all low bits occur; the first and the last have the most and the fewest zeros.
    let totals = (1..512 * 32_767).step_by(251);
    for total in totals.chain([32_767, 65_535, 65_536, (1 << 24) - 1, 512 * 32_767]) {
        let reciprocal = Reciprocal::new(NonZeroU32::new(total).unwrap());
        let most = 127 * total as i32;
        let part = |i: i32| (i - 8) * (total as i32 / 8) + i / 4;
        for sums in [[most, -most, part(2), part(3)], [7, 9, 11, 15].map(part)] {
            // SAFETY: NEON is there.
            let got = through(&sums, |sums| unsafe {
                Reciprocals::new(reciprocal).means(sums)
            });
            assert_eq!(got, sums.map(|sum| reciprocal.mean_q16(sum)), "{total}");
        }
    }
}

/// Products of a tile with every group of four columns of an input, by vectors and one by one.
fn check_dot<D: Dot>(token: D, weights: [[i8; SIDE]; SIDE], input: [i8; 16], start: [i32; SIDE]) {
    let mut tile = [0; 16];
    for (row, weights) in weights.iter().enumerate() {
        for (column, &weight) in weights.iter().enumerate() {
            tile[byte::<D>(row, column)] = weight;
        }
    }
    for (group, columns) in input.as_chunks::<SIDE>().0.iter().enumerate() {
        // SAFETY: NEON is there.
        let got = through(&start, |sums| unsafe {
            let (tile, input) = (load(&tile), load(&input));
            match group {
                0 => dot::<D, 0>(token, sums, tile, input),
                1 => dot::<D, 1>(token, sums, tile, input),
                2 => dot::<D, 2>(token, sums, tile, input),
                _ => dot::<D, 3>(token, sums, tile, input),
            }
        });
        let expected = core::array::from_fn(|row| {
            let products = weights[row].iter().zip(columns);
            products.fold(start[row], |sum, (&weight, &x)| {
                sum.wrapping_add(i32::from(weight) * i32::from(x))
            })
        });
        assert_eq!(got, expected, "{group}");
    }
}

proptest! {
    #[test]
    fn dot_products_are_exact(
        weights in proptest::array::uniform4(proptest::array::uniform4(prop_oneof![-127_i8..=127, Just(127), Just(-127)])),
        input in proptest::array::uniform16(prop_oneof![any::<i8>(), Just(127), Just(-128)]),
        start in proptest::array::uniform4(any::<i32>()),
    ) {
        check_dot(Neon::detect().unwrap(), weights, input, start);
        if let Some(token) = Sdot::detect() {
            check_dot(token, weights, input, start);
        }
    }

    #[test]
    fn factors_are_those_of_the_reference(
        x in proptest::array::uniform4(prop_oneof![any::<i32>(), -40_000..40_000, Just(i32::MIN), Just(i32::MAX)]),
        multiplier in (1_i32 << 30)..=i32::MAX,
        shift in 1_u8..=62,
    ) {
        let factor = Requant { multiplier, shift };
        let expected = x.map(|x| factor.to_i32(x));
        // SAFETY: NEON is there.
        let any = through(&x, |x| unsafe { Factors::splat(factor).apply::<false>(x) });
        assert_eq!(any, expected);
        if shift >= 32 {
            // SAFETY: NEON is there.
            let high = through(&x, |x| unsafe { Factors::splat(factor).apply::<true>(x) });
            assert_eq!(high, expected);
        }
    }
}
