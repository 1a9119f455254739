//! x86-64: what the processor can do, and the kernels that use it.

mod avx2;
mod avx512;
mod detect;
mod prescale;

use bytemuck::NoUninit;

pub use avx2::{Avx2, AvxVnni};
pub use avx512::Avx512Vnni;

/// Four bytes of an input at a time: as many columns as lines have of every row.
#[inline]
fn columns<T: NoUninit>(input: &[T]) -> &[[u8; 4]] {
    bytemuck::must_cast_slice::<T, u8>(input).as_chunks().0
}
