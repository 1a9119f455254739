//! Four heads at a time: 128 bits of a register belong to one head, and hold four places or channels.

use core::arch::x86_64::*;

use super::super::numbers::{High, load, load_i32};
use super::super::softmax::Exponential;
use super::places::Places;
use super::rings::{Quads, insert_keys, insert_values};
use crate::{Line, MASKED_LOGIT, Place};

/// What is the same for all heads of a layer.
pub(super) struct Common<P> {
    pub(super) place: Place,
    pub(super) present: P,
    pub(super) logit: High,
    pub(super) exponential: Exponential,
    /// Quads of places.
    pub(super) places: usize,
    /// Quads of channels of a head.
    pub(super) quads: usize,
}

/// The token and the rings of four heads.
pub(super) struct Group<'a, const Q: usize, const EXACT: bool> {
    /// Query, key and value.
    pub(super) token: [Quads<'a, Q, EXACT>; 3],
    /// Biases by falling age, the first for place 0: four heads of one age side by side.
    pub(super) biases: &'a [i32],
    pub(super) keys: &'a mut [Line],
    pub(super) values: &'a mut [Line],
    /// Where lines begin that are read soon after attention.
    pub(super) behind: *const Line,
}

/// What comes out of four heads.
pub(super) struct Attended<const N: usize, const Q: usize> {
    /// Weights of the quads of places.
    pub(super) weights: [__m512i; N],
    /// Their totals, in all lanes of a head.
    pub(super) totals: __m512i,
    /// Weighted sums of the quads of channels.
    pub(super) sums: [__m512i; Q],
}

impl<const N: usize, const Q: usize> Attended<N, Q> {
    /// For rings that are too short.
    #[cold]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    fn nothing() -> Self {
        let zero = _mm512_setzero_si512();
        Self {
            weights: [zero; N],
            totals: _mm512_set1_epi32(1),
            sums: [zero; Q],
        }
    }
}

/// Attention of four heads, with at most `N` quads of places and `Q` quads of channels; exactly so many
/// if `EXACT`.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn attend<const N: usize, const Q: usize, const EXACT: bool, P: Places>(
    common: &Common<P>,
    group: Group<'_, Q, EXACT>,
) -> Attended<N, Q> {
    let (places, quads) = if EXACT {
        (N, Q)
    } else {
        (common.places.min(N), common.quads.clamp(1, Q))
    };
    let [query, key, value] = group.token;
    insert_keys(group.keys, common.place, quads, key);
    insert_values(group.values, common.place, quads, value);
    let (Some(keys), Some(values), Some(biases)) = (
        group.keys.get(..places * quads),
        group.values.get(..places * quads),
        group.biases.get(..places * 16),
    ) else {
        return Attended::nothing();
    };
    let logits = logits::<N, Q, EXACT, P>(common, keys, quads, query, biases);
    fetch::<N, Q>(group.behind);
    let (weights, totals) = softmax::<N, Q, P>(common, logits, places);
    Attended {
        weights,
        totals: across(totals, |a, b| _mm512_add_epi32(a, b)),
        sums: sums::<N, Q, P>(&weights, values, quads),
    }
}

/// Lines that are fetched while a group is computed: attention leaves the second-level cache idle. A
/// small group is over before they are here, a large one needs the first-level cache for itself.
pub(super) const fn ahead<const N: usize, const Q: usize>() -> usize {
    match N * Q {
        14..32 => 80,
        32.. if N <= 16 => 128,
        _ => 0,
    }
}

/// Asks for lines that will be read.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn fetch<const N: usize, const Q: usize>(first: *const Line) {
    for line in 0..ahead::<N, Q>() {
        _mm_prefetch::<_MM_HINT_T0>(first.wrapping_add(line).cast());
    }
}

/// `f` of the four lanes of a head, in all of them.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn across(x: __m512i, f: impl Fn(__m512i, __m512i) -> __m512i) -> __m512i {
    let x = f(x, _mm512_shuffle_epi32::<0b01_00_11_10>(x));
    f(x, _mm512_shuffle_epi32::<0b10_11_00_01>(x))
}

/// Logits of all places; [`MASKED_LOGIT`] where there is no memory.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn logits<const N: usize, const Q: usize, const EXACT: bool, P: Places>(
    common: &Common<P>,
    keys: &[Line],
    quads: usize,
    query: Quads<'_, Q, EXACT>,
    biases: &[i32],
) -> [__m512i; N] {
    let zero = _mm512_setzero_si512();
    let mut queries = [zero; Q];
    // Keys are stored with 128 added: 128 * sum(query) too much.
    let mut starts = [zero; 2];
    for (quad, place) in queries.iter_mut().enumerate().take(quads) {
        *place = query.spread(quad);
        let negative = _mm512_sub_epi8(zero, *place);
        let start = &mut starts[quad % 2];
        *start = _mm512_dpbusd_epi32(*start, _mm512_set1_epi8(-128), negative);
    }
    let start = _mm512_add_epi32(starts[0], starts[1]);
    let transposed = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    let masked = _mm512_set1_epi32(MASKED_LOGIT);
    let mut logits = [masked; N];
    let places = keys.chunks_exact(quads).zip(biases.as_chunks::<16>().0);
    for (quad, (logit, (lines, bias))) in logits.iter_mut().zip(places).enumerate() {
        let mut sum = start;
        for (line, &query) in lines.iter().zip(&queries) {
            sum = _mm512_dpbusd_epi32(sum, load(line), query);
        }
        let bias = _mm512_permutexvar_epi32(transposed, load_i32(bias));
        // Neither term is larger than 2^29: nothing is to be limited.
        let present = common.present.lanes(quad);
        *logit = _mm512_mask_add_epi32(masked, present, common.logit.apply(sum), bias);
    }
    logits
}

/// Weights of all places, and four sums of them for every head.
///
/// `Q` makes it have a single caller: only then is it inlined, and nothing goes through memory.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn softmax<const N: usize, const Q: usize, P>(
    common: &Common<P>,
    logits: [__m512i; N],
    places: usize,
) -> ([__m512i; N], __m512i) {
    let mut max = [_mm512_set1_epi32(MASKED_LOGIT); 2];
    for (index, &logit) in logits.iter().enumerate().take(places) {
        max[index % 2] = _mm512_max_epi32(max[index % 2], logit);
    }
    let max = across(_mm512_max_epi32(max[0], max[1]), |a, b| {
        _mm512_max_epi32(a, b)
    });
    let mut totals = _mm512_setzero_si512();
    let mut weights = logits;
    for weight in weights.iter_mut().take(places) {
        *weight = common.exponential.weights(_mm512_sub_epi32(max, *weight));
        totals = _mm512_add_epi32(totals, *weight);
    }
    (weights, totals)
}

/// Weighted sums of the values: a weight of 15 bits is two unsigned bytes.
// `P`: a function of its own for every caller, or it is not inlined.
#[allow(clippy::extra_unused_type_parameters)]
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn sums<const N: usize, const Q: usize, P>(
    weights: &[__m512i; N],
    values: &[Line],
    quads: usize,
) -> [__m512i; Q] {
    let low = _mm512_set4_epi32(0x0c08_0400, 0x0c08_0400, 0x0c08_0400, 0x0c08_0400);
    let high = _mm512_set4_epi32(0x0d09_0501, 0x0d09_0501, 0x0d09_0501, 0x0d09_0501);
    let mut low_sums = [_mm512_setzero_si512(); Q];
    let mut high_sums = low_sums;
    for (&weight, lines) in weights.iter().zip(values.chunks_exact(quads)) {
        let low = _mm512_shuffle_epi8(weight, low);
        let high = _mm512_shuffle_epi8(weight, high);
        let sums = low_sums.iter_mut().zip(&mut high_sums);
        for (line, (low_sum, high_sum)) in lines.iter().zip(sums) {
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
