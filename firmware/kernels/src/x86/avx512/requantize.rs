//! From the residual to the input of a map.

use core::arch::x86_64::*;

use super::requant::{Single, shift_signed};
use crate::Requant;
use crate::x86::prescale::HIGH_SHIFT;

/// One factor for 32 numbers of 16 bits.
///
/// With `m = 2^16 h + l`, `l` signed, `x m / 2^16` rounded down is `x h` and the upper half of `x l`. What that
/// leaves out decides nothing, for the shift is at least [`HIGH_SHIFT`].
#[derive(Clone, Copy)]
pub(super) enum Requantize {
    /// By products of 16 bits.
    Halves {
        /// `h` and 1, by turns.
        high: __m512i,
        /// `l`.
        low: __m512i,
        /// How far twice the result is shifted.
        shift: __m512i,
    },
    Any(Single),
}

impl Requantize {
    #[inline]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    pub(super) fn new(factor: Requant) -> Self {
        let low = factor.multiplier as i16;
        let high = (i64::from(factor.multiplier) - i64::from(low)) >> 16;
        match i16::try_from(high) {
            Ok(high) if factor.shift >= HIGH_SHIFT => Self::Halves {
                high: _mm512_set1_epi32(1 << 16 | i32::from(high)),
                low: _mm512_set1_epi16(low),
                shift: _mm512_set1_epi32(i32::from(factor.shift) - 17),
            },
            _ => Self::Any(Single::new(factor, 1 << 15)),
        }
    }

    /// [`Requant::to_i8`] of 32 numbers, as the input of a map.
    #[inline]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    pub(super) fn apply(self, x: __m512i) -> __m256i {
        // 128 too high from here on.
        let words = match self {
            Self::Halves { high, low, shift } => {
                let lower = _mm512_mulhi_epi16(x, low);
                let double = |pairs| shift_signed(_mm512_madd_epi16(pairs, high), shift);
                let first = double(_mm512_unpacklo_epi16(x, lower));
                let second = double(_mm512_unpackhi_epi16(x, lower));
                let double = _mm512_packs_epi32(first, second);
                _mm512_srai_epi16::<1>(_mm512_adds_epi16(double, _mm512_set1_epi16(257)))
            }
            Self::Any(single) => any(single, x),
        };
        let words = _mm512_max_epi16(words, _mm512_set1_epi16(1));
        _mm512_cvtusepi16_epi8(words)
    }
}

/// Any factor, 128 added.
#[cold]
#[inline(never)]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn any(single: Single, x: __m512i) -> __m512i {
    let half = |x| _mm512_cvtsepi32_epi16(single.apply(_mm512_cvtepi16_epi32(x)));
    let low = half(_mm512_castsi512_si256(x));
    let high = half(_mm512_extracti64x4_epi64::<1>(x));
    let words = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high);
    _mm512_adds_epi16(words, _mm512_set1_epi16(128))
}
