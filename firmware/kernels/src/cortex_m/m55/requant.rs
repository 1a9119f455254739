//! From sums to numbers of fewer bits.
//!
//! With a shift of at least 33, `(x * m + 2^(s-1)) >> s` is the upper half of the product (VMULH), shifted by
//! `s - 32` with rounding (VRSHL): what the lower half holds lies below the rounding bit. A map with a
//! smaller shift goes the plain way. Saturating moves to narrower lanes (VQMOVN) stop at -128 or -32768,
//! one further than Engram's numbers, which a maximum takes back.

use core::arch::naked_asm;

use super::CortexM55;
use crate::Requant;
use crate::cortex_m::every_core::Requantize;
use crate::portable::Rows;

/// The smallest shift that the vectors take.
pub(super) const MIN_SHIFT: u8 = 33;

impl Requantize for CortexM55 {
    /// Sums, multipliers, shifts, output, blocks; and the rows of a block, a power of two.
    type Kernel<T> = (
        unsafe extern "C" fn(*const i32, *const [u8; 4], *const u8, *mut T, usize),
        usize,
    );
    const TO_I8: Self::Kernel<i8> = (rows_to_i8, 16);
    const TO_RELU_I8: Self::Kernel<i8> = (rows_to_relu_i8, 16);
    const TO_I32: Self::Kernel<i32> = (rows_to_i32, 4);
    const ADD_I16: Self::Kernel<i16> = (rows_add_i16, 8);

    #[inline(always)]
    fn first_rows<T>(
        map: Rows<'_>,
        acc: &[i32],
        out: &mut [T],
        (kernel, block): Self::Kernel<T>,
    ) -> usize {
        let rows = map.rows.min(acc.len()).min(out.len());
        let (Some(multiplier), Some(shift)) = (map.multiplier.get(..rows), map.shift.get(..rows))
        else {
            return 0;
        };
        let whole = rows & !block.wrapping_sub(1);
        let aligned = multiplier.as_ptr().cast::<u32>().is_aligned();
        if whole == 0 || !aligned || !usual_shifts(shift) {
            return 0;
        }
        let (multiplier, shift) = (multiplier.as_ptr(), shift.as_ptr());
        let blocks = whole >> block.trailing_zeros();
        // SAFETY: all hold `blocks` blocks, at least one; the tables of words are aligned to them.
        unsafe { kernel(acc.as_ptr(), multiplier, shift, out.as_mut_ptr(), blocks) };
        whole
    }

    #[inline(always)]
    fn row(_: Rows<'_>, acc: &[i32], row: usize) -> i32 {
        acc.get(row).copied().unwrap_or(0)
    }

    #[inline]
    fn requantize_first(residual: &[i16], requant: Requant, out: &mut [i8]) -> usize {
        let whole = residual.len().min(out.len()) & !15;
        if whole == 0 || !(17..=62).contains(&requant.shift) {
            return 0;
        }
        let (from, to) = (residual.as_ptr(), out.as_mut_ptr());
        let shift = 16 - i32::from(requant.shift);
        // SAFETY: both hold a multiple of sixteen entries, at least as many.
        unsafe { requantize_i16(from, to, whole >> 4, requant.multiplier, shift) };
        whole
    }
}

/// Whether all lie in `33..=62`.
#[inline]
fn usual_shifts(shifts: &[u8]) -> bool {
    // SAFETY: reads the slice.
    let outside = unsafe { largest_distance(shifts.as_ptr(), shifts.len()) };
    outside <= u32::from(62 - MIN_SHIFT)
}

/// The largest `shift - 33` modulo 256.
///
/// # Safety
/// There are `count` shifts.
#[unsafe(naked)]
unsafe extern "C" fn largest_distance(shift: *const u8, count: usize) -> u32 {
    naked_asm!(
        cpu!(),
        "push {{r7, lr}}",
        "mov r2, r0",
        "movs r0, #0",
        "movs r3, #33",
        "wlstp.8 lr, r1, 3f",
        "2:",
        "vldrb.u8 q0, [r2], #16",
        "vsub.i8 q0, q0, r3",
        "vmaxv.u8 r0, q0",
        "letp lr, 2b",
        "3:",
        "pop {{r7, pc}}",
    )
}

/// A kernel of [`Requantize`] for blocks of so many rows: r0 sums, r1 multipliers, r2 shifts, r3 the output, on the stack how many
/// blocks.
macro_rules! rows {
    ($(#[$doc:meta])* $name:ident, $rows:literal: $out:ty; $($line:expr),+ $(,)?) => {
        $(#[$doc])*
        ///
        /// # Safety
        #[doc = concat!("All hold `blocks` times ", $rows, " rows, at least one block; multipliers are aligned to words.")]
        #[unsafe(naked)]
        unsafe extern "C" fn $name(
            acc: *const i32,
            multiplier: *const [u8; 4],
            shift: *const u8,
            out: *mut $out,
            blocks: usize,
        ) {
            naked_asm!(cpu!(), $($line),+)
        }
    };
}

/// Sixteen rows a round to bytes that are not below `$least`, an immediate of VMOV: r4 33.
///
/// Lanes come apart by four: row `4 j + k` is in lane j of vector k. The shifts are four to a lane then,
/// and VRSHL reads only the lowest byte.
macro_rules! rows_to_bytes {
    ($name:ident, $least:literal) => {
        rows! {
            /// To bytes.
            $name, 16: i8;
            "push {{r4, lr}}",
            "vpush {{d8-d15}}",
            "ldr.w lr, [sp, #72]",
            "movs r4, #33",
            "dls lr, lr",
            "2:",
            "vld40.32 {{q0, q1, q2, q3}}, [r0]",
            "vld41.32 {{q0, q1, q2, q3}}, [r0]",
            "vld42.32 {{q0, q1, q2, q3}}, [r0]",
            "vld43.32 {{q0, q1, q2, q3}}, [r0]!",
            "vld40.32 {{q4, q5, q6, q7}}, [r1]",
            "vld41.32 {{q4, q5, q6, q7}}, [r1]",
            "vld42.32 {{q4, q5, q6, q7}}, [r1]",
            "vld43.32 {{q4, q5, q6, q7}}, [r1]!",
            "vmulh.s32 q0, q0, q4",
            "vmulh.s32 q1, q1, q5",
            "vmulh.s32 q2, q2, q6",
            "vmulh.s32 q3, q3, q7",
            "vldrb.u8 q4, [r2], #16",
            "vmvn q4, q4",
            "vadd.i8 q4, q4, r4",
            "vshr.u32 q5, q4, #8",
            "vshr.u32 q6, q4, #16",
            "vshr.u32 q7, q4, #24",
            "vrshl.s32 q0, q0, q4",
            "vrshl.s32 q1, q1, q5",
            "vrshl.s32 q2, q2, q6",
            "vrshl.s32 q3, q3, q7",
            "vqmovnb.s32 q0, q0",
            "vqmovnt.s32 q0, q2",
            "vqmovnb.s32 q1, q1",
            "vqmovnt.s32 q1, q3",
            "vqmovnb.s16 q0, q0",
            "vqmovnt.s16 q0, q1",
            concat!("vmov.i8 q4, #", $least),
            "vmax.s8 q0, q0, q4",
            "vstrb.8 q0, [r3], #16",
            "le lr, 2b",
            "vpop {{d8-d15}}",
            "pop {{r4, pc}}",
        }
    };
}

rows_to_bytes!(rows_to_i8, "0x81");
rows_to_bytes!(rows_to_relu_i8, "0");

rows! {
    /// Needs no saturation: the product's upper half, shifted by at least 1, is below `2^30`.
    rows_to_i32, 4: i32;
    "push {{r4, lr}}",
    "ldr.w lr, [sp, #8]",
    "movs r4, #33",
    "dls lr, lr",
    "2:",
    "vldrw.u32 q0, [r0], #16",
    "vldrw.u32 q1, [r1], #16",
    "vmulh.s32 q0, q0, q1",
    "vldrb.u32 q1, [r2], #4",
    "vmvn q1, q1",
    "vadd.i32 q1, q1, r4",
    "vrshl.s32 q0, q0, q1",
    "vstrw.32 q0, [r3], #16",
    "le lr, 2b",
    "pop {{r4, pc}}",
}

rows! {
    /// `out` is aligned to halfwords.
    rows_add_i16, 8: i16;
    "push {{r4, lr}}",
    "vpush {{d8-d9}}",
    "ldr.w lr, [sp, #24]",
    "movw r4, #0x8001",
    "vdup.16 q4, r4",
    "movs r4, #33",
    "dls lr, lr",
    "2:",
    "vld20.32 {{q0, q1}}, [r0]",
    "vld21.32 {{q0, q1}}, [r0]!",
    "vld20.32 {{q2, q3}}, [r1]",
    "vld21.32 {{q2, q3}}, [r1]!",
    "vmulh.s32 q0, q0, q2",
    "vmulh.s32 q1, q1, q3",
    "vldrb.u16 q2, [r2], #8",
    "vmvn q2, q2",
    "vadd.i16 q2, q2, r4",
    "vshr.u32 q3, q2, #16",
    "vrshl.s32 q0, q0, q2",
    "vrshl.s32 q1, q1, q3",
    "vqmovnb.s32 q0, q0",
    "vqmovnt.s32 q0, q1",
    "vldrh.u16 q2, [r3]",
    "vmax.s16 q0, q0, q4",
    "vqadd.s16 q0, q0, q2",
    "vmax.s16 q0, q0, q4",
    "vstrh.16 q0, [r3], #16",
    "le lr, 2b",
    "vpop {{d8-d9}}",
    "pop {{r4, pc}}",
}

/// A halfword in the upper half of a word, times the multiplier: the upper half of the product is
/// `x * m >> 16`, exactly. `shift`: 16 minus the factor's.
///
/// # Safety
/// Both slices hold `blocks` times sixteen entries, at least one block; the residual is aligned to halfwords.
#[unsafe(naked)]
unsafe extern "C" fn requantize_i16(
    residual: *const i16,
    out: *mut i8,
    blocks: usize,
    multiplier: i32,
    shift: i32,
) {
    naked_asm!(
        cpu!(),
        "push {{r7, lr}}",
        "vpush {{d8-d13}}",
        "ldr.w r12, [sp, #56]",
        "vdup.32 q4, r3",
        "movs r3, #0",
        "movt r3, #0xffff",
        "vdup.32 q5, r3",
        "vmov.i8 q6, #0x81",
        "dls lr, r2",
        "2:",
        "vld20.16 {{q0, q1}}, [r0]",
        "vld21.16 {{q0, q1}}, [r0]!",
        "vshl.i32 q2, q0, #16",
        "vand q0, q0, q5",
        "vshl.i32 q3, q1, #16",
        "vand q1, q1, q5",
        "vmulh.s32 q2, q2, q4",
        "vmulh.s32 q0, q0, q4",
        "vmulh.s32 q3, q3, q4",
        "vmulh.s32 q1, q1, q4",
        "vrshl.s32 q2, r12",
        "vrshl.s32 q0, r12",
        "vrshl.s32 q3, r12",
        "vrshl.s32 q1, r12",
        "vqmovnb.s32 q2, q2",
        "vqmovnt.s32 q2, q0",
        "vqmovnb.s32 q3, q3",
        "vqmovnt.s32 q3, q1",
        "vqmovnb.s16 q2, q2",
        "vqmovnt.s16 q2, q3",
        "vmax.s8 q2, q2, q6",
        "vstrb.8 q2, [r1], #16",
        "le lr, 2b",
        "vpop {{d8-d13}}",
        "pop {{r7, pc}}",
    )
}
