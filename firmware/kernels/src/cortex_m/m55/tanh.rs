//! The hyperbolic tangent on vectors: two gather loads per four numbers.

use core::arch::naked_asm;

use crate::tanh::{BASE, BIN_BITS, BINS, LIMIT, THRESHOLD};

/// `out[i] = tanh_q12(x[i])` of all whole fours; how many entries these are.
#[inline]
pub(super) fn tanh_first(x: &[i32], out: &mut [i8]) -> usize {
    const { assert!(BIN_BITS == 5 && BINS == 400 && LIMIT == 12_800) };
    let whole = x.len().min(out.len()) & !3;
    if whole == 0 {
        return 0;
    }
    let (base, threshold) = (BASE.as_ptr(), THRESHOLD.as_ptr());
    // SAFETY: both hold `whole` entries, a multiple of four, at least four; what the kernel reads of the
    // tables is limited by `LIMIT` and by what stands in `BASE`.
    unsafe { tanh_fours(x.as_ptr(), out.as_mut_ptr(), base, threshold, whole >> 2) };
    whole
}

/// q0 arguments, q1 magnitudes, q2 base outputs, q3 the next thresholds, q4 the largest magnitude.
///
/// # Safety
/// Both hold `fours` times four entries, at least one; `base` every bin below 400, `threshold` every
/// output and one more.
#[unsafe(naked)]
unsafe extern "C" fn tanh_fours(
    x: *const i32,
    out: *mut i8,
    base: *const u8,
    threshold: *const u16,
    fours: usize,
) {
    naked_asm!(
        cpu!(),
        "push {{r4, lr}}",
        "vpush {{d8-d9}}",
        "ldr.w lr, [sp, #24]",
        "movw r4, #12799",
        "vdup.32 q4, r4",
        "adds r3, #2",
        "movs r4, #1",
        "dls lr, lr",
        "2:",
        "vldrw.u32 q0, [r0], #16",
        "vqabs.s32 q1, q0",
        "vmin.u32 q1, q1, q4",
        "vshr.u32 q3, q1, #5",
        "vldrb.u32 q2, [r2, q3]",
        "vldrh.u32 q3, [r3, q2, uxtw #1]",
        "vpt.u32 cs, q1, q3",
        "vaddt.i32 q2, q2, r4",
        "vpt.s32 lt, q0, zr",
        "vnegt.s32 q2, q2",
        "vstrb.32 q2, [r1], #4",
        "le lr, 2b",
        "vpop {{d8-d9}}",
        "pop {{r4, pc}}",
    )
}
