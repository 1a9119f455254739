//! From the sums of a packed map to its outputs, two times four rows a round.
//!
//! With `k = shift - 24`, a row is `(upper half of (256 * (sum + bias)) * multiplier) / 2^k`, halves up:
//! the shift leaves its last bit in the carry, which is then added. Saturation of int8 and int16 ends at
//! the type's minimum; subtracting 1 with saturation and adding it again takes that to its neighbour.

use core::arch::naked_asm;

use super::GROUP;
use crate::{Requant, add_saturating};

use super::Packed;

/// Rows of one round of a kernel.
const ROWS: usize = 2 * GROUP;

/// Where the rows' numbers lie.
#[repr(C)]
struct Scaling {
    bias: *const [u8; 4],
    multiplier: *const [u8; 4],
    shift: *const u8,
}

/// A kernel: from the sums up to `end` to `out`.
type Kernel<T> =
    unsafe extern "C" fn(acc: *const i32, scaling: *const Scaling, out: *mut T, end: *const i32);

/// `out[r] = to_i8`.
#[inline]
pub(super) fn to_i8(map: Packed<'_>, acc: &[i32], out: &mut [i8]) {
    each(map, acc, out, rows_to_i8, |factor, sum, _| {
        factor.to_i8(sum)
    });
}

/// `out[r] = to_relu_i8`.
#[inline]
pub(super) fn to_relu_i8(map: Packed<'_>, acc: &[i32], out: &mut [i8]) {
    each(map, acc, out, rows_to_relu_i8, |factor, sum, _| {
        factor.to_relu_i8(sum)
    });
}

/// `out[r] = to_i32`.
#[inline]
pub(super) fn to_i32(map: Packed<'_>, acc: &[i32], out: &mut [i32]) {
    each(map, acc, out, rows_to_i32, |factor, sum, _| {
        factor.to_i32(sum)
    });
}

/// `residual[r] += to_i16`, saturating.
#[inline]
pub(super) fn add_i16(map: Packed<'_>, acc: &[i32], residual: &mut [i16]) {
    each(map, acc, residual, rows_add_i16, |factor, sum, residual| {
        add_saturating(residual, factor.to_i16(sum))
    });
}

/// `out[i] = factor.to_i8(residual[i])`.
#[inline]
pub(super) fn requantize(residual: &[i16], factor: Requant, out: &mut [i8]) {
    let mut whole = residual.len().min(out.len()) / GROUP * GROUP;
    let aligned =
        residual.as_ptr().cast::<u32>().is_aligned() && out.as_ptr().cast::<u32>().is_aligned();
    if !(17..=62).contains(&factor.shift) || !aligned {
        whole = 0;
    }
    if whole > 0 {
        let shift = u32::from(factor.shift).wrapping_sub(16);
        // SAFETY: reads `whole` entries, at least four, of `residual` and writes as many of `out`.
        unsafe {
            requantize_i16(
                residual.as_ptr(),
                out.as_mut_ptr(),
                residual.as_ptr().wrapping_add(whole),
                &[factor.multiplier as u32, shift],
            );
        }
    }
    for (out, &residual) in out.iter_mut().zip(residual).skip(whole) {
        *out = factor.to_i8(i32::from(residual));
    }
}

/// Runs `kernel` on all whole blocks of rows, and `plain` on the remaining rows.
#[inline(always)]
fn each<T: Copy>(
    map: Packed<'_>,
    acc: &[i32],
    out: &mut [T],
    kernel: Kernel<T>,
    plain: impl Fn(Requant, i32, T) -> T,
) {
    let lengths = [
        acc.len(),
        out.len(),
        map.bias.len(),
        map.multiplier.len(),
        map.shift.len(),
    ];
    let rows = lengths.into_iter().fold(map.rows, usize::min);
    let mut whole = rows / ROWS * ROWS;
    let aligned = |pointer: *const u8| pointer.cast::<u32>().is_aligned();
    let tables = [
        map.bias.as_ptr().cast(),
        map.multiplier.as_ptr().cast(),
        map.shift.as_ptr(),
    ];
    if !tables.into_iter().all(aligned) || !aligned(out.as_ptr().cast()) {
        whole = 0;
    }
    if whole > 0 {
        let scaling = Scaling {
            bias: map.bias.as_ptr(),
            multiplier: map.multiplier.as_ptr(),
            shift: map.shift.as_ptr(),
        };
        // SAFETY: all tables, the sums and `out` hold `whole` rows, at least eight, and are
        // aligned to words.
        unsafe {
            kernel(
                acc.as_ptr(),
                &scaling,
                out.as_mut_ptr(),
                acc.as_ptr().wrapping_add(whole),
            )
        };
    }
    for (row, out) in out.iter_mut().enumerate().take(map.rows).skip(whole) {
        let number =
            |table: &[[u8; 4]]| i32::from_le_bytes(table.get(row).copied().unwrap_or_default());
        let factor = Requant {
            multiplier: number(map.multiplier),
            shift: map.shift.get(row).copied().unwrap_or(1),
        };
        let sum = (acc.get(row).copied().unwrap_or(0) >> 8).wrapping_add(number(map.bias));
        *out = plain(factor, sum, *out);
    }
}

/// Starts a kernel: r0 sums, r1 biases, r2 multipliers, r3 shifts, lr the output, [sp] the end.
macro_rules! enter {
    () => {
        "push {{r3-r11, lr}}
         mov lr, r2
         ldmia.w r1, {{r1, r2, r3}}"
    };
}

/// Four rows into r4-r7, before saturation.
macro_rules! four_rows {
    () => {
        "ldmia r0!, {{r4-r7}}
         ldmia.w r1!, {{r8-r11}}
         add.w r4, r4, r8, lsl #8
         add.w r5, r5, r9, lsl #8
         add.w r6, r6, r10, lsl #8
         add.w r7, r7, r11, lsl #8
         ldmia.w r2!, {{r8-r11}}
         smmul r4, r4, r8
         smmul r5, r5, r9
         smmul r6, r6, r10
         smmul r7, r7, r11
         ldr.w r12, [r3], #4
         sub.w r12, r12, #0x18181818
         asrs.w r4, r4, r12
         adc r4, r4, #0
         lsr.w r12, r12, #8
         asrs.w r5, r5, r12
         adc r5, r5, #0
         lsr.w r12, r12, #8
         asrs.w r6, r6, r12
         adc r6, r6, #0
         lsr.w r12, r12, #8
         asrs.w r7, r7, r12
         adc r7, r7, #0"
    };
}

/// The bytes in r4-r7 as the word r4.
macro_rules! pack_bytes {
    () => {
        "bfi r4, r5, #8, #8
         bfi r4, r6, #16, #8
         bfi r4, r7, #24, #8"
    };
}

/// Back to `1` until the sums end at [sp]; leaves the kernel.
macro_rules! leave {
    () => {
        "ldr.w r8, [sp]
         cmp r0, r8
         bne 1b
         pop {{r3-r11, pc}}"
    };
}

/// # Safety
/// The tables in `scaling` and `out` hold a row for every sum up to `end`; these are a multiple of eight,
/// at least eight; everything is aligned to words. The same holds for the next three.
#[unsafe(naked)]
unsafe extern "C" fn rows_to_i8(
    acc: *const i32,
    scaling: *const Scaling,
    out: *mut i8,
    end: *const i32,
) {
    naked_asm!(
        enter!(),
        "1:",
        ".rept 2",
        four_rows!(),
        "ssat r4, #8, r4",
        "ssat r5, #8, r5",
        "ssat r6, #8, r6",
        "ssat r7, #8, r7",
        pack_bytes!(),
        "mov.w r8, #0x01010101",
        "qsub8 r4, r4, r8",
        "sadd8 r4, r4, r8",
        "str r4, [lr], #4",
        ".endr",
        leave!(),
    )
}

/// # Safety
/// As [`rows_to_i8`].
#[unsafe(naked)]
unsafe extern "C" fn rows_to_relu_i8(
    acc: *const i32,
    scaling: *const Scaling,
    out: *mut i8,
    end: *const i32,
) {
    naked_asm!(
        enter!(),
        "1:",
        ".rept 2",
        four_rows!(),
        "usat r4, #7, r4",
        "usat r5, #7, r5",
        "usat r6, #7, r6",
        "usat r7, #7, r7",
        pack_bytes!(),
        "str r4, [lr], #4",
        ".endr",
        leave!(),
    )
}

/// Needs no saturation: the product's upper half, shifted by at least 1, is below `2^30`.
///
/// # Safety
/// As [`rows_to_i8`].
#[unsafe(naked)]
unsafe extern "C" fn rows_to_i32(
    acc: *const i32,
    scaling: *const Scaling,
    out: *mut i32,
    end: *const i32,
) {
    naked_asm!(
        enter!(),
        "1:",
        ".rept 2",
        four_rows!(),
        "stmia.w lr!, {{r4-r7}}",
        ".endr",
        leave!()
    )
}

/// # Safety
/// As [`rows_to_i8`].
#[unsafe(naked)]
unsafe extern "C" fn rows_add_i16(
    acc: *const i32,
    scaling: *const Scaling,
    out: *mut i16,
    end: *const i32,
) {
    naked_asm!(
        enter!(),
        "1:",
        ".rept 2",
        four_rows!(),
        "ssat r4, #16, r4",
        "ssat r5, #16, r5",
        "ssat r6, #16, r6",
        "ssat r7, #16, r7",
        "pkhbt r4, r4, r5, lsl #16",
        "pkhbt r5, r6, r7, lsl #16",
        "mov.w r8, #0x00010001",
        "qsub16 r4, r4, r8",
        "qsub16 r5, r5, r8",
        "sadd16 r4, r4, r8",
        "sadd16 r5, r5, r8",
        "ldrd r6, r7, [lr]",
        "qadd16 r4, r4, r6",
        "qadd16 r5, r5, r7",
        "qsub16 r4, r4, r8",
        "qsub16 r5, r5, r8",
        "sadd16 r4, r4, r8",
        "sadd16 r5, r5, r8",
        "strd r4, r5, [lr], #8",
        ".endr",
        leave!(),
    )
}

/// # Safety
/// There are a multiple of four entries, at least four, from `residual` to `end`, and room for as many at
/// `out`; both aligned to words. `factor`: the multiplier, and the shift minus 16, at least 1.
#[unsafe(naked)]
unsafe extern "C" fn requantize_i16(
    residual: *const i16,
    out: *mut i8,
    end: *const i16,
    factor: *const [u32; 2],
) {
    naked_asm!(
        "push {{r4-r10, lr}}",
        "ldrd r10, r12, [r3]",
        "mov.w r3, #0x01010101",
        "1:",
        "ldmia r0!, {{r6, r7}}",
        "smulwb r4, r10, r6",
        "smulwt r5, r10, r6",
        "smulwb r6, r10, r7",
        "smulwt r7, r10, r7",
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
        pack_bytes!(),
        "qsub8 r4, r4, r3",
        "sadd8 r4, r4, r3",
        "str r4, [r1], #4",
        "cmp r0, r2",
        "bne 1b",
        "pop {{r4-r10, pc}}",
    )
}
