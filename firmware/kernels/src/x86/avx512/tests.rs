//! The suite on AVX-512, and its functions of sixteen numbers.

use core::arch::x86_64::__m512i;
use core::num::NonZeroU32;
use std::vec::Vec;

use super::Avx512Vnni;
use super::attention::Reciprocals;
use super::requant::{Factors, Single, add_i32, load_i32, store_i32};
use super::softmax::Exponential;
use super::tanh::tanh;
use crate::Requant;
use crate::simd::Simd;
use crate::suite::vectors::{Sums, Vectors};
use crate::x86::prescale::HIGH_SHIFT;

crate::suite::stamp!(Avx512Vnni::detect());
crate::suite::stamp_vectors!(Sixteen, 16, Avx512Vnni::detect(); tanh exponential context factors sums);

struct Sixteen;

/// `f` of sixteen numbers, through vectors.
fn through(x: [i32; 16], f: impl Fn(__m512i) -> __m512i) -> [i32; 16] {
    let mut out = [0; 16];
    // SAFETY: the tests begin with a detection.
    unsafe { Avx512Vnni::enter(|| store_i32(&mut out, f(load_i32(&x)))) };
    out
}

impl Vectors<16> for Sixteen {
    fn tanh(x: [i32; 16]) -> [i32; 16] {
        // SAFETY: inside the instructions.
        through(x, |x| unsafe { tanh(x) })
    }

    fn probabilities(most: i32, logits: [i32; 16]) -> [i32; 16] {
        let below = logits.map(|logit| most.wrapping_sub(logit));
        // SAFETY: inside the instructions.
        through(below, |x| unsafe { Exponential::new().probabilities(x) })
    }

    fn context(total: NonZeroU32, acc: [i32; 16]) -> [i32; 16] {
        let totals = [total.get().cast_signed(); 16];
        // SAFETY: inside the instructions.
        through(acc, |x| unsafe {
            Reciprocals::new(load_i32(&totals)).context(x)
        })
    }

    fn scaled(factor: Requant, x: [i32; 16]) -> Vec<[i32; 16]> {
        let magnitude = x.iter().fold(0, |most, x| x.unsigned_abs().max(most));
        // SAFETY: inside the instructions.
        let any = through(x, |x| unsafe { Factors::splat(factor).apply(x) });
        // SAFETY: inside the instructions.
        let known = through(x, |x| unsafe {
            Single::new(factor, magnitude.into()).apply(x)
        });
        let high = factor.shift.checked_sub(HIGH_SHIFT).map(|shift| {
            let less = Requant { shift, ..factor };
            // SAFETY: inside the instructions.
            through(x, |x| unsafe { Factors::splat(less).apply_high(x) })
        });
        [any, known].into_iter().chain(high).collect()
    }
}

impl Sums<16> for Sixteen {
    fn sum(a: [i32; 16], b: [i32; 16]) -> [i32; 16] {
        // SAFETY: inside the instructions.
        through(a, |a| unsafe { add_i32(a, load_i32(&b)) })
    }
}
