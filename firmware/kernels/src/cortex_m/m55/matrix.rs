//! Matrix times vector in the order of rows: eight rows at a time where the columns allow it, four otherwise.
//!
//! VMLADAVA adds sixteen products to a general register, and only to one with an even number: there are
//! eight of them. Each input is loaded once for eight rows, each weight once: 17 instructions for 128
//! multiply-accumulates. Every sum starts with its bias.

use core::arch::naked_asm;

/// Rows of a step of the widest map.
pub(super) const MAX_ROWS: usize = 512;
/// Rows that the fast kernels compute together.
const BLOCK: usize = 8;
/// Rows that the kernels for any number of columns compute together.
const SMALL_BLOCK: usize = 4;

/// The biases of a map without any.
pub(super) static ZEROS: [i32; MAX_ROWS] = [0; MAX_ROWS];

/// A kernel: weights, input, sums, and where things lie.
type Kernel<T> = unsafe extern "C" fn(*const i8, *const T, *mut i32, *const Walk);

/// How far a kernel goes.
#[repr(C)]
struct Walk {
    /// Behind the last sum.
    end: *const i32,
    /// One for every sum.
    bias: *const i32,
    /// Columns; only the kernels for any number of them read it.
    columns: usize,
}

/// `acc[r] = bias[r] + sum_c weight[r][c] * input[c]` for all `acc`; no bias: 0.
#[inline]
pub(super) fn product(weight: &[i8], input: &[i8], bias: &[[u8; 4]], acc: &mut [i32]) {
    let aligned =
        weight.as_ptr().cast::<u32>().is_aligned() && input.as_ptr().cast::<u32>().is_aligned();
    let fast: Option<Kernel<i8>> = match input.len() {
        _ if !aligned || acc.len() < BLOCK => None,
        8 => Some(eight),
        16 => Some(narrow::<16>),
        32 => Some(narrow::<32>),
        48 => Some(narrow::<48>),
        64 => Some(narrow::<64>),
        80 => Some(narrow::<80>),
        96 => Some(narrow::<96>),
        112 => Some(narrow::<112>),
        128 => Some(narrow::<128>),
        192 => Some(wide::<192>),
        256 => Some(wide::<256>),
        320 => Some(wide::<320>),
        384 => Some(wide::<384>),
        448 => Some(wide::<448>),
        512 => Some(wide::<512>),
        _ => None,
    };
    match fast {
        Some(kernel) => blocks(weight, input, bias, acc, (kernel, BLOCK)),
        None => blocks(weight, input, bias, acc, (any_i8, SMALL_BLOCK)),
    }
}

/// [`product`] of an int16 input.
#[inline]
pub(super) fn product_wide(weight: &[i8], input: &[i16], bias: &[[u8; 4]], acc: &mut [i32]) {
    blocks(weight, input, bias, acc, (any_i16, SMALL_BLOCK));
}

/// Runs a kernel on all whole blocks, and once more on the last rows where they are none: those that
/// overlap are computed twice. Fewer rows than a block, and what contradicts itself, go the plain way.
#[inline]
fn blocks<T: Copy + Into<i32>>(
    weight: &[i8],
    input: &[T],
    bias: &[[u8; 4]],
    acc: &mut [i32],
    (kernel, block): (Kernel<T>, usize),
) {
    let (rows, columns) = (acc.len(), input.len());
    let biases = if bias.is_empty() {
        ZEROS.as_ptr()
    } else {
        bias.as_ptr().cast()
    };
    let biases_there = bias.len() >= rows || bias.is_empty() && rows <= MAX_ROWS;
    if rows < block
        || columns == 0
        || weight.len() < rows.saturating_mul(columns)
        || !biases_there
        || !biases.is_aligned()
    {
        return plain(weight, input, bias, acc);
    }
    let run = |first: usize, end: usize, acc: &mut [i32]| {
        let walk = Walk {
            end: acc.as_ptr().wrapping_add(end),
            bias: biases.wrapping_add(first),
            columns,
        };
        let weight = weight.as_ptr().wrapping_add(first.wrapping_mul(columns));
        let to = acc.as_mut_ptr().wrapping_add(first);
        // SAFETY: from `first` to `end` lie a multiple of `block` rows, at least one block; weights, sums and
        // biases hold so many, and `input` so many columns; those that want alignment have it: `first` times a
        // multiple of 8 columns keeps it.
        unsafe { kernel(weight, input.as_ptr(), to, &walk) };
    };
    // Both are powers of two.
    let rest = rows & block.wrapping_sub(1);
    run(0, rows.wrapping_sub(rest), acc);
    if rest > 0 {
        run(rows.wrapping_sub(block), rows, acc);
    }
}

/// Row by row.
#[inline(never)]
fn plain<T: Copy + Into<i32>>(weight: &[i8], input: &[T], bias: &[[u8; 4]], acc: &mut [i32]) {
    let mut rows = weight.chunks_exact(input.len().max(1));
    let mut biases = bias.iter();
    for sum in acc {
        let row = rows.next().unwrap_or_default();
        let bias = biases.next().map_or(0, |&bias| i32::from_le_bytes(bias));
        *sum = row.iter().zip(input).fold(bias, |sum, (&weight, &x)| {
            sum.wrapping_add(i32::from(weight).wrapping_mul(x.into()))
        });
    }
}

/// Adds to the eight sums in r0, r2, r4, r6, r8, r10, r12 and lr what eight rows of eight columns at r3 give with q0.
macro_rules! eight_rows {
    () => {
        ".irp sum, r0, r2, r4, r6, r8, r10, r12, lr
         vldrb.s16 q1, [r3], #8
         vmladava.s16 \\sum, q0, q1
         .endr"
    };
}
pub(super) use eight_rows;

/// Eight columns, the keys of narrow heads, as halfwords: r1 and q0 input, r3 weights, the rest as in [`narrow`].
///
/// # Safety
/// As [`narrow`], with rows of eight columns; weights and inputs need no alignment.
#[unsafe(naked)]
unsafe extern "C" fn eight(weight: *const i8, input: *const i8, acc: *mut i32, walk: *const Walk) {
    naked_asm!(
        cpu!(),
        "push {{r4-r11, lr}}",
        "ldrd r7, r9, [r3]",
        "mov r5, r2",
        "mov r3, r0",
        "vldrb.s16 q0, [r1]",
        "2:",
        "ldmia.w r9!, {{r0, r2, r4, r6, r8, r10, r12, lr}}",
        eight_rows!(),
        "stmia.w r5!, {{r0, r2, r4, r6, r8, r10, r12, lr}}",
        "cmp r5, r7",
        "bne 2b",
        "pop {{r4-r11, pc}}",
    )
}

/// Up to 128 columns, a multiple of 16 of them: r1 input, r3 weights of the block's fourth row, from which all
/// eight are in reach, r5 sums, r7 their end, r9 biases; the sums in r0, r2, r4, r6, r8, r10, r12, lr.
///
/// # Safety
/// There are a multiple of eight sums, at least eight, up to `walk.end`, a bias for each, and a row of
/// weights of `COLUMNS`; so many inputs; all aligned to words.
#[unsafe(naked)]
unsafe extern "C" fn narrow<const COLUMNS: usize>(
    weight: *const i8,
    input: *const i8,
    acc: *mut i32,
    walk: *const Walk,
) {
    naked_asm!(
        cpu!(),
        "push {{r4-r11, lr}}",
        "ldrd r7, r9, [r3]",
        "mov r5, r2",
        "addw r3, r0, #3*{c}",
        "2:",
        "ldmia.w r9!, {{r0, r2, r4, r6, r8, r10, r12, lr}}",
        ".set column, 0",
        ".rept {c}/16",
        "vldrw.u32 q0, [r1, #column]",
        "vldrw.u32 q1, [r3], #16",
        "vmladava.s8 r6, q0, q1",
        "vldrw.u32 q1, [r3, #-3*{c}-16]",
        "vmladava.s8 r0, q0, q1",
        "vldrw.u32 q1, [r3, #-2*{c}-16]",
        "vmladava.s8 r2, q0, q1",
        "vldrw.u32 q1, [r3, #-1*{c}-16]",
        "vmladava.s8 r4, q0, q1",
        "vldrw.u32 q1, [r3, #1*{c}-16]",
        "vmladava.s8 r8, q0, q1",
        "vldrw.u32 q1, [r3, #2*{c}-16]",
        "vmladava.s8 r10, q0, q1",
        "vldrw.u32 q1, [r3, #3*{c}-16]",
        "vmladava.s8 r12, q0, q1",
        "vldrw.u32 q1, [r3, #4*{c}-16]",
        "vmladava.s8 lr, q0, q1",
        ".set column, column + 16",
        ".endr",
        "stmia.w r5!, {{r0, r2, r4, r6, r8, r10, r12, lr}}",
        "addw r3, r3, #7*{c}",
        "cmp r5, r7",
        "bne.w 2b",
        "pop {{r4-r11, pc}}",
        c = const COLUMNS,
    )
}

/// From 192 to 512 columns, a multiple of 64 of them: as [`narrow`], with a pointer for every two rows, r3, r7, r9, r11.
///
/// # Safety
/// As [`narrow`].
#[unsafe(naked)]
unsafe extern "C" fn wide<const COLUMNS: usize>(
    weight: *const i8,
    input: *const i8,
    acc: *mut i32,
    walk: *const Walk,
) {
    // [sp]: from a sum to its bias, the end of the sums.
    naked_asm!(
        cpu!(),
        "push {{r4-r11, lr}}",
        "sub sp, #8",
        "mov r5, r2",
        "ldrd r7, r9, [r3]",
        "sub.w r9, r9, r5",
        "strd r9, r7, [sp]",
        "mov r3, r0",
        "addw r7, r3, #2*{c}",
        "addw r9, r3, #4*{c}",
        "addw r11, r3, #6*{c}",
        "2:",
        "ldr r0, [sp]",
        "add r0, r5",
        "ldmia.w r0, {{r0, r2, r4, r6, r8, r10, r12, lr}}",
        ".set column, 0",
        ".rept {c}/16",
        "vldrw.u32 q0, [r1, #column]",
        "vldrw.u32 q1, [r3], #16",
        "vmladava.s8 r0, q0, q1",
        "vldrw.u32 q1, [r3, #{c}-16]",
        "vmladava.s8 r2, q0, q1",
        "vldrw.u32 q1, [r7], #16",
        "vmladava.s8 r4, q0, q1",
        "vldrw.u32 q1, [r7, #{c}-16]",
        "vmladava.s8 r6, q0, q1",
        "vldrw.u32 q1, [r9], #16",
        "vmladava.s8 r8, q0, q1",
        "vldrw.u32 q1, [r9, #{c}-16]",
        "vmladava.s8 r10, q0, q1",
        "vldrw.u32 q1, [r11], #16",
        "vmladava.s8 r12, q0, q1",
        "vldrw.u32 q1, [r11, #{c}-16]",
        "vmladava.s8 lr, q0, q1",
        ".set column, column + 16",
        ".endr",
        "stmia.w r5!, {{r0, r2, r4, r6, r8, r10, r12, lr}}",
        "addw r3, r3, #7*{c}",
        "addw r7, r7, #7*{c}",
        "addw r9, r9, #7*{c}",
        "addw r11, r11, #7*{c}",
        "ldr r0, [sp, #4]",
        "cmp r5, r0",
        "bne.w 2b",
        "add sp, #8",
        "pop {{r4-r11, pc}}",
        c = const COLUMNS,
    )
}

/// A kernel for any number of columns, four rows at a time: r1, r3, r5, r7 weights, r9 input, r8 the block's weights, r10
/// biases, r11 columns, r12 sums, lr the columns left; the sums in r0, r2, r4, r6. [sp]: input.
macro_rules! any {
    ($name:ident($input:ty): $tail:literal, $load_input:literal, $load:literal, $step:literal, $accumulate:literal) => {
        /// # Safety
        /// There are a multiple of four sums, at least four, up to `walk.end`, a bias for each, and a row of
        /// `walk.columns` weights, at least one; so many inputs, aligned as their type asks; sums and biases
        /// aligned to words.
        #[unsafe(naked)]
        unsafe extern "C" fn $name(
            weight: *const i8,
            input: *const $input,
            acc: *mut i32,
            walk: *const Walk,
        ) {
            naked_asm!(
                cpu!(),
                "push {{r1, r4-r11, lr}}",
                "mov r12, r2",
                "mov r8, r0",
                "ldrd r2, r10, [r3]",
                "ldr r11, [r3, #8]",
                "push {{r2, r3}}",
                "2:",
                "ldr r9, [sp, #8]",
                "mov r1, r8",
                "add.w r3, r1, r11",
                "add.w r5, r3, r11",
                "add.w r7, r5, r11",
                "add.w r8, r7, r11",
                "ldmia.w r10!, {{r0, r2, r4, r6}}",
                concat!($tail, " lr, r11"),
                "3:",
                concat!($load_input, " q0, [r9], #16"),
                concat!($load, " q1, [r1], ", $step),
                concat!($accumulate, " r0, q0, q1"),
                concat!($load, " q1, [r3], ", $step),
                concat!($accumulate, " r2, q0, q1"),
                concat!($load, " q1, [r5], ", $step),
                concat!($accumulate, " r4, q0, q1"),
                concat!($load, " q1, [r7], ", $step),
                concat!($accumulate, " r6, q0, q1"),
                "letp lr, 3b",
                "stmia.w r12!, {{r0, r2, r4, r6}}",
                "ldr r3, [sp]",
                "cmp r12, r3",
                "bne 2b",
                "add sp, #12",
                "pop {{r4-r11, pc}}",
            )
        }
    };
}

any!(any_i8(i8): "dlstp.8", "vldrb.u8", "vldrb.u8", "#16", "vmladava.s8");
any!(any_i16(i16): "dlstp.16", "vldrh.u16", "vldrb.s16", "#8", "vmladava.s16");
