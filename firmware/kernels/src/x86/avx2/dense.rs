//! The kernels of a step: what is done with the products of linear maps.

use core::arch::x86_64::*;

use super::Avx2With;
use super::attention;
use super::memory::{load_i16, load_i32, store_i8, store_i16, store_i32};
use super::packed::ROWS;
use super::product::product;
use super::requant::{Single, add_i16, add_i32, to_i8, to_i16};
use super::tanh::tanh;
use crate::simd::Simd;
use crate::simd::biases::Biases;
use crate::simd::packed::{Linear, WideLinear};
use crate::{Attention, HeadHook, Onto, Requant};

impl<const DOT: u8> Simd for Avx2With<DOT> {
    const TOGETHER: bool = false;

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn enter<R>(f: impl FnOnce() -> R) -> R {
        f()
    }

    #[target_feature(enable = "avx2,fma")]
    unsafe fn requantize(self, residual: &[i16], factor: Requant, out: &mut [i8]) {
        let next = of_residual(factor);
        let (residual, _) = residual.as_chunks::<ROWS>();
        let (out, _) = out.as_chunks_mut::<ROWS>();
        for (out, residual) in out.iter_mut().zip(residual) {
            store_i8(out, to_input(next, load_i16(residual)));
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn linear_i8<const RECTIFY: bool, const T: usize>(
        self,
        map: Linear<'_, Self>,
        inputs: [&[i8]; T],
        outs: [&mut [i8]; T],
    ) {
        for (input, out) in inputs.into_iter().zip(outs) {
            bytes(map, input, if RECTIFY { 0 } else { -127 }, out);
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn linear_add<const T: usize>(
        self,
        map: Linear<'_, Self>,
        inputs: [&[i8]; T],
        (residuals, next, requantized): Onto<'_, T>,
    ) {
        for ((input, residual), requantized) in inputs.into_iter().zip(residuals).zip(requantized) {
            add(map, input, residual, next, requantized);
        }
    }

    #[target_feature(enable = "avx2,fma")]
    unsafe fn wide_linear_i16(self, map: WideLinear<'_, Self>, input: &[i16], out: &mut [i16]) {
        let mut out = out.as_chunks_mut::<ROWS>().0.iter_mut();
        product(map, input, |x| {
            if let Some(out) = out.next() {
                store_i16(out, to_i16(x));
            }
        });
    }

    #[target_feature(enable = "avx2,fma")]
    unsafe fn linear_tanh(
        self,
        map: Linear<'_, Self>,
        input: &[i8],
        raw: Option<(WideLinear<'_, Self>, &[i16])>,
        acc: &mut [i32],
        out: &mut [i8],
    ) {
        let (acc, _) = acc.as_chunks_mut::<ROWS>();
        let mut count = 0;
        if let Some((raw, input)) = raw {
            product(raw, input, |x| {
                if let Some(place) = acc.get_mut(count) {
                    store_i32(place, x);
                    count += 1;
                }
            });
        }
        let mut raw = acc.iter().take(count);
        let mut out = out.as_chunks_mut::<ROWS>().0.iter_mut();
        product(map, input, |x| {
            let x = match raw.next() {
                Some(raw) => add_i32(x, load_i32(raw)),
                None => x,
            };
            if let Some(out) = out.next() {
                store_i8(out, to_i8(tanh(x), -127));
            }
        });
    }

    #[target_feature(enable = "avx2,fma")]
    unsafe fn linear_i16(self, map: Linear<'_, Self>, input: &[i8], out: &mut [i16]) {
        let mut out = out.as_chunks_mut::<ROWS>().0.iter_mut();
        product(map, input, |x| {
            if let Some(out) = out.next() {
                store_i16(out, to_i16(x));
            }
        });
    }

    #[inline(always)]
    unsafe fn attention(
        self,
        attention: Attention<'_, Biases<'_, Self>>,
        falling: &[i32],
        hook: Option<&mut HeadHook<'_>>,
    ) {
        // SAFETY: the caller's.
        unsafe { attention::run::<DOT>(attention, falling, hook) }
    }
}

/// The factor from the residual to the input of a map.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn of_residual(factor: Requant) -> Single {
    Single::new(factor, 1 << 15)
}

/// Eight entries of the residual as the input of a map.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn to_input(factor: Single, residual: __m128i) -> __m128i {
    to_i8(factor.apply(_mm256_cvtepi16_epi32(residual)), -127)
}

/// Results from `low` to 127. One function for all `low`: the code of a step has to fit the cache.
#[target_feature(enable = "avx2,fma")]
fn bytes<const DOT: u8>(map: Linear<'_, Avx2With<DOT>>, input: &[i8], low: i32, out: &mut [i8]) {
    let mut out = out.as_chunks_mut::<ROWS>().0.iter_mut();
    product(map, input, |x| {
        if let Some(out) = out.next() {
            store_i8(out, to_i8(x, low));
        }
    });
}

/// [`Simd::linear_add`] of one token.
#[target_feature(enable = "avx2,fma")]
fn add<const DOT: u8>(
    map: Linear<'_, Avx2With<DOT>>,
    input: &[i8],
    residual: &mut [i16],
    next: Requant,
    requantized: &mut [i8],
) {
    let next = of_residual(next);
    let (residual, _) = residual.as_chunks_mut::<ROWS>();
    let (requantized, _) = requantized.as_chunks_mut::<ROWS>();
    let mut places = residual.iter_mut().zip(requantized);
    product(map, input, |x| {
        if let Some((residual, requantized)) = places.next() {
            let sum = add_i16(load_i16(residual), to_i16(x));
            store_i16(residual, sum);
            store_i8(requantized, to_input(next, sum));
        }
    });
}
