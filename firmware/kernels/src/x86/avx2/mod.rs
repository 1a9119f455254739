//! AVX2, and AVX-VNNI: eight rows at a time, four columns per register.
//!
//! What multiplies bytes multiplies unsigned by signed ones. The magnitude of the input is the unsigned
//! side, and its sign is given to the weights, which is exact for weights in `[-127, 127]`. Sums wrap at
//! 32 bits, as everywhere.

mod attention;
mod dense;
mod dot;
mod memory;
mod numbers;
mod packed;
mod product;
mod softmax;
mod tanh;
#[cfg(test)]
mod tests;

use crate::simd::packed::{Map, WideMap};
use crate::{Attention, Kernels, Line, Packing, Requant, Shape, Watch};
use attention::Biases;

/// Proof that AVX2 and FMA may be used, and the instructions that [`dot`] calls `DOT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx2With<const DOT: u8>(());

/// The kernels on AVX2 and FMA.
pub type Avx2 = Avx2With<{ dot::MADDUBS }>;

/// The kernels on AVX2, FMA and AVX-VNNI.
pub type AvxVnni = Avx2With<{ dot::VEX }>;

/// What [`AvxVnni`] is, on processors with AVX-512 VNNI.
#[cfg(test)]
pub(crate) type Avx512Half = Avx2With<{ dot::EVEX }>;

impl Avx2 {
    /// The kernels, if this processor and its operating system allow them.
    #[must_use]
    pub fn detect() -> Option<Self> {
        super::detect::avx2().then_some(Self(()))
    }
}

impl AvxVnni {
    /// The kernels, if this processor and its operating system allow them.
    #[must_use]
    pub fn detect() -> Option<Self> {
        let detected = super::detect::avx2() && super::detect::avx_vnni();
        detected.then_some(Self(()))
    }
}

#[cfg(test)]
impl Avx512Half {
    /// The kernels, if this processor and its operating system allow them.
    fn detect() -> Option<Self> {
        super::detect::avx512_vnni().then_some(Self(()))
    }
}

/// Runs `f` with the instructions.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn run<R>(f: impl FnOnce() -> R) -> R {
    f()
}

impl<const DOT: u8> Kernels for Avx2With<DOT> {
    const LANES: usize = 8;

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
        attention::key_bytes(shape)
    }

    #[inline]
    fn value_bytes(self, shape: Shape) -> usize {
        attention::value_bytes(shape)
    }

    #[inline(always)]
    fn narrow(self, residual: &[i16], factor: Requant, out: &mut [i8]) {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { dense::narrow(residual, factor, out) }
    }

    #[inline(always)]
    fn project(self, map: Map<'_, Self>, input: &[i8], _: &mut [i32], out: &mut [i8]) {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { dense::bytes::<DOT>(map, input, -127, out) }
    }

    #[inline(always)]
    fn rectify(self, map: Map<'_, Self>, input: &[i8], _: &mut [i32], out: &mut [i8]) {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { dense::bytes::<DOT>(map, input, 0, out) }
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
        unsafe { dense::add::<DOT>(map, input, residual, next, narrow) }
    }

    #[inline(always)]
    fn embed(self, map: WideMap<'_, Self>, input: &[i16], _: &mut [i32], out: &mut [i16]) {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { dense::embed::<DOT>(map, input, out) }
    }

    #[inline(always)]
    fn hidden(
        self,
        map: Map<'_, Self>,
        input: &[i8],
        raw: Option<(WideMap<'_, Self>, &[i16])>,
        (sums, _): (&mut [i32], &mut [i32]),
        out: &mut [i8],
    ) {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { dense::hidden::<DOT>(map, input, raw, sums, out) }
    }

    #[inline(always)]
    fn words(self, map: Map<'_, Self>, input: &[i8], _: &mut [i32], out: &mut [i16]) {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { dense::words::<DOT>(map, input, out) }
    }

    #[inline(always)]
    fn attend(self, attention: Attention<'_, Biases<'_>>, watch: Option<&mut Watch<'_>>) {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { attention::run::<DOT>(attention, watch) }
    }
}

impl<const DOT: u8> Packing for Avx2With<DOT> {
    fn read(self, lines: &[Line]) -> u64 {
        // SAFETY: the token proves that the instructions may be used.
        unsafe { dense::read(lines) }
    }
}
