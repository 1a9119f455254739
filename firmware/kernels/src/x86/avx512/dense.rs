//! The kernels of a step: what becomes of the results of a product.

use core::arch::x86_64::*;

use super::Avx512Vnni;
use super::attention::{self, Biases};
use super::bytes::Bytes;
use super::entries::quantize;
use super::packed::ROWS;
use super::product::product;
use super::requant::{
    add_i32, load_i16, load_i32, load_words, store_bytes, store_half, store_i16, store_i32,
    store_words, to_i16, words,
};
use super::requantize::Requantize;
use super::tanh::tanh;
use crate::simd::Simd;
use crate::simd::packed::{Linear, WideLinear};
use crate::x86::columns;
use crate::{Attention, Entries, HeadHook, Onto, Requant};

/// Rows of two blocks.
const TWO: usize = 2 * ROWS;

impl Simd for Avx512Vnni {
    #[inline]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    unsafe fn enter<R>(f: impl FnOnce() -> R) -> R {
        f()
    }

    #[inline(always)]
    unsafe fn entries(self, entries: Entries<'_>, scales: (&[f32], &[f32]), out: &mut [i16]) {
        // SAFETY: the caller's.
        unsafe { quantize(entries, scales, out) }
    }

    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    unsafe fn requantize(self, residual: &[i16], factor: Requant, out: &mut [i8]) {
        let next = Requantize::new(factor);
        let (residual, residual_rest) = residual.as_chunks::<TWO>();
        let (out, out_rest) = out.as_chunks_mut::<TWO>();
        for (out, residual) in out.iter_mut().zip(residual) {
            store_half(out, next.apply(load_words(residual)));
        }
        if let (Some(residual), Some(out)) =
            (residual_rest.first_chunk(), out_rest.first_chunk_mut())
        {
            let bytes = next.apply(_mm512_castsi256_si512(load_i16(residual)));
            store_bytes(out, _mm256_castsi256_si128(bytes));
        }
    }

    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    unsafe fn linear_i8<const RECTIFY: bool, const T: usize>(
        self,
        map: Linear<'_, Self>,
        inputs: [&[i8]; T],
        outs: [&mut [i8]; T],
    ) {
        // Nothing is captured: or the closure is called.
        let mut outs = outs.map(|out| Bytes {
            out,
            least: if RECTIFY { 128 } else { 1 },
            flip: if RECTIFY { 0 } else { -128 },
        });
        product::<_, T, true>(map, inputs.map(columns), |token, x| {
            if let Some(out) = outs.get_mut(token) {
                out.store(x);
            }
        });
    }

    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    unsafe fn linear_add<const T: usize>(
        self,
        map: Linear<'_, Self>,
        inputs: [&[i8]; T],
        (mut residuals, next, mut requantized): Onto<'_, T>,
    ) {
        let next = Requantize::new(next);
        product::<_, T, false>(map, inputs.map(columns), |token, x| {
            let (Some(residual), Some(requantized)) =
                (residuals.get_mut(token), requantized.get_mut(token))
            else {
                return;
            };
            let (pairs, last) = x.as_chunks::<2>();
            for &[a, b] in pairs {
                let (Some(residual), Some(requantized)) = (take(residual), take(requantized))
                else {
                    return;
                };
                let sum = _mm512_adds_epi16(load_words(residual), words(a, b));
                let sum = _mm512_max_epi16(sum, _mm512_set1_epi16(-32_767));
                store_words(residual, sum);
                store_half(requantized, next.apply(sum));
            }
            for &a in last {
                let (Some(residual), Some(requantized)) = (take(residual), take(requantized))
                else {
                    return;
                };
                let sum = _mm256_adds_epi16(load_i16(residual), to_i16(a));
                let sum = _mm256_max_epi16(sum, _mm256_set1_epi16(-32_767));
                store_i16(residual, sum);
                let bytes = next.apply(_mm512_castsi256_si512(sum));
                store_bytes(requantized, _mm256_castsi256_si128(bytes));
            }
        });
    }

    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    unsafe fn wide_linear_i16(self, map: WideLinear<'_, Self>, input: &[i16], mut out: &mut [i16]) {
        product::<_, 1, false>(map, [columns(input)], |_, x| store_group(&mut out, x));
    }

    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    unsafe fn linear_tanh(
        self,
        map: Linear<'_, Self>,
        input: &[i8],
        raw: Option<(WideLinear<'_, Self>, &[i16])>,
        acc: &mut [i32],
        mut out: &mut [i8],
    ) {
        let (acc, _) = acc.as_chunks_mut::<ROWS>();
        let mut count = 0;
        if let Some((raw, input)) = raw {
            product::<_, 1, false>(raw, [columns(input)], |_, x| {
                for &x in x {
                    if let Some(place) = acc.get_mut(count) {
                        store_i32(place, x);
                        count += 1;
                    }
                }
            });
        }
        let mut raw = acc.iter().take(count);
        product::<_, 1, false>(map, [columns(input)], |_, x| {
            let mut next = |x| match raw.next() {
                Some(raw) => tanh(add_i32(x, load_i32(raw))),
                None => tanh(x),
            };
            let (pairs, last) = x.as_chunks::<2>();
            for &[a, b] in pairs {
                if let Some(out) = take(&mut out) {
                    let bytes = _mm512_cvtepi16_epi8(_mm512_packs_epi32(next(a), next(b)));
                    store_half(out, _mm256_xor_si256(bytes, _mm256_set1_epi8(-128)));
                }
            }
            for &a in last {
                if let Some(out) = take(&mut out) {
                    let bytes = _mm512_cvtepi32_epi8(next(a));
                    store_bytes(out, _mm_xor_si128(bytes, _mm_set1_epi8(-128)));
                }
            }
        });
    }

    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    unsafe fn linear_i16(self, map: Linear<'_, Self>, input: &[i8], mut out: &mut [i16]) {
        product::<_, 1, false>(map, [columns(input)], |_, x| store_group(&mut out, x));
    }

    #[inline(always)]
    unsafe fn attention(
        self,
        attention: Attention<'_, Biases<'_>>,
        falling: &[i32],
        hook: Option<&mut HeadHook<'_>>,
    ) {
        // SAFETY: the caller's.
        unsafe { attention::run(attention, falling, hook) }
    }
}

/// Takes the first `N` entries off a slice.
#[inline]
fn take<'a, T, const N: usize>(slice: &mut &'a mut [T]) -> Option<&'a mut [T; N]> {
    let (taken, rest) = core::mem::take(slice).split_first_chunk_mut()?;
    *slice = rest;
    Some(taken)
}

/// The results of a group as i16.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn store_group(out: &mut &mut [i16], x: &[__m512i]) {
    let (pairs, last) = x.as_chunks::<2>();
    for &[a, b] in pairs {
        if let Some(out) = take(out) {
            store_words(out, words(a, b));
        }
    }
    for &a in last {
        if let Some(out) = take(out) {
            store_i16(out, to_i16(a));
        }
    }
}
