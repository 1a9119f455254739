//! Between registers and memory, at any address.

use core::arch::x86_64::*;

use crate::simd::memory::moves;

/// Half a line: what one register holds.
pub(super) type Half = [u8; 32];

moves! {
    "avx2,fma";
    "Thirty-two bytes." load: Half => __m256i, _mm256_loadu_si256;
    "Eight i32." load_i32: [i32; 8] => __m256i, _mm256_loadu_si256;
    "Eight i16." load_i16: [i16; 8] => __m128i, _mm_loadu_si128;
    stores
    "Stores eight i32." store_i32: [i32; 8] => __m256i, _mm256_storeu_si256;
    "Stores eight i16." store_i16: [i16; 8] => __m128i, _mm_storeu_si128;
}

/// Stores the lower eight bytes of `x`.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn store_i8(out: &mut [i8; 8], x: __m128i) {
    // SAFETY: the array is 8 writable bytes; the store needs no alignment.
    unsafe { _mm_storel_epi64(out.as_mut_ptr().cast(), x) }
}
