//! Linear maps: products of whole groups of blocks, requantized in registers.

use core::arch::x86_64::*;

use super::bytes::Bytes;
use super::map::{Map, PAIR, Packed, QUAD, ROWS, WideMap};
use super::numbers::{
    Factors, HIGH_SHIFT, Prescale, Single, add_i16, add_i32, load, load_bytes, load_i16,
    store_bytes, store_i16, store_i32, to_i16, to_input,
};
use super::tanh::tanh;
use crate::{Line, Requant};

/// [`crate::Kernels::narrow`].
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn narrow(residual: &[i16], factor: Requant, out: &mut [i8]) {
    let next = Narrow::new(factor);
    let (residual, _) = residual.as_chunks::<ROWS>();
    let (out, _) = out.as_chunks_mut::<ROWS>();
    for (out, residual) in out.iter_mut().zip(residual) {
        next.store(load_i16(residual), out);
    }
}

/// From the residual to the input of a map.
#[derive(Clone, Copy)]
struct Narrow(Single);

impl Narrow {
    #[inline]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    fn new(factor: Requant) -> Self {
        Self(Single::new(factor, 1 << 15))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    fn store(self, residual: __m256i, out: &mut [i8; ROWS]) {
        let x = self.0.apply(_mm512_cvtepi16_epi32(residual));
        store_bytes(out, to_input(x, -127));
    }
}

/// [`crate::Kernels::project`].
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn project(map: Map<'_>, input: &[i8], out: &mut [i8]) {
    let mut out = Bytes {
        out,
        low: -127,
        flip: 0,
    };
    groups::<QUAD>(map, quads(input), |x| out.store(x));
}

/// [`crate::Kernels::rectify`].
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn rectify(map: Map<'_>, input: &[i8], out: &mut [i8]) {
    let mut out = Bytes {
        out,
        low: 0,
        flip: -128,
    };
    groups::<QUAD>(map, quads(input), |x| out.store(x));
}

/// [`crate::Kernels::add`].
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn add(
    map: Map<'_>,
    input: &[i8],
    residual: &mut [i16],
    next: Requant,
    narrow: &mut [i8],
) {
    let next = Narrow::new(next);
    let (residual, _) = residual.as_chunks_mut::<ROWS>();
    let (narrow, _) = narrow.as_chunks_mut::<ROWS>();
    let mut places = residual.iter_mut().zip(narrow);
    product(map, input, |x| {
        if let Some((residual, narrow)) = places.next() {
            let sum = add_i16(load_i16(residual), to_i16(x));
            store_i16(residual, sum);
            next.store(sum, narrow);
        }
    });
}

/// [`crate::Kernels::embed`].
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn embed(map: WideMap<'_>, input: &[i16], out: &mut [i16]) {
    let (out, _) = out.as_chunks_mut::<ROWS>();
    let mut out = out.iter_mut();
    wide_product(map, input, |x| {
        if let Some(out) = out.next() {
            store_i16(out, to_i16(x));
        }
    });
}

/// Most rows of a hidden layer of the head whose preactivations are kept on the stack.
const HIDDEN: usize = 128;

/// [`crate::Kernels::hidden`].
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn hidden(
    map: Map<'_>,
    input: &[i8],
    raw: Option<(WideMap<'_>, &[i16])>,
    out: &mut [i8],
) {
    let (out, _) = out.as_chunks_mut::<ROWS>();
    let Some((raw, raw_input)) = raw else {
        let mut out = out.iter_mut();
        product(map, input, |x| {
            if let Some(out) = out.next() {
                store_bytes(out, to_input(tanh(x), -127));
            }
        });
        return;
    };
    let mut sums = [[0; ROWS]; HIDDEN / ROWS];
    let mut places = sums.iter_mut();
    wide_product(raw, raw_input, |x| {
        if let Some(place) = places.next() {
            store_i32(place, x);
        }
    });
    let mut places = out.iter_mut().zip(&sums);
    product(map, input, |x| {
        if let Some((out, raw)) = places.next() {
            let x = add_i32(x, super::numbers::load_i32(raw));
            store_bytes(out, to_input(tanh(x), -127));
        }
    });
}

/// [`crate::Kernels::words`].
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn words(map: Map<'_>, input: &[i8], out: &mut [i16]) {
    let (out, _) = out.as_chunks_mut::<ROWS>();
    let mut out = out.iter_mut();
    product(map, input, |x| {
        if let Some(out) = out.next() {
            store_i16(out, to_i16(x));
        }
    });
}

/// Gives every block's sums, with bias and factor applied, to `each`.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn product(map: Map<'_>, input: &[i8], mut each: impl FnMut(__m512i)) {
    groups::<QUAD>(map, quads(input), |x| x.iter().for_each(|&x| each(x)));
}

/// Four columns at a time.
#[inline]
fn quads(input: &[i8]) -> &[[u8; 4]] {
    bytemuck::must_cast_slice(input.as_chunks::<4>().0)
}

/// [`product`] for an int16 input.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn wide_product(map: WideMap<'_>, input: &[i16], mut each: impl FnMut(__m512i)) {
    let input = bytemuck::must_cast_slice(input.as_chunks::<2>().0);
    groups::<PAIR>(map, input, |x| x.iter().for_each(|&x| each(x)));
}

#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn groups<const C: usize>(map: Packed<'_, C>, input: &[[u8; 4]], mut each: impl FnMut(&[__m512i])) {
    let Some(input) = input.get(..map.depth) else {
        return;
    };
    let (mut lines, mut shifts) = (map.groups, map.shifts.iter());
    let mut left = map.blocks;
    while left >= 4 {
        lines = group::<C, 4, 2>(lines, &mut shifts, input, map.prescale, &mut each);
        left -= 4;
    }
    if left >= 2 {
        lines = group::<C, 2, 4>(lines, &mut shifts, input, map.prescale, &mut each);
        left -= 2;
    }
    if left == 1 {
        group::<C, 1, 4>(lines, &mut shifts, input, map.prescale, &mut each);
    }
}

/// One group of `G` blocks, each summed in `A` registers; returns the lines behind it.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn group<'a, const C: usize, const G: usize, const A: usize>(
    lines: &'a [Line],
    shifts: &mut core::slice::Iter<'_, [u8; ROWS]>,
    input: &[[u8; 4]],
    prescale: Option<Prescale>,
    each: &mut impl FnMut(&[__m512i]),
) -> &'a [Line] {
    let (rows, _) = lines.as_chunks::<G>();
    let Some(([biases, multipliers], weights)) = rows.split_first_chunk::<2>() else {
        return &[];
    };
    let mut sums = [[_mm512_setzero_si512(); G]; A];
    for (sum, bias) in sums[0].iter_mut().zip(biases) {
        *sum = load(bias);
    }
    let (many, rest) = input.as_chunks::<A>();
    let (weights_many, weights_rest) = weights.as_chunks::<A>();
    for (input, weights) in many.iter().zip(weights_many) {
        for ((sums, input), weights) in sums.iter_mut().zip(input).zip(weights) {
            accumulate::<C, G>(sums, input, weights);
        }
    }
    let weights_rest = weights.get(many.len() * A..).unwrap_or(weights_rest);
    for ((sums, input), weights) in sums.iter_mut().zip(rest).zip(weights_rest) {
        accumulate::<C, G>(sums, input, weights);
    }
    let mut results = [_mm512_setzero_si512(); G];
    for (block, (result, multiplier)) in results.iter_mut().zip(multipliers).enumerate() {
        let sum = total(&sums, block);
        let shift = shifts.next().unwrap_or(&[HIGH_SHIFT; ROWS]);
        let factors = Factors {
            multiplier: load(multiplier),
            shift: _mm512_cvtepu8_epi32(load_bytes(shift)),
        };
        *result = match prescale {
            Some(prescale) => factors.apply::<true>(prescale.apply(sum)),
            None => factors.apply::<false>(sum),
        };
    }
    each(&results);
    lines.get((input.len() + 2) * G..).unwrap_or_default()
}

/// The sum of a block's registers.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn total<const G: usize, const A: usize>(sums: &[[__m512i; G]; A], block: usize) -> __m512i {
    if A == 4 {
        let low = _mm512_add_epi32(sums[0][block], sums[1][block]);
        return _mm512_add_epi32(low, _mm512_add_epi32(sums[2][block], sums[3][block]));
    }
    _mm512_add_epi32(sums[0][block], sums[1][block])
}

/// Adds the products of `G` blocks with four (two wide) columns of the input.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn accumulate<const C: usize, const G: usize>(
    sums: &mut [__m512i; G],
    input: &[u8; 4],
    weights: &[Line; G],
) {
    let input = _mm512_set1_epi32(i32::from_le_bytes(*input));
    for (sum, weights) in sums.iter_mut().zip(weights) {
        *sum = if C == QUAD {
            _mm512_dpbusd_epi32(*sum, input, load(weights))
        } else {
            _mm512_dpwssd_epi32(*sum, input, load(weights))
        };
    }
}

/// [`crate::Packing::read`].
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn read(lines: &[Line]) -> u64 {
    let mut bits = [_mm512_setzero_si512(); 4];
    let (fours, rest) = lines.as_chunks::<4>();
    for four in fours {
        for (bits, line) in bits.iter_mut().zip(four) {
            *bits = _mm512_or_si512(*bits, load(line));
        }
    }
    for line in rest {
        bits[0] = _mm512_or_si512(bits[0], load(line));
    }
    let [a, b, c, d] = bits;
    let all = _mm512_or_si512(_mm512_or_si512(a, b), _mm512_or_si512(c, d));
    _mm512_reduce_or_epi64(all) as u64
}
