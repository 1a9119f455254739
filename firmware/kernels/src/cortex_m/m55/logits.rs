//! Inner products to logits, and logits to attention probabilities.

use core::arch::naked_asm;

use super::LANES;
use super::matrix::ZEROS;
use super::requant::MIN_SHIFT;
use crate::cortex_m::every_core::heads::is_usual;
use crate::softmax::EXP2_NEG;
use crate::{CachePosition, MASKED_LOGIT, Requant, Shape};

/// Largest magnitude of a product that is shifted to the left. No product of two int8 is larger than `2^14`.
const LARGEST: usize = 1 << 30;

/// From the inner products of a head, by position, to its logits: what the kernel reads.
#[repr(C)]
pub(super) struct Scale {
    /// 32 minus the shift.
    shift: i32,
    /// Position of the newest memory: the age of the one at position 0.
    index: usize,
    window: usize,
    /// Memories of this age or more are not there.
    filled: usize,
    /// By age.
    biases: *const i32,
    multiplier: i32,
    /// Bits by which products are shifted to the left first.
    prescale: u32,
}

impl Scale {
    /// For heads of so many channels. A factor with a shift below [`MIN_SHIFT`] takes products that are shifted to the left,
    /// as far as they stay in 32 bits; `None`: not far enough, or the position is none of the window.
    #[inline(always)]
    pub(super) fn new(shape: Shape, requant: Requant, position: CachePosition) -> Option<Self> {
        let prescale = u32::from(MIN_SHIFT.saturating_sub(requant.shift));
        let widest = LARGEST.checked_shr(prescale.wrapping_add(14))?;
        let usual = (1..=62).contains(&requant.shift) && position.index < shape.window;
        (usual && shape.width <= widest).then_some(Self {
            shift: 32 - i32::from(requant.shift.max(MIN_SHIFT)),
            index: position.index,
            window: shape.window,
            filled: position.filled,
            biases: ZEROS.as_ptr(),
            multiplier: requant.multiplier,
            prescale,
        })
    }

    /// Products to logits; returns the largest. `biases`: by age, or empty.
    ///
    /// Behind the window, up to a whole vector, the logits weigh nothing. The work depends on the window alone.
    ///
    /// Logits are not limited. Where that could change a probability ([`is_usual`]), the result is `None` with the products
    /// lost, and the caller does it over in plain Rust.
    #[inline]
    pub(super) fn logits(&mut self, products: &mut [i32], biases: &[[u8; 4]]) -> Option<i32> {
        let window = self.window;
        self.biases = if biases.is_empty() {
            (window <= ZEROS.len()).then_some(ZEROS.as_ptr())?
        } else {
            (window <= biases.len()).then_some(biases.as_ptr().cast())?
        };
        if !self.biases.is_aligned() {
            return None;
        }
        let (products, rest) = products.split_at_mut_checked(window)?;
        rest.fill(MASKED_LOGIT);
        let kernel = if self.prescale > 0 {
            scale_products::<1>
        } else {
            scale_products::<0>
        };
        // SAFETY: there are `window` products, more than the position's index, and as many biases, aligned to words;
        // every age that the kernel makes lies below `window`.
        let max = unsafe { kernel(products.as_mut_ptr(), self) };
        is_usual(max).then_some(max)
    }
}

/// Logits to probabilities; returns their total. `max` is the largest logit.
#[inline]
pub(super) fn probabilities(logits: &[i32], probabilities: &mut [i16], max: i32) -> u32 {
    let eights = logits.len().min(probabilities.len()) / LANES;
    if eights == 0 {
        return 0;
    }
    let (from, to) = (logits.as_ptr(), probabilities.as_mut_ptr());
    // SAFETY: both slices hold `eights` times eight entries, at least eight; the table every remainder of 1024.
    unsafe { exponentials(from, to, eights, max, &EXP2_NEG) }
}

/// q0 logits, q1 ages, q2 biases, q3 multiplier; r2 the largest logit, r4 the age that comes next. With 1, products are
/// shifted to the left first, with 0 not.
///
/// # Safety
/// There are `scale.window` products and biases, at least one, the biases aligned to words; `scale.index`
/// lies below it.
#[unsafe(naked)]
unsafe extern "C" fn scale_products<const PRESCALES: usize>(
    products: *mut i32,
    scale: *const Scale,
) -> i32 {
    naked_asm!(
        cpu!(),
        "push {{r4-r10, lr}}",
        "ldmia.w r1, {{r3-r9}}",
        "vdup.32 q3, r8",
        "mov r8, r4",
        "mov.w r12, #0x80000000",
        "mov r2, r12",
        "dlstp.32 lr, r5",
        "2:",
        "vldrw.u32 q0, [r0]",
        ".rept {prescales}",
        "vshl.s32 q0, r9",
        ".endr",
        "vmulh.s32 q0, q0, q3",
        "vrshl.s32 q0, r3",
        "vdwdup.u32 q1, r4, r5, #1",
        "vldrw.u32 q2, [r7, q1, uxtw #2]",
        "vqadd.s32 q0, q0, q2",
        "vpt.u32 cs, q1, r6",
        "vdupt.32 q0, r12",
        "vmaxv.s32 r2, q0",
        "vstrw.32 q0, [r0], #16",
        "letp lr, 2b",
        "mov r0, r2",
        "pop {{r4-r10, pc}}",
        prescales = const PRESCALES,
    )
}

/// q0 distances from the maximum, first in words, then limited in halfwords; q1 their remainders of 1024;
/// q2 the maximum, q3 1023, q4 probabilities.
///
/// # Safety
/// Both slices hold `eights` times eight entries, at least eight.
#[unsafe(naked)]
unsafe extern "C" fn exponentials(
    logits: *const i32,
    probabilities: *mut i16,
    eights: usize,
    max: i32,
    table: &[i16; EXP2_NEG.len()],
) -> u32 {
    naked_asm!(
        cpu!(),
        "push {{r4, lr}}",
        "vpush {{d8-d9}}",
        "ldr.w r12, [sp, #24]",
        "vdup.32 q2, r3",
        "movw r3, #1023",
        "vdup.16 q3, r3",
        "movs r4, #0",
        "dls lr, r2",
        "2:",
        "vld20.32 {{q0, q1}}, [r0]",
        "vld21.32 {{q0, q1}}, [r0]!",
        "vsub.i32 q0, q2, q0",
        "vsub.i32 q1, q2, q1",
        "vqmovnb.u32 q0, q0",
        "vqmovnt.u32 q0, q1",
        "vand q1, q0, q3",
        "vldrh.u16 q4, [r12, q1, uxtw #1]",
        "vshr.u16 q0, q0, #10",
        "vneg.s16 q0, q0",
        "vrshl.s16 q4, q4, q0",
        "vaddva.u16 r4, q4",
        "vstrh.16 q4, [r1], #16",
        "le lr, 2b",
        "mov r0, r4",
        "vpop {{d8-d9}}",
        "pop {{r4, pc}}",
    )
}
