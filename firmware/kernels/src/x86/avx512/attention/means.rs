//! From attention weights and values to the input of the next map.

use core::arch::x86_64::*;

use super::super::numbers::{load, store_8, store_bytes};
use super::Weights;
use crate::{Line, Reciprocal, Requant};

/// From sums to means to the input of a map, eight at a time.
pub(super) struct Output {
    multiplier: __m512i,
    half: __m512i,
    shift: __m128i,
}

impl Output {
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512vnni")]
    pub(super) fn new(factor: Requant) -> Self {
        let shift = i32::from(factor.shift);
        Self {
            multiplier: _mm512_set1_epi64(i64::from(factor.multiplier)),
            half: _mm512_set1_epi64(1_i64.wrapping_shl(shift.wrapping_sub(1) as u32)),
            shift: _mm_cvtsi32_si128(shift),
        }
    }

    /// Of the sums in the lower halves of eight i64; the results lie in `-127..=127`, as i64.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512vnni")]
    fn apply(&self, sums: __m512i, reciprocal: Reciprocal) -> __m512i {
        let (factor, shift) = reciprocal.parts();
        // The product takes the factor for signed; where its top bit is set, 2^32 times the sum is missing.
        let top: __mmask8 = if factor >> 31 == 1 { 0xff } else { 0 };
        let missing = _mm512_maskz_slli_epi64::<32>(top, sums);
        let product = _mm512_mul_epi32(sums, _mm512_set1_epi64(i64::from(factor as i32)));
        let half = _mm512_set1_epi64(1_i64.wrapping_shl(shift.wrapping_sub(1)));
        let product = _mm512_add_epi64(_mm512_add_epi64(product, half), missing);
        // No mean of int8 values leaves an i32.
        let mean = _mm512_sra_epi64(product, _mm_cvtsi32_si128(shift as i32));
        let scaled = _mm512_add_epi64(_mm512_mul_epi32(mean, self.multiplier), self.half);
        let scaled = _mm512_sra_epi64(scaled, self.shift);
        let scaled = _mm512_max_epi64(scaled, _mm512_set1_epi64(-127));
        _mm512_min_epi64(scaled, _mm512_set1_epi64(127))
    }
}

/// Weighted sums of a head of up to eight channels, as i64: a line holds eight places of each.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn narrow_sums<const B: usize>(values: &[Line], weights: &Weights<B>) -> __m512i {
    let broadcast =
        |places: &[i8; 8]| _mm512_set1_epi64(i64::from_le_bytes(bytemuck::must_cast(*places)));
    let (low, _) = weights.low.as_flattened().as_chunks::<8>();
    let (high, _) = weights.high.as_flattened().as_chunks::<8>();
    let mut low_sum = _mm512_setzero_si512();
    let mut high_sum = _mm512_setzero_si512();
    for (line, (low, high)) in values.iter().zip(low.iter().zip(high)) {
        let values = load(line);
        low_sum = _mm512_dpbusd_epi32(low_sum, broadcast(low), values);
        high_sum = _mm512_dpbusd_epi32(high_sum, broadcast(high), values);
    }
    let sum = _mm512_add_epi32(low_sum, _mm512_slli_epi32::<8>(high_sum));
    _mm512_add_epi32(sum, _mm512_srli_epi64::<32>(sum))
}

/// Weighted sums of up to sixteen channels: a line holds four places of each.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn wide_sums<const B: usize>(values: &[Line], weights: &Weights<B>) -> __m512i {
    let broadcast =
        |places: &[i8; 4]| _mm512_set1_epi32(i32::from_le_bytes(bytemuck::must_cast(*places)));
    let (low, _) = weights.low.as_flattened().as_chunks::<4>();
    let (high, _) = weights.high.as_flattened().as_chunks::<4>();
    let mut low_sum = _mm512_setzero_si512();
    let mut high_sum = _mm512_setzero_si512();
    for (line, (low, high)) in values.iter().zip(low.iter().zip(high)) {
        let values = load(line);
        low_sum = _mm512_dpbusd_epi32(low_sum, broadcast(low), values);
        high_sum = _mm512_dpbusd_epi32(high_sum, broadcast(high), values);
    }
    _mm512_add_epi32(low_sum, _mm512_slli_epi32::<8>(high_sum))
}

/// Means of up to eight channels, from [`narrow_sums`].
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn narrow_means(
    output: &Output,
    sums: __m512i,
    reciprocal: Reciprocal,
    means: &mut [i8],
) {
    let mean = _mm512_cvtepi64_epi8(output.apply(sums, reciprocal));
    let mean = _mm_xor_si128(mean, _mm_set1_epi8(-128));
    if let Some(means) = means.first_chunk_mut::<8>() {
        store_8(means, mean);
    } else {
        let mut whole = [0; 8];
        store_8(&mut whole, mean);
        for (place, mean) in means.iter_mut().zip(whole) {
            *place = mean;
        }
    }
}

/// Means of up to sixteen channels, from [`wide_sums`].
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn wide_means(output: &Output, sums: __m512i, reciprocal: Reciprocal, means: &mut [i8]) {
    let even = output.apply(sums, reciprocal);
    let odd = output.apply(_mm512_srli_epi64::<32>(sums), reciprocal);
    let both = _mm512_mask_shuffle_epi32::<0b10_10_00_00>(even, 0xaaaa, odd);
    let mean = _mm_xor_si128(_mm512_cvtepi32_epi8(both), _mm_set1_epi8(-128));
    if let Some(means) = means.first_chunk_mut::<16>() {
        store_bytes(means, mean);
    } else {
        let mut whole = [0; 16];
        store_bytes(&mut whole, mean);
        for (place, mean) in means.iter_mut().zip(whole) {
            *place = mean;
        }
    }
}
