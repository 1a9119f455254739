//! From sums to numbers of fewer bits.
//!
//! With a shift of at least 33, `(x * m + 2^(s-1)) >> s` is the upper half of the product (VMULH), shifted by
//! `s - 32` with rounding (VRSHL): what the lower half holds lies below the rounding bit. A map with a
//! smaller shift goes the plain way. Saturating moves to narrower lanes (VQMOVN) stop at -128 or -32768,
//! one further than Engram's numbers, which a maximum takes back.

use core::arch::naked_asm;

use super::cpu;
use crate::portable::Rows;
use crate::{Requant, add_saturating};

/// The smallest shift that the vectors take.
pub(super) const MIN_SHIFT: u8 = 33;

/// A kernel: sums, multipliers, shifts, output; then blocks.
type Kernel<T> = unsafe extern "C" fn(*const i32, *const [u8; 4], *const u8, *mut T, usize);

/// `out[r] = to_i8(acc[r])`.
#[inline]
pub(super) fn to_i8(map: Rows<'_>, acc: &[i32], out: &mut [i8]) {
    rows(map, acc, out, (rows_to_i8, 16), |factor, sum, _| {
        factor.to_i8(sum)
    });
}

/// `out[r] = to_relu_i8(acc[r])`.
#[inline]
pub(super) fn to_relu_i8(map: Rows<'_>, acc: &[i32], out: &mut [i8]) {
    rows(map, acc, out, (rows_to_relu_i8, 16), |factor, sum, _| {
        factor.to_relu_i8(sum)
    });
}

/// `out[r] = to_i32(acc[r])`.
#[inline]
pub(super) fn to_i32(map: Rows<'_>, acc: &[i32], out: &mut [i32]) {
    rows(map, acc, out, (rows_to_i32, 4), |factor, sum, _| {
        factor.to_i32(sum)
    });
}

/// `out[r] += to_i16(acc[r])`, saturating.
#[inline]
pub(super) fn add_i16(map: Rows<'_>, acc: &[i32], out: &mut [i16]) {
    rows(map, acc, out, (rows_add_i16, 8), |factor, sum, out| {
        add_saturating(out, factor.to_i16(sum))
    });
}

/// Runs `kernel` on all whole blocks and `plain` on the rows behind them.
#[inline]
fn rows<T: Copy>(
    map: Rows<'_>,
    acc: &[i32],
    out: &mut [T],
    (kernel, block): (Kernel<T>, usize),
    plain: impl Fn(Requant, i32, T) -> T,
) {
    let rows = map.rows.min(acc.len()).min(out.len());
    let (Some(multiplier), Some(shift)) = (map.multiplier.get(..rows), map.shift.get(..rows))
    else {
        return;
    };
    let usual = multiplier.as_ptr().cast::<u32>().is_aligned() && usual_shifts(shift);
    // The blocks are powers of two.
    let whole = if usual {
        rows & !block.wrapping_sub(1)
    } else {
        0
    };
    if whole > 0 {
        let blocks = whole >> block.trailing_zeros();
        // SAFETY: all hold `blocks` blocks, at least one; the tables of words are aligned to them.
        unsafe {
            kernel(
                acc.as_ptr(),
                multiplier.as_ptr(),
                shift.as_ptr(),
                out.as_mut_ptr(),
                blocks,
            );
        }
    }
    let factors = multiplier.iter().zip(shift);
    for ((out, &sum), (&multiplier, &shift)) in out.iter_mut().zip(acc).zip(factors).skip(whole) {
        let multiplier = i32::from_le_bytes(multiplier);
        *out = plain(Requant { multiplier, shift }, sum, *out);
    }
}

/// Whether all lie in `33..=62`.
#[inline]
fn usual_shifts(shifts: &[u8]) -> bool {
    // SAFETY: reads the slice.
    let outside = unsafe { largest_distance(shifts.as_ptr(), shifts.len()) };
    outside <= u32::from(62 - MIN_SHIFT)
}

/// `out[i] = factor.to_i8(residual[i])`.
#[inline]
pub(super) fn requantize(residual: &[i16], factor: Requant, out: &mut [i8]) {
    let length = residual.len().min(out.len());
    let whole = if (17..=62).contains(&factor.shift) {
        length & !15
    } else {
        0
    };
    if whole > 0 {
        // SAFETY: both hold a multiple of sixteen entries, at least as many.
        unsafe {
            requantize_i16(
                residual.as_ptr(),
                out.as_mut_ptr(),
                whole >> 4,
                factor.multiplier,
                16 - i32::from(factor.shift),
            );
        }
    }
    for (out, &residual) in out.iter_mut().zip(residual).skip(whole) {
        *out = factor.to_i8(i32::from(residual));
    }
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

/// Sixteen rows to the bytes of q0, which stop at -128 and 127: r0 sums, r1 multipliers, r2 shifts, r4 33.
///
/// Lanes come apart by four: row `4 j + k` is in lane j of vector k. The shifts are four to a lane then,
/// and VRSHL reads only the lowest byte.
macro_rules! sixteen_rows {
    () => {
        "vld40.32 {{q0, q1, q2, q3}}, [r0]
         vld41.32 {{q0, q1, q2, q3}}, [r0]
         vld42.32 {{q0, q1, q2, q3}}, [r0]
         vld43.32 {{q0, q1, q2, q3}}, [r0]!
         vld40.32 {{q4, q5, q6, q7}}, [r1]
         vld41.32 {{q4, q5, q6, q7}}, [r1]
         vld42.32 {{q4, q5, q6, q7}}, [r1]
         vld43.32 {{q4, q5, q6, q7}}, [r1]!
         vmulh.s32 q0, q0, q4
         vmulh.s32 q1, q1, q5
         vmulh.s32 q2, q2, q6
         vmulh.s32 q3, q3, q7
         vldrb.u8 q4, [r2], #16
         vmvn q4, q4
         vadd.i8 q4, q4, r4
         vshr.u32 q5, q4, #8
         vshr.u32 q6, q4, #16
         vshr.u32 q7, q4, #24
         vrshl.s32 q0, q0, q4
         vrshl.s32 q1, q1, q5
         vrshl.s32 q2, q2, q6
         vrshl.s32 q3, q3, q7
         vqmovnb.s32 q0, q0
         vqmovnt.s32 q0, q2
         vqmovnb.s32 q1, q1
         vqmovnt.s32 q1, q3
         vqmovnb.s16 q0, q0
         vqmovnt.s16 q0, q1"
    };
}

/// [`sixteen_rows`], not below `$least`, an immediate of VMOV.
macro_rules! rows_to_bytes {
    ($least:literal) => {
        naked_asm!(
            cpu!(),
            "push {{r4, lr}}",
            "vpush {{d8-d15}}",
            "ldr.w lr, [sp, #72]",
            "movs r4, #33",
            "dls lr, lr",
            "2:",
            sixteen_rows!(),
            concat!("vmov.i8 q4, #", $least),
            "vmax.s8 q0, q0, q4",
            "vstrb.8 q0, [r3], #16",
            "le lr, 2b",
            "vpop {{d8-d15}}",
            "pop {{r4, pc}}",
        )
    };
}

/// # Safety
/// All hold `blocks` times sixteen rows, at least one block; multipliers are aligned to words.
#[unsafe(naked)]
unsafe extern "C" fn rows_to_i8(
    acc: *const i32,
    multiplier: *const [u8; 4],
    shift: *const u8,
    out: *mut i8,
    blocks: usize,
) {
    rows_to_bytes!("0x81")
}

/// # Safety
/// As [`rows_to_i8`].
#[unsafe(naked)]
unsafe extern "C" fn rows_to_relu_i8(
    acc: *const i32,
    multiplier: *const [u8; 4],
    shift: *const u8,
    out: *mut i8,
    blocks: usize,
) {
    rows_to_bytes!("0")
}

/// Needs no saturation: the product's upper half, shifted by at least 1, is below `2^30`.
///
/// # Safety
/// As [`rows_to_i8`], with blocks of four.
#[unsafe(naked)]
unsafe extern "C" fn rows_to_i32(
    acc: *const i32,
    multiplier: *const [u8; 4],
    shift: *const u8,
    out: *mut i32,
    blocks: usize,
) {
    naked_asm!(
        cpu!(),
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
    )
}

/// # Safety
/// As [`rows_to_i8`], with blocks of eight; `out` is aligned to halfwords.
#[unsafe(naked)]
unsafe extern "C" fn rows_add_i16(
    acc: *const i32,
    multiplier: *const [u8; 4],
    shift: *const u8,
    out: *mut i16,
    blocks: usize,
) {
    naked_asm!(
        cpu!(),
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
    )
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
