//! Products of packed rows with an int8 input, as loops whose every instruction is chosen here: whole lines
//! are loaded at once, and a register of the input serves as many lines as there are registers for sums.

#[macro_use]
mod parts;
mod groups;

use core::arch::asm;

use super::dot::{Dot, Tile};
use super::packed::{HEADER, RUN};
use super::requant::Sixteen;
use crate::CacheLine;
pub(super) use groups::{add_of_groups, bytes_of_groups};

/// A function of 32 rows: of the lines of a group, an input and the rounds of the loop, at least one.
macro_rules! kernel_32 {
    ($doc:literal $name:ident: $($part:expr),+) => {
        #[doc = $doc]
        ///
        /// # Safety
        /// The lines and the input hold what so many rounds read, and the processor has the instructions.
        #[inline(always)]
        unsafe fn $name(lines: &[CacheLine], input: &[Tile], rounds: usize) -> [Sixteen; 2] {
            let (a, b, c, d, e, f, g, h);
            // SAFETY: the caller's. Registers alone are written.
            unsafe {
                asm!(
                    $($part),+,
                    w = inout(reg) lines.as_ptr() => _,
                    i = inout(reg) input.as_ptr() => _,
                    n = inout(reg) rounds => _,
                    m = out(reg) _,
                    out("v0") _, out("v1") _, out("v2") _, out("v3") _,
                    out("v4") _, out("v5") _, out("v6") _, out("v7") _,
                    out("v16") a, out("v17") b, out("v18") c, out("v19") d,
                    out("v20") e, out("v21") f, out("v22") g, out("v23") h,
                    out("v24") _, out("v25") _, out("v26") _, out("v27") _,
                    out("v28") _, out("v29") _, out("v30") _, out("v31") _,
                    options(pure, readonly, nostack),
                );
            }
            [[a, b, c, d], [e, f, g, h]]
        }
    };
}

/// [`kernel_32`] for sixteen rows.
macro_rules! kernel_16 {
    ($doc:literal $name:ident: $($part:expr),+) => {
        #[doc = $doc]
        ///
        /// # Safety
        /// The lines and the input hold what so many rounds read, and the processor has the instructions.
        #[inline(always)]
        unsafe fn $name(lines: &[CacheLine], input: &[Tile], rounds: usize) -> [Sixteen; 1] {
            let (a, b, c, d);
            // SAFETY: the caller's. Registers alone are written.
            unsafe {
                asm!(
                    $($part),+,
                    w = inout(reg) lines.as_ptr() => _,
                    i = inout(reg) input.as_ptr() => _,
                    n = inout(reg) rounds => _,
                    m = out(reg) _,
                    out("v0") _, out("v1") _, out("v2") _, out("v3") _,
                    out("v16") a, out("v17") b, out("v18") c, out("v19") d,
                    out("v24") _, out("v25") _, out("v26") _, out("v27") _,
                    out("v28") _, out("v29") _, out("v31") _,
                    options(pure, readonly, nostack),
                );
            }
            [[a, b, c, d]]
        }
    };
}

kernel_32! {
    "Eight runs of columns a round, scaled, by SDOT." eights_scaled: sdot_here!(), begin_32!(), eights!(), scale_32!()
}
kernel_32! {
    "A run of columns a round, scaled, by SDOT." sdot_32_scaled: sdot_here!(), begin_32!(), runs!(sdot_32), scale_32!()
}
kernel_32! {
    "A run of columns a round, by SDOT." sdot_32_plain: sdot_here!(), begin_32!(), runs!(sdot_32)
}
kernel_16! {
    "A run of columns a round, scaled, by SDOT." sdot_16_scaled: sdot_here!(), begin_16!(), runs!(sdot_16), scale_16!()
}
kernel_16! {
    "A run of columns a round, by SDOT." sdot_16_plain: sdot_here!(), begin_16!(), runs!(sdot_16)
}
kernel_32! {
    "A run of columns a round, scaled." pairs_32_scaled: begin_32!(), runs!(pairs_32), scale_32!()
}
kernel_32! {
    "A run of columns a round." pairs_32_plain: begin_32!(), runs!(pairs_32)
}
kernel_16! {
    "A run of columns a round, scaled." pairs_16_scaled: begin_16!(), runs!(pairs_16), scale_16!()
}
kernel_16! {
    "A run of columns a round." pairs_16_plain: begin_16!(), runs!(pairs_16)
}

/// Runs of columns of a round of the longest loop.
const EIGHT: usize = 8;

/// Whether the lines of a group of `blocks` hold what an input asks for.
#[inline]
fn suffices(lines: &[CacheLine], input: &[Tile], blocks: usize) -> bool {
    !input.is_empty() && lines.len() >= blocks * (HEADER + RUN * input.len())
}

/// Sums of two blocks, biases included; times their factors, if `SCALED`: then all shifts are at least
/// [`super::requant::HIGH_SHIFT`]. `None`: the lines are too few, or there is no input.
#[inline(always)]
pub(super) fn two_blocks<D: Dot, const SCALED: bool>(
    _: D,
    lines: &[CacheLine],
    input: &[Tile],
) -> Option<[Sixteen; 2]> {
    if !suffices(lines, input, 2) {
        return None;
    }
    let runs = input.len();
    // SAFETY: there are as many lines and runs as are read; the token proves that SDOT may be used.
    Some(unsafe {
        match (D::SDOT, runs.is_multiple_of(EIGHT), SCALED) {
            (true, true, true) => eights_scaled(lines, input, runs / EIGHT),
            (true, false, true) => sdot_32_scaled(lines, input, runs),
            (true, _, false) => sdot_32_plain(lines, input, runs),
            (false, _, true) => pairs_32_scaled(lines, input, runs),
            (false, _, false) => pairs_32_plain(lines, input, runs),
        }
    })
}

/// [`two_blocks`] of one.
#[inline(always)]
pub(super) fn one_block<D: Dot, const SCALED: bool>(
    _: D,
    lines: &[CacheLine],
    input: &[Tile],
) -> Option<[Sixteen; 1]> {
    if !suffices(lines, input, 1) {
        return None;
    }
    let runs = input.len();
    // SAFETY: there are as many lines and runs as are read; the token proves that SDOT may be used.
    Some(unsafe {
        match (D::SDOT, SCALED) {
            (true, true) => sdot_16_scaled(lines, input, runs),
            (true, false) => sdot_16_plain(lines, input, runs),
            (false, true) => pairs_16_scaled(lines, input, runs),
            (false, false) => pairs_16_plain(lines, input, runs),
        }
    })
}
