//! What the kernels of all vector instructions of hosts share: [`Simd`] is what each set of instructions brings, and
//! makes it [`Kernels`].

pub(crate) mod biases;
pub(crate) mod memory;
pub(crate) mod packed;

use crate::kernels::quantize_all;
use crate::{Attention, Entries, HeadHook, Kernels, KvLayout, Onto, Portable, Requant, Shape};
use biases::{AttentionLayout, Biases};
use packed::{Linear, PAIR, PackedLayout, QUAD, WideLinear};

/// The kernels of one set of instructions: a token that proves that they may be used.
///
/// # Safety
/// Unsafe functions may be called where the instructions may be used: a token is enough. They are unsafe because a
/// function with instructions of its own can be no safe one of a trait.
pub trait Simd: PackedLayout<QUAD> + PackedLayout<PAIR> + AttentionLayout {
    /// [`Kernels::TOGETHER`]
    const TOGETHER: bool = true;

    /// Runs `f` with the instructions.
    unsafe fn enter<R>(f: impl FnOnce() -> R) -> R;

    /// [`Kernels::quantize`]
    #[inline(always)]
    unsafe fn entries(self, entries: Entries<'_>, scales: (&[f32], &[f32]), out: &mut [i16]) {
        quantize_all(entries, scales, out);
    }

    /// [`Kernels::requantize`]
    unsafe fn requantize(self, residual: &[i16], factor: Requant, out: &mut [i8]);

    /// [`Kernels::linear_i8`]
    unsafe fn linear_i8<const RECTIFY: bool, const T: usize>(
        self,
        map: Linear<'_, Self>,
        inputs: [&[i8]; T],
        outs: [&mut [i8]; T],
    );

    /// [`Kernels::linear_add`]
    unsafe fn linear_add<const T: usize>(
        self,
        map: Linear<'_, Self>,
        inputs: [&[i8]; T],
        onto: Onto<'_, T>,
    );

    /// [`Kernels::wide_linear_i16`]
    unsafe fn wide_linear_i16(self, map: WideLinear<'_, Self>, input: &[i16], out: &mut [i16]);

    /// [`Kernels::linear_tanh`]
    unsafe fn linear_tanh(
        self,
        map: Linear<'_, Self>,
        input: &[i8],
        raw: Option<(WideLinear<'_, Self>, &[i16])>,
        acc: &mut [i32],
        out: &mut [i8],
    );

    /// [`Kernels::linear_i16`]
    unsafe fn linear_i16(self, map: Linear<'_, Self>, input: &[i8], out: &mut [i16]);

    /// [`Kernels::attend`] of heads that fit, with age biases by falling age.
    unsafe fn attention(
        self,
        attention: Attention<'_, Biases<'_, Self>>,
        falling: &[i32],
        hook: Option<&mut HeadHook<'_>>,
    );
}

/// Takes the first `count` entries off a slice.
#[inline]
pub(crate) fn take<'a, T>(slice: &mut &'a mut [T], count: usize) -> Option<&'a mut [T]> {
    let (taken, rest) = core::mem::take(slice).split_at_mut_checked(count)?;
    *slice = rest;
    Some(taken)
}

impl<S: Simd> Kernels for S {
    const LANES: usize = <S as PackedLayout<QUAD>>::ROWS;
    const TOGETHER: bool = <S as Simd>::TOGETHER;
    const KV_LAYOUT: KvLayout = KvLayout::VECTORS;

    type Linear<'a> = Linear<'a, S>;
    type WideLinear<'a> = WideLinear<'a, S>;
    type Biases<'a> = Biases<'a, S>;

    #[inline(always)]
    fn run<R>(self, f: impl FnOnce() -> R) -> R {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { S::enter(f) }
    }

    #[inline]
    fn kv_bytes(shape: Shape) -> [usize; 2] {
        if S::fits(shape) {
            <S as AttentionLayout>::kv_bytes(shape)
        } else {
            Portable::kv_bytes(shape)
        }
    }

    #[inline(always)]
    fn quantize(self, entries: Entries<'_>, scales: (&[f32], &[f32]), out: &mut [i16]) {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { Simd::entries(self, entries, scales, out) }
    }

    #[inline(always)]
    fn requantize(self, residual: &[i16], factor: Requant, out: &mut [i8]) {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { Simd::requantize(self, residual, factor, out) }
    }

    #[inline(always)]
    fn linear_i8<const RECTIFY: bool, const T: usize>(
        self,
        map: Linear<'_, S>,
        inputs: [&[i8]; T],
        _: &mut [i32],
        outs: [&mut [i8]; T],
    ) {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { Simd::linear_i8::<RECTIFY, T>(self, map, inputs, outs) }
    }

    #[inline(always)]
    fn linear_add<const T: usize>(
        self,
        map: Linear<'_, S>,
        inputs: [&[i8]; T],
        _: &mut [i32],
        onto: Onto<'_, T>,
    ) {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { Simd::linear_add(self, map, inputs, onto) }
    }

    #[inline(always)]
    fn wide_linear_i16(
        self,
        map: WideLinear<'_, S>,
        input: &[i16],
        _: &mut [i32],
        out: &mut [i16],
    ) {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { Simd::wide_linear_i16(self, map, input, out) }
    }

    #[inline(always)]
    fn linear_tanh(
        self,
        map: Linear<'_, S>,
        input: &[i8],
        raw: Option<(WideLinear<'_, S>, &[i16])>,
        (acc, _): (&mut [i32], &mut [i32]),
        out: &mut [i8],
    ) {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { Simd::linear_tanh(self, map, input, raw, acc, out) }
    }

    #[inline(always)]
    fn linear_i16(self, map: Linear<'_, S>, input: &[i8], _: &mut [i32], out: &mut [i16]) {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { Simd::linear_i16(self, map, input, out) }
    }

    #[inline(always)]
    fn attend(self, attention: Attention<'_, Biases<'_, S>>, hook: Option<&mut HeadHook<'_>>) {
        let Some(falling) = attention.biases.falling else {
            return biases::portable(attention, hook);
        };
        // SAFETY: the token proves that the instructions may be used.
        unsafe { Simd::attention(self, attention, falling, hook) }
    }
}
