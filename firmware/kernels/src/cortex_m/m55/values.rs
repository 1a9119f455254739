//! Values: where they lie in the ring, their weighted sums, and from the sums to the means.

use core::arch::naked_asm;

use super::{LANES, cpu};
use crate::cortex_m::heads::{Context, plain_context};
use crate::{Reciprocal, Requant};

/// Bytes of a block: eight channels of eight places.
const BLOCK: usize = LANES * LANES;

/// Puts the values of a token at `position` of the rings of all heads: `[channel / 8][position / 8][8][8]`, with
/// `positions` in a ring, a multiple of eight.
pub(super) fn store(values: &mut [i8], token: &[i8], position: usize, positions: usize) {
    let stride = positions.wrapping_mul(LANES);
    let eights = token.len() / LANES;
    let first = (position / LANES)
        .wrapping_mul(BLOCK)
        .wrapping_add(position % LANES);
    if eights == 0 || position >= positions || stride.saturating_mul(eights) > values.len() {
        return;
    }
    let to = values.as_mut_ptr().wrapping_add(first);
    // SAFETY: every eight channels have `stride` bytes in the ring, and `first` plus 56 lies in such a stretch;
    // `token` holds them all.
    unsafe { scatter(to, token.as_ptr(), eights, stride) };
}

/// Sums of all channels of a head, weighted; `probabilities` one per place, a multiple of eight.
#[inline]
pub(super) fn weighted_sums(values: &[i8], probabilities: &[i16], acc: &mut [i32]) {
    let steps = probabilities.len() / LANES;
    let bytes = steps.wrapping_mul(BLOCK);
    let blocks = acc.len() / LANES;
    if steps == 0 || blocks == 0 || bytes.saturating_mul(blocks) > values.len() {
        return;
    }
    let end = acc.as_ptr().wrapping_add(blocks.wrapping_mul(LANES));
    let walk = Walk {
        end,
        weights_end: probabilities
            .as_ptr()
            .wrapping_add(steps.wrapping_mul(LANES)),
    };
    // SAFETY: `values` holds `blocks` times `steps` blocks, `probabilities` eight for each step, `acc` eight for each
    // of the blocks; at least one of each.
    unsafe {
        sum_blocks(
            values.as_ptr(),
            probabilities.as_ptr(),
            acc.as_mut_ptr(),
            &walk,
        );
    }
}

/// Where the kernel of sums ends.
#[repr(C)]
struct Walk {
    end: *const i32,
    weights_end: *const i16,
}

/// `out[i] = output.to_i8(reciprocal.context_q16(acc[i]))`.
#[inline]
pub(super) fn context(reciprocal: Reciprocal, output: Requant, acc: &[i32], out: &mut [i8]) {
    let eights = acc.len().min(out.len()) / LANES;
    let Some(context) = Context::new(reciprocal, output).filter(|_| eights > 0) else {
        return plain_context(reciprocal, output, acc, out);
    };
    // SAFETY: `acc` and `out` hold `eights` times eight entries, at least eight; heads have a multiple of
    // eight channels, so that none is left over.
    unsafe { context_of_acc(acc.as_ptr(), out.as_mut_ptr(), eights, &context) };
}

/// q0 values of eight channels, q1 where they go: eight bytes apart.
///
/// # Safety
/// `token` holds `eights` times eight channels, at least eight; behind `to` there are so many stretches
/// of `stride` bytes, of which 57 may be written.
#[unsafe(naked)]
unsafe extern "C" fn scatter(to: *mut i8, token: *const i8, eights: usize, stride: usize) {
    naked_asm!(
        cpu!(),
        "push {{r7, lr}}",
        "mov.w r12, #0",
        "vidup.u16 q1, r12, #8",
        "dls lr, r2",
        "2:",
        "vldrb.u16 q0, [r1], #8",
        "vstrb.16 q0, [r0, q1]",
        "add r0, r3",
        "le lr, 2b",
        "pop {{r7, pc}}",
    )
}

/// r3 values, r1 weights and r11 the first of them, r5 sums, r7 and r9 the ends of sums and weights; the sums in
/// r0, r2, r4, r6, r8, r10, r12, lr.
///
/// # Safety
/// Sums are a multiple of eight, at least eight, and so are weights; `values` holds a byte for each sum and
/// weight.
#[unsafe(naked)]
unsafe extern "C" fn sum_blocks(
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
        "vldrb.s16 q1, [r3]",
        "vmladav.s16 r0, q0, q1",
        "vldrb.s16 q1, [r3, #8]",
        "vmladav.s16 r2, q0, q1",
        "vldrb.s16 q1, [r3, #16]",
        "vmladav.s16 r4, q0, q1",
        "vldrb.s16 q1, [r3, #24]",
        "vmladav.s16 r6, q0, q1",
        "vldrb.s16 q1, [r3, #32]",
        "vmladav.s16 r8, q0, q1",
        "vldrb.s16 q1, [r3, #40]",
        "vmladav.s16 r10, q0, q1",
        "vldrb.s16 q1, [r3, #48]",
        "vmladav.s16 r12, q0, q1",
        "vldrb.s16 q1, [r3, #56]",
        "vmladav.s16 lr, q0, q1",
        "adds r3, #64",
        "cmp r1, r9",
        "beq.w 4f",
        "3:",
        "vldrh.u16 q0, [r1], #16",
        "vldrb.s16 q1, [r3], #8",
        "vmladava.s16 r0, q0, q1",
        "vldrb.s16 q1, [r3], #8",
        "vmladava.s16 r2, q0, q1",
        "vldrb.s16 q1, [r3], #8",
        "vmladava.s16 r4, q0, q1",
        "vldrb.s16 q1, [r3], #8",
        "vmladava.s16 r6, q0, q1",
        "vldrb.s16 q1, [r3], #8",
        "vmladava.s16 r8, q0, q1",
        "vldrb.s16 q1, [r3], #8",
        "vmladava.s16 r10, q0, q1",
        "vldrb.s16 q1, [r3], #8",
        "vmladava.s16 r12, q0, q1",
        "vldrb.s16 q1, [r3], #8",
        "vmladava.s16 lr, q0, q1",
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
unsafe extern "C" fn context_of_acc(
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
