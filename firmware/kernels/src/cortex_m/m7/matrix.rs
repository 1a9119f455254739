//! Packed matrix times vector: four rows at a time, all registers planned.
//!
//! A block of four rows starts with one load that fetches where the inputs lie, four zeros for the
//! sums and the address to go to: the loop is unrolled sixteen times and entered so that its first
//! round does what sixteen does not divide.

use core::arch::naked_asm;
use core::mem::MaybeUninit;

use super::{COLUMNS, GROUP};

/// Columns of the widest map, and memories of the widest window.
pub(super) const MAX_COLUMNS: usize = 512;

/// Room for prepared inputs.
pub(super) type Room = MaybeUninit<[[u32; 2]; MAX_COLUMNS / GROUP]>;

/// Prepared inputs of an int8 map: of four, the two odd ones, and `256 * even - odd`.
#[derive(Clone, Copy)]
pub(super) struct Prepared<'a> {
    /// So many columns, divided by four, of the room have been written.
    inputs: &'a [[u32; 2]],
}

impl<'a> Prepared<'a> {
    /// Prepares `input`, filled up to a multiple of eight; what stands behind a vector meets weights
    /// of zero. Of an input that is wider than the widest, or not aligned to words, nothing is prepared.
    #[inline]
    pub(super) fn new(input: &[i8], room: &'a mut Room) -> Self {
        let columns = input.len() / COLUMNS * COLUMNS;
        if columns == 0 || columns > MAX_COLUMNS || !input.as_ptr().cast::<u32>().is_aligned() {
            return Self { inputs: &[] };
        }
        let (start, end) = (input.as_ptr(), input.as_ptr().wrapping_add(columns));
        let inputs = room.as_mut_ptr().cast::<[u32; 2]>();
        // SAFETY: reads `columns` bytes of `input`, eight at a time, and writes two words for every
        // four of them, for which there is room.
        unsafe { prepare(start, inputs, end) };
        // SAFETY: just written, and borrowed as long as the room.
        let inputs = unsafe { core::slice::from_raw_parts(inputs, columns / GROUP) };
        Self { inputs }
    }

    /// `acc[r] = 256 * sum_c weight[r][c] * input[first + c]` for the rows of all whole blocks that
    /// `packed` and `acc` hold; `first` and `columns` are multiples of eight.
    #[inline]
    pub(super) fn product(self, first: usize, columns: usize, packed: &[i8], acc: &mut [i32]) {
        let end = first.saturating_add(columns);
        if !first.is_multiple_of(COLUMNS) || !columns.is_multiple_of(COLUMNS) {
            return;
        }
        let Some(inputs) = self.inputs.get(first / GROUP..end / GROUP) else {
            return;
        };
        let steps = columns / COLUMNS;
        let kernel = if steps <= 16 {
            product_narrow_i8
        } else {
            product_i8
        };
        // SAFETY: a step reads eight columns of four rows, and their inputs have been prepared.
        unsafe { run_blocks(kernel, packed, columns, (inputs.as_ptr(), steps), acc) };
    }
}

/// `acc[r] = sum_c weight[r][c] * input[c]` for the rows of all whole blocks that `packed` and `acc`
/// hold; `input` filled up to a multiple of eight.
#[inline]
pub(super) fn product_wide(packed: &[i8], input: &[i16], acc: &mut [i32]) {
    let columns = input.len() / COLUMNS * COLUMNS;
    let steps = columns / GROUP;
    // SAFETY: a step reads four columns of four rows, and as many inputs.
    unsafe { run_blocks(product_i16, packed, columns, (input.as_ptr(), steps), acc) };
}

/// Runs a kernel of blocks on all that `weights` and `acc` hold, each of `row` bytes for each of four sums; nothing where weights
/// or inputs are not aligned to words.
///
/// # Safety
/// The kernel reads `row` bytes for each sum in so many steps, and `inputs` holds what they read.
#[inline(always)]
pub(super) unsafe fn run_blocks<I>(
    kernel: unsafe extern "C" fn(*const u8, *const I, *mut i32, *const Size),
    weights: &[i8],
    row: usize,
    (inputs, steps): (*const I, usize),
    acc: &mut [i32],
) {
    let blocks = weights.len().checked_div(row.saturating_mul(GROUP));
    let blocks = blocks.unwrap_or(0).min(acc.len() / GROUP);
    let weights = weights.as_ptr().cast::<u32>();
    if blocks == 0 || !weights.is_aligned() || !inputs.cast::<u32>().is_aligned() {
        return;
    }
    let size = Size {
        steps,
        end: acc.as_ptr().wrapping_add(blocks * GROUP),
    };
    // SAFETY: there are `blocks` blocks of weights and of sums, at least one; no row is empty, so that there are steps.
    unsafe { kernel(weights.cast(), inputs, acc.as_mut_ptr(), &size) };
}

/// How long a kernel runs.
#[repr(C)]
pub(super) struct Size {
    /// Steps along the columns, or along the positions of values, at least 1.
    steps: usize,
    /// Behind the last sum.
    end: *const i32,
}

/// Prepares the inputs from `input` to `end`, eight at a time.
///
/// # Safety
/// There are 8 bytes or more from `input` to `end`, a multiple of 8, aligned to words; `out` has room
/// for twice as many.
#[unsafe(naked)]
unsafe extern "C" fn prepare(input: *const i8, out: *mut [u32; 2], end: *const i8) {
    naked_asm!(
        "push {{r4-r7, lr}}",
        "mov.w r12, #0xff00ff00",
        "1:",
        "ldmia r0!, {{r3, r6}}",
        "sxtb16 r4, r3, ror #8",
        "and.w r5, r12, r3, lsl #8",
        "ssub16 r5, r5, r4",
        "and.w r7, r12, r6, lsl #8",
        "sxtb16 r6, r6, ror #8",
        "ssub16 r7, r7, r6",
        "stmia r1!, {{r4-r7}}",
        "cmp r0, r2",
        "bne 1b",
        "pop {{r4-r7, pc}}",
    )
}

/// A kernel of blocks of four rows: `$step` adds to r2-r5 what a step of columns gives, in `$bytes` bytes of instructions, and takes
/// 2 to the power `$shift` bytes of inputs at r1; `$next` goes on with the steps until the inputs end, where one round is
/// not enough.
///
/// On the stack lie: inputs, 0, 0, 0, 0, entry, sums, end of sums, end of inputs. A block starts at `2`, its steps at `3`.
macro_rules! kernel_of_blocks {
    (
        $(#[$doc:meta])*
        $visibility:vis fn $name:ident($inputs:ty), $shift:literal, $bytes:literal;
        $step:expr;
        $next:expr;
    ) => {
        $(#[$doc])*
        #[unsafe(naked)]
        $visibility unsafe extern "C" fn $name(
            weights: *const u8,
            inputs: *const $inputs,
            acc: *mut i32,
            size: *const $crate::cortex_m::m7::matrix::Size,
        ) {
            naked_asm!(
                "push {{r4-r11, lr}}",
                "sub sp, #36",
                "ldrd r4, r5, [r3]",
                "movs r6, #0",
                "strd r1, r6, [sp]",
                "strd r6, r6, [sp, #8]",
                "str r6, [sp, #16]",
                "strd r2, r5, [sp, #24]",
                concat!("add.w r7, r1, r4, lsl #", $shift),
                "str r7, [sp, #32]",
                "rsb r6, r4, #0",
                "and r6, r6, #15",
                concat!("movs r7, #", $bytes),
                "muls r6, r7, r6",
                "adr.w r7, 3f",
                "add r6, r7",
                "orr r6, r6, #1",
                "str r6, [sp, #20]",
                "2:",
                "ldmia.w sp, {{r1-r5, pc}}",
                "3:",
                ".rept 16",
                $step,
                ".endr",
                $next,
                "ldrd r6, r7, [sp, #24]",
                "stmia r6!, {{r2-r5}}",
                "cmp r6, r7",
                "str r6, [sp, #24]",
                "bne.w 2b",
                "add sp, #36",
                "pop {{r4-r11, pc}}",
            )
        }
    };
}
pub(super) use kernel_of_blocks;

/// Goes on with a block's steps until its inputs end.
macro_rules! next_steps {
    () => {
        "ldr r6, [sp, #32]
         cmp r1, r6
         bne.w 3b"
    };
}
pub(super) use next_steps;

/// Eight columns: r6-r9 inputs of two groups, r10-r12 and lr weights of one group; 27 instructions of 4 bytes.
macro_rules! step_i8 {
    () => {
        "ldmia.w r1!, {{r6-r9}}
         ldmia.w r0!, {{r10-r12, lr}}
         smlad r2, r10, r6, r2
         sxtb16 r10, r10
         smlad r3, r11, r6, r3
         sxtb16 r11, r11
         smlad r4, r12, r6, r4
         sxtb16 r12, r12
         smlad r5, lr, r6, r5
         sxtb16 lr, lr
         smlad r2, r10, r7, r2
         smlad r3, r11, r7, r3
         smlad r4, r12, r7, r4
         smlad r5, lr, r7, r5
         ldmia.w r0!, {{r10-r12, lr}}
         smlad r2, r10, r8, r2
         sxtb16 r10, r10
         smlad r3, r11, r8, r3
         sxtb16 r11, r11
         smlad r4, r12, r8, r4
         sxtb16 r12, r12
         smlad r5, lr, r8, r5
         sxtb16 lr, lr
         smlad r2, r10, r9, r2
         smlad r3, r11, r9, r3
         smlad r4, r12, r9, r4
         smlad r5, lr, r9, r5"
    };
}

kernel_of_blocks! {
    /// The int8 kernel.
    ///
    /// # Safety
    /// `size.steps` is not 0 and `size.end` lies a multiple of four sums, at least four, behind `acc`;
    /// `weights` holds the packed weights of so many rows and of eight columns for every step, `inputs` their
    /// prepared inputs; all aligned to words.
    fn product_i8([u32; 2]), "4", "108";
    step_i8!();
    next_steps!();
}

kernel_of_blocks! {
    /// [`product_i8`] for 128 columns or fewer: one round, whose end needs no look.
    ///
    /// # Safety
    /// As [`product_i8`], with at most sixteen steps.
    fn product_narrow_i8([u32; 2]), "4", "108";
    step_i8!();
    "";
}

kernel_of_blocks! {
    /// The int16 kernel: r6-r7 inputs of a group, r8 unpacked weights, r10-r12 and lr weights; 18 instructions of 4 bytes.
    ///
    /// # Safety
    /// As [`product_i8`], with four columns for every step.
    fn product_i16(i16), "3", "72";
    "ldmia.w r1!, {{r6-r7}}
     ldmia.w r0!, {{r10-r12, lr}}
     sxtb16 r8, r10
     smlad r2, r8, r6, r2
     sxtb16 r10, r10, ror #8
     smlad r2, r10, r7, r2
     sxtb16 r8, r11
     smlad r3, r8, r6, r3
     sxtb16 r11, r11, ror #8
     smlad r3, r11, r7, r3
     sxtb16 r8, r12
     smlad r4, r8, r6, r4
     sxtb16 r12, r12, ror #8
     smlad r4, r12, r7, r4
     sxtb16 r8, lr
     smlad r5, r8, r6, r5
     sxtb16 lr, lr, ror #8
     smlad r5, lr, r7, r5";
    next_steps!();
}
