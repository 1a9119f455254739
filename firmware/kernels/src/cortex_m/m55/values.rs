//! Values weighted by attention: their sums, and from the sums to the context.

use core::arch::naked_asm;

use super::matrix::eight_rows;
use crate::cortex_m::every_core::heads::Context;

/// Where the kernel of sums ends.
#[repr(C)]
pub(super) struct Walk {
    pub(super) end: *const i32,
    pub(super) probabilities_end: *const i16,
}

/// r3 values, r1 probabilities and r11 the first of them, r5 sums, r7 and r9 the ends of sums and probabilities; the sums in
/// r0, r2, r4, r6, r8, r10, r12, lr.
///
/// # Safety
/// Sums are a multiple of eight, at least eight, and so are probabilities; `values` holds a byte for each sum and
/// probability.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn sum_blocks(
    values: *const i8,
    probabilities: *const i16,
    acc: *mut i32,
    walk: *const Walk,
) {
    naked_asm!(
        cpu!(),
        "push {{r4-r11, lr}}",
        "ldrd r7, r9, [r3]",
        "mov r3, r0",
        "mov r5, r2",
        "mov r11, r1",
        "2:",
        "vldrh.u16 q0, [r11]",
        "add.w r1, r11, #16",
        ".set channel, 0",
        ".irp sum, r0, r2, r4, r6, r8, r10, r12, lr",
        "vldrb.s16 q1, [r3, #channel]",
        r"vmladav.s16 \sum, q0, q1",
        ".set channel, channel + 8",
        ".endr",
        "adds r3, #64",
        "cmp r1, r9",
        "beq.w 4f",
        "3:",
        "vldrh.u16 q0, [r1], #16",
        eight_rows!(),
        "cmp r1, r9",
        "bne 3b",
        "4:",
        "stmia.w r5!, {{r0, r2, r4, r6, r8, r10, r12, lr}}",
        "cmp r5, r7",
        "bne.w 2b",
        "pop {{r4-r11, pc}}",
    )
}

/// q0 and q1 sums of the even and of the odd channels, q2 their product's upper half, q3 reciprocal, q4
/// multiplier, q5 -127.
///
/// # Safety
/// Both slices hold `eights` times eight entries, at least eight.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn context_of_sums(
    acc: *const i32,
    out: *mut i8,
    eights: usize,
    context: *const Context,
) {
    naked_asm!(
        cpu!(),
        "push {{r4, lr}}",
        "vpush {{d8-d11}}",
        "dls lr, r2",
        "ldrd r2, r12, [r3]",
        "vdup.32 q3, r12",
        "ldrd r4, r12, [r3, #8]",
        "vdup.32 q4, r4",
        "rsb r12, r12, #0",
        "movw r4, #0xff81",
        "vdup.16 q5, r4",
        "2:",
        "vld20.32 {{q0, q1}}, [r0]",
        "vld21.32 {{q0, q1}}, [r0]!",
        "vshl.s32 q0, r2",
        "vshl.s32 q1, r2",
        "vmulh.s32 q2, q0, q3",
        "vadd.i32 q0, q0, q2",
        "vmulh.s32 q2, q1, q3",
        "vadd.i32 q1, q1, q2",
        "vrshr.s32 q0, q0, #7",
        "vrshr.s32 q1, q1, #7",
        "vmulh.s32 q0, q0, q4",
        "vmulh.s32 q1, q1, q4",
        "vrshl.s32 q0, r12",
        "vrshl.s32 q1, r12",
        "vqmovnb.s32 q0, q0",
        "vqmovnt.s32 q0, q1",
        "vqmovnb.s16 q0, q0",
        "vmovlb.s8 q0, q0",
        "vmax.s16 q0, q0, q5",
        "vstrb.16 q0, [r1], #8",
        "le lr, 2b",
        "vpop {{d8-d11}}",
        "pop {{r4, pc}}",
    )
}
