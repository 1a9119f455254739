//! Four heads at a time: 128 bits of a register belong to one head, and hold four positions or channels.
//!
//! Logits and weights go through memory: a loop over any number of positions is then as fast as one of a fixed length, for
//! nothing waits for what was just written but the loops' own ends.

use core::arch::x86_64::*;

use super::super::requant::{High, Room, fill, load, load_i32, room};
use super::super::softmax::Exponential;
use super::kv_cache::Quads;
use super::positions::Present;
use crate::{CacheLine, MASKED_LOGIT};

/// What is the same for all heads of a layer.
pub(super) struct Common {
    pub(super) present: Present,
    pub(super) logit: High,
    pub(super) exponential: Exponential,
    /// Quads of channels of a head.
    pub(super) quads: usize,
}

/// How much four heads weigh every position.
pub(super) struct Weights<'a> {
    /// Of the quads of positions.
    pub(super) positions: &'a [__m512i],
    /// Their totals, in all lanes of a head.
    pub(super) totals: __m512i,
}

impl<'a> Weights<'a> {
    /// Of logits, of which the largest of every lane are `max`; the probabilities take their place.
    #[inline]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    pub(super) fn new(common: &Common, logits: &'a mut [__m512i], max: __m512i) -> Self {
        let max = across(max, |a, b| _mm512_max_epi32(a, b));
        let mut totals = _mm512_setzero_si512();
        for probability in &mut *logits {
            *probability = common
                .exponential
                .probabilities(_mm512_sub_epi32(max, *probability));
            totals = _mm512_add_epi32(totals, *probability);
        }
        Self {
            positions: logits,
            totals: across(totals, |a, b| _mm512_add_epi32(a, b)),
        }
    }

    /// Weighted sums of `T` quads of the values from `first` on, of `quads`: a weight of 15 bits is two unsigned bytes.
    #[inline]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    pub(super) fn acc<const T: usize>(
        &self,
        values: &[CacheLine],
        first: usize,
        quads: usize,
    ) -> [__m512i; T] {
        let low = _mm512_set4_epi32(0x0c08_0400, 0x0c08_0400, 0x0c08_0400, 0x0c08_0400);
        let high = _mm512_set4_epi32(0x0d09_0501, 0x0d09_0501, 0x0d09_0501, 0x0d09_0501);
        let mut low_sums = [_mm512_setzero_si512(); T];
        let mut high_sums = low_sums;
        for (&probability, lines) in self.positions.iter().zip(values.chunks_exact(quads)) {
            let low = _mm512_shuffle_epi8(probability, low);
            let high = _mm512_shuffle_epi8(probability, high);
            let acc = low_sums.iter_mut().zip(&mut high_sums);
            let lines = lines.get(first..).unwrap_or_default();
            for (line, (low_sum, high_sum)) in lines.iter().zip(acc) {
                let line = load(line);
                *low_sum = _mm512_dpbusd_epi32(*low_sum, low, line);
                *high_sum = _mm512_dpbusd_epi32(*high_sum, high, line);
            }
        }
        for (low_sum, &high_sum) in low_sums.iter_mut().zip(&high_sums) {
            *low_sum = _mm512_add_epi32(*low_sum, _mm512_slli_epi32::<8>(high_sum));
        }
        low_sums
    }
}

/// Lines that are fetched while a group of heads with so many quads of positions and of channels is computed: attention
/// leaves the second-level cache idle. A small group is over before they are here, a large one needs the first-level
/// cache for itself.
pub(super) const fn ahead(positions: usize, quads: usize) -> usize {
    match positions.saturating_mul(quads) {
        14..32 => 80,
        32.. if positions <= 16 => 128,
        _ => 0,
    }
}

/// Asks for lines that will be read, a multiple of eight, and returns where they end.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn fetch(first: *const CacheLine, count: usize) -> *const CacheLine {
    let mut line = first;
    for _ in 0..count / 8 {
        for next in 0..8 {
            _mm_prefetch::<_MM_HINT_T0>(line.wrapping_add(next).cast());
        }
        line = line.wrapping_add(8);
    }
    line
}

/// `f` of the four lanes of a head, in all of them.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn across(x: __m512i, f: impl Fn(__m512i, __m512i) -> __m512i) -> __m512i {
    let x = f(x, _mm512_shuffle_epi32::<0b01_00_11_10>(x));
    f(x, _mm512_shuffle_epi32::<0b10_11_00_01>(x))
}

/// Logits of all positions, [`MASKED_LOGIT`] where there is no memory, and the largest of every lane. Biases lie by falling
/// age, the first for position 0: four heads of one age side by side.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn logits<'a, const Q: usize, const EXACT: bool>(
    common: &Common,
    query: Quads<'_, Q, EXACT>,
    (keys, biases): (&[CacheLine], &[i32]),
    logits: &'a mut Room,
) -> (&'a mut [__m512i], __m512i) {
    let zero = _mm512_setzero_si512();
    // Keys are stored with 128 added: 128 * sum(query) too much.
    let mut starts = [zero; 2];
    let mut queries = room::<Q>();
    let queries = fill(&mut queries, 0..common.quads, |quad| {
        let query = query.spread(quad);
        let negative = _mm512_sub_epi8(zero, query);
        let start = &mut starts[quad % 2];
        *start = _mm512_dpbusd_epi32(*start, _mm512_set1_epi8(-128), negative);
        query
    });
    let start = _mm512_add_epi32(starts[0], starts[1]);
    let transposed = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    let masked = _mm512_set1_epi32(MASKED_LOGIT);
    let mut max = masked;
    let positions = keys
        .chunks_exact(common.quads)
        .zip(biases.as_chunks::<16>().0);
    let logits = fill(
        logits,
        positions.zip(common.present),
        |((lines, bias), present)| {
            let mut acc = [start, zero];
            for (quad, (line, &query)) in lines.iter().zip(&*queries).enumerate() {
                let sum = &mut acc[quad % 2];
                *sum = _mm512_dpbusd_epi32(*sum, load(line), query);
            }
            let sum = _mm512_add_epi32(acc[0], acc[1]);
            let bias = _mm512_permutexvar_epi32(transposed, load_i32(bias));
            // Neither term is larger than 2^29: nothing is to be limited.
            let logit = _mm512_mask_add_epi32(masked, present, common.logit.apply(sum), bias);
            max = _mm512_max_epi32(max, logit);
            logit
        },
    );
    (logits, max)
}
