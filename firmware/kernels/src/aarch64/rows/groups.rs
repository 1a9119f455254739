//! All groups of a map in one loop, to the numbers that come out of it.

use core::arch::aarch64::int8x16_t;
use core::arch::asm;

use super::super::Sdot;
use super::super::dot::Tile;
use super::super::packed::{HEADER, RUN};
use super::super::requant::Factors;
use super::EIGHT;
use crate::CacheLine;

/// 32 numbers to bytes, not below `{least}`, stored at `{o}`.
macro_rules! bytes_32 {
    () => {
        "sqxtn v0.4h, v16.4s
         sqxtn v1.4h, v18.4s
         sqxtn v2.4h, v20.4s
         sqxtn v3.4h, v22.4s
         sqxtn2 v0.8h, v17.4s
         sqxtn2 v1.8h, v19.4s
         sqxtn2 v2.8h, v21.4s
         sqxtn2 v3.8h, v23.4s
         sqxtn v0.8b, v0.8h
         sqxtn v4.8b, v2.8h
         sqxtn2 v0.16b, v1.8h
         sqxtn2 v4.16b, v3.8h
         smax v0.16b, v0.16b, {least:v}.16b
         smax v1.16b, v4.16b, {least:v}.16b
         st1 {{v0.16b, v1.16b}}, [{o}], #32\n"
    };
}

/// 32 numbers to the residual stream at `{res}`, and from there by the factor `{fm}`, `{fc}` to numbers.
macro_rules! add_32 {
    () => {
        "sqxtn v0.4h, v16.4s
         sqxtn v1.4h, v18.4s
         sqxtn v2.4h, v20.4s
         sqxtn v3.4h, v22.4s
         sqxtn2 v0.8h, v17.4s
         sqxtn2 v1.8h, v19.4s
         sqxtn2 v2.8h, v21.4s
         sqxtn2 v3.8h, v23.4s
         ld1 {{v4.8h, v5.8h, v6.8h, v7.8h}}, [{res}]
         smax v0.8h, v0.8h, {lowest:v}.8h
         smax v1.8h, v1.8h, {lowest:v}.8h
         smax v2.8h, v2.8h, {lowest:v}.8h
         smax v3.8h, v3.8h, {lowest:v}.8h
         sqadd v0.8h, v0.8h, v4.8h
         sqadd v1.8h, v1.8h, v5.8h
         sqadd v2.8h, v2.8h, v6.8h
         sqadd v3.8h, v3.8h, v7.8h
         smax v0.8h, v0.8h, {lowest:v}.8h
         smax v1.8h, v1.8h, {lowest:v}.8h
         smax v2.8h, v2.8h, {lowest:v}.8h
         smax v3.8h, v3.8h, {lowest:v}.8h
         st1 {{v0.8h, v1.8h, v2.8h, v3.8h}}, [{res}], #64
         sxtl v16.4s, v0.4h
         sxtl2 v17.4s, v0.8h
         sxtl v18.4s, v1.4h
         sxtl2 v19.4s, v1.8h
         sxtl v20.4s, v2.4h
         sxtl2 v21.4s, v2.8h
         sxtl v22.4s, v3.4h
         sxtl2 v23.4s, v3.8h
         sqdmulh v16.4s, v16.4s, {fm:v}.4s
         sqdmulh v17.4s, v17.4s, {fm:v}.4s
         sqdmulh v18.4s, v18.4s, {fm:v}.4s
         sqdmulh v19.4s, v19.4s, {fm:v}.4s
         sqdmulh v20.4s, v20.4s, {fm:v}.4s
         sqdmulh v21.4s, v21.4s, {fm:v}.4s
         sqdmulh v22.4s, v22.4s, {fm:v}.4s
         sqdmulh v23.4s, v23.4s, {fm:v}.4s
         srshl v16.4s, v16.4s, {fc:v}.4s
         srshl v17.4s, v17.4s, {fc:v}.4s
         srshl v18.4s, v18.4s, {fc:v}.4s
         srshl v19.4s, v19.4s, {fc:v}.4s
         srshl v20.4s, v20.4s, {fc:v}.4s
         srshl v21.4s, v21.4s, {fc:v}.4s
         srshl v22.4s, v22.4s, {fc:v}.4s
         srshl v23.4s, v23.4s, {fc:v}.4s\n"
    };
}

/// Whole groups of a map, to bytes, with what is done with them before: parameters, instructions, operands.
macro_rules! groups {
    (
        $name:ident, $before:expr, $rounds:expr,
        ($($parameter:ident: $type:ty),*) $add:expr, ($($operands:tt)*)
    ) => {
        /// The bytes of as many groups as are in `out`, at least one.
        ///
        /// # Safety
        /// The lines and the input hold what so many rounds and groups read, what is to be written has room for
        /// them; SDOT may be used.
        #[inline(always)]
        unsafe fn $name(
            lines: &[CacheLine],
            (input, rounds): (&[Tile], usize),
            $($parameter: $type,)*
            least: int8x16_t,
            out: &mut [[Tile; 2]],
        ) {
            // SAFETY: the caller's.
            unsafe {
                asm!(
                    sdot_here!(),
                    again!(),
                    $before,
                    "3:",
                    begin_32!(),
                    $rounds,
                    scale_32!(),
                    $add,
                    bytes_32!(),
                    "subs {g}, {g}, #1",
                    "b.ne 3b",
                    $($operands)*
                    w = inout(reg) lines.as_ptr() => _,
                    o = inout(reg) out.as_mut_ptr() => _,
                    g = inout(reg) out.len() => _,
                    x = in(reg) input.as_ptr(),
                    r = in(reg) rounds,
                    i = out(reg) _,
                    n = out(reg) _,
                    m = out(reg) _,
                    least = in(vreg) least,
                    out("v0") _, out("v1") _, out("v2") _, out("v3") _,
                    out("v4") _, out("v5") _, out("v6") _, out("v7") _,
                    out("v16") _, out("v17") _, out("v18") _, out("v19") _,
                    out("v20") _, out("v21") _, out("v22") _, out("v23") _,
                    out("v24") _, out("v25") _, out("v26") _, out("v27") _,
                    out("v28") _, out("v29") _, out("v30") _, out("v31") _,
                    options(nostack),
                );
            }
        }
    };
}

/// Whole groups of a map, to bytes.
macro_rules! bytes_of_groups {
    ($name:ident, $before:expr, $rounds:expr) => {
        groups! { $name, $before, $rounds, () "", () }
    };
}

/// Whole groups of a map, to the residual stream and from there to bytes.
macro_rules! add_groups {
    ($name:ident, $before:expr, $rounds:expr) => {
        groups! {
            $name, $before, $rounds,
            (residual: &mut [[i16; 32]], next: Factors, lowest: int8x16_t) add_32!(),
            (
                res = inout(reg) residual.as_mut_ptr() => _,
                fm = in(vreg) next.multiplier,
                fc = in(vreg) next.count,
                lowest = in(vreg) lowest,
            )
        }
    };
}

bytes_of_groups!(bytes_by_eight, load_eight!(), eight!());
bytes_of_groups!(bytes_by_eights, "", concat!(again!(), eights!()));
bytes_of_groups!(bytes_by_runs, "", concat!(again!(), runs!(sdot_32)));

add_groups!(add_by_eight, load_eight!(), eight!());
add_groups!(add_by_eights, "", concat!(again!(), eights!()));
add_groups!(add_by_runs, "", concat!(again!(), runs!(sdot_32)));

/// Adds all groups of two blocks of a map to the residual stream, and requantized that by `next`: as many as are in `out`.
/// Shifts are all at least [`super::super::requant::HIGH_SHIFT`]. Whether there are as many.
#[inline(always)]
pub(in crate::aarch64) fn add_of_groups(
    _: Sdot,
    lines: &[CacheLine],
    input: &[Tile],
    residual: &mut [[i16; 32]],
    (next, [lowest, least]): (Factors, [int8x16_t; 2]),
    out: &mut [[Tile; 2]],
) -> bool {
    let runs = input.len();
    let group = 2 * (HEADER + RUN * runs);
    let fits = runs > 0
        && !out.is_empty()
        && residual.len() >= out.len()
        && lines.len() >= out.len().saturating_mul(group);
    if !fits {
        return false;
    }
    // SAFETY: there is what is read and written; the token proves that SDOT may be used.
    unsafe {
        if runs == EIGHT {
            add_by_eight(lines, (input, 1), residual, next, lowest, least, out);
        } else if runs.is_multiple_of(EIGHT) {
            add_by_eights(
                lines,
                (input, runs / EIGHT),
                residual,
                next,
                lowest,
                least,
                out,
            );
        } else {
            add_by_runs(lines, (input, runs), residual, next, lowest, least, out);
        }
    }
    true
}

/// Bytes of all groups of two blocks of a map whose shifts are all at least [`super::super::requant::HIGH_SHIFT`], by SDOT:
/// as many as are in `out`. Whether there are as many.
#[inline(always)]
pub(in crate::aarch64) fn bytes_of_groups(
    _: Sdot,
    lines: &[CacheLine],
    input: &[Tile],
    least: int8x16_t,
    out: &mut [[Tile; 2]],
) -> bool {
    let runs = input.len();
    let group = 2 * (HEADER + RUN * runs);
    if runs == 0 || out.is_empty() || lines.len() < out.len().saturating_mul(group) {
        return false;
    }
    // SAFETY: there is what is read and written; the token proves that SDOT may be used.
    unsafe {
        if runs == EIGHT {
            bytes_by_eight(lines, (input, 1), least, out);
        } else if runs.is_multiple_of(EIGHT) {
            bytes_by_eights(lines, (input, runs / EIGHT), least, out);
        } else {
            bytes_by_runs(lines, (input, runs), least, out);
        }
    }
    true
}
