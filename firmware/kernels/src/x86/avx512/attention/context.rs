//! From weighted sums of the values to the input of the next map: [`crate::Reciprocal`] and two factors.

use core::arch::x86_64::*;

use super::super::requant::{
    Single, shift_left, store_bytes, store_half, store_whole, upper_halves,
};

/// [`crate::Reciprocal`] of the totals of four heads, each in the four lanes of its head.
#[derive(Clone, Copy)]
pub(in crate::x86::avx512) struct Reciprocals {
    /// In the lower half of every i64.
    factor: __m512i,
    /// Lanes whose factor is taken for negative by a signed product.
    top: __mmask16,
    /// By how much a sum is scaled up, so that every shift is 39: eight less than the leading zeros.
    up: __m512i,
}

impl Reciprocals {
    /// Of totals in `1..2^24`, the same in all lanes of a head.
    #[inline]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    pub(in crate::x86::avx512) fn new(totals: __m512i) -> Self {
        let zeros = _mm512_lzcnt_epi32(totals);
        let normal = shift_left(totals, zeros);
        let top = _mm512_srli_epi32::<16>(normal);
        // Rounded down, a quotient is below the next integer if the exact one is; it is 2^32 over `top` here, which makes
        // a difference for the least `top` alone.
        let least = _mm512_set1_epi32(1 << 15);
        let others = _mm512_cmpneq_epi32_mask(top, least);
        let quotient = _mm512_div_round_ps::<{ _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC }>(
            _mm512_set1_ps(4_294_967_296.0),
            _mm512_cvtepi32_ps(top),
        );
        let first = _mm512_set1_epi32((1 << 17) - 1);
        let first = _mm512_mask_cvttps_epi32(first, others, quotient);
        let product = _mm512_mul_epu32(normal, first);
        let correction = _mm512_srli_epi64::<17>(product);
        let correction = _mm512_sub_epi64(_mm512_set1_epi64(1 << 32), correction);
        let factor = _mm512_srli_epi64::<16>(_mm512_mul_epu32(first, correction));
        let factor = _mm512_min_epu64(factor, _mm512_set1_epi64(0xffff_ffff));
        Self {
            factor,
            top: _mm512_movepi32_mask(_mm512_shuffle_epi32::<0b10_10_00_00>(factor)),
            up: _mm512_sub_epi32(zeros, _mm512_set1_epi32(8)),
        }
    }

    /// [`crate::Reciprocal::context_q16`] of sums of at most 127 times the total.
    #[inline]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    pub(in crate::x86::avx512) fn context(self, acc: __m512i) -> __m512i {
        let acc = shift_left(acc, self.up);
        let even = _mm512_mul_epi32(acc, self.factor);
        let odd = _mm512_mul_epi32(_mm512_srli_epi64::<32>(acc), self.factor);
        let high = upper_halves(even, odd);
        // The product took the factor for signed: 2^32 times the sum is missing.
        let high = _mm512_mask_add_epi32(high, self.top, high, acc);
        _mm512_srai_epi32::<7>(_mm512_add_epi32(high, _mm512_set1_epi32(1 << 6)))
    }
}

/// From means to the input of a map.
#[derive(Clone, Copy)]
pub(super) struct Output(pub(super) Single);

impl Output {
    /// Stores the results of four heads of `width` channels; `acc` are of the quads from `first` on, four channels of
    /// each head. What does not fit belongs to heads that do not exist.
    #[inline]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    pub(super) fn store<const T: usize>(
        self,
        acc: [__m512i; T],
        reciprocals: Reciprocals,
        context: &mut [i8],
        (first, width): (usize, usize),
    ) {
        let result = |acc| self.0.apply(reciprocals.context(acc));
        match *acc.as_slice() {
            [a] if width == 4 => {
                let lanes = _mm512_max_epi32(result(a), _mm512_set1_epi32(-127));
                let bytes = _mm_xor_si128(_mm512_cvtsepi32_epi8(lanes), _mm_set1_epi8(-128));
                match context.first_chunk_mut() {
                    Some(context) => store_bytes(context, bytes),
                    None => some(context, _mm512_castsi128_si512(bytes)),
                }
            }
            [a, b] if width == 8 => {
                let words = _mm512_packs_epi32(result(a), result(b));
                let bytes = _mm256_max_epi8(_mm512_cvtsepi16_epi8(words), _mm256_set1_epi8(-127));
                let bytes = _mm256_xor_si256(bytes, _mm256_set1_epi8(-128));
                match context.first_chunk_mut() {
                    Some(context) => store_half(context, bytes),
                    None => some(context, _mm512_castsi256_si512(bytes)),
                }
            }
            [a, b, c, d] if width == 16 => {
                let bytes = inputs([result(a), result(b), result(c), result(d)]);
                match context.first_chunk_mut() {
                    Some(context) => store_whole(context, bytes),
                    None => some(context, bytes),
                }
            }
            _ => {
                for (index, acc) in acc.chunks(4).enumerate() {
                    let of = |quad: usize| match acc.get(quad) {
                        Some(&acc) => result(acc),
                        None => _mm512_setzero_si512(),
                    };
                    let mut heads = [0; 64];
                    store_whole(&mut heads, inputs([of(0), of(1), of(2), of(3)]));
                    for (head, channels) in heads.as_chunks::<16>().0.iter().enumerate() {
                        let first = head * width + 4 * first + 16 * index;
                        let channels = channels.get(..4 * acc.len()).unwrap_or_default();
                        copy(context.get_mut(first..).unwrap_or_default(), channels);
                    }
                }
            }
        }
    }
}

/// Four channels by four of every head as the input of a map, sixteen of a head in a row.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn inputs([a, b, c, d]: [__m512i; 4]) -> __m512i {
    let bytes = _mm512_packs_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
    let bytes = _mm512_max_epi8(bytes, _mm512_set1_epi8(-127));
    _mm512_xor_si512(bytes, _mm512_set1_epi8(-128))
}

/// As many bytes as fit: the last group of heads is not full.
#[cold]
#[inline(never)]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn some(context: &mut [i8], bytes: __m512i) {
    let mut whole = [0; 64];
    store_whole(&mut whole, bytes);
    copy(context, &whole);
}

/// As many of `from` as fit.
fn copy(to: &mut [i8], from: &[i8]) {
    match to.get_mut(..from.len()) {
        Some(to) => to.copy_from_slice(from),
        None => to.copy_from_slice(from.get(..to.len()).unwrap_or_default()),
    }
}
