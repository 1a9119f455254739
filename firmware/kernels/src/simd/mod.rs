//! What the kernels of all vector instructions of hosts share: [`Simd`] is what each set of instructions brings, and
//! makes it [`Kernels`].

pub(crate) mod biases;
pub(crate) mod memory;
pub(crate) mod packed;

use crate::kernels::quantize_all;
use crate::{Attention, Entries, Kernels, Onto, PackedBiases, Requant, Rings, Shape, Watch};
use packed::{Map, PAIR, PackedLayout, QUAD, WideMap};

/// The kernels of one set of instructions: a token that proves that they may be used.
///
/// # Safety
/// Unsafe functions may be called where the instructions may be used: a token is enough. They are unsafe because a
/// function with instructions of its own can be no safe one of a trait.
pub trait Simd: PackedLayout<QUAD> + PackedLayout<PAIR> {
    /// [`Kernels::TOGETHER`]
    const TOGETHER: bool = true;

    /// [`Kernels::Biases`]
    type Biases<'a>: PackedBiases<'a>;

    /// [`Kernels::ring_bytes`]
    fn ring_bytes(shape: Shape) -> [usize; 2];

    /// Runs `f` with the instructions.
    unsafe fn enter<R>(f: impl FnOnce() -> R) -> R;

    /// [`Kernels::quantize`]
    #[inline(always)]
    unsafe fn entries(self, entries: Entries<'_>, scales: (&[f32], &[f32]), out: &mut [i16]) {
        quantize_all(entries, scales, out);
    }

    /// [`Kernels::narrow`]
    unsafe fn requantize(self, residual: &[i16], factor: Requant, out: &mut [i8]);

    /// [`Kernels::linear_i8`]
    unsafe fn linear_i8<const RECTIFY: bool, const T: usize>(
        self,
        map: Map<'_, Self>,
        inputs: [&[i8]; T],
        outs: [&mut [i8]; T],
    );

    /// [`Kernels::linear_add`]
    unsafe fn linear_add<const T: usize>(
        self,
        map: Map<'_, Self>,
        inputs: [&[i8]; T],
        onto: Onto<'_, T>,
    );

    /// [`Kernels::embed`]
    unsafe fn wide_linear_i16(self, map: WideMap<'_, Self>, input: &[i16], out: &mut [i16]);

    /// [`Kernels::hidden`]
    unsafe fn linear_tanh(
        self,
        map: Map<'_, Self>,
        input: &[i8],
        raw: Option<(WideMap<'_, Self>, &[i16])>,
        sums: &mut [i32],
        out: &mut [i8],
    );

    /// [`Kernels::words`]
    unsafe fn linear_i16(self, map: Map<'_, Self>, input: &[i8], out: &mut [i16]);

    /// [`Kernels::attend`]
    unsafe fn attention(
        self,
        attention: Attention<'_, Self::Biases<'_>>,
        watch: Option<&mut Watch<'_>>,
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
    const RINGS: Rings = Rings::VECTORS;

    type Map<'a> = Map<'a, S>;
    type WideMap<'a> = WideMap<'a, S>;
    type Biases<'a> = <S as Simd>::Biases<'a>;

    #[inline(always)]
    fn run<R>(self, f: impl FnOnce() -> R) -> R {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { S::enter(f) }
    }

    #[inline]
    fn ring_bytes(shape: Shape) -> [usize; 2] {
        <S as Simd>::ring_bytes(shape)
    }

    #[inline(always)]
    fn quantize(self, entries: Entries<'_>, scales: (&[f32], &[f32]), out: &mut [i16]) {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { self.entries(entries, scales, out) }
    }

    #[inline(always)]
    fn narrow(self, residual: &[i16], factor: Requant, out: &mut [i8]) {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { self.requantize(residual, factor, out) }
    }

    #[inline(always)]
    fn linear_i8<const RECTIFY: bool, const T: usize>(
        self,
        map: Map<'_, S>,
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
        map: Map<'_, S>,
        inputs: [&[i8]; T],
        _: &mut [i32],
        onto: Onto<'_, T>,
    ) {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { Simd::linear_add(self, map, inputs, onto) }
    }

    #[inline(always)]
    fn embed(self, map: WideMap<'_, S>, input: &[i16], _: &mut [i32], out: &mut [i16]) {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { self.wide_linear_i16(map, input, out) }
    }

    #[inline(always)]
    fn hidden(
        self,
        map: Map<'_, S>,
        input: &[i8],
        raw: Option<(WideMap<'_, S>, &[i16])>,
        (sums, _): (&mut [i32], &mut [i32]),
        out: &mut [i8],
    ) {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { self.linear_tanh(map, input, raw, sums, out) }
    }

    #[inline(always)]
    fn words(self, map: Map<'_, S>, input: &[i8], _: &mut [i32], out: &mut [i16]) {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { self.linear_i16(map, input, out) }
    }

    #[inline(always)]
    fn attend(
        self,
        attention: Attention<'_, <S as Simd>::Biases<'_>>,
        watch: Option<&mut Watch<'_>>,
    ) {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { self.attention(attention, watch) }
    }
}
