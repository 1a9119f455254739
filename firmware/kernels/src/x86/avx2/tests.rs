//! The suite on AVX2, and its functions of eight numbers.

use core::arch::x86_64::__m256i;
use core::num::NonZeroU32;
use std::vec::Vec;

use super::Avx2;
use super::attention::Reciprocals;
use super::memory::{load_i32, store_i32};
use super::requant::{Factors, Single, add_i32};
use super::softmax::probabilities;
use super::tanh::tanh;
use crate::Requant;
use crate::simd::Simd;
use crate::suite::vectors::{Sums, Vectors};
use crate::x86::prescale::HIGH_SHIFT;

crate::suite::stamp!(Avx2::detect());

mod vnni {
    use super::super::AvxVnni;

    crate::suite::stamp!(AvxVnni::detect());
}

/// The code of [`super::AvxVnni`] where a processor has its instructions in AVX-512 only.
mod vnni_of_avx512 {
    use super::super::Avx512Half;

    crate::suite::stamp!(Avx512Half::detect());
}

crate::suite::stamp_vectors!(Eight, 8, Avx2::detect(); tanh exponential context factors sums);

struct Eight;

/// `f` of eight numbers, through vectors.
fn through(x: [i32; 8], f: impl Fn(__m256i) -> __m256i) -> [i32; 8] {
    let mut out = [0; 8];
    // SAFETY: the tests begin with a detection.
    unsafe { Avx2::enter(|| store_i32(&mut out, f(load_i32(&x)))) };
    out
}

impl Vectors<8> for Eight {
    fn tanh(x: [i32; 8]) -> [i32; 8] {
        // SAFETY: inside the instructions.
        through(x, |x| unsafe { tanh(x) })
    }

    fn probabilities(most: i32, logits: [i32; 8]) -> [i32; 8] {
        let below = logits.map(|logit| most.wrapping_sub(logit));
        // SAFETY: inside the instructions.
        through(below, |x| unsafe { probabilities(x) })
    }

    fn context(total: NonZeroU32, acc: [i32; 8]) -> [i32; 8] {
        // SAFETY: inside the instructions.
        through(acc, |x| unsafe { Reciprocals::new(total).context(x) })
    }

    fn scaled(factor: Requant, x: [i32; 8]) -> Vec<[i32; 8]> {
        let magnitude = x.iter().fold(0, |most, x| x.unsigned_abs().max(most));
        // SAFETY: inside the instructions.
        let any = through(x, |x| unsafe { Factors::splat(factor).apply::<false>(x) });
        // SAFETY: inside the instructions.
        let known = through(x, |x| unsafe {
            Single::new(factor, magnitude.into()).apply(x)
        });
        // SAFETY: inside the instructions.
        let high = || through(x, |x| unsafe { Factors::splat(factor).apply::<true>(x) });
        let high = (factor.shift >= HIGH_SHIFT).then(high);
        [any, known].into_iter().chain(high).collect()
    }
}

impl Sums<8> for Eight {
    fn sum(a: [i32; 8], b: [i32; 8]) -> [i32; 8] {
        // SAFETY: inside the instructions.
        through(a, |a| unsafe { add_i32(a, load_i32(&b)) })
    }
}
