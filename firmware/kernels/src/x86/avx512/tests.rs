//! The vector functions against the scalar ones.

use core::num::NonZeroU32;
use std::vec::Vec;

use proptest::prelude::*;

use super::attention::Reciprocals;
use super::numbers::{Factors, High, HighFactors, add_i32, halved, load_i32, store_i32};
use super::softmax::Exponential;
use super::tanh::tanh;
use super::{Avx512Vnni, run};
use crate::{Entries, Kernels, Portable, Reciprocal, Requant, exp2_neg_q10, tanh_q12};

/// Runs `f` where the machine can.
fn on_avx512(f: impl FnOnce()) {
    if Avx512Vnni::detect().is_some() {
        // SAFETY: detected.
        unsafe { run(f) }
    }
}

/// `f` of sixteen numbers, through vectors.
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn through(
    x: &[i32; 16],
    f: impl Fn(core::arch::x86_64::__m512i) -> core::arch::x86_64::__m512i,
) -> [i32; 16] {
    let mut out = [0; 16];
    store_i32(&mut out, f(load_i32(x)));
    out
}

/// Every number of `numbers`, sixteen at a time.
fn sixteens(numbers: impl IntoIterator<Item = i32>) -> Vec<[i32; 16]> {
    let mut numbers: Vec<i32> = numbers.into_iter().collect();
    numbers.resize(numbers.len().next_multiple_of(16), 0);
    numbers.as_chunks::<16>().0.to_vec()
}

#[test]
fn tanh_is_that_of_the_reference_everywhere() {
    let ends = [i32::MIN, i32::MIN + 1, i32::MAX, -1, 65_536, -65_536];
    for x in sixteens((-20_000..=20_000).chain(ends)) {
        on_avx512(|| {
            // SAFETY: inside the instructions.
            let got = unsafe { through(&x, |x| tanh(x)) };
            assert_eq!(got, x.map(|x| i32::from(tanh_q12(x))), "{x:?}");
        });
    }
}

#[test]
fn exponential_is_that_of_the_reference_everywhere() {
    let ends = [u32::MAX, 1 << 31, (1 << 31) - 1, 3 << 30].map(|d| d as i32);
    for d in sixteens((0..40 * 1024).chain(ends)) {
        on_avx512(|| {
            // SAFETY: inside the instructions.
            let got = unsafe { through(&d, |d| Exponential::new().weights(d)) };
            assert_eq!(got, d.map(|d| i32::from(exp2_neg_q10(d as u32))), "{d:?}");
        });
    }
}

#[test]
fn means_are_those_of_the_reference() {
    // The stride is odd, so all low bits occur; the first and the last have the most and the fewest zeros.
    let totals = (1..512 * 32_767).step_by(251);
    for total in totals.chain([32_767, 65_535, 65_536, 512 * 32_767]) {
        let reciprocal = Reciprocal::new(NonZeroU32::new(total).unwrap());
        let most = 127 * total as i32;
        let sums = core::array::from_fn(|i| match i {
            0 => most,
            1 => -most,
            _ => (i as i32 - 8) * (total as i32 / 8) + i as i32 / 4,
        });
        on_avx512(|| {
            // SAFETY: inside the instructions.
            let got = unsafe {
                through(&sums, |sums| {
                    Reciprocals::new(load_i32(&[total as i32; 16])).means(sums)
                })
            };
            assert_eq!(got, sums.map(|sum| reciprocal.mean_q16(sum)), "{total}");
        });
    }
}

proptest! {
    #[test]
    fn factors_are_those_of_the_reference(
        x in proptest::array::uniform16(prop_oneof![any::<i32>(), -40_000..40_000, Just(i32::MIN), Just(i32::MAX)]),
        multiplier in (1_i32 << 30)..=i32::MAX,
        shift in 1_u8..=62,
    ) {
        let factor = Requant { multiplier, shift };
        let expected = x.map(|x| factor.to_i32(x));
        on_avx512(|| {
            // SAFETY: inside the instructions.
            assert_eq!(unsafe { through(&x, |x| Factors::splat(factor).apply(x)) }, expected);
            // SAFETY: as above.
            if let Some(high) = unsafe { High::new(factor, 1 << 20) } {
                let x = x.map(|x| x >> 11);
                let expected = x.map(|x| factor.to_i32(x));
                // SAFETY: inside the instructions.
                assert_eq!(unsafe { through(&x, |x| high.apply(x)) }, expected);
            }
            if shift >= 33 {
                // SAFETY: inside the instructions.
                assert_eq!(unsafe { through(&x, |x| halved(HighFactors::splat(factor).double(x))) }, expected);
            }
        });
    }

    #[test]
    fn narrow_is_that_of_the_reference(
        x in proptest::array::uniform32(prop_oneof![any::<i16>(), -300_i16..300, Just(i16::MIN), Just(i16::MAX)]),
        multiplier in prop_oneof![
            (1_i32 << 30)..=i32::MAX,
            Just(0),
            Just(1 << 30),
            Just((1 << 30) | 0x7fff),
            Just((1 << 30) | 0x8000),
            (i32::MAX - 0x9000)..=i32::MAX,
        ],
        shift in 1_u8..=62,
    ) {
        let factor = Requant { multiplier, shift };
        let expected = x.map(|x| factor.to_i8(i32::from(x)) ^ -128);
        on_avx512(|| {
            let mut got = [0; 32];
            // SAFETY: inside the instructions.
            unsafe { super::dense::narrow(&x, factor, &mut got) };
            assert_eq!(got, expected);
        });
    }

    #[test]
    fn entries_are_those_of_the_reference(
        observation in proptest::collection::vec(
            prop_oneof![
                8 => -5.0_f32..5.0,
                1 => any::<f32>(),
                1 => Just(f32::NAN),
                1 => Just(f32::INFINITY),
                1 => Just(f32::NEG_INFINITY),
            ],
            1..33,
        ),
        issued in proptest::collection::vec(any::<i16>(), 1..9),
        last in [any::<f32>(), any::<f32>()],
        scales in proptest::collection::vec((-3.0_f32..3.0, 1.0_f32..40_000.0), 42),
    ) {
        let entries = Entries { observation: &observation, issued: &issued, last };
        let count = observation.len() + issued.len() + 2;
        let (mean, inverse): (Vec<f32>, Vec<f32>) = scales.into_iter().take(count).unzip();
        let places = count.next_multiple_of(16);
        let (mut expected, mut got) = (std::vec![1; places], std::vec![2; places]);
        Portable.quantize(entries, (&mean, &inverse), &mut expected);
        if let Some(kernels) = Avx512Vnni::detect() {
            kernels.quantize(entries, (&mean, &inverse), &mut got);
            assert_eq!(got, expected);
        }
    }

    #[test]
    fn sums_saturate(
        a in proptest::array::uniform16(any::<i32>()),
        b in proptest::array::uniform16(any::<i32>()),
    ) {
        let mut expected = a;
        for (a, b) in expected.iter_mut().zip(b) {
            *a = a.saturating_add(b);
        }
        on_avx512(|| {
            // SAFETY: inside the instructions.
            assert_eq!(unsafe { through(&a, |a| add_i32(a, load_i32(&b))) }, expected);
        });
    }
}
