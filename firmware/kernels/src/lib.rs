//! The arithmetic of the Engram policy: everything that turns numbers into numbers.
//!
//! The integer half is the specification of what a board computes. The same image and the same
//! inputs give the same bits on every target, because each function here is defined by integer
//! operations, or by f32 operations that IEEE 754 rounds one way only (`+`, `-`, `*`, `/`, no
//! fused multiply-add, no mathematics library). `docs/src/numerics.md` states every formula with
//! its error bound and the test that asserts it.
//!
//! What may not happen here: allocation, a reachable panic, and a result that depends on the
//! target. Kernels that exist once per instruction set lie behind the trait [`Kernels`]; [`portable`]
//! is their reference.
//!
//! | value | type | scale |
//! |---|---|---|
//! | entry of a working memory | i16 | `clip / 32767` per entry, in the image |
//! | residual stream | i16 | one scale per image |
//! | matrix input, key, query, value, tanh | i8 in `[-127, 127]` | one scale per tensor; tanh `1/127` |
//! | logit | i32 | base 2, `2^-`[`LOGIT_FRACTION_BITS`] |
//! | attention probability | i16 in `[0, 32767]` | relative to the largest, 32767 |
//! | context: weighted mean of values | i32 | value units times `2^-`[`CONTEXT_FRACTION_BITS`] |
//! | preactivation of the head | i32 | `2^-`[`PREACTIVATION_FRACTION_BITS`] |
//! | command word | i16 in `[-32767, 32767]` | the contract's range |
#![no_std]

#[cfg(test)]
extern crate std;

#[cfg(target_arch = "aarch64")]
#[allow(unsafe_code)]
mod aarch64;
#[allow(unsafe_code)]
mod cache_line;
pub mod cortex_m;
mod kernels;
mod kv_layout;
mod packing;
pub mod portable;
mod requant;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
#[allow(unsafe_code)]
mod simd;
mod softmax;
#[cfg(any(test, feature = "suite"))]
pub mod suite;
mod tanh;
mod word;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod x86;

#[cfg(target_arch = "aarch64")]
pub use aarch64::{Neon, Sdot};
pub use cache_line::CacheLine;
pub use kernels::{Attention, CachePosition, Entries, HeadHook, Kernels, Onto, Shape, TOKENS};
pub use kv_layout::KvLayout;
pub use packing::{PackedBiases, PackedLinear, Packing};
pub use portable::{Portable, matvec};
pub use requant::{Requant, RequantError};
pub(crate) use softmax::{MASKED_LOGIT, Reciprocal};
pub use softmax::{attention_probabilities, exp2_neg_q10};
pub use tanh::tanh_q12;
pub(crate) use word::quantize;
pub use word::{
    WORD_MAX, add_saturating, command_from_word, fraction_from_word, word_from_command,
};
#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2, Avx512Vnni, AvxVnni};

/// Fraction bits of an attention logit, which is in base 2.
pub const LOGIT_FRACTION_BITS: u32 = 10;
/// Fraction bits of the context.
pub const CONTEXT_FRACTION_BITS: u32 = 16;
/// Fraction bits of a preactivation in the policy head.
pub const PREACTIVATION_FRACTION_BITS: u32 = 12;
