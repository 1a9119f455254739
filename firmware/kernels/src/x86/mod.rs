//! x86-64: what the processor can do, and the kernels that use it.

mod avx2;
mod avx512;
mod detect;
mod prescale;

pub use avx2::{Avx2, AvxVnni};
pub use avx512::Avx512Vnni;
