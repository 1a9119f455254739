//! Between registers and memory. No load and no store needs an alignment.

use core::arch::aarch64::*;

use super::dot::Tile;

/// Sixteen bytes.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn load(bytes: &Tile) -> int8x16_t {
    // SAFETY: the array is 16 readable bytes.
    unsafe { vld1q_s8(bytes.as_ptr()) }
}

/// Stores sixteen bytes.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn store(out: &mut Tile, x: int8x16_t) {
    // SAFETY: the array is 16 writable bytes.
    unsafe { vst1q_s8(out.as_mut_ptr(), x) }
}

/// Four times sixteen bytes, by one instruction.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn load_four(tiles: &[Tile; 4]) -> [int8x16_t; 4] {
    // SAFETY: the arrays are 64 readable bytes without gaps.
    let int8x16x4_t(a, b, c, d) = unsafe { vld1q_s8_x4(tiles.as_ptr().cast()) };
    [a, b, c, d]
}

/// Sixteen i32, by one instruction.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn load_sixteen(numbers: &[[i32; 4]; 4]) -> [int32x4_t; 4] {
    // SAFETY: the arrays are 64 readable bytes without gaps.
    let int32x4x4_t(a, b, c, d) = unsafe { vld1q_s32_x4(numbers.as_ptr().cast()) };
    [a, b, c, d]
}

/// Four i32.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn load_i32(numbers: &[i32; 4]) -> int32x4_t {
    // SAFETY: the array is 16 readable bytes.
    unsafe { vld1q_s32(numbers.as_ptr()) }
}

/// Stores four i32.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn store_i32(out: &mut [i32; 4], x: int32x4_t) {
    // SAFETY: the array is 16 writable bytes.
    unsafe { vst1q_s32(out.as_mut_ptr(), x) }
}

/// Eight i16.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn load_i16(numbers: &[i16; 8]) -> int16x8_t {
    // SAFETY: the array is 16 readable bytes.
    unsafe { vld1q_s16(numbers.as_ptr()) }
}

/// Stores eight i16.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn store_i16(out: &mut [i16; 8], x: int16x8_t) {
    // SAFETY: the array is 16 writable bytes.
    unsafe { vst1q_s16(out.as_mut_ptr(), x) }
}
