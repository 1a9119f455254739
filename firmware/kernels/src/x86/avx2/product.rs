//! Products of whole groups of blocks, requantized in registers.

use core::arch::x86_64::*;

use bytemuck::NoUninit;

use super::memory::{Half, load};
use super::requant::{Factors, scale_up};
use super::{Avx2With, dot};
use crate::simd::packed::{PAIR, Packed, Prescale};
use crate::x86::columns;

/// Gives every block's sums, with bias and factor applied, to `each`.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn product<const DOT: u8, const C: usize>(
    map: Packed<'_, Avx2With<DOT>, C>,
    input: &[impl NoUninit],
    mut each: impl FnMut(__m256i),
) {
    let Some(input) = columns(input).get(..map.depth) else {
        return;
    };
    let (mut halves, mut left) = (map.lines, map.blocks);
    while left >= 4 {
        halves = group::<DOT, C, 4>(halves, input, map.prescale, &mut each);
        left -= 4;
    }
    match left {
        3 => group::<DOT, C, 3>(halves, input, map.prescale, &mut each),
        2 => group::<DOT, C, 2>(halves, input, map.prescale, &mut each),
        1 => group::<DOT, C, 1>(halves, input, map.prescale, &mut each),
        _ => halves,
    };
}

/// One group; returns what lies behind it.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn group<'a, const DOT: u8, const C: usize, const G: usize>(
    halves: &'a [Half],
    input: &[[u8; 4]],
    prescale: Option<Prescale>,
    each: &mut impl FnMut(__m256i),
) -> &'a [Half] {
    let (rows, _) = halves.as_chunks::<G>();
    let Some(([biases, multipliers, shifts], weights)) = rows.split_first_chunk::<3>() else {
        return &[];
    };
    // Two sums per block, so that one product does not wait for another.
    let mut acc = [[_mm256_setzero_si256(); G]; 2];
    for (sum, bias) in acc[0].iter_mut().zip(biases) {
        *sum = load(bias);
    }
    let (pairs, last) = input.as_chunks::<2>();
    let (weight_pairs, weight_last) = weights
        .split_at_checked(2 * pairs.len())
        .unwrap_or_default();
    for (pair, weights) in pairs.iter().zip(weight_pairs.as_chunks::<2>().0) {
        for ((acc, input), weights) in acc.iter_mut().zip(pair).zip(weights) {
            accumulate::<DOT, C, G>(acc, input, weights);
        }
    }
    for (input, weights) in last.iter().zip(weight_last) {
        accumulate::<DOT, C, G>(&mut acc[1], input, weights);
    }
    for block in 0..G {
        let sum = _mm256_add_epi32(acc[0][block], acc[1][block]);
        let factors = Factors {
            multiplier: load(&multipliers[block]),
            shift: load(&shifts[block]),
        };
        each(match prescale {
            Some(prescale) => factors.apply::<true>(scale_up(prescale, sum)),
            None => factors.apply::<false>(sum),
        });
    }
    halves.get((input.len() + 3) * G..).unwrap_or_default()
}

/// Adds the products of `G` blocks with four (two wide) columns of the input.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn accumulate<const DOT: u8, const C: usize, const G: usize>(
    acc: &mut [__m256i; G],
    input: &[u8; 4],
    weights: &[Half; G],
) {
    let input = _mm256_set1_epi32(i32::from_le_bytes(*input));
    if C == PAIR {
        for (sum, weights) in acc.iter_mut().zip(weights) {
            *sum = dot::words::<DOT>(*sum, input, load(weights));
        }
        return;
    }
    // Unsigned times signed is what there is: the input gives its sign to the weights.
    let magnitude = _mm256_abs_epi8(input);
    for (sum, weights) in acc.iter_mut().zip(weights) {
        let signed = _mm256_sign_epi8(load(weights), input);
        *sum = dot::bytes::<DOT>(*sum, magnitude, signed);
    }
}
