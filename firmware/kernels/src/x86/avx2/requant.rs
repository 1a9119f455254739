//! Eight numbers at a time: fixed-point factors, limits, sums.

use core::arch::x86_64::*;

use super::super::prescale::{HIGH_SHIFT, Prescale};
use crate::Requant;

/// The upper halves of eight products, of which `even` holds those of even numbers.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn upper_halves(even: __m256i, odd: __m256i) -> __m256i {
    _mm256_blend_epi32::<0b1010_1010>(_mm256_srli_epi64::<32>(even), odd)
}

/// Multipliers and shifts of eight rows.
#[derive(Clone, Copy)]
pub(super) struct Factors {
    pub(super) multiplier: __m256i,
    /// As i32.
    pub(super) shift: __m256i,
}

impl Factors {
    /// The same factor eight times.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn splat(factor: Requant) -> Self {
        Self {
            multiplier: _mm256_set1_epi32(factor.multiplier),
            shift: _mm256_set1_epi32(i32::from(factor.shift)),
        }
    }

    /// [`Requant::to_i32`] of eight accumulators. `HIGH`: all shifts are at least [`HIGH_SHIFT`].
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn apply<const HIGH: bool>(self, x: __m256i) -> __m256i {
        let even = _mm256_mul_epi32(x, self.multiplier);
        let odd = _mm256_mul_epi32(
            _mm256_srli_epi64::<32>(x),
            _mm256_srli_epi64::<32>(self.multiplier),
        );
        if HIGH {
            // 2^(shift-1) is a multiple of 2^32: the lower half of the product decides nothing.
            let high = upper_halves(even, odd);
            let shift = _mm256_sub_epi32(self.shift, _mm256_set1_epi32(i32::from(HIGH_SHIFT)));
            let double = _mm256_srav_epi32(high, shift);
            return _mm256_srai_epi32::<1>(_mm256_add_epi32(double, _mm256_set1_epi32(1)));
        }
        let low = _mm256_and_si256(self.shift, _mm256_set1_epi64x(0xffff_ffff));
        let even = rounded(even, low);
        let odd = rounded(odd, _mm256_srli_epi64::<32>(self.shift));
        _mm256_blend_epi32::<0b1010_1010>(even, _mm256_slli_epi64::<32>(odd))
    }
}

/// `(product + 2^(shift-1)) >> shift` of four i64, saturated to i32.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn rounded(product: __m256i, shift: __m256i) -> __m256i {
    let one = _mm256_set1_epi64x(1);
    let half = _mm256_sllv_epi64(one, _mm256_sub_epi64(shift, one));
    let shifted = shift_signed(_mm256_add_epi64(product, half), shift);
    let (least, most) = (
        _mm256_set1_epi64x(i64::from(i32::MIN)),
        _mm256_set1_epi64x(i64::from(i32::MAX)),
    );
    let limited = _mm256_blendv_epi8(shifted, most, _mm256_cmpgt_epi64(shifted, most));
    _mm256_blendv_epi8(limited, least, _mm256_cmpgt_epi64(least, shifted))
}

/// Four i64 to the right. There is no such instruction: `x + 2^63` is shifted, and `2^63` shifted is taken off.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn shift_signed(x: __m256i, shift: __m256i) -> __m256i {
    let top = _mm256_set1_epi64x(i64::MIN);
    let raised = _mm256_srlv_epi64(_mm256_xor_si256(x, top), shift);
    _mm256_sub_epi64(raised, _mm256_srlv_epi64(top, shift))
}

/// Scales accumulators up.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn scale_up(prescale: Prescale, x: __m256i) -> __m256i {
    _mm256_sll_epi32(x, _mm_cvtsi32_si128(i32::from(prescale.0)))
}

/// One factor for eight accumulators of a known magnitude.
#[derive(Clone, Copy)]
pub(super) struct Single {
    factors: Factors,
    prescale: Option<Prescale>,
}

impl Single {
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn new(factor: Requant, magnitude: u64) -> Self {
        let prescale = Prescale::of(factor.shift, magnitude);
        let shift = factor
            .shift
            .saturating_add(prescale.map_or(0, |prescale| prescale.0));
        Self {
            factors: Factors::splat(Requant { shift, ..factor }),
            prescale,
        }
    }

    /// [`Requant::to_i32`].
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn apply(self, x: __m256i) -> __m256i {
        match self.prescale {
            Some(prescale) => self.factors.apply::<true>(scale_up(prescale, x)),
            None => self.factors.apply::<false>(x),
        }
    }
}

/// Limits eight i32 to `low..=127`, in the lower eight bytes.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn to_i8(x: __m256i, low: i32) -> __m128i {
    let limited = _mm256_max_epi32(x, _mm256_set1_epi32(low));
    let words = _mm_packs_epi32(
        _mm256_castsi256_si128(limited),
        _mm256_extracti128_si256::<1>(limited),
    );
    _mm_packs_epi16(words, words)
}

/// Limits eight i32 to `-32767..=32767`.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn to_i16(x: __m256i) -> __m128i {
    let limited = _mm256_max_epi32(x, _mm256_set1_epi32(-32_767));
    _mm_packs_epi32(
        _mm256_castsi256_si128(limited),
        _mm256_extracti128_si256::<1>(limited),
    )
}

/// [`crate::add_saturating`] of eight i16.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn add_i16(a: __m128i, b: __m128i) -> __m128i {
    _mm_max_epi16(_mm_adds_epi16(a, b), _mm_set1_epi16(-32_767))
}

/// The saturating sum of eight i32.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn add_i32(a: __m256i, b: __m256i) -> __m256i {
    let sum = _mm256_add_epi32(a, b);
    // Overflow: the sum's sign differs from both.
    let over = _mm256_and_si256(_mm256_xor_si256(sum, a), _mm256_xor_si256(sum, b));
    let limit = _mm256_xor_si256(_mm256_srai_epi32::<31>(a), _mm256_set1_epi32(i32::MAX));
    _mm256_blendv_epi8(sum, limit, _mm256_srai_epi32::<31>(over))
}
