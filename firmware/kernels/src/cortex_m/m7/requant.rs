//! From the sums of a packed map to its outputs, two times four rows a round.
//!
//! With `k = shift - 24`, a row is `(upper half of (256 * (sum + bias)) * multiplier) / 2^k`, halves up:
//! the shift leaves its last bit in the carry, which is then added. Saturation of int8 and int16 ends at
//! the type's minimum; subtracting 1 with saturation and adding it again takes that to its neighbour.

use core::arch::naked_asm;

use super::{CortexM7, GROUP};
use crate::Requant;
use crate::cortex_m::every_core::Requantize;
use crate::portable::Rows;

/// Rows of one round of a kernel.
const ROWS: usize = 2 * GROUP;

/// Where the rows' numbers lie.
#[repr(C)]
pub struct Scaling {
    bias: *const [u8; 4],
    multiplier: *const [u8; 4],
    shift: *const u8,
}

impl Requantize for CortexM7 {
    /// From the sums up to `end` to `out`.
    type Kernel<T> = unsafe extern "C" fn(
        acc: *const i32,
        scaling: *const Scaling,
        out: *mut T,
        end: *const i32,
    );
    const TO_I8: Self::Kernel<i8> = rows_to_i8;
    const TO_RELU_I8: Self::Kernel<i8> = rows_to_relu_i8;
    const TO_I32: Self::Kernel<i32> = rows_to_i32;
    const ADD_I16: Self::Kernel<i16> = rows_add_i16;

    #[inline(always)]
    fn first_rows<T>(map: Rows<'_>, acc: &[i32], out: &mut [T], kernel: Self::Kernel<T>) -> usize {
        let lengths = [
            acc.len(),
            out.len(),
            map.bias.len(),
            map.multiplier.len(),
            map.shift.len(),
        ];
        let rows = lengths.into_iter().fold(map.rows, usize::min);
        let whole = rows / ROWS * ROWS;
        let tables = [
            map.bias.as_ptr().cast(),
            map.multiplier.as_ptr().cast(),
            map.shift.as_ptr(),
            out.as_ptr().cast(),
        ];
        let aligned = |pointer: *const u8| pointer.cast::<u32>().is_aligned();
        if whole == 0 || !tables.into_iter().all(aligned) {
            return 0;
        }
        let scaling = Scaling {
            bias: map.bias.as_ptr(),
            multiplier: map.multiplier.as_ptr(),
            shift: map.shift.as_ptr(),
        };
        let end = acc.as_ptr().wrapping_add(whole);
        // SAFETY: all tables, the sums and `out` hold `whole` rows, at least eight, and are aligned to words.
        unsafe { kernel(acc.as_ptr(), &scaling, out.as_mut_ptr(), end) };
        whole
    }

    #[inline(always)]
    fn row(map: Rows<'_>, acc: &[i32], row: usize) -> i32 {
        let bias = map.bias.get(row).copied().unwrap_or_default();
        (acc.get(row).copied().unwrap_or(0) >> 8).wrapping_add(i32::from_le_bytes(bias))
    }

    #[inline]
    fn requantize_first(residual: &[i16], requant: Requant, out: &mut [i8]) -> usize {
        let whole = residual.len().min(out.len()) / GROUP * GROUP;
        let aligned =
            residual.as_ptr().cast::<u32>().is_aligned() && out.as_ptr().cast::<u32>().is_aligned();
        if whole == 0 || !(17..=62).contains(&requant.shift) || !aligned {
            return 0;
        }
        let shift = u32::from(requant.shift).wrapping_sub(16);
        let (start, end) = (residual.as_ptr(), residual.as_ptr().wrapping_add(whole));
        let requant = [requant.multiplier as u32, shift];
        // SAFETY: reads `whole` entries, at least four, of `residual` and writes as many of `out`.
        unsafe { requantize_i16(start, out.as_mut_ptr(), end, &requant) };
        whole
    }
}

/// A kernel of [`Requantize`] with `$body` for four rows that are in r4-r7, before saturation: it stores them at lr.
macro_rules! rows {
    ($(#[$doc:meta])* $name:ident: $out:ty; $($body:expr),+ $(,)?) => {
        $(#[$doc])*
        /// # Safety
        /// The tables in `scaling` and `out` hold a row for every sum up to `end`; these are a multiple of eight,
        /// at least eight; everything is aligned to words.
        #[unsafe(naked)]
        unsafe extern "C" fn $name(
            acc: *const i32,
            scaling: *const Scaling,
            out: *mut $out,
            end: *const i32,
        ) {
            // r0 sums, r1 biases, r2 multipliers, r3 shifts, lr the output, [sp] the end.
            naked_asm!(
                "push {{r3-r11, lr}}",
                "mov lr, r2",
                "ldmia.w r1, {{r1, r2, r3}}",
                "1:",
                ".rept 2",
                "ldmia r0!, {{r4-r7}}",
                "ldmia.w r1!, {{r8-r11}}",
                "add.w r4, r4, r8, lsl #8",
                "add.w r5, r5, r9, lsl #8",
                "add.w r6, r6, r10, lsl #8",
                "add.w r7, r7, r11, lsl #8",
                "ldmia.w r2!, {{r8-r11}}",
                "smmul r4, r4, r8",
                "smmul r5, r5, r9",
                "smmul r6, r6, r10",
                "smmul r7, r7, r11",
                "ldr.w r12, [r3], #4",
                "sub.w r12, r12, #0x18181818",
                "asrs.w r4, r4, r12",
                "adc r4, r4, #0",
                "lsr.w r12, r12, #8",
                "asrs.w r5, r5, r12",
                "adc r5, r5, #0",
                "lsr.w r12, r12, #8",
                "asrs.w r6, r6, r12",
                "adc r6, r6, #0",
                "lsr.w r12, r12, #8",
                "asrs.w r7, r7, r12",
                "adc r7, r7, #0",
                $($body,)+
                ".endr",
                "ldr.w r8, [sp]",
                "cmp r0, r8",
                "bne 1b",
                "pop {{r3-r11, pc}}",
            )
        }
    };
}

rows! {
    rows_to_i8: i8;
    four!(r"ssat \x, #8, \x"),
    pack_four!(),
    "mov.w r8, #0x01010101",
    "qsub8 r4, r4, r8",
    "sadd8 r4, r4, r8",
    "str r4, [lr], #4",
}

rows! {
    rows_to_relu_i8: i8;
    four!(r"usat \x, #7, \x"),
    pack_four!(),
    "str r4, [lr], #4",
}

rows! {
    /// Needs no saturation: the product's upper half, shifted by at least 1, is below `2^30`.
    ///
    rows_to_i32: i32;
    "stmia.w lr!, {{r4-r7}}",
}

rows! {
    rows_add_i16: i16;
    four!(r"ssat \x, #16, \x"),
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
}

/// # Safety
/// There are a multiple of four entries, at least four, from `residual` to `end`, and room for as many at
/// `out`; both aligned to words. `requant`: the multiplier, and the shift minus 16, at least 1.
#[unsafe(naked)]
unsafe extern "C" fn requantize_i16(
    residual: *const i16,
    out: *mut i8,
    end: *const i16,
    requant: *const [u32; 2],
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
