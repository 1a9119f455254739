//! Values weighted by attention: their sums, and from the sums to the means.

use core::arch::naked_asm;

use super::GROUP;
use super::matrix::{Size, enter_blocks, next_block, next_steps};
use crate::cortex_m::heads::{Context, plain_context};
use crate::{Reciprocal, Requant};

/// Sums of four channels, weighted: `values` holds int16 in blocks of four channels, within them in
/// groups of two places; `probabilities` one per place.
#[inline]
pub(super) fn weighted_sums(values: &[i8], probabilities: &[i16], acc: &mut [i32]) {
    let positions = probabilities.len() / GROUP * GROUP;
    let block_bytes = positions.wrapping_mul(GROUP * size_of::<i16>());
    let blocks = values.len().checked_div(block_bytes).unwrap_or(0);
    let blocks = blocks.min(acc.len() / GROUP);
    let aligned = values.as_ptr().cast::<u32>().is_aligned()
        && probabilities.as_ptr().cast::<u32>().is_aligned();
    if blocks == 0 || !aligned {
        return;
    }
    let end = acc.as_ptr().wrapping_add(blocks * GROUP);
    // SAFETY: reads `blocks` blocks of `values` and `positions` weights, both aligned to words; writes four
    // sums for every block.
    unsafe {
        sum_blocks(
            values.as_ptr().cast(),
            probabilities.as_ptr(),
            acc.as_mut_ptr(),
            &Size {
                steps: positions / GROUP,
                end,
            },
        );
    }
}

/// `out[i] = output.to_i8(reciprocal.context_q16(acc[i]))`.
#[inline]
pub(super) fn context(reciprocal: Reciprocal, output: Requant, acc: &[i32], out: &mut [i8]) {
    let whole = acc.len().min(out.len()) / GROUP * GROUP;
    let aligned = out.as_ptr().cast::<u32>().is_aligned();
    let Some(context) = Context::new(reciprocal, output).filter(|_| whole > 0 && aligned) else {
        return plain_context(reciprocal, output, acc, out);
    };
    let (start, end) = (acc.as_ptr(), acc.as_ptr().wrapping_add(whole));
    // SAFETY: `acc` and `out` hold `whole` entries, at least four, aligned to words; heads have a
    // multiple of four channels, so that none is left over.
    unsafe { context_of_acc(start, out.as_mut_ptr(), end, &context) };
}

/// r2-r5 sums, r6-r7 weights of four places, r8-r11 values of two places.
///
/// # Safety
/// `size.steps` is not 0 and `size.end` lies a multiple of four sums, at least four, behind `acc`; `probabilities`
/// holds four weights for every step, `values` four values for each of them and each four sums; both
/// aligned to words.
#[unsafe(naked)]
unsafe extern "C" fn sum_blocks(
    values: *const i16,
    probabilities: *const i16,
    acc: *mut i32,
    size: *const Size,
) {
    // One step is 11 instructions of 4 bytes.
    naked_asm!(
        enter_blocks!("3", "44"),
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
        next_steps!(),
        next_block!(),
    )
}

/// The mean is `(sum << left) * reciprocal / 2^39`, halves up; then the output's factor.
///
/// # Safety
/// From `acc` to `end` lie a multiple of four sums, at least four, and room for as many bytes at `out`; both
/// aligned to words.
#[unsafe(naked)]
unsafe extern "C" fn context_of_acc(
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
