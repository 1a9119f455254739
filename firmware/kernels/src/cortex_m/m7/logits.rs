//! Inner products to logits, and logits to attention probabilities.

use core::arch::naked_asm;

use super::matrix::MAX_COLUMNS;
use super::{GROUP, MIN_SHIFT};
use crate::cortex_m::every_core::heads::is_usual;
use crate::softmax::EXP2_NEG;
use crate::{CachePosition, MASKED_LOGIT, Requant};

/// Biases as the kernel takes them: LDM faults on addresses that are not a word's, and bytes alone may lie anywhere.
#[repr(align(4))]
struct Words([[u8; 4]; MAX_COLUMNS]);

/// The age bias of a layer without one.
static NO_BIAS: Words = Words([[0; 4]; MAX_COLUMNS]);

/// The bias of a memory that is not there: with it no logit comes near one that counts.
static MASKS: Words = Words([MASKED_LOGIT.to_le_bytes(); MAX_COLUMNS]);

/// Twice the table of [`crate::exp2_neg_q10`]: `(entry >> n) + 1 >> 1` then rounds as it does.
static TWICE: [u16; EXP2_NEG.len()] = {
    let mut table = [0; EXP2_NEG.len()];
    let mut i = 0;
    while i < table.len() {
        table[i] = 2 * EXP2_NEG[i] as u16;
        i += 1;
    }
    table
};

/// What the kernel of logits reads and leaves.
#[repr(C)]
struct Scale {
    multiplier: i32,
    /// The shift minus 24: the products are 256-fold.
    shift: u32,
    /// The largest logit so far.
    max: i32,
    /// The lowest position that belongs to a block of four.
    blocks: *const i32,
    /// The lowest position.
    first: *const i32,
}

/// 256-fold inner products of a head, by position, to logits; returns the largest.
///
/// Positions from `window` on, and those of an age of `position.filled` or more, get logits that weigh nothing.
/// The work does not depend on how many these are, but for a call more.
///
/// Logits are not limited. Where that could change a probability ([`is_usual`]), or the factor is no small one, the result is `None`
/// with the products lost, and the caller does it over in plain Rust.
pub(super) fn scale(
    products: &mut [i32],
    window: usize,
    requant: Requant,
    biases: &[[u8; 4]],
    position: CachePosition,
) -> Option<i32> {
    let biases = if biases.is_empty() {
        NO_BIAS.0.get(..window)?
    } else {
        biases
    };
    let usual =
        (MIN_SHIFT..=62).contains(&requant.shift) && biases.as_ptr().cast::<u32>().is_aligned();
    if !usual || biases.len() != window {
        return None;
    }
    let mut scale = Scale {
        multiplier: requant.multiplier,
        shift: u32::from(requant.shift).wrapping_sub(24),
        max: MASKED_LOGIT,
        blocks: core::ptr::null(),
        first: core::ptr::null(),
    };
    let (products, rest) = products.split_at_mut_checked(window)?;
    rest.fill(MASKED_LOGIT);
    // Ages fall along the positions up to the newest, and again from the end to behind it.
    let (newer, older) = products.split_at_mut_checked(position.index.wrapping_add(1))?;
    let (of_newer, of_older) = biases.split_at_checked(newer.len())?;
    let filled_older = position.filled.saturating_sub(newer.len());
    segment(newer, of_newer, position.filled, &mut scale);
    segment(older, of_older, filled_older, &mut scale);
    is_usual(scale.max).then_some(scale.max)
}

/// One stretch of the positions, the youngest memory last: `filled` of them are there.
#[inline]
fn segment(products: &mut [i32], biases: &[[u8; 4]], filled: usize, scale: &mut Scale) {
    let empty = products.len().saturating_sub(filled);
    let Some((absent, present)) = products.split_at_mut_checked(empty) else {
        return;
    };
    let of_present = biases.get(..present.len()).unwrap_or_default();
    stretch(present, of_present, scale);
    // Computed like the others: a step takes as long with an empty window.
    stretch(
        absent,
        MASKS.0.get(..absent.len()).unwrap_or_default(),
        scale,
    );
}

/// As many products as biases, the first bias for the last product.
#[inline]
fn stretch(products: &mut [i32], biases: &[[u8; 4]], scale: &mut Scale) {
    if products.is_empty() || products.len() != biases.len() {
        return;
    }
    let (start, end) = (products.as_ptr(), products.as_mut_ptr_range().end);
    scale.first = start;
    scale.blocks = start.wrapping_add(products.len() % GROUP);
    // SAFETY: there is at least one product, and a bias for each, aligned to words as the caller has
    // checked; `blocks` lies a multiple of four products below the end.
    unsafe { scale_products(end, biases.as_ptr(), scale) };
}

/// Logits to probabilities; returns their total. `max` is the largest logit.
pub(super) fn probabilities(logits: &[i32], probabilities: &mut [i16], max: i32) -> u32 {
    let whole = logits.len().min(probabilities.len()) / GROUP * GROUP;
    if whole == 0 || !probabilities.as_ptr().cast::<u32>().is_aligned() {
        return 0;
    }
    let (start, end) = (logits.as_ptr(), logits.as_ptr().wrapping_add(whole));
    // SAFETY: both slices hold `whole` entries, at least four; both are aligned to words.
    unsafe { exponentials(start, probabilities.as_mut_ptr(), end, max, &TWICE) }
}

/// r0 products, r1 biases, r2 `scale`, r3 multiplier, r12 shift, lr maximum, r4-r7 four logits.
///
/// # Safety
/// From `scale.first` to `end` lies at least one product, from `scale.blocks` a multiple of four; at `biases`
/// as many biases, aligned to words.
#[unsafe(naked)]
unsafe extern "C" fn scale_products(end: *mut i32, biases: *const [u8; 4], scale: *mut Scale) {
    naked_asm!(
        "push {{r4-r11, lr}}",
        "ldmia.w r2, {{r3, r12, lr}}",
        "ldr r8, [r2, #12]",
        "cmp r0, r8",
        "beq 2f",
        "1:",
        "ldmdb r0!, {{r4-r7}}",
        four!(r"smmul \x, \x, r3"),
        "ldmia.w r1!, {{r8-r11}}",
        four!(r"asrs.w \x, \x, r12", r"adc \x, \x, #0"),
        "qadd r7, r7, r8",
        "qadd r6, r6, r9",
        "qadd r5, r5, r10",
        "qadd r4, r4, r11",
        "ldr r8, [r2, #12]",
        ".irp x, r7, r6, r5, r4",
        r"cmp lr, \x",
        "it lt",
        r"movlt lr, \x",
        ".endr",
        "stmia.w r0, {{r4-r7}}",
        "cmp r0, r8",
        "bne 1b",
        "2:",
        "ldr r6, [r2, #16]",
        "cmp r0, r6",
        "beq 4f",
        "3:",
        "ldr r4, [r0, #-4]!",
        "ldr r5, [r1], #4",
        "smmul r4, r4, r3",
        "asrs.w r4, r4, r12",
        "adc r4, r4, #0",
        "qadd r4, r4, r5",
        "cmp lr, r4",
        "it lt",
        "movlt lr, r4",
        "str r4, [r0]",
        "cmp r0, r6",
        "bne 3b",
        "4:",
        "str.w lr, [r2, #8]",
        "pop {{r4-r11, pc}}",
    )
}

/// r0 logits, r1 probabilities, r2 end, r3 maximum, r4-r7 distances, r8-r11 probabilities, r12 table, lr total.
///
/// # Safety
/// From `logits` to `end` lie a multiple of four logits, at least four, and room for as many at
/// `probabilities`; both aligned to words.
#[unsafe(naked)]
unsafe extern "C" fn exponentials(
    logits: *const i32,
    probabilities: *mut i16,
    end: *const i32,
    max: i32,
    table: &[u16; EXP2_NEG.len()],
) -> u32 {
    naked_asm!(
        "push {{r4-r11, lr}}",
        "ldr.w r12, [sp, #36]",
        "mov.w lr, #0",
        "1:",
        "ldmia r0!, {{r4-r7}}",
        four!(r"qsub \x, r3, \x"),
        "ubfx r8, r4, #0, #10",
        "ubfx r9, r5, #0, #10",
        "ubfx r10, r6, #0, #10",
        "ubfx r11, r7, #0, #10",
        "ldrh.w r8, [r12, r8, lsl #1]",
        "ldrh.w r9, [r12, r9, lsl #1]",
        "ldrh.w r10, [r12, r10, lsl #1]",
        "ldrh.w r11, [r12, r11, lsl #1]",
        four!(r"usat \x, #5, \x, asr #10"),
        "lsr.w r8, r8, r4",
        "lsr.w r9, r9, r5",
        "lsr.w r10, r10, r6",
        "lsr.w r11, r11, r7",
        "mov.w r4, #0x00010001",
        "pkhbt r8, r8, r9, lsl #16",
        "pkhbt r9, r10, r11, lsl #16",
        "uhadd16 r8, r8, r4",
        "uhadd16 r9, r9, r4",
        "smlad lr, r8, r4, lr",
        "smlad lr, r9, r4, lr",
        "strd r8, r9, [r1], #8",
        "cmp r0, r2",
        "bne 1b",
        "mov r0, lr",
        "pop {{r4-r11, pc}}",
    )
}
