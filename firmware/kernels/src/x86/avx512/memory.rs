//! Between registers and memory.

use core::arch::x86_64::*;
use core::mem::MaybeUninit;

use crate::Line;

/// The same number, which is loaded alone: a load of two that were stored one by one waits until both are in the cache, and
/// with them all that was stored before.
#[inline(always)]
pub(super) fn alone(mut number: usize) -> usize {
    // SAFETY: nothing is done.
    unsafe {
        core::arch::asm!("/* {0} */", inout(reg) number, options(pure, nomem, nostack, preserves_flags));
    }
    number
}

/// Room for some registers.
pub(super) type Room = [MaybeUninit<__m512i>];

/// Room that is not cleared first.
#[inline]
pub(super) const fn room<const N: usize>() -> [MaybeUninit<__m512i>; N] {
    [const { MaybeUninit::uninit() }; N]
}

/// What `f` makes of every item, as long as there is room.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn fill<T>(
    room: &mut Room,
    items: impl Iterator<Item = T>,
    mut f: impl FnMut(T) -> __m512i,
) -> &mut [__m512i] {
    let mut count = 0;
    for (place, item) in room.iter_mut().zip(items) {
        place.write(f(item));
        count += 1;
    }
    let filled = room.get_mut(..count).unwrap_or_default();
    // SAFETY: all of these have just been written.
    unsafe { filled.assume_init_mut() }
}

/// A line as a vector.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn load(line: &Line) -> __m512i {
    // SAFETY: a line is 64 readable bytes at a multiple of 64.
    unsafe { _mm512_load_si512(line.0.as_ptr().cast()) }
}

/// Sixteen i32 at any address.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn load_i32(values: &[i32; 16]) -> __m512i {
    // SAFETY: the array is 64 readable bytes; the load needs no alignment.
    unsafe { _mm512_loadu_si512(values.as_ptr().cast()) }
}

/// [`load_i32`] the other way.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn store_i32(out: &mut [i32; 16], x: __m512i) {
    // SAFETY: the array is 64 writable bytes; the store needs no alignment.
    unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), x) }
}

/// Sixteen i16 at any address, widened.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn load_i16(values: &[i16; 16]) -> __m256i {
    // SAFETY: the array is 32 readable bytes; the load needs no alignment.
    unsafe { _mm256_loadu_si256(values.as_ptr().cast()) }
}

/// Stores sixteen i16.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn store_i16(out: &mut [i16; 16], x: __m256i) {
    // SAFETY: the array is 32 writable bytes; the store needs no alignment.
    unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), x) }
}

/// Sixteen bytes at any address.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn load_bytes(values: &[u8; 16]) -> __m128i {
    // SAFETY: the array is 16 readable bytes; the load needs no alignment.
    unsafe { _mm_loadu_si128(values.as_ptr().cast()) }
}

/// Stores sixteen bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn store_bytes(out: &mut [i8; 16], x: __m128i) {
    // SAFETY: the array is 16 writable bytes; the store needs no alignment.
    unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), x) }
}

/// 32 bytes at any address; the upper half is undefined.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn load_half(values: &[u8; 32]) -> __m512i {
    // SAFETY: the array is 32 readable bytes; the load needs no alignment.
    _mm512_castsi256_si512(unsafe { _mm256_loadu_si256(values.as_ptr().cast()) })
}

/// 64 bytes at any address.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn load_whole(values: &[u8; 64]) -> __m512i {
    // SAFETY: the array is 64 readable bytes; the load needs no alignment.
    unsafe { _mm512_loadu_si512(values.as_ptr().cast()) }
}

/// Stores 32 bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn store_half(out: &mut [i8; 32], x: __m256i) {
    // SAFETY: the array is 32 writable bytes; the store needs no alignment.
    unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), x) }
}

/// Stores 64 bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn store_whole(out: &mut [i8; 64], x: __m512i) {
    // SAFETY: the array is 64 writable bytes; the store needs no alignment.
    unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), x) }
}

/// [`load`] the other way.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn store(line: &mut Line, x: __m512i) {
    // SAFETY: a line is 64 writable bytes at a multiple of 64.
    unsafe { _mm512_store_si512(line.0.as_mut_ptr().cast(), x) }
}

/// 32 i16 at any address.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn load_words(values: &[i16; 32]) -> __m512i {
    // SAFETY: the array is 64 readable bytes; the load needs no alignment.
    unsafe { _mm512_loadu_si512(values.as_ptr().cast()) }
}

/// Stores 32 i16.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn store_words(out: &mut [i16; 32], x: __m512i) {
    // SAFETY: the array is 64 writable bytes; the store needs no alignment.
    unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), x) }
}

/// Sixteen f32 at any address.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn load_f32(values: &[f32; 16]) -> __m512 {
    // SAFETY: the array is 64 readable bytes; the load needs no alignment.
    unsafe { _mm512_loadu_ps(values.as_ptr()) }
}

/// Lanes that hold numbers of a row of `length`, the first of which belongs at `start`: lane 0 is place `first`.
#[inline]
fn lanes(length: usize, start: usize, first: usize) -> __mmask16 {
    let below = |end: usize| (1_u32 << end.saturating_sub(first).min(16)).wrapping_sub(1);
    (below(start.saturating_add(length)) & !below(start)) as __mmask16
}

/// Sixteen places from `first` on of a row in which `values` start at `start`; zeros where there are none.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn load_some(values: &[f32], start: usize, first: usize) -> __m512 {
    let from = values.as_ptr().wrapping_add(first).wrapping_sub(start);
    // SAFETY: only lanes of the mask are read, which are those of values; the load needs no alignment.
    unsafe { _mm512_maskz_loadu_ps(lanes(values.len(), start, first), from) }
}

/// [`load_some`] of i16, widened.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn load_some_words(values: &[i16], start: usize, first: usize) -> __m512i {
    let from = values.as_ptr().wrapping_add(first).wrapping_sub(start);
    // SAFETY: only lanes of the mask are read, which are those of values; the load needs no alignment.
    let words = unsafe { _mm256_maskz_loadu_epi16(lanes(values.len(), start, first), from) };
    _mm512_cvtepi16_epi32(words)
}
