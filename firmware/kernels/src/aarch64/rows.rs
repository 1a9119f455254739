//! Products of packed rows with an int8 input, as loops whose every instruction is chosen here: whole lines are loaded at
//! once, and a register of the input serves as many lines as there are registers for sums.
//!
//! Registers: `v0` to `v7` weights, `v20` to `v27` sums, `v16` to `v19` and `v28` to `v31` inputs. What an instance leaves out
//! of a text is left out by the assembler, by numbers that the compiler gives it.

use core::arch::aarch64::*;
use core::arch::asm;

use super::dot::{Dot, Tile};
use super::packed::{HEADER, RUN};
use super::requant::{Factors, Sixteen};
use crate::CacheLine;

/// How a loop takes its input: a run of columns after the other.
const RUNS: u8 = 0;
/// Eight runs at a time.
const EIGHTS: u8 = 1;
/// All eight runs are in their registers already.
const HELD: u8 = 2;
/// Runs of columns of a round of the longest loop.
const EIGHT: usize = 8;

/// Eight runs of columns into their registers.
macro_rules! eight {
    () => {
        r"
        ld1 {{v16.16b-v19.16b}}, [{i}], #64
        ld1 {{v28.16b-v31.16b}}, [{i}], #64
        "
    };
}

/// Sums of a group of `{blocks}` blocks, biases included. Without SDOT pairs of products stay below 2^15: see
/// [`super::dot::dot`]. Lines are read at `{w}`, the input at `{i}`, as `{input}` says, in
/// `{n}` rounds; `{m}` is where the factors lie.
macro_rules! products {
    () => {
        concat!(
            r"
            ld1 {{v20.4s-v23.4s}}, [{w}], #64
            .if {blocks} == 2
            ld1 {{v24.4s-v27.4s}}, [{w}], #64
            .endif
            mov {m}, {w}
            add {w}, {w}, #128 * {blocks}
            2:
            .if {input} == 0
            ldr q16, [{i}], #16
            .elseif {input} == 1
            ",
            eight!(),
            r"
            .endif
            .irp x, 16, 17, 18, 19, 28, 29, 30, 31
            .if {input} | (\x == 16)
            .irp quad, 0, 1, 2, 3
            .if {sdot}
            ld1 {{v0.16b-v3.16b}}, [{w}], #64
            sdot v20.4s, v0.16b, v\x\().4b[\quad]
            sdot v21.4s, v1.16b, v\x\().4b[\quad]
            sdot v22.4s, v2.16b, v\x\().4b[\quad]
            sdot v23.4s, v3.16b, v\x\().4b[\quad]
            .if {blocks} == 2
            ld1 {{v4.16b-v7.16b}}, [{w}], #64
            sdot v24.4s, v4.16b, v\x\().4b[\quad]
            sdot v25.4s, v5.16b, v\x\().4b[\quad]
            sdot v26.4s, v6.16b, v\x\().4b[\quad]
            sdot v27.4s, v7.16b, v\x\().4b[\quad]
            .endif
            .else
            dup v28.8h, v16.h[2 * \quad]
            dup v29.8h, v16.h[2 * \quad + 1]
            ld1 {{v0.16b-v3.16b}}, [{w}], #64
            smull v4.8h, v0.8b, v28.8b
            smull v5.8h, v1.8b, v28.8b
            smull v6.8h, v2.8b, v28.8b
            smull v7.8h, v3.8b, v28.8b
            smlal2 v4.8h, v0.16b, v29.16b
            smlal2 v5.8h, v1.16b, v29.16b
            smlal2 v6.8h, v2.16b, v29.16b
            smlal2 v7.8h, v3.16b, v29.16b
            sadalp v20.4s, v4.8h
            sadalp v21.4s, v5.8h
            sadalp v22.4s, v6.8h
            sadalp v23.4s, v7.8h
            .if {blocks} == 2
            ld1 {{v0.16b-v3.16b}}, [{w}], #64
            smull v4.8h, v0.8b, v28.8b
            smull v5.8h, v1.8b, v28.8b
            smull v6.8h, v2.8b, v28.8b
            smull v7.8h, v3.8b, v28.8b
            smlal2 v4.8h, v0.16b, v29.16b
            smlal2 v5.8h, v1.16b, v29.16b
            smlal2 v6.8h, v2.16b, v29.16b
            smlal2 v7.8h, v3.16b, v29.16b
            sadalp v24.4s, v4.8h
            sadalp v25.4s, v5.8h
            sadalp v26.4s, v6.8h
            sadalp v27.4s, v7.8h
            .endif
            .endif
            .endr
            .endif
            .endr
            .if {input} < 2
            subs {n}, {n}, #1
            b.ne 2b
            .endif
            "
        )
    };
}

/// Sums times the factors at `{m}`, with shifts from [`super::requant::HIGH_SHIFT`] on: see [`Factors`].
macro_rules! scale {
    () => {
        r"
        .irp operation, sqdmulh, srshl
        ld1 {{v0.4s-v3.4s}}, [{m}], #64
        \operation v20.4s, v20.4s, v0.4s
        \operation v21.4s, v21.4s, v1.4s
        \operation v22.4s, v22.4s, v2.4s
        \operation v23.4s, v23.4s, v3.4s
        .if {blocks} == 2
        ld1 {{v4.4s-v7.4s}}, [{m}], #64
        \operation v24.4s, v24.4s, v4.4s
        \operation v25.4s, v25.4s, v5.4s
        \operation v26.4s, v26.4s, v6.4s
        \operation v27.4s, v27.4s, v7.4s
        .endif
        .endr
        "
    };
}

/// 32 sums to i16 in `v0` to `v3`.
macro_rules! words {
    () => {
        r"
        sqxtn v0.4h, v20.4s
        sqxtn v1.4h, v22.4s
        sqxtn v2.4h, v24.4s
        sqxtn v3.4h, v26.4s
        sqxtn2 v0.8h, v21.4s
        sqxtn2 v1.8h, v23.4s
        sqxtn2 v2.8h, v25.4s
        sqxtn2 v3.8h, v27.4s
        "
    };
}

/// 32 numbers to the residual stream at `{res}`, and from there by the factor `{fm}`, `{fc}` to numbers.
macro_rules! add {
    () => {
        concat!(
            words!(),
            r"
            ld1 {{v20.8h-v23.8h}}, [{res}]
            .irp r, 0, 1, 2, 3
            smax v\r\().8h, v\r\().8h, {lowest:v}.8h
            .endr
            .irp r, 0, 1, 2, 3
            sqadd v\r\().8h, v\r\().8h, v2\r\().8h
            .endr
            .irp r, 0, 1, 2, 3
            smax v\r\().8h, v\r\().8h, {lowest:v}.8h
            .endr
            st1 {{v0.8h-v3.8h}}, [{res}], #64
            sxtl v20.4s, v0.4h
            sxtl2 v21.4s, v0.8h
            sxtl v22.4s, v1.4h
            sxtl2 v23.4s, v1.8h
            sxtl v24.4s, v2.4h
            sxtl2 v25.4s, v2.8h
            sxtl v26.4s, v3.4h
            sxtl2 v27.4s, v3.8h
            .irp r, 0, 1, 2, 3, 4, 5, 6, 7
            sqdmulh v2\r\().4s, v2\r\().4s, {fm:v}.4s
            .endr
            .irp r, 0, 1, 2, 3, 4, 5, 6, 7
            srshl v2\r\().4s, v2\r\().4s, {fc:v}.4s
            .endr
            "
        )
    };
}

/// Sums of a group of one or two blocks, biases included; times their factors, if `SCALED`: then all shifts are at least
/// [`super::requant::HIGH_SHIFT`]. `None`: the lines are too few, or there is no input.
#[inline(always)]
pub(super) fn group<D: Dot, const BLOCKS: usize, const SCALED: bool>(
    _: D,
    lines: &[CacheLine],
    input: &[Tile],
) -> Option<[Sixteen; BLOCKS]> {
    let runs = input.len();
    if runs == 0 || lines.len() < BLOCKS * (HEADER + RUN * runs) {
        return None;
    }
    // SAFETY: there are as many lines and runs as are read; the token proves that SDOT may be used.
    Some(unsafe {
        if D::SDOT && SCALED && BLOCKS == 2 && runs.is_multiple_of(EIGHT) {
            products::<D, BLOCKS, SCALED, EIGHTS>(lines, input, runs / EIGHT)
        } else {
            products::<D, BLOCKS, SCALED, RUNS>(lines, input, runs)
        }
    })
}

/// [`group`] in as many rounds.
///
/// # Safety
/// The lines and the input hold what so many rounds read, and the processor has the instructions.
#[inline(always)]
unsafe fn products<D: Dot, const BLOCKS: usize, const SCALED: bool, const INPUT: u8>(
    lines: &[CacheLine],
    input: &[Tile],
    rounds: usize,
) -> [Sixteen; BLOCKS] {
    let (a, b, c, d, e, f, g, h);
    // SAFETY: the caller's. Registers alone are written.
    unsafe {
        asm!(
            ".arch_extension dotprod",
            products!(),
            ".if {scaled}",
            scale!(),
            ".endif",
            sdot = const D::SDOT as u8,
            blocks = const BLOCKS,
            scaled = const SCALED as u8,
            input = const INPUT,
            w = inout(reg) lines.as_ptr() => _,
            i = inout(reg) input.as_ptr() => _,
            n = inout(reg) rounds => _,
            m = out(reg) _,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _,
            out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v16") _, out("v17") _, out("v18") _, out("v19") _,
            out("v20") a, out("v21") b, out("v22") c, out("v23") d,
            out("v24") e, out("v25") f, out("v26") g, out("v27") h,
            out("v28") _, out("v29") _, out("v30") _, out("v31") _,
            options(pure, readonly, nostack),
        );
    }
    let sums = [[a, b, c, d], [e, f, g, h]];
    core::array::from_fn(|block| sums[block])
}

/// All whole groups of a map to bytes, not below `least`: as many as are in `out`; with `ADD` by way of the residual stream
/// and the factor behind it. Shifts are all at least [`super::requant::HIGH_SHIFT`]. Whether there are as many.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn bytes_of_groups<D: Dot, const ADD: bool>(
    _: D,
    lines: &[CacheLine],
    input: &[Tile],
    onto: Option<(&mut [[i16; 32]], Factors)>,
    least: int8x16_t,
    out: &mut [[Tile; 2]],
) -> bool {
    let (residual, next) = onto.unzip();
    let residual = residual.unwrap_or_default();
    // Not read without a residual stream: any registers.
    let any = vreinterpretq_s32_s8(least);
    let next = next.unwrap_or(Factors {
        multiplier: any,
        count: any,
    });
    let runs = input.len();
    let group = 2 * (HEADER + RUN * runs);
    let fits = runs > 0
        && !out.is_empty()
        && (!ADD || residual.len() >= out.len())
        && lines.len() >= out.len().saturating_mul(group);
    if !fits {
        return false;
    }
    // SAFETY: there is what is read and written; the token proves that SDOT may be used.
    unsafe {
        let onto = (residual, next);
        if D::SDOT && runs == EIGHT {
            groups::<D, ADD, HELD>(lines, (input, 1), onto, least, out);
        } else if D::SDOT && runs.is_multiple_of(EIGHT) {
            groups::<D, ADD, EIGHTS>(lines, (input, runs / EIGHT), onto, least, out);
        } else {
            groups::<D, ADD, RUNS>(lines, (input, runs), onto, least, out);
        }
    }
    true
}

/// [`bytes_of_groups`] in so many rounds each.
///
/// # Safety
/// The lines and the input hold what so many rounds and groups read, what is to be written has room for them, and there is at
/// least one; SDOT may be used.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn groups<D: Dot, const ADD: bool, const INPUT: u8>(
    lines: &[CacheLine],
    (input, rounds): (&[Tile], usize),
    (residual, next): (&mut [[i16; 32]], Factors),
    least: int8x16_t,
    out: &mut [[Tile; 2]],
) {
    // SAFETY: the caller's; NEON is there.
    unsafe {
        asm!(
            ".arch_extension dotprod",
            ".if {input} == 2",
            "mov {i}, {x}",
            eight!(),
            ".endif",
            "3:",
            ".if {input} < 2",
            "mov {i}, {x}",
            "mov {n}, {r}",
            ".endif",
            products!(),
            scale!(),
            ".if {add}",
            add!(),
            ".endif",
            words!(),
            "sqxtn v0.8b, v0.8h",
            "sqxtn v4.8b, v2.8h",
            "sqxtn2 v0.16b, v1.8h",
            "sqxtn2 v4.16b, v3.8h",
            "smax v0.16b, v0.16b, {least:v}.16b",
            "smax v1.16b, v4.16b, {least:v}.16b",
            "st1 {{v0.16b, v1.16b}}, [{o}], #32",
            "subs {g}, {g}, #1",
            "b.ne 3b",
            sdot = const D::SDOT as u8,
            blocks = const 2,
            add = const ADD as u8,
            input = const INPUT,
            w = inout(reg) lines.as_ptr() => _,
            o = inout(reg) out.as_mut_ptr() => _,
            g = inout(reg) out.len() => _,
            x = in(reg) input.as_ptr(),
            r = in(reg) rounds,
            i = out(reg) _,
            n = out(reg) _,
            m = out(reg) _,
            res = inout(reg) residual.as_mut_ptr() => _,
            fm = in(vreg) next.multiplier,
            fc = in(vreg) next.count,
            lowest = in(vreg) vreinterpretq_s8_s16(vdupq_n_s16(-32_767)),
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
