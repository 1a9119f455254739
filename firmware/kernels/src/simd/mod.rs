//! What the kernels of all vector instructions of hosts share: [`Simd`] is what each set of instructions brings, and
//! makes it [`Kernels`].

pub(crate) mod biases;
pub(crate) mod packed;

use core::num::NonZeroUsize;

use crate::kernels::{each, each_mut, quantize_all};
use crate::{Attention, Entries, Kernels, PackedBiases, Requant, Rings, Shape, Watch};
use packed::{Map, PAIR, PackedLayout, QUAD, WideMap};

/// Tokens that are computed together where a step has several: with four blocks of sixteen rows their sums fill twenty
/// registers, and a map that one of them has read is near when the next one comes.
pub(crate) const TOKENS: usize = 5;

/// The kernels of one set of instructions: a token that proves that they may be used.
///
/// # Safety
/// Unsafe functions may be called where the instructions may be used: a token is enough. They are unsafe because a
/// function with instructions of its own can be no safe one of a trait.
pub trait Simd: PackedLayout<QUAD> + PackedLayout<PAIR> {
    /// [`Kernels::TOKENS`]: 1 or [`TOKENS`].
    const TOKENS: usize = TOKENS;

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

    /// [`Kernels::project`] of every token, or [`Kernels::rectify`].
    unsafe fn linear_i8<const RECTIFY: bool, const T: usize>(
        self,
        map: Map<'_, Self>,
        inputs: [&[i8]; T],
        outs: [&mut [i8]; T],
    );

    /// [`Kernels::add`] of every token.
    unsafe fn linear_add<const T: usize>(
        self,
        map: Map<'_, Self>,
        inputs: [&[i8]; T],
        residuals: [&mut [i16]; T],
        next: Requant,
        narrows: [&mut [i8]; T],
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

/// The next `T` of them; empty ones where there are no more.
fn next<S: Default, const T: usize>(all: &mut impl Iterator<Item = S>) -> [S; T] {
    core::array::from_fn(|_| all.next().unwrap_or_default())
}

/// [`Kernels::project_all`] and [`Kernels::rectify_all`].
#[inline(always)]
fn linear_all<S: Simd, const RECTIFY: bool>(
    kernels: S,
    map: Map<'_, S>,
    tokens: NonZeroUsize,
    input: &[i8],
    out: &mut [i8],
) {
    let (mut inputs, mut outs) = (each(input, tokens), each_mut(out, tokens));
    for _ in 0..tokens.get() / TOKENS {
        let (inputs, outs) = (next(&mut inputs), next(&mut outs));
        // SAFETY: the token proves that the instructions may be used.
        unsafe { kernels.linear_i8::<RECTIFY, TOKENS>(map, inputs, outs) }
    }
    for _ in 0..tokens.get() % TOKENS {
        let (inputs, outs) = (next(&mut inputs), next(&mut outs));
        // SAFETY: as above.
        unsafe { kernels.linear_i8::<RECTIFY, 1>(map, inputs, outs) }
    }
}

impl<S: Simd> Kernels for S {
    const LANES: usize = <S as PackedLayout<QUAD>>::ROWS;
    const TOKENS: usize = <S as Simd>::TOKENS;
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
    fn project(self, map: Map<'_, S>, input: &[i8], _: &mut [i32], out: &mut [i8]) {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { self.linear_i8::<false, 1>(map, [input], [out]) }
    }

    #[inline(always)]
    fn rectify(self, map: Map<'_, S>, input: &[i8], _: &mut [i32], out: &mut [i8]) {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { self.linear_i8::<true, 1>(map, [input], [out]) }
    }

    #[inline(always)]
    fn add(
        self,
        map: Map<'_, S>,
        input: &[i8],
        _: &mut [i32],
        residual: &mut [i16],
        (next, narrow): (Requant, &mut [i8]),
    ) {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { self.linear_add(map, [input], [residual], next, [narrow]) }
    }

    fn project_all(
        self,
        map: Map<'_, S>,
        tokens: NonZeroUsize,
        input: &[i8],
        _: &mut [i32],
        out: &mut [i8],
    ) {
        linear_all::<S, false>(self, map, tokens, input, out);
    }

    fn rectify_all(
        self,
        map: Map<'_, S>,
        tokens: NonZeroUsize,
        input: &[i8],
        _: &mut [i32],
        out: &mut [i8],
    ) {
        linear_all::<S, true>(self, map, tokens, input, out);
    }

    fn add_all(
        self,
        map: Map<'_, S>,
        tokens: NonZeroUsize,
        input: &[i8],
        _: &mut [i32],
        residual: &mut [i16],
        (factor, narrow): (Requant, &mut [i8]),
    ) {
        let mut inputs = each(input, tokens);
        let (mut residuals, mut narrows) = (each_mut(residual, tokens), each_mut(narrow, tokens));
        for _ in 0..tokens.get() / TOKENS {
            let (inputs, residuals) = (next::<_, TOKENS>(&mut inputs), next(&mut residuals));
            // SAFETY: the token proves that the instructions may be used.
            unsafe { self.linear_add(map, inputs, residuals, factor, next(&mut narrows)) }
        }
        for _ in 0..tokens.get() % TOKENS {
            let (inputs, residuals) = (next::<_, 1>(&mut inputs), next(&mut residuals));
            // SAFETY: as above.
            unsafe { self.linear_add(map, inputs, residuals, factor, next(&mut narrows)) }
        }
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
