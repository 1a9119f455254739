//! 64-bit ARM: sixteen rows at a time, four columns per instruction with SDOT, three instructions for as
//! many without it.
//!
//! SDOT multiplies signed by signed bytes, so that activations, keys and values lie as they are. Sums wrap
//! at 32 bits, as everywhere.

mod attention;
mod dense;
mod detect;
mod dot;
mod memory;
mod numbers;
mod packed;
mod rows;
mod softmax;
mod tanh;
#[cfg(test)]
mod tests;

use crate::simd::biases::Biases;
use crate::simd::packed::{Map, WideMap};
use dot::Dot;

use crate::{Attention, Kernels, Line, Packing, Requant, Shape, Watch};

/// Proof that NEON and SDOT may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sdot(());

impl Sdot {
    /// The kernels, if this processor allows them.
    #[must_use]
    pub fn detect() -> Option<Self> {
        detect::dotprod().then_some(Self(()))
    }
}

/// NEON, which every 64-bit ARM processor has that this crate is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neon(());

impl Neon {
    /// The kernels; never `None`.
    #[must_use]
    pub fn detect() -> Option<Self> {
        Some(Self(()))
    }
}

impl<D: Dot> Kernels for D {
    const LANES: usize = 16;
    // A map that one token has read is near when the next one comes.
    const TOKENS: usize = 5;

    type Map<'a> = Map<'a, D>;
    type WideMap<'a> = WideMap<'a, D>;
    type Biases<'a> = Biases<'a, D>;

    #[inline(always)]
    fn run<R>(self, f: impl FnOnce() -> R) -> R {
        f()
    }

    #[inline]
    fn key_bytes(self, shape: Shape) -> usize {
        attention::ring_bytes(shape)
    }

    #[inline]
    fn value_bytes(self, shape: Shape) -> usize {
        attention::ring_bytes(shape)
    }

    #[inline]
    fn narrow(self, residual: &[i16], factor: Requant, out: &mut [i8]) {
        // SAFETY: NEON is there; the token proves the rest.
        unsafe { dense::narrow(residual, factor, out) }
    }

    #[inline]
    fn project(self, map: Self::Map<'_>, input: &[i8], _: &mut [i32], out: &mut [i8]) {
        // SAFETY: NEON is there; the token proves the rest.
        unsafe { dense::bytes(self, map, input, -127, out) }
    }

    #[inline]
    fn rectify(self, map: Self::Map<'_>, input: &[i8], _: &mut [i32], out: &mut [i8]) {
        // SAFETY: NEON is there; the token proves the rest.
        unsafe { dense::bytes(self, map, input, 0, out) }
    }

    #[inline]
    fn add(
        self,
        map: Self::Map<'_>,
        input: &[i8],
        _: &mut [i32],
        residual: &mut [i16],
        (next, narrow): (Requant, &mut [i8]),
    ) {
        // SAFETY: NEON is there; the token proves the rest.
        unsafe { dense::add(self, map, input, residual, next, narrow) }
    }

    #[inline]
    fn embed(self, map: Self::WideMap<'_>, input: &[i16], _: &mut [i32], out: &mut [i16]) {
        // SAFETY: NEON is there; the token proves the rest.
        unsafe { dense::embed(map, input, out) }
    }

    #[inline]
    fn hidden(
        self,
        map: Self::Map<'_>,
        input: &[i8],
        raw: Option<(Self::WideMap<'_>, &[i16])>,
        (sums, _): (&mut [i32], &mut [i32]),
        out: &mut [i8],
    ) {
        // SAFETY: NEON is there; the token proves the rest.
        unsafe { dense::hidden(self, map, input, raw, sums, out) }
    }

    #[inline]
    fn words(self, map: Self::Map<'_>, input: &[i8], _: &mut [i32], out: &mut [i16]) {
        // SAFETY: NEON is there; the token proves the rest.
        unsafe { dense::words(self, map, input, out) }
    }

    #[inline]
    fn attend(self, attention: Attention<'_, Biases<'_, D>>, watch: Option<&mut Watch<'_>>) {
        // SAFETY: NEON is there; the token proves the rest.
        unsafe { attention::run(self, attention, watch) }
    }
}

impl<D: Dot> Packing for D {
    fn read(self, lines: &[Line]) -> u64 {
        // SAFETY: NEON is there; the token proves the rest.
        unsafe { dense::read(lines) }
    }
}
