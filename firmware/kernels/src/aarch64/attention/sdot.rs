//! The loops of attention by SDOT, for heads of eight and of sixteen channels, with every instruction chosen
//! here: whole lines are loaded at once, and weights do not leave the registers.

use core::arch::aarch64::*;
use core::arch::asm;

use super::super::dot::Tile;
use super::super::softmax::STEPS;

/// Products of two times four positions with a query `{q}` of `{quads}` quads, into `v16` and `v17`.
macro_rules! products {
    () => {
        r"
        ld1 {{v0.16b-v3.16b}}, [{k}], #64
        movi v16.2d, #0
        movi v17.2d, #0
        sdot v16.4s, v0.16b, {q:v}.4b[0]
        sdot v16.4s, v1.16b, {q:v}.4b[1]
        .if {quads} == 2
        sdot v17.4s, v2.16b, {q:v}.4b[0]
        sdot v17.4s, v3.16b, {q:v}.4b[1]
        .else
        ld1 {{v4.16b-v7.16b}}, [{k}], #64
        sdot v16.4s, v2.16b, {q:v}.4b[2]
        sdot v16.4s, v3.16b, {q:v}.4b[3]
        sdot v17.4s, v4.16b, {q:v}.4b[0]
        sdot v17.4s, v5.16b, {q:v}.4b[1]
        sdot v17.4s, v6.16b, {q:v}.4b[2]
        sdot v17.4s, v7.16b, {q:v}.4b[3]
        .endif
        "
    };
}

/// Products in `v16` and `v17` to logits, stored.
macro_rules! to_logits {
    () => {
        "sqdmulh v16.4s, v16.4s, {m:v}.4s
         sqdmulh v17.4s, v17.4s, {m:v}.4s
         srshl v16.4s, v16.4s, {c:v}.4s
         srshl v17.4s, v17.4s, {c:v}.4s
         ldp q18, q19, [{b}], #32
         ldp q20, q21, [{l}], #32
         add v16.4s, v16.4s, v18.4s
         add v17.4s, v17.4s, v19.4s
         smin v16.4s, v16.4s, v20.4s
         smin v17.4s, v17.4s, v21.4s
         smax {x:v}.4s, {x:v}.4s, v16.4s
         smax {y:v}.4s, {y:v}.4s, v17.4s
         stp q16, q17, [{o}], #32\n"
    };
}

/// Eight logits to their weights' bytes in `v29`, as in [`super::super::softmax`] and [`super::values`]; the
/// weights are added to `v24`.
macro_rules! weigh {
    () => {
        "ldp q30, q31, [{l}], #32
         ld1 {{v0.4s, v1.4s, v2.4s, v3.4s}}, [{s}]
         ld1 {{v4.4s, v5.4s, v6.4s, v7.4s}}, [{t}]
         ldp q28, q29, [{t}, #64]
         sqsub v30.4s, v30.4s, {top:v}.4s
         sqsub v31.4s, v31.4s, {top:v}.4s
         shl v26.4s, v30.4s, #21
         shl v27.4s, v31.4s, #21
         bic v26.4s, #0x80, lsl #24
         bic v27.4s, #0x80, lsl #24
         sqxtn v30.4h, v30.4s
         sqxtn2 v30.8h, v31.4s
         sqrdmlah v0.4s, v26.4s, {first:v}.4s
         sqrdmlah v1.4s, v27.4s, {first:v}.4s
         sshr v30.8h, v30.8h, #10
         sqrdmlah v2.4s, v0.4s, v26.4s
         sqrdmlah v3.4s, v1.4s, v27.4s
         sqrdmlah v4.4s, v2.4s, v26.4s
         sqrdmlah v5.4s, v3.4s, v27.4s
         sqrdmlah v6.4s, v4.4s, v26.4s
         sqrdmlah v7.4s, v5.4s, v27.4s
         sqrdmlah v28.4s, v6.4s, v26.4s
         sqrdmlah v29.4s, v7.4s, v27.4s
         uzp2 v28.8h, v28.8h, v29.8h
         srshl v28.8h, v28.8h, v30.8h
         sadalp v24.4s, v28.8h
         neg v28.8h, v28.8h
         xtn v29.8b, v28.8h
         rshrn2 v29.16b, v28.8h, #8\n"
    };
}

/// Adds values of eight positions, `{quads}` quads of channels, times the weights in `v29`: low bytes to `v16` and on, high bytes
/// to `v20` and on.
macro_rules! sums {
    () => {
        r"
        ld1 {{v0.16b-v3.16b}}, [{v}], #64
        sdot v16.4s, v0.16b, v29.4b[0]
        sdot v17.4s, v1.16b, v29.4b[0]
        sdot v20.4s, v0.16b, v29.4b[2]
        sdot v21.4s, v1.16b, v29.4b[2]
        .if {quads} == 2
        sdot v16.4s, v2.16b, v29.4b[1]
        sdot v17.4s, v3.16b, v29.4b[1]
        sdot v20.4s, v2.16b, v29.4b[3]
        sdot v21.4s, v3.16b, v29.4b[3]
        .else
        ld1 {{v4.16b-v7.16b}}, [{v}], #64
        sdot v18.4s, v2.16b, v29.4b[0]
        sdot v19.4s, v3.16b, v29.4b[0]
        sdot v22.4s, v2.16b, v29.4b[2]
        sdot v23.4s, v3.16b, v29.4b[2]
        sdot v16.4s, v4.16b, v29.4b[1]
        sdot v17.4s, v5.16b, v29.4b[1]
        sdot v18.4s, v6.16b, v29.4b[1]
        sdot v19.4s, v7.16b, v29.4b[1]
        sdot v20.4s, v4.16b, v29.4b[3]
        sdot v21.4s, v5.16b, v29.4b[3]
        sdot v22.4s, v6.16b, v29.4b[3]
        sdot v23.4s, v7.16b, v29.4b[3]
        .endif
        "
    };
}

/// Heads of so many quads of channels have loops here.
pub(super) const fn has_loops(quads: usize) -> bool {
    matches!(quads, 2 | 4)
}

/// The logits of pairs of four positions, and the largest in every lane: [`super::logits::of_positions`] without the last
/// maximum. `None`: the slices differ in length.
///
/// # Safety
/// SDOT may be used; [`has_loops`].
#[inline(always)]
pub(super) unsafe fn logits<const Q: usize>(
    logits: &mut [[int32x4_t; 2]],
    keys: &[[Tile; Q]],
    query: int8x16_t,
    [multiplier, count]: [int32x4_t; 2],
    (biases, limits): (&[i32], &[[int32x4_t; 2]]),
    least: int32x4_t,
) -> Option<[int32x4_t; 2]> {
    let pairs = logits.len();
    let fits =
        pairs > 0 && keys.len() >= 2 * pairs && biases.len() >= 8 * pairs && limits.len() >= pairs;
    if !fits {
        return None;
    }
    let (mut x, mut y) = (least, least);
    // SAFETY: the caller's; every slice has what so many rounds read and write.
    unsafe {
        asm!(
            ".arch_extension dotprod",
            "2:",
            products!(),
            to_logits!(),
            "subs {n}, {n}, #1",
            "b.ne 2b",
            quads = const Q,
            n = inout(reg) pairs => _,
            k = inout(reg) keys.as_ptr() => _,
            b = inout(reg) biases.as_ptr() => _,
            l = inout(reg) limits.as_ptr() => _,
            o = inout(reg) logits.as_mut_ptr() => _,
            q = in(vreg) query,
            m = in(vreg) multiplier,
            c = in(vreg) count,
            x = inout(vreg) x,
            y = inout(vreg) y,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _,
            out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v16") _, out("v17") _, out("v18") _, out("v19") _,
            out("v20") _, out("v21") _,
            options(nostack),
        );
    }
    Some([x, y])
}

/// Sums of the low and of the high bytes of the negative weights times the values, and of the weights in four lanes. `None`:
/// the slices differ in length. `first`: the coefficient of the highest power.
///
/// # Safety
/// SDOT and SQRDMLAH may be used; [`has_loops`].
#[inline(always)]
pub(super) unsafe fn sums<const Q: usize>(
    logits: &[[int32x4_t; 2]],
    values: &[[Tile; Q]],
    [top, first, zero]: [int32x4_t; 3],
) -> Option<([[int32x4_t; 4]; 2], int32x4_t)> {
    let pairs = logits.len();
    if pairs == 0 || values.len() < 2 * pairs {
        return None;
    }
    let mut acc = [[zero; 4]; 2];
    let mut total = zero;
    let [low, high] = &mut acc;
    // SAFETY: the caller's; every slice has what so many rounds read.
    unsafe {
        asm!(
            ".arch_extension dotprod",
            ".arch_extension rdm",
            "2:",
            weigh!(),
            sums!(),
            "subs {n}, {n}, #1",
            "b.ne 2b",
            quads = const Q,
            n = inout(reg) pairs => _,
            l = inout(reg) logits.as_ptr() => _,
            v = inout(reg) values.as_ptr() => _,
            s = in(reg) STEPS.as_ptr(),
            t = in(reg) STEPS[4..].as_ptr(),
            top = in(vreg) top,
            first = in(vreg) first,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _,
            out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            inout("v16") low[0], inout("v17") low[1],
            inout("v18") low[2], inout("v19") low[3],
            inout("v20") high[0], inout("v21") high[1],
            inout("v22") high[2], inout("v23") high[3],
            inout("v24") total,
            out("v26") _, out("v27") _, out("v28") _, out("v29") _,
            out("v30") _, out("v31") _,
            options(pure, readonly, nostack),
        );
    }
    Some((acc, total))
}
