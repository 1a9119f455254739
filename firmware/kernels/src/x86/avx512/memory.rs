//! Between registers and memory.

use core::arch::x86_64::*;
use core::mem::MaybeUninit;

use crate::CacheLine;
use crate::simd::memory::moves;

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

moves! {
    "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni";
    "A line." load: CacheLine => __m512i, _mm512_load_si512;
    "Sixteen i32." load_i32: [i32; 16] => __m512i, _mm512_loadu_si512;
    "Sixteen f32." load_f32: [f32; 16] => __m512, _mm512_loadu_ps;
    "32 i16." load_words: [i16; 32] => __m512i, _mm512_loadu_si512;
    "64 bytes." load_whole: [u8; 64] => __m512i, _mm512_loadu_si512;
    "Sixteen i16." load_i16: [i16; 16] => __m256i, _mm256_loadu_si256;
    "Sixteen bytes." load_bytes: [u8; 16] => __m128i, _mm_loadu_si128;
    stores
    "Stores a line." store: CacheLine => __m512i, _mm512_store_si512;
    "Stores sixteen i32." store_i32: [i32; 16] => __m512i, _mm512_storeu_si512;
    "Stores 32 i16." store_words: [i16; 32] => __m512i, _mm512_storeu_si512;
    "Stores 64 bytes." store_whole: [i8; 64] => __m512i, _mm512_storeu_si512;
    "Stores sixteen i16." store_i16: [i16; 16] => __m256i, _mm256_storeu_si256;
    "Stores 32 bytes." store_half: [i8; 32] => __m256i, _mm256_storeu_si256;
    "Stores sixteen bytes." store_bytes: [i8; 16] => __m128i, _mm_storeu_si128;
}

/// 32 bytes at any address; the upper half is undefined.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn load_half(values: &[u8; 32]) -> __m512i {
    // SAFETY: the array is 32 readable bytes; the load needs no alignment.
    _mm512_castsi256_si512(unsafe { _mm256_loadu_si256(values.as_ptr().cast()) })
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
