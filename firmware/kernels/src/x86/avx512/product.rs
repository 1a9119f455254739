//! Products of whole groups of blocks, requantized in registers: of one token, or of five that share every line
//! of weights.

use core::arch::x86_64::*;

use super::Avx512Vnni;
use super::packed::{ROWS, SHIFTS};
use super::requant::{Factors, load, load_bytes, scale_up};
use crate::CacheLine;
use crate::simd::packed::{Packed, Prescale, QUAD};

/// How many lines ahead of the products weights are asked for: 1536 bytes, which take about as long to
/// come as a map of a small policy to be computed. Maps follow each other, so this reaches into the next.
const AHEAD: usize = 24;

/// Gives every group's results of every token to `each`, bias and factor applied: two blocks or four, whose
/// rows are dealt out as [`super::packed`] says, or one.
///
/// With `DOUBLE`, twice the results, rounded down and as far as an i8 can tell them apart: to be halved,
/// halves up. There are one or [`crate::TOKENS`] tokens.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn product<const C: usize, const T: usize, const DOUBLE: bool>(
    map: Packed<'_, Avx512Vnni, C>,
    inputs: [&[[u8; 4]]; T],
    mut each: impl FnMut(usize, &[__m512i]),
) {
    let mut cut: [&[[u8; 4]]; T] = [&[]; T];
    for (cut, input) in cut.iter_mut().zip(inputs) {
        let Some(input) = input.get(..map.depth) else {
            return;
        };
        *cut = input;
    }
    let (mut lines, mut left) = (map.lines, map.blocks);
    while left >= 4
        && let Some((group, rest)) = Group::<4>::split(lines, map.depth)
    {
        group.results::<C, 2, T, DOUBLE, _>(map, cut, &mut each);
        (lines, left) = (rest, left - 4);
    }
    if left >= 2
        && let Some((group, rest)) = Group::<2>::split(lines, map.depth)
    {
        group.results::<C, 4, T, DOUBLE, _>(map, cut, &mut each);
        (lines, left) = (rest, left - 2);
    }
    if left == 1
        && let Some((group, _)) = Group::<1>::split(lines, map.depth)
    {
        group.results::<C, 4, T, DOUBLE, _>(map, cut, &mut each);
    }
}

/// The lines of a group.
struct Group<'a, const G: usize> {
    biases: &'a [CacheLine; G],
    multipliers: &'a [CacheLine; G],
    shifts: &'a [[u8; ROWS]],
    weights: &'a [[CacheLine; G]],
}

impl<'a, const G: usize> Group<'a, G> {
    /// The first group of so many columns, and the lines behind it.
    #[inline]
    fn split(lines: &'a [CacheLine], depth: usize) -> Option<(Self, &'a [CacheLine])> {
        let (biases, lines) = lines.split_first_chunk::<G>()?;
        let (multipliers, lines) = lines.split_first_chunk::<G>()?;
        let (shifts, lines) = lines.split_at_checked(G.div_ceil(SHIFTS))?;
        let (weights, lines) = lines.split_at_checked(depth.checked_mul(G)?)?;
        let shifts: &[u8] = bytemuck::must_cast_slice(shifts);
        let group = Self {
            biases,
            multipliers,
            shifts: shifts.as_chunks().0,
            weights: weights.as_chunks().0,
        };
        Some((group, lines))
    }

    /// Gives the results of every token to `each`. One token's are summed in `A` registers each.
    ///
    /// The functions below know the type of `each` for its own sake: so each has a single caller and is inlined.
    #[inline]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    fn results<const C: usize, const A: usize, const T: usize, const DOUBLE: bool, F>(
        &self,
        map: Packed<'_, Avx512Vnni, C>,
        inputs: [&[[u8; 4]]; T],
        each: &mut F,
    ) where
        F: FnMut(usize, &[__m512i]),
    {
        match *inputs.as_slice() {
            [a, b, c, d, e] => {
                let factors = self.factors();
                let acc = self.sums_of_five::<C, F>([a, b, c, d, e]);
                for (token, acc) in acc.into_iter().enumerate() {
                    each(token, &scaled::<C, G, DOUBLE, F>(map, acc, &factors));
                }
            }
            [input] => {
                let acc = self.acc::<C, A, F>(input);
                each(0, &scaled::<C, G, DOUBLE, F>(map, acc, &self.factors()));
            }
            _ => {}
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    fn factors(&self) -> [Factors; G] {
        let zero = _mm512_setzero_si512();
        let mut factors = [Factors {
            multiplier: zero,
            shift: zero,
        }; G];
        let lines = self.multipliers.iter().zip(self.shifts);
        for (factors, (multiplier, shift)) in factors.iter_mut().zip(lines) {
            factors.multiplier = load(multiplier);
            factors.shift = _mm512_cvtepu8_epi32(load_bytes(shift));
        }
        factors
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    fn biases(&self) -> [__m512i; G] {
        core::array::from_fn(|block| load(&self.biases[block]))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    fn acc<const C: usize, const A: usize, F>(&self, input: &[[u8; 4]]) -> [__m512i; G] {
        let mut acc = [[_mm512_setzero_si512(); G]; A];
        acc[0] = self.biases();
        let (inputs, inputs_rest) = input.as_chunks::<A>();
        let (many, rest) = self.weights.as_chunks::<A>();
        for (input, weights) in inputs.iter().zip(many) {
            for ((acc, input), weights) in acc.iter_mut().zip(input).zip(weights) {
                fetch(weights);
                accumulate::<C, G>(acc, input, weights);
            }
        }
        for ((acc, input), weights) in acc.iter_mut().zip(inputs_rest).zip(rest) {
            accumulate::<C, G>(acc, input, weights);
        }
        core::array::from_fn(|block| total(&acc, block))
    }

    /// Five variables, not an array: the compiler would keep that in memory.
    #[inline]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    fn sums_of_five<const C: usize, F>(&self, inputs: [&[[u8; 4]]; 5]) -> [[__m512i; G]; 5] {
        let [mut a, mut b, mut c, mut d, mut e] = [self.biases(); 5];
        let [i, j, k, l, m] = inputs;
        let inputs = i.iter().zip(j).zip(k).zip(l).zip(m);
        for (((((i, j), k), l), m), weights) in inputs.zip(self.weights) {
            fetch(weights);
            accumulate::<C, G>(&mut a, i, weights);
            accumulate::<C, G>(&mut b, j, weights);
            accumulate::<C, G>(&mut c, k, weights);
            accumulate::<C, G>(&mut d, l, weights);
            accumulate::<C, G>(&mut e, m, weights);
        }
        [a, b, c, d, e]
    }
}

/// The results of a token.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn scaled<const C: usize, const G: usize, const DOUBLE: bool, F>(
    map: Packed<'_, Avx512Vnni, C>,
    mut acc: [__m512i; G],
    factors: &[Factors; G],
) -> [__m512i; G] {
    let Some(prescale) = map.prescale else {
        for (sum, &factors) in acc.iter_mut().zip(factors) {
            *sum = any::<DOUBLE>(*sum, factors);
        }
        return acc;
    };
    // Seldom: a factor of at least a quarter.
    if prescale != Prescale(0) {
        for sum in &mut acc {
            *sum = scale_up(prescale, *sum);
        }
    }
    for (sum, &factors) in acc.iter_mut().zip(factors) {
        *sum = if DOUBLE {
            factors.double_high(*sum)
        } else {
            factors.apply_high(*sum)
        };
    }
    acc
}

/// Results of a block whose upper halves of products are not enough.
#[cold]
#[inline(never)]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn any<const DOUBLE: bool>(sum: __m512i, factors: Factors) -> __m512i {
    let result = factors.apply(sum);
    if !DOUBLE {
        return result;
    }
    let limit = _mm512_set1_epi32(1 << 29);
    let least = _mm512_sub_epi32(_mm512_setzero_si512(), limit);
    let result = _mm512_max_epi32(_mm512_min_epi32(result, limit), least);
    _mm512_add_epi32(result, result)
}

/// The sum of a block's registers.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn total<const G: usize, const A: usize>(acc: &[[__m512i; G]; A], block: usize) -> __m512i {
    if A == 4 {
        let low = _mm512_add_epi32(acc[0][block], acc[1][block]);
        return _mm512_add_epi32(low, _mm512_add_epi32(acc[2][block], acc[3][block]));
    }
    _mm512_add_epi32(acc[0][block], acc[1][block])
}

/// Asks for the lines [`AHEAD`] of these: no map is read twice in a step, and what the processor fetches by itself ends
/// with a page.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn fetch(lines: &[CacheLine]) {
    for line in lines {
        _mm_prefetch::<_MM_HINT_T0>(core::ptr::from_ref(line).wrapping_add(AHEAD).cast());
    }
}

/// Adds the products of `G` blocks with four (two wide) columns of the input.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn accumulate<const C: usize, const G: usize>(
    acc: &mut [__m512i; G],
    input: &[u8; 4],
    weights: &[CacheLine; G],
) {
    let input = _mm512_set1_epi32(i32::from_le_bytes(*input));
    for (sum, weights) in acc.iter_mut().zip(weights) {
        *sum = if C == QUAD {
            _mm512_dpbusd_epi32(*sum, input, load(weights))
        } else {
            _mm512_dpwssd_epi32(*sum, input, load(weights))
        };
    }
}
