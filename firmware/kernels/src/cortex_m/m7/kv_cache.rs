//! Where keys and values of a token lie in the rings of one layer, all heads.

use core::arch::naked_asm;

use super::GROUP;

/// The rings of one layer, and the place that a token takes.
#[derive(Clone, Copy)]
pub(super) struct Ring {
    /// Places of the ring of one head, a multiple of four.
    pub(super) positions: usize,
    /// Channels of one head, a multiple of eight.
    pub(super) width: usize,
    /// Below `positions`.
    pub(super) position: usize,
}

/// How far the kernels go.
#[repr(C)]
struct Walk {
    /// Heads, at least 1.
    heads: usize,
    /// Groups of four channels of a head, at least 1.
    groups: usize,
    /// Bytes from the last group of a head to the first of the next.
    jump: usize,
    /// Bytes from a group to the next.
    stride: usize,
}

impl Ring {
    /// Puts the keys at the place. They lie like weights: a block holds four memories, a group four channels
    /// of them, a word one memory.
    pub(super) fn store_keys(self, keys: &mut [i8], token: &[i8]) {
        let block = (self.position / GROUP)
            .wrapping_mul(self.width)
            .wrapping_mul(GROUP);
        let first = block.wrapping_add((self.position % GROUP).wrapping_mul(size_of::<u32>()));
        let stride = GROUP * size_of::<u32>();
        let ring = self.positions.wrapping_mul(self.width);
        if let Some((start, walk)) = self.walk(keys, token, ring, first, stride) {
            // SAFETY: `walk` has checked that every group of every head writes inside `keys`, and that
            // there are as many in `token`; both are aligned to words.
            unsafe { store_packed(start.cast(), token.as_ptr(), &walk) };
        }
    }

    /// Puts the values at the place, as int16: a block holds four channels, a group two memories of them.
    pub(super) fn store_values(self, values: &mut [i8], token: &[i8]) {
        let pair = (self.position / 2).wrapping_mul(2 * GROUP);
        let first = pair
            .wrapping_add(self.position % 2)
            .wrapping_mul(size_of::<i16>());
        let stride = self.positions.wrapping_mul(GROUP * size_of::<i16>());
        let ring = stride.wrapping_mul(self.width / GROUP);
        if let Some((start, walk)) = self.walk(values, token, ring, first, stride) {
            // SAFETY: as in `store_keys`; a group writes four halfwords, four bytes apart.
            unsafe { store_wide(start.cast(), token.as_ptr(), &walk) };
        }
    }

    /// Where the first group goes and how to walk on; `None` if anything would lie outside.
    #[inline]
    fn walk(
        self,
        rings: &mut [i8],
        token: &[i8],
        ring: usize,
        first: usize,
        stride: usize,
    ) -> Option<(*mut i8, Walk)> {
        let groups = self.width / GROUP;
        let heads = token.len().checked_div(self.width)?;
        let inside = self.position < self.positions
            && ring.checked_mul(heads)? <= rings.len()
            && stride.checked_mul(groups)? <= ring
            && first < stride.max(ring);
        let aligned =
            rings.as_ptr().cast::<u32>().is_aligned() && token.as_ptr().cast::<u32>().is_aligned();
        if groups == 0 || heads == 0 || !inside || !aligned {
            return None;
        }
        let walk = Walk {
            heads,
            groups,
            jump: ring.wrapping_sub(stride.wrapping_mul(groups)),
            stride,
        };
        Some((rings.as_mut_ptr().wrapping_add(first), walk))
    }
}

/// A word `256 * odd + even` of two halfwords for every four channels.
///
/// # Safety
/// Every word lies inside a ring, aligned; `token` holds four channels for each.
#[unsafe(naked)]
unsafe extern "C" fn store_packed(start: *mut u32, token: *const i8, walk: *const Walk) {
    naked_asm!(
        "push {{r4-r9, lr}}",
        "ldmia.w r2, {{r4-r7}}",
        "mov.w r12, #0xff00ff00",
        "1:",
        "mov r8, r5",
        "2:",
        "ldr r2, [r1], #4",
        "subs.w r8, r8, #1",
        "sxtb16 r3, r2",
        "and.w r2, r2, r12",
        "sadd16 r2, r2, r3",
        "str r2, [r0]",
        "add r0, r7",
        "bne 2b",
        "subs r4, #1",
        "add r0, r6",
        "bne 1b",
        "pop {{r4-r9, pc}}",
    )
}

/// Four halfwords, four bytes apart, for every four channels.
///
/// # Safety
/// As [`store_packed`].
#[unsafe(naked)]
unsafe extern "C" fn store_wide(start: *mut i16, token: *const i8, walk: *const Walk) {
    naked_asm!(
        "push {{r4-r9, lr}}",
        "ldmia.w r2, {{r4-r7}}",
        "1:",
        "mov r8, r5",
        "2:",
        "ldr r2, [r1], #4",
        "subs.w r8, r8, #1",
        "sxtb16 r3, r2, ror #8",
        "sxtb16 r2, r2",
        "strh r2, [r0]",
        "strh r3, [r0, #4]",
        "lsr.w r2, r2, #16",
        "lsr.w r3, r3, #16",
        "strh r2, [r0, #8]",
        "strh r3, [r0, #12]",
        "add r0, r7",
        "bne 2b",
        "subs r4, #1",
        "add r0, r6",
        "bne 1b",
        "pop {{r4-r9, pc}}",
    )
}
