//! Elementary functions of whole registers: the operations of `engram_export::elementary` in the same order, so that
//! learner and rollouts agree to the last bit.

use pulp::Simd;

/// `engram_export::elementary::exp` of every lane, the same operations in the same order.
#[inline(always)]
pub(crate) fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    const MAGIC: f32 = 12_582_912.0;
    const HIGH: f32 = 0.693_359_4;
    const LOW: f32 = -2.121_944_4e-4;
    let splat = |x: f32| simd.splat_f32s(x);
    // In this order of arguments what is no number stays so.
    let x = simd.max_f32s(splat(-87.0), simd.min_f32s(splat(88.0), x));
    let magic = splat(MAGIC);
    let shifted = simd.add_f32s(simd.mul_f32s(x, splat(std::f32::consts::LOG2_E)), magic);
    let n = simd.sub_f32s(shifted, magic);
    let r = simd.sub_f32s(x, simd.mul_f32s(n, splat(HIGH)));
    let r = simd.sub_f32s(r, simd.mul_f32s(n, splat(LOW)));
    let mut p = splat(1.987_569_1e-4);
    for c in [
        1.398_2e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ] {
        p = simd.add_f32s(simd.mul_f32s(p, r), splat(c));
    }
    let y = simd.add_f32s(simd.mul_f32s(p, simd.mul_f32s(r, r)), r);
    let y = simd.add_f32s(y, splat(1.0));
    let bits = simd.transmute_u32s_f32s(shifted);
    let bias = simd.splat_u32s(127u32.wrapping_sub(MAGIC.to_bits()));
    let exponent = simd.wrapping_dyn_shl_u32s(simd.add_u32s(bits, bias), simd.splat_u32s(23));
    simd.mul_f32s(y, simd.transmute_f32s_u32s(exponent))
}

/// `engram_export::elementary::tanh` of every lane.
#[inline(always)]
pub(crate) fn tanh<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    let two = simd.splat_f32s(2.0);
    let x = simd.min_f32s(simd.splat_f32s(20.0), x);
    let sum = simd.add_f32s(exp(simd, simd.mul_f32s(two, x)), one);
    simd.sub_f32s(one, simd.div_f32s(two, sum))
}

/// `yes` where `mask` is set, `no` elsewhere. pulp's function for this is not always inlined.
#[inline(always)]
pub(crate) fn select<S: Simd>(simd: S, mask: S::m32s, yes: S::f32s, no: S::f32s) -> S::f32s {
    let (yes, no) = (simd.transmute_u32s_f32s(yes), simd.transmute_u32s_f32s(no));
    simd.transmute_f32s_u32s(simd.select_u32s(mask, yes, no))
}
