//! Values weighted by attention: their sums, and from the sums to the context.

use core::arch::naked_asm;

use super::matrix::{kernel_of_blocks, next_steps};
use crate::cortex_m::every_core::heads::Context;

kernel_of_blocks! {
    /// r2-r5 sums, r6-r7 probabilities of four positions, r8-r11 values of two positions; 11 instructions of 4 bytes.
    ///
    /// # Safety
    /// `size.steps` is not 0 and `size.end` lies a multiple of four sums, at least four, behind `acc`; `inputs`
    /// holds four probabilities for every step, `weights` four int16 values for each of them and each four sums; both
    /// aligned to words.
    pub(super) fn sum_blocks(i16), "3", "44";
    "ldmia.w r1!, {{r6-r7}}
     ldmia.w r0!, {{r8-r11}}
     smlad r2, r8, r6, r2
     smlad r3, r9, r6, r3
     smlad r4, r10, r6, r4
     smlad r5, r11, r6, r5
     ldmia.w r0!, {{r8-r11}}
     smlad r2, r8, r7, r2
     smlad r3, r9, r7, r3
     smlad r4, r10, r7, r4
     smlad r5, r11, r7, r5";
    next_steps!();
}

/// The context is `(sum << left) * reciprocal / 2^39`, halves up; then the output's factor.
///
/// # Safety
/// From `acc` to `end` lie a multiple of four sums, at least four, and room for as many bytes at `out`; both
/// aligned to words.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn context_of_sums(
    acc: *const i32,
    out: *mut i8,
    end: *const i32,
    context: *const Context,
) {
    naked_asm!(
        "push {{r4-r10, lr}}",
        "ldmia.w r3, {{r8, r9, r10, r12}}",
        "mov.w r3, #0x01010101",
        "1:",
        "ldmia r0!, {{r4-r7}}",
        four!(r"lsl.w \x, \x, r8"),
        four!(r"smmla \x, \x, r9, \x"),
        four!(r"asrs.w \x, \x, #7", r"adc \x, \x, #0"),
        four!(r"smmul \x, \x, r10"),
        four!(r"asrs.w \x, \x, r12", r"adc \x, \x, #0"),
        four!(r"ssat \x, #8, \x"),
        pack_four!(),
        "qsub8 r4, r4, r3",
        "sadd8 r4, r4, r3",
        "str r4, [r1], #4",
        "cmp r0, r2",
        "bne 1b",
        "pop {{r4-r10, pc}}",
    )
}
