//! Where keys and values of a token lie in the KV cache of one layer, all heads.

use core::arch::naked_asm;

use super::GROUP;

/// The place that a token takes in one layer.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// Positions of one head, a multiple of four.
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

/// A kernel: where the first group goes, the token's channels, and how to walk on.
type Kernel = unsafe extern "C" fn(start: *mut i8, token: *const i8, walk: *const Walk);

impl Place {
    /// Puts the keys there. They lie like weights: a block holds four memories, a group four channels
    /// of them, a word one memory.
    pub(super) fn store_keys(self, keys: &mut [i8], token: &[i8]) {
        let block = (self.position / GROUP)
            .wrapping_mul(self.width)
            .wrapping_mul(GROUP);
        let first = block.wrapping_add((self.position % GROUP).wrapping_mul(size_of::<u32>()));
        let stride = GROUP * size_of::<u32>();
        let of_head = self.positions.wrapping_mul(self.width);
        self.store(keys, token, of_head, (first, stride), store_packed);
    }

    /// Puts the values there, as int16: a block holds four channels, a group two memories of them.
    pub(super) fn store_values(self, values: &mut [i8], token: &[i8]) {
        let pair = (self.position / 2).wrapping_mul(2 * GROUP);
        let first = pair
            .wrapping_add(self.position % 2)
            .wrapping_mul(size_of::<i16>());
        let stride = self.positions.wrapping_mul(GROUP * size_of::<i16>());
        let of_head = stride.wrapping_mul(self.width / GROUP);
        self.store(values, token, of_head, (first, stride), store_wide);
    }

    /// Runs `kernel` on a cache with so many bytes of a head, from the byte `first` on; nothing is stored if anything would lie
    /// outside.
    #[inline(always)]
    fn store(
        self,
        cache: &mut [i8],
        token: &[i8],
        of_head: usize,
        (first, stride): (usize, usize),
        kernel: Kernel,
    ) {
        let groups = self.width / GROUP;
        let heads = token.len().checked_div(self.width).unwrap_or(0);
        let fits =
            |bytes: usize, count, room| bytes.checked_mul(count).is_some_and(|bytes| bytes <= room);
        let inside = self.position < self.positions
            && fits(of_head, heads, cache.len())
            && fits(stride, groups, of_head)
            && first < stride.max(of_head);
        let aligned =
            cache.as_ptr().cast::<u32>().is_aligned() && token.as_ptr().cast::<u32>().is_aligned();
        if groups == 0 || heads == 0 || !inside || !aligned {
            return;
        }
        let walk = Walk {
            heads,
            groups,
            jump: of_head.wrapping_sub(stride.wrapping_mul(groups)),
            stride,
        };
        let start = cache.as_mut_ptr().wrapping_add(first);
        // SAFETY: every group of every head writes inside `cache`, a word or four halfwords that lie four bytes apart, and
        // there are as many in `token`; both are aligned to words.
        unsafe { kernel(start, token.as_ptr(), &walk) };
    }
}

/// A [`Kernel`]: `$body` stores the four channels in r2 at r0, r3 is free; `$first` runs before.
macro_rules! store {
    ($(#[$doc:meta])* $name:ident: [$($first:literal)?] $($body:literal),+ $(,)?) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// What it writes for every group of every head lies inside the cache, aligned to words; `token` holds four channels for
        /// each.
        #[unsafe(naked)]
        unsafe extern "C" fn $name(start: *mut i8, token: *const i8, walk: *const Walk) {
            naked_asm!(
                "push {{r4-r9, lr}}",
                "ldmia.w r2, {{r4-r7}}",
                $($first,)?
                "1:",
                "mov r8, r5",
                "2:",
                "ldr r2, [r1], #4",
                "subs.w r8, r8, #1",
                $($body,)+
                "add r0, r7",
                "bne 2b",
                "subs r4, #1",
                "add r0, r6",
                "bne 1b",
                "pop {{r4-r9, pc}}",
            )
        }
    };
}

store! {
    /// A word `256 * odd + even` of two halfwords for every four channels.
    store_packed: ["mov.w r12, #0xff00ff00"]
    "sxtb16 r3, r2",
    "and.w r2, r2, r12",
    "sadd16 r2, r2, r3",
    "str r2, [r0]",
}

store! {
    /// Four halfwords, four bytes apart, for every four channels.
    store_wide: []
    "sxtb16 r3, r2, ror #8",
    "sxtb16 r2, r2",
    "strh r2, [r0]",
    "strh r3, [r0, #4]",
    "lsr.w r2, r2, #16",
    "lsr.w r3, r3, #16",
    "strh r2, [r0, #8]",
    "strh r3, [r0, #12]",
}
