//! Products of bytes, four to a lane: the only instructions in which AVX2 and AVX-VNNI differ.

use core::arch::x86_64::*;

/// `vpmaddubsw` and `vpmaddwd`, a part of AVX2.
pub(super) const MADDUBS: u8 = 0;
/// `vpdpbusd` and `vpdpwssd` as AVX-VNNI encodes them.
pub(super) const VEX: u8 = 1;
/// The same as AVX-512 VNNI encodes them: tests run on it where no processor with AVX-VNNI is at hand.
#[cfg(test)]
pub(super) const EVEX: u8 = 2;

/// One instruction that adds to its first operand.
macro_rules! added {
    ($instruction:literal, $sum:ident, $a:ident, $b:ident) => {
        // SAFETY: the token of the kernels proves that the instruction may be used; on registers alone.
        unsafe {
            core::arch::asm!(
                concat!($instruction, " {sum}, {a}, {b}"),
                sum = inout(ymm_reg) $sum,
                a = in(ymm_reg) $a,
                b = in(ymm_reg) $b,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
    };
}

/// `sum` and the products of four unsigned with four signed bytes per lane.
///
/// Magnitudes of at most 128 and weights in `[-127, 127]`: a pair of products is at most 32,512 and fits an i16.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn bytes<const DOT: u8>(
    mut sum: __m256i,
    unsigned: __m256i,
    signed: __m256i,
) -> __m256i {
    match DOT {
        MADDUBS => {
            let pairs = _mm256_maddubs_epi16(unsigned, signed);
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
        }
        VEX => added!("{{vex}} vpdpbusd", sum, unsigned, signed),
        _ => added!("vpdpbusd", sum, unsigned, signed),
    }
    sum
}

/// `sum` and the products of two signed words per lane.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn words<const DOT: u8>(mut sum: __m256i, a: __m256i, b: __m256i) -> __m256i {
    match DOT {
        MADDUBS => sum = _mm256_add_epi32(sum, _mm256_madd_epi16(a, b)),
        VEX => added!("{{vex}} vpdpwssd", sum, a, b),
        _ => added!("vpdpwssd", sum, a, b),
    }
    sum
}
