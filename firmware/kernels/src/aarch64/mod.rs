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
mod packed;
mod requant;
mod rows;
mod softmax;
mod tanh;
#[cfg(test)]
mod tests;

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
