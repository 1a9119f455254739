//! AVX-512 with VNNI: sixteen rows at a time, four columns per instruction.
//!
//! `vpdpbusd` multiplies unsigned by signed bytes. Activations between two maps therefore lie as
//! `x + 128`, and `128 * sum(w)` of a row is taken off its bias when it is packed. Keys lie as
//! `k + 128` against signed queries. Sums wrap at 32 bits, as everywhere.

mod attention;
mod bytes;
mod dense;
mod entries;
mod memory;
mod narrow;
mod numbers;
mod packed;
mod product;
mod softmax;
mod tanh;
#[cfg(test)]
mod tests;

use attention::Biases;
use product::TOKENS;

use core::num::NonZeroUsize;

use crate::kernels::{each, each_mut};
use crate::simd::packed::{Map, WideMap};
use crate::{Attention, Entries, Kernels, Line, Packing, Requant, Shape, Watch};

/// Proof that AVX-512 F, CD, DQ, BW, VL and VNNI may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx512Vnni(());

impl Avx512Vnni {
    /// The kernels, if this processor and its operating system allow them.
    #[must_use]
    pub fn detect() -> Option<Self> {
        super::detect::avx512_vnni().then_some(Self(()))
    }
}

/// Runs `f` with the instructions.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn run<R>(f: impl FnOnce() -> R) -> R {
    f()
}

/// Does the same for all tokens, the constant `$count` of them at a time: [`TOKENS`] as long as there are so many, then one.
macro_rules! groups {
    ($tokens:expr, $count:ident => $run:block) => {{
        for _ in 0..$tokens.get() / TOKENS {
            const $count: usize = TOKENS;
            $run
        }
        for _ in 0..$tokens.get() % TOKENS {
            const $count: usize = 1;
            $run
        }
    }};
}

/// The next `T` of them; empty ones where there are no more.
fn of<S: Default, const T: usize>(all: &mut impl Iterator<Item = S>) -> [S; T] {
    core::array::from_fn(|_| all.next().unwrap_or_default())
}

impl Kernels for Avx512Vnni {
    const LANES: usize = 16;
    const TOKENS: usize = TOKENS;

    type Map<'a> = Map<'a, Self>;
    type WideMap<'a> = WideMap<'a, Self>;
    type Biases<'a> = Biases<'a>;

    #[inline(always)]
    fn run<R>(self, f: impl FnOnce() -> R) -> R {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { run(f) }
    }

    #[inline]
    fn key_bytes(self, shape: Shape) -> usize {
        attention::ring_bytes(shape)
    }

    #[inline]
    fn value_bytes(self, shape: Shape) -> usize {
        attention::ring_bytes(shape)
    }

    #[inline(always)]
    fn quantize(self, entries: Entries<'_>, scales: (&[f32], &[f32]), out: &mut [i16]) {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { entries::quantize(entries, scales, out) }
    }

    #[inline(always)]
    fn narrow(self, residual: &[i16], factor: Requant, out: &mut [i8]) {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { dense::narrow(residual, factor, out) }
    }

    #[inline(always)]
    fn project(self, map: Map<'_, Self>, input: &[i8], _: &mut [i32], out: &mut [i8]) {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { dense::project(map, [input], [out]) }
    }

    #[inline(always)]
    fn rectify(self, map: Map<'_, Self>, input: &[i8], _: &mut [i32], out: &mut [i8]) {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { dense::rectify(map, [input], [out]) }
    }

    #[inline(always)]
    fn add(
        self,
        map: Map<'_, Self>,
        input: &[i8],
        _: &mut [i32],
        residual: &mut [i16],
        (next, narrow): (Requant, &mut [i8]),
    ) {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { dense::add(map, [input], [residual], next, [narrow]) }
    }

    fn project_all(
        self,
        map: Map<'_, Self>,
        tokens: NonZeroUsize,
        input: &[i8],
        _: &mut [i32],
        out: &mut [i8],
    ) {
        let (mut inputs, mut outs) = (each(input, tokens), each_mut(out, tokens));
        groups!(tokens, T => {
            // SAFETY: the token proves that the instructions may be used.
            unsafe { dense::project(map, of::<_, T>(&mut inputs), of(&mut outs)) }
        });
    }

    fn rectify_all(
        self,
        map: Map<'_, Self>,
        tokens: NonZeroUsize,
        input: &[i8],
        _: &mut [i32],
        out: &mut [i8],
    ) {
        let (mut inputs, mut outs) = (each(input, tokens), each_mut(out, tokens));
        groups!(tokens, T => {
            // SAFETY: the token proves that the instructions may be used.
            unsafe { dense::rectify(map, of::<_, T>(&mut inputs), of(&mut outs)) }
        });
    }

    fn add_all(
        self,
        map: Map<'_, Self>,
        tokens: NonZeroUsize,
        input: &[i8],
        _: &mut [i32],
        residual: &mut [i16],
        (next, narrow): (Requant, &mut [i8]),
    ) {
        let mut inputs = each(input, tokens);
        let (mut residuals, mut narrows) = (each_mut(residual, tokens), each_mut(narrow, tokens));
        groups!(tokens, T => {
            let (inputs, residuals) = (of::<_, T>(&mut inputs), of(&mut residuals));
            // SAFETY: the token proves that the instructions may be used.
            unsafe { dense::add(map, inputs, residuals, next, of(&mut narrows)) }
        });
    }

    #[inline(always)]
    fn embed(self, map: WideMap<'_, Self>, input: &[i16], _: &mut [i32], out: &mut [i16]) {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { dense::embed(map, input, out) }
    }

    #[inline(always)]
    fn hidden(
        self,
        map: Map<'_, Self>,
        input: &[i8],
        raw: Option<(WideMap<'_, Self>, &[i16])>,
        _: (&mut [i32], &mut [i32]),
        out: &mut [i8],
    ) {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { dense::hidden(map, input, raw, out) }
    }

    #[inline(always)]
    fn words(self, map: Map<'_, Self>, input: &[i8], _: &mut [i32], out: &mut [i16]) {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { dense::command_words(map, input, out) }
    }

    #[inline(always)]
    fn attend(self, attention: Attention<'_, Biases<'_>>, watch: Option<&mut Watch<'_>>) {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { attention::run(attention, watch) }
    }
}

impl Packing for Avx512Vnni {
    fn read(self, lines: &[Line]) -> u64 {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { dense::read(lines) }
    }
}
