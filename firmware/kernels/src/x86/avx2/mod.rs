//! AVX2, and AVX-VNNI: eight rows at a time, four columns per register.
//!
//! What multiplies bytes multiplies unsigned by signed ones. The magnitude of the input is the unsigned
//! side, and its sign is given to the weights, which is exact for weights in `[-127, 127]`. Sums wrap at
//! 32 bits, as everywhere.

mod attention;
mod dense;
mod dot;
mod memory;
mod packed;
mod product;
mod requant;
mod softmax;
mod tanh;
#[cfg(test)]
mod tests;

/// Proof that AVX2 and FMA may be used, and the instructions that [`dot`] calls `DOT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx2With<const DOT: u8>(());

/// The kernels on AVX2 and FMA.
pub type Avx2 = Avx2With<{ dot::MADDUBS }>;

/// The kernels on AVX2, FMA and AVX-VNNI.
pub type AvxVnni = Avx2With<{ dot::VEX }>;

/// What [`AvxVnni`] is, on processors with AVX-512 VNNI.
#[cfg(test)]
type Avx512Half = Avx2With<{ dot::EVEX }>;

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
