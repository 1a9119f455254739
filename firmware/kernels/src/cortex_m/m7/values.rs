//! Values weighted by attention: their sums, and from the sums to the means.

use core::arch::naked_asm;

use super::GROUP;
use crate::{Reciprocal, Requant};

/// Sums of four channels, weighted: `values` holds int16 in blocks of four channels, within them in
/// groups of two places; `weights` one per place.
#[inline]
pub(super) fn weighted_sums(values: &[i8], weights: &[i16], sums: &mut [i32]) {
    let places = weights.len() / GROUP * GROUP;
    let block_bytes = places.wrapping_mul(GROUP * size_of::<i16>());
    let blocks = values.len().checked_div(block_bytes).unwrap_or(0);
    let blocks = blocks.min(sums.len() / GROUP);
    let aligned =
        values.as_ptr().cast::<u32>().is_aligned() && weights.as_ptr().cast::<u32>().is_aligned();
    if blocks == 0 || !aligned {
        return;
    }
    let end = sums.as_ptr().wrapping_add(blocks * GROUP);
    // SAFETY: reads `blocks` blocks of `values` and `places` weights, both aligned to words; writes four
    // sums for every block.
    unsafe {
        sum_blocks(
            values.as_ptr().cast(),
            weights.as_ptr(),
            sums.as_mut_ptr(),
            &Size {
                steps: places / GROUP,
                end,
            },
        );
    }
}

/// How long the kernel runs.
#[repr(C)]
struct Size {
    /// Four places each, at least 1.
    steps: usize,
    /// Behind the last sum.
    end: *const i32,
}

/// From the weighted sums of one head to its outputs.
pub(super) struct WeightedMean {
    reciprocal: Reciprocal,
    output: Requant,
}

/// The numbers of [`WeightedMean`] as the kernel wants them.
#[repr(C)]
struct Means {
    /// Takes any sum of the head to 32 bits without loss; the mean's shift is then 39.
    left: u32,
    reciprocal: u32,
    multiplier: i32,
    /// The output's shift minus 32.
    shift: u32,
}

impl WeightedMean {
    #[inline]
    pub(super) const fn new(reciprocal: Reciprocal, output: Requant) -> Self {
        Self { reciprocal, output }
    }

    /// `out[i] = output.to_i8(reciprocal.mean_q16(sums[i]))`.
    #[inline]
    pub(super) fn take(&self, sums: &[i32], out: &mut [i8]) {
        let Reciprocal { factor, shift } = self.reciprocal;
        let whole = sums.len().min(out.len()) / GROUP * GROUP;
        // The kernel takes a factor with its top bit, which it sees as factor minus 2^32, and adds
        // the sum for the difference.
        let usual = shift <= 39 && factor >= 1 << 31 && (33..=62).contains(&self.output.shift);
        if whole == 0 || !usual || !out.as_ptr().cast::<u32>().is_aligned() {
            for (out, &sum) in out.iter_mut().zip(sums) {
                *out = self.output.to_i8(self.reciprocal.mean_q16(sum));
            }
            return;
        }
        let means = Means {
            left: 39_u32.wrapping_sub(shift),
            reciprocal: factor,
            multiplier: self.output.multiplier,
            shift: u32::from(self.output.shift).wrapping_sub(32),
        };
        // SAFETY: `sums` and `out` hold `whole` entries, at least four, aligned to words; heads have a
        // multiple of four channels, so that none is left over.
        unsafe {
            means_of_sums(
                sums.as_ptr(),
                out.as_mut_ptr(),
                sums.as_ptr().wrapping_add(whole),
                &means,
            )
        };
    }
}

/// r2-r5 sums, r6-r7 weights of four places, r8-r11 values of two places.
///
/// # Safety
/// `size.steps` is not 0 and `size.end` lies a multiple of four sums, at least four, behind `sums`; `weights`
/// holds four weights for every step, `values` four values for each of them and each four sums; both
/// aligned to words.
#[unsafe(naked)]
unsafe extern "C" fn sum_blocks(
    values: *const i16,
    weights: *const i16,
    sums: *mut i32,
    size: *const Size,
) {
    // One step is 11 instructions of 4 bytes.
    naked_asm!(
        "push {{r4-r11, lr}}",
        "sub sp, #36",
        "ldrd r4, r5, [r3]",
        // [sp]: weights, 0, 0, 0, 0, entry, sums, end of sums, end of weights
        "movs r6, #0",
        "strd r1, r6, [sp]",
        "strd r6, r6, [sp, #8]",
        "str r6, [sp, #16]",
        "strd r2, r5, [sp, #24]",
        "add.w r7, r1, r4, lsl #3",
        "str r7, [sp, #32]",
        "rsb r6, r4, #0",
        "and r6, r6, #15",
        "movs r7, #44",
        "muls r6, r7, r6",
        "adr.w r7, 3f",
        "add r6, r7",
        "orr r6, r6, #1",
        "str r6, [sp, #20]",
        "2:",
        "ldmia.w sp, {{r1-r5, pc}}",
        "3:",
        ".rept 16",
        "ldmia.w r1!, {{r6-r7}}",
        "ldmia.w r0!, {{r8-r11}}",
        "smlad r2, r8, r6, r2",
        "smlad r3, r9, r6, r3",
        "smlad r4, r10, r6, r4",
        "smlad r5, r11, r6, r5",
        "ldmia.w r0!, {{r8-r11}}",
        "smlad r2, r8, r7, r2",
        "smlad r3, r9, r7, r3",
        "smlad r4, r10, r7, r4",
        "smlad r5, r11, r7, r5",
        ".endr",
        "ldr r6, [sp, #32]",
        "cmp r1, r6",
        "bne.w 3b",
        "ldrd r6, r7, [sp, #24]",
        "stmia r6!, {{r2-r5}}",
        "cmp r6, r7",
        "str r6, [sp, #24]",
        "bne.w 2b",
        "add sp, #36",
        "pop {{r4-r11, pc}}",
    )
}

/// The mean is `(sum << left) * reciprocal / 2^39`, halves up; then the output's factor.
///
/// # Safety
/// From `sums` to `end` lie a multiple of four sums, at least four, and room for as many bytes at `out`; both
/// aligned to words.
#[unsafe(naked)]
unsafe extern "C" fn means_of_sums(
    sums: *const i32,
    out: *mut i8,
    end: *const i32,
    means: *const Means,
) {
    naked_asm!(
        "push {{r4-r10, lr}}",
        "ldmia.w r3, {{r8, r9, r10, r12}}",
        "mov.w r3, #0x01010101",
        "1:",
        "ldmia r0!, {{r4-r7}}",
        "lsl.w r4, r4, r8",
        "lsl.w r5, r5, r8",
        "lsl.w r6, r6, r8",
        "lsl.w r7, r7, r8",
        "smmla r4, r4, r9, r4",
        "smmla r5, r5, r9, r5",
        "smmla r6, r6, r9, r6",
        "smmla r7, r7, r9, r7",
        "asrs.w r4, r4, #7",
        "adc r4, r4, #0",
        "asrs.w r5, r5, #7",
        "adc r5, r5, #0",
        "asrs.w r6, r6, #7",
        "adc r6, r6, #0",
        "asrs.w r7, r7, #7",
        "adc r7, r7, #0",
        "smmul r4, r4, r10",
        "smmul r5, r5, r10",
        "smmul r6, r6, r10",
        "smmul r7, r7, r10",
        "asrs.w r4, r4, r12",
        "adc r4, r4, #0",
        "asrs.w r5, r5, r12",
        "adc r5, r5, #0",
        "asrs.w r6, r6, r12",
        "adc r6, r6, #0",
        "asrs.w r7, r7, r12",
        "adc r7, r7, #0",
        "ssat r4, #8, r4",
        "ssat r5, #8, r5",
        "ssat r6, #8, r6",
        "ssat r7, #8, r7",
        "bfi r4, r5, #8, #8",
        "bfi r4, r6, #16, #8",
        "bfi r4, r7, #24, #8",
        "qsub8 r4, r4, r3",
        "sadd8 r4, r4, r3",
        "str r4, [r1], #4",
        "cmp r0, r2",
        "bne 1b",
        "pop {{r4-r10, pc}}",
    )
}
