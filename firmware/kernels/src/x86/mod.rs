//! x86-64: what the processor can do, and the kernels that use it.

mod avx512;
mod detect;

pub use avx512::Avx512Vnni;
