//! Which positions of a ring hold a memory that is attended to.

use core::arch::aarch64::*;

use super::super::dot::SIDE;
use super::super::memory::load_i32;
use crate::CachePosition;

/// The largest logit of every position: `i32::MAX` where there is a memory, [`crate::MASKED_LOGIT`] where not.
pub(super) struct Limits<const P: usize>(pub(super) [[int32x4_t; 2]; P]);

impl<const P: usize> Limits<P> {
    /// Memories of an age below `position.filled` are there.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(super) fn new(position: CachePosition, window: usize, pairs: usize) -> Self {
        let of = |number: usize| vdupq_n_s32(number as i32);
        let (index, filled, window) = (of(position.index), of(position.filled), of(window));
        let mut limits = [[vdupq_n_s32(0); 2]; P];
        let mut positions = load_i32(&[0, 1, 2, 3]);
        for limit in limits.iter_mut().take(pairs).flatten() {
            let behind = vsubq_s32(index, positions);
            let wrapped = vandq_s32(vshrq_n_s32::<31>(behind), window);
            let age = vaddq_s32(behind, wrapped);
            let present = vandq_u32(vcltq_s32(age, filled), vcltq_s32(positions, window));
            let flipped = veorq_u32(present, vdupq_n_u32(1 << 31));
            *limit = vreinterpretq_s32_u32(flipped);
            positions = vaddq_s32(positions, vdupq_n_s32(SIDE as i32));
        }
        Self(limits)
    }
}
