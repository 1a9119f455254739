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
mod packed;
mod product;
mod requant;
mod requantize;
mod softmax;
mod tanh;
#[cfg(test)]
mod tests;

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
