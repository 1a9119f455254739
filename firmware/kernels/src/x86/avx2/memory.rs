//! Between registers and memory, at any address.

use core::arch::x86_64::*;

/// Half a line: what one register holds.
pub(super) type Half = [u8; 32];

/// Thirty-two bytes.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn load(half: &Half) -> __m256i {
    // SAFETY: the array is 32 readable bytes; the load needs no alignment.
    unsafe { _mm256_loadu_si256(half.as_ptr().cast()) }
}

/// Eight i32.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn load_i32(values: &[i32; 8]) -> __m256i {
    // SAFETY: the array is 32 readable bytes; the load needs no alignment.
    unsafe { _mm256_loadu_si256(values.as_ptr().cast()) }
}

/// Stores eight i32.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn store_i32(out: &mut [i32; 8], x: __m256i) {
    // SAFETY: the array is 32 writable bytes; the store needs no alignment.
    unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), x) }
}

/// Eight i16.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn load_i16(values: &[i16; 8]) -> __m128i {
    // SAFETY: the array is 16 readable bytes; the load needs no alignment.
    unsafe { _mm_loadu_si128(values.as_ptr().cast()) }
}

/// Stores eight i16.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn store_i16(out: &mut [i16; 8], x: __m128i) {
    // SAFETY: the array is 16 writable bytes; the store needs no alignment.
    unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), x) }
}

/// Stores the lower eight bytes of `x`.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn store_i8(out: &mut [i8; 8], x: __m128i) {
    // SAFETY: the array is 8 writable bytes; the store needs no alignment.
    unsafe { _mm_storel_epi64(out.as_mut_ptr().cast(), x) }
}
