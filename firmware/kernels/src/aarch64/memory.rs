//! Between registers and memory. No load and no store needs an alignment.

use core::arch::aarch64::*;

use super::dot::Tile;
use crate::simd::memory::moves;

moves! {
    "neon";
    "Sixteen bytes." load: Tile => int8x16_t, vld1q_s8;
    "Four i32." load_i32: [i32; 4] => int32x4_t, vld1q_s32;
    "Eight i16." load_i16: [i16; 8] => int16x8_t, vld1q_s16;
    stores
    "Stores sixteen bytes." store: Tile => int8x16_t, vst1q_s8;
    "Stores four i32." store_i32: [i32; 4] => int32x4_t, vst1q_s32;
    "Stores eight i16." store_i16: [i16; 8] => int16x8_t, vst1q_s16;
}
