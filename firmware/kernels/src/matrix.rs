//! Integer matrix times vector: one function per kernel, whatever the architecture.
//!
//! Sums are exact in i32 (an image whose sums could leave i32 is refused by its reader), so that
//! any order of addition gives the same bits: an architecture's own version only has to be right.
//! All multiply-accumulates of a policy go through these two functions, attention included: keys
//! lie as rows of memories, values as rows of channels.

use crate::portable;

/// `sums[r] = sum_c weight[r][c] * input[c]`, with `weight` row major, `[sums.len()][input.len()]`.
///
/// Rows that `weight` does not hold become 0; surplus weights are ignored. Sums wrap at i32.
#[inline]
pub fn matvec_i8(weight: &[i8], input: &[i8], sums: &mut [i32]) {
    portable::matvec_i8(weight, input, sums);
}

/// [`matvec_i8`] for an int16 input.
#[inline]
pub fn matvec_i16(weight: &[i8], input: &[i16], sums: &mut [i32]) {
    portable::matvec_i16(weight, input, sums);
}
