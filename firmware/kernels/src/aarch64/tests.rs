//! The suite with SDOT and without, the functions of four numbers, and the products of a tile.

use core::arch::aarch64::{int32x4_t, vdupq_n_s32};
use core::num::NonZeroU32;
use std::vec::Vec;

use proptest::prelude::*;

use super::attention::Reciprocals;
use super::dot::{Dot, SIDE, byte, dot};
use super::memory::{load, load_i32, store_i16, store_i32};
use super::requant::{Factors, HIGH_SHIFT};
use super::softmax::Exponential;
use super::tanh::tanh;
use super::{Neon, Sdot};
use crate::suite::vectors::Vectors;
use crate::{Reciprocal, Requant};

mod sdot {
    use super::*;

    crate::suite::stamp!(Sdot::detect());
}

mod neon {
    use super::*;

    crate::suite::stamp!(Neon::detect());
}

crate::suite::stamp_vectors!(Four, 4, Neon::detect(); tanh exponential context factors);

struct Four;

/// `f` of four numbers, through vectors.
fn through(x: [i32; 4], f: impl Fn(int32x4_t) -> int32x4_t) -> [i32; 4] {
    let mut out = [0; 4];
    // SAFETY: NEON is there.
    unsafe { store_i32(&mut out, f(load_i32(&x))) };
    out
}

impl Vectors<4> for Four {
    fn tanh(x: [i32; 4]) -> [i32; 4] {
        // SAFETY: NEON is there.
        through(x, |x| unsafe { tanh(x) })
    }

    fn probabilities(most: i32, logits: [i32; 4]) -> [i32; 4] {
        let mut weights = [0; 8];
        // SAFETY: NEON is there.
        unsafe {
            let exponential = Exponential::below(vdupq_n_s32(most));
            let logits = load_i32(&logits);
            store_i16(&mut weights, exponential.probabilities([logits, logits]));
        }
        let [low, high] = [&weights[..4], &weights[4..]];
        assert_eq!(low, high);
        core::array::from_fn(|lane| i32::from(low[lane]))
    }

    fn context(total: NonZeroU32, acc: [i32; 4]) -> [i32; 4] {
        // SAFETY: NEON is there.
        through(acc, |x| unsafe {
            Reciprocals::new(Reciprocal::new(total)).context(x)
        })
    }

    fn scaled(factor: Requant, x: [i32; 4]) -> Vec<[i32; 4]> {
        // SAFETY: NEON is there.
        let any = through(x, |x| unsafe { Factors::splat(factor).apply::<false>(x) });
        // SAFETY: NEON is there.
        let high = || through(x, |x| unsafe { Factors::splat(factor).apply::<true>(x) });
        let high = (factor.shift >= HIGH_SHIFT).then(high);
        core::iter::once(any).chain(high).collect()
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
        let got = through(start, |acc| unsafe {
            let (tile, input) = (load(&tile), load(&input));
            match group {
                0 => dot::<D, 0>(token, acc, tile, input),
                1 => dot::<D, 1>(token, acc, tile, input),
                2 => dot::<D, 2>(token, acc, tile, input),
                _ => dot::<D, 3>(token, acc, tile, input),
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
}
