//! The kernels of a step: products of whole groups of blocks, requantized in registers.

use core::arch::aarch64::*;

use super::attention;
use super::dot::{Dot, Tile};
use super::memory::{load_i16, load_i32, store, store_i16, store_i32};
use super::packed::{COLUMNS, HEADER, ROWS, RUN, WIDE_COLUMNS};
use super::requant::{Factors, Single, Sixteen, add_i16, numbers, to_i8, to_i16};
use super::rows::{bytes_of_groups, group};
use super::tanh::tanh;
use crate::simd::Simd;
use crate::simd::biases::Biases;
use crate::simd::packed::{Linear, WideLinear};
use crate::{Attention, CacheLine, HeadHook, Onto, Requant};

impl<D: Dot> Simd for D {
    #[inline(always)]
    unsafe fn enter<R>(f: impl FnOnce() -> R) -> R {
        f()
    }

    #[target_feature(enable = "neon")]
    unsafe fn requantize(self, residual: &[i16], factor: Requant, out: &mut [i8]) {
        let factor = Single::new(factor);
        let (residual, _) = residual.as_chunks::<8>();
        let (residual, _) = residual.as_chunks::<2>();
        let (out, _) = out.as_chunks_mut::<ROWS>();
        for (out, [a, b]) in out.iter_mut().zip(residual) {
            store(out, to_input(factor, [load_i16(a), load_i16(b)]));
        }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn linear_i8<const RECTIFY: bool, const T: usize>(
        self,
        map: Linear<'_, Self>,
        inputs: [&[i8]; T],
        outs: [&mut [i8]; T],
    ) {
        let least = if RECTIFY { 0 } else { -127 };
        for (input, out) in inputs.into_iter().zip(outs) {
            bytes(self, &map, input, least, out);
        }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn linear_add<const T: usize>(
        self,
        map: Linear<'_, Self>,
        inputs: [&[i8]; T],
        (residuals, next, requantized): Onto<'_, T>,
    ) {
        for ((input, residual), requantized) in inputs.into_iter().zip(residuals).zip(requantized) {
            add(self, &map, input, residual, next, requantized);
        }
    }

    #[target_feature(enable = "neon")]
    unsafe fn wide_linear_i16(self, map: WideLinear<'_, Self>, input: &[i16], out: &mut [i16]) {
        let mut out = out.as_chunks_mut::<ROWS>().0.iter_mut();
        wide_product(map, input, |x| {
            if let Some(out) = out.next() {
                words_of(x, out);
            }
        });
    }

    #[target_feature(enable = "neon")]
    unsafe fn linear_tanh(
        self,
        map: Linear<'_, Self>,
        input: &[i8],
        raw: Option<(WideLinear<'_, Self>, &[i16])>,
        acc: &mut [i32],
        out: &mut [i8],
    ) {
        let (acc, _) = acc.as_chunks_mut::<4>();
        let (acc, _) = acc.as_chunks_mut::<4>();
        let mut count = 0;
        if let Some((raw, input)) = raw {
            wide_product(raw, input, |x| {
                if let Some(place) = acc.get_mut(count) {
                    for (place, x) in place.iter_mut().zip(x) {
                        store_i32(place, x);
                    }
                    count += 1;
                }
            });
        }
        let mut raw = acc.iter().take(count);
        let mut out = out.as_chunks_mut::<ROWS>().0.iter_mut();
        product(self, &map, map.lines, input, |mut x| {
            for (x, raw) in x.iter_mut().zip(raw.next().into_iter().flatten()) {
                *x = vqaddq_s32(*x, load_i32(raw));
            }
            if let Some(out) = out.next() {
                store(out, to_i8(x.map(|x| tanh(x)), -127));
            }
        });
    }

    #[target_feature(enable = "neon")]
    unsafe fn linear_i16(self, map: Linear<'_, Self>, input: &[i8], out: &mut [i16]) {
        let mut out = out.as_chunks_mut::<ROWS>().0.iter_mut();
        product(self, &map, map.lines, input, |x| {
            if let Some(out) = out.next() {
                words_of(x, out);
            }
        });
    }

    #[inline]
    unsafe fn attention(
        self,
        attention: Attention<'_, Biases<'_, D>>,
        falling: &[i32],
        hook: Option<&mut HeadHook<'_>>,
    ) {
        // SAFETY: the caller's.
        unsafe { attention::run(self, attention, falling, hook) }
    }
}

/// Sixteen entries of the residual as the input of a map.
#[inline]
#[target_feature(enable = "neon")]
fn to_input(factor: Single, [a, b]: [int16x8_t; 2]) -> int8x16_t {
    let wide = [
        vmovl_s16(vget_low_s16(a)),
        vmovl_high_s16(a),
        vmovl_s16(vget_low_s16(b)),
        vmovl_high_s16(b),
    ];
    to_i8(factor.apply(wide), -127)
}

/// [`crate::Kernels::linear_i8`]; it rectifies with a `least` of 0, and does not with one of -127.
#[inline]
#[target_feature(enable = "neon")]
fn bytes<D: Dot>(token: D, map: &Linear<'_, D>, input: &[i8], least: i8, out: &mut [i8]) {
    let (mut lines, mut out) = (map.lines, out.as_chunks_mut::<ROWS>().0);
    if let (true, Some(input)) = (map.prescale.is_some(), runs(map, input)) {
        let (groups, _) = out.as_chunks_mut::<2>();
        let count = groups.len().min(map.blocks / 2);
        let groups = groups.get_mut(..count).unwrap_or_default();
        if bytes_of_groups::<D, false>(
            token,
            lines,
            input,
            Default::default(),
            vdupq_n_s8(least),
            groups,
        ) {
            lines = lines.get(count * group_lines(map)..).unwrap_or_default();
            out = out.get_mut(2 * count..).unwrap_or_default();
        }
    }
    let mut out = out.iter_mut();
    product(token, map, lines, input, |x| {
        if let Some(out) = out.next() {
            store(out, to_i8(x, least));
        }
    });
}

/// [`crate::Kernels::linear_add`].
#[target_feature(enable = "neon")]
fn add<D: Dot>(
    token: D,
    map: &Linear<'_, D>,
    input: &[i8],
    residual: &mut [i16],
    next: Requant,
    requantized: &mut [i8],
) {
    let next = Single::new(next);
    let (mut lines, mut residual) = (map.lines, residual.as_chunks_mut::<ROWS>().0);
    let mut requantized = requantized.as_chunks_mut::<ROWS>().0;
    if let (true, Some(input)) = (next.high && map.prescale.is_some(), runs(map, input)) {
        let (groups, _) = requantized.as_chunks_mut::<2>();
        let count = groups.len().min(map.blocks / 2);
        let groups = groups.get_mut(..count).unwrap_or_default();
        let both = residual.as_flattened_mut().as_chunks_mut::<32>().0;
        let onto = Some((both, next.factors));
        if bytes_of_groups::<D, true>(token, lines, input, onto, vdupq_n_s8(-127), groups) {
            lines = lines.get(count * group_lines(map)..).unwrap_or_default();
            residual = residual.get_mut(2 * count..).unwrap_or_default();
            requantized = requantized.get_mut(2 * count..).unwrap_or_default();
        }
    }
    let mut places = residual.iter_mut().zip(requantized);
    product(token, map, lines, input, |[a, b, c, d]| {
        if let Some((residual, requantized)) = places.next() {
            let [low, high]: &mut [[i16; 8]; 2] = bytemuck::must_cast_mut(residual);
            let acc = [
                add_i16(load_i16(low), to_i16(a, b)),
                add_i16(load_i16(high), to_i16(c, d)),
            ];
            store_i16(low, acc[0]);
            store_i16(high, acc[1]);
            store(requantized, to_input(next, acc));
        }
    });
}

/// Stores sixteen numbers as int16.
#[inline]
#[target_feature(enable = "neon")]
fn words_of([a, b, c, d]: Sixteen, out: &mut [i16; ROWS]) {
    let [low, high]: &mut [[i16; 8]; 2] = bytemuck::must_cast_mut(out);
    store_i16(low, to_i16(a, b));
    store_i16(high, to_i16(c, d));
}

/// Runs of columns that a map is multiplied with.
#[inline(always)]
fn runs<'a, D: Dot>(map: &Linear<'_, D>, input: &'a [i8]) -> Option<&'a [Tile]> {
    input.as_chunks::<COLUMNS>().0.get(..map.depth)
}

/// Lines of a group of two blocks.
#[inline(always)]
const fn group_lines<D: Dot>(map: &Linear<'_, D>) -> usize {
    2 * (HEADER + RUN * map.depth)
}

/// Gives the sums of every block in `lines` of a map, with bias and factor applied, to `each`.
#[inline]
#[target_feature(enable = "neon")]
fn product<D: Dot>(
    token: D,
    map: &Linear<'_, D>,
    mut lines: &[CacheLine],
    input: &[i8],
    mut each: impl FnMut(Sixteen),
) {
    let Some(input) = runs(map, input) else {
        return;
    };
    let two = group_lines(map);
    while let Some((now, rest)) = lines.split_at_checked(two) {
        lines = rest;
        let acc = if map.prescale.is_some() {
            group::<D, 2, true>(token, now, input)
        } else {
            group::<D, 2, false>(token, now, input).map(|acc| scaled(acc, now))
        };
        let Some([first, second]) = acc else { return };
        each(first);
        each(second);
    }
    if lines.is_empty() {
        return;
    }
    let acc = if map.prescale.is_some() {
        group::<D, 1, true>(token, lines, input)
    } else {
        group::<D, 1, false>(token, lines, input).map(|acc| scaled(acc, lines))
    };
    if let Some([acc]) = acc {
        each(acc);
    }
}

/// [`Requant::to_i32`] of the sums of a group, with any shifts.
#[inline]
#[target_feature(enable = "neon")]
fn scaled<const G: usize>(acc: [Sixteen; G], group: &[CacheLine]) -> [Sixteen; G] {
    let mut acc = acc;
    if let Some([_, multipliers, counts]) = group.as_chunks::<G>().0.first_chunk::<HEADER>() {
        for (acc, lines) in acc.iter_mut().zip(multipliers.iter().zip(counts)) {
            *acc = apply::<false>(*acc, lines);
        }
    }
    acc
}

/// Sixteen sums times their factors.
#[inline]
#[target_feature(enable = "neon")]
fn apply<const HIGH: bool>(
    mut acc: Sixteen,
    (multipliers, counts): (&CacheLine, &CacheLine),
) -> Sixteen {
    let factors = Factors::load(multipliers, counts);
    for (sum, factors) in acc.iter_mut().zip(factors) {
        *sum = factors.apply::<HIGH>(*sum);
    }
    acc
}

/// [`product`] for an int16 input.
#[inline]
#[target_feature(enable = "neon")]
fn wide_product<D: Dot>(map: WideLinear<'_, D>, input: &[i16], mut each: impl FnMut(Sixteen)) {
    let (input, _) = input.as_chunks::<WIDE_COLUMNS>();
    let Some(input) = input.get(..map.depth) else {
        return;
    };
    let mut lines = map.lines;
    while let Some((block, rest)) = lines.split_at_checked(HEADER + RUN * map.depth) {
        lines = rest;
        let Some(([biases, multipliers, counts], weights)) = block.split_first_chunk::<HEADER>()
        else {
            return;
        };
        let mut acc = numbers(biases);
        for (input, [a, b, c, d]) in input.iter().zip(weights.as_chunks::<RUN>().0) {
            let input = load_i16(input);
            wide_pair::<0, 1>(&mut acc, a, input);
            wide_pair::<2, 3>(&mut acc, b, input);
            wide_pair::<4, 5>(&mut acc, c, input);
            wide_pair::<6, 7>(&mut acc, d, input);
        }
        let factors = (multipliers, counts);
        each(if map.prescale.is_some() {
            apply::<true>(acc, factors)
        } else {
            apply::<false>(acc, factors)
        });
    }
}

/// Adds the products of a block with two columns of an int16 input.
#[inline]
#[target_feature(enable = "neon")]
fn wide_pair<const FIRST: i32, const SECOND: i32>(
    acc: &mut Sixteen,
    line: &CacheLine,
    input: int16x8_t,
) {
    let words: &[[i16; 8]; 4] = bytemuck::must_cast_ref(line);
    let [a, b, c, d] = words.each_ref().map(|eight| load_i16(eight));
    wide_column::<FIRST>(acc, [a, b], input);
    wide_column::<SECOND>(acc, [c, d], input);
}

/// Adds the products of a block with one column of an int16 input.
#[inline]
#[target_feature(enable = "neon")]
fn wide_column<const COLUMN: i32>(
    acc: &mut Sixteen,
    [low, high]: [int16x8_t; 2],
    input: int16x8_t,
) {
    acc[0] = vmlal_laneq_s16::<COLUMN>(acc[0], vget_low_s16(low), input);
    acc[1] = vmlal_high_laneq_s16::<COLUMN>(acc[1], low, input);
    acc[2] = vmlal_laneq_s16::<COLUMN>(acc[2], vget_low_s16(high), input);
    acc[3] = vmlal_high_laneq_s16::<COLUMN>(acc[3], high, input);
}
