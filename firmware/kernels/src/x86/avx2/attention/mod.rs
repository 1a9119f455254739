//! Attention of one token over the window, one head after the other, eight places or channels at a time.

mod means;
mod rings;

use core::arch::x86_64::*;
use core::num::NonZeroU32;

#[cfg(test)]
pub(super) use means::Means;
pub(super) use rings::ring_bytes;

#[cfg(not(test))]
use means::Means;
use means::Output;
use rings::{Ring, WIDTH_MAX, store_key, store_value};

use super::Avx2With;
use super::memory::{Half, load_i32, store_i16, store_i32};
use super::numbers::{Single, add_i32};
use super::packed::ROWS;
use super::product::accumulate;
use super::softmax;
use crate::simd::biases::{BiasLayout, Biases, portable};
use crate::simd::packed::{PAIR, QUAD};
use crate::{Attention, MASKED_LOGIT, Place, Requant, Shape, Watch};

/// Largest magnitude of a logit that is not masked.
const LOGIT_MAX: i32 = 1 << 30;

impl<const DOT: u8> BiasLayout for Avx2With<DOT> {
    const HEADS: usize = 1;
    const PLACES: usize = ROWS;

    fn takes(shape: Shape, _: Requant) -> bool {
        shape.width <= WIDTH_MAX && shape.window > 0
    }
}

/// [`crate::Kernels::attend`].
#[target_feature(enable = "avx2,fma")]
pub(super) fn run<const DOT: u8>(
    mut attention: Attention<'_, Biases<'_, Avx2With<DOT>>>,
    mut watch: Option<&mut Watch<'_>>,
) {
    let Some(biases) = attention.biases.falling else {
        return portable(&mut attention, watch);
    };
    let Attention {
        shape,
        place,
        logit,
        output,
        qkv,
        keys,
        values,
        sums,
        weights,
        means,
        ..
    } = attention;
    let (window, width) = (shape.window.max(1), shape.width.max(1));
    let ring = Ring::new(shape);
    let (Some(sums), Some(weights)) = (sums.get_mut(..ring.places), weights.get_mut(..ring.places))
    else {
        return;
    };
    let scores = Scores {
        factor: Single::new(logit, (width as u64).saturating_mul(127 * 127)),
        place,
        window,
    };
    let output = Output::new(output);
    let model = shape.heads.saturating_mul(width).max(1);
    let mut parts = qkv.chunks_exact(model);
    let token = [parts.next(), parts.next(), parts.next()].map(Option::unwrap_or_default);
    let mut token = token.map(|part| part.chunks_exact(width));
    let mut keys = halves(keys).chunks_exact_mut(ring.keys().max(1));
    let mut values = halves(values).chunks_exact_mut(ring.values().max(1));
    let mut biases = biases.chunks_exact(16 * Avx2With::<DOT>::bias_lines(window));
    let heads = means.chunks_exact_mut(width).take(shape.heads);
    for (head, means) in heads.enumerate() {
        let [query, key, value] = token.each_mut().map(|part| part.next().unwrap_or_default());
        let (Some(keys), Some(values), Some(biases)) = (keys.next(), values.next(), biases.next())
        else {
            return;
        };
        store_key(keys, ring.quads, place.index, key);
        store_value(values, ring.places, place.index, value);
        let most = scores.logits::<DOT>(keys, query, biases, sums);
        let total = scores.weights(sums, most, weights);
        average::<DOT>(values, weights, (Means::new(total), output), means);
        if let Some(watch) = &mut watch {
            watch(head, weights.get(..window).unwrap_or_default(), total.get());
        }
    }
}

/// A ring in halves.
fn halves(ring: &mut [i8]) -> &mut [Half] {
    bytemuck::must_cast_slice_mut(ring.as_chunks_mut::<{ size_of::<Half>() }>().0)
}

/// What is the same for all heads of a layer.
#[derive(Clone, Copy)]
struct Scores {
    factor: Single,
    place: Place,
    window: usize,
}

impl Scores {
    /// The logits of all places, and the largest of eight lanes.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn logits<const DOT: u8>(
        self,
        keys: &[Half],
        query: &[i8],
        biases: &[i32],
        logits: &mut [i32],
    ) -> __m256i {
        let mut quads = [[0; QUAD]; WIDTH_MAX / QUAD];
        for (quad, channels) in quads.iter_mut().zip(query.chunks(QUAD)) {
            for (byte, &channel) in quad.iter_mut().zip(channels) {
                *byte = channel.cast_unsigned();
            }
        }
        let quads = quads.get(..query.len().div_ceil(QUAD)).unwrap_or_default();
        let first = self
            .window
            .saturating_sub(self.place.index.saturating_add(1));
        let biases = biases
            .get(first..)
            .unwrap_or_default()
            .as_chunks::<ROWS>()
            .0;
        let blocks = keys.chunks_exact(quads.len().max(1)).zip(biases);
        let mut most = _mm256_set1_epi32(MASKED_LOGIT);
        let logits = logits.as_chunks_mut::<ROWS>().0;
        for (block, (logits, (keys, biases))) in logits.iter_mut().zip(blocks).enumerate() {
            let mut product = [_mm256_setzero_si256()];
            for (quad, key) in quads.iter().zip(keys.as_chunks::<1>().0) {
                accumulate::<DOT, QUAD, 1>(&mut product, quad, key);
            }
            let logit = add_i32(self.factor.apply(product[0]), load_i32(biases));
            let logit = _mm256_min_epi32(logit, _mm256_set1_epi32(LOGIT_MAX));
            let logit = _mm256_max_epi32(logit, _mm256_set1_epi32(-LOGIT_MAX));
            let (_, held) = self.places(block);
            let masked = _mm256_set1_epi32(MASKED_LOGIT);
            let logit = _mm256_blendv_epi8(masked, logit, held);
            most = _mm256_max_epi32(most, logit);
            store_i32(logits, logit);
        }
        most
    }

    /// Which places of a block of eight there are, and which of them hold a memory, as masks.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn places(self, block: usize) -> (__m256i, __m256i) {
        let splat = |x: usize| _mm256_set1_epi32(x as i32);
        let places = _mm256_add_epi32(
            splat(ROWS.wrapping_mul(block)),
            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7),
        );
        let there = _mm256_cmpgt_epi32(splat(self.window), places);
        let age = _mm256_sub_epi32(splat(self.place.index), places);
        let wrapped = _mm256_and_si256(_mm256_srai_epi32::<31>(age), splat(self.window));
        let age = _mm256_add_epi32(age, wrapped);
        let young = _mm256_cmpgt_epi32(splat(self.place.filled), age);
        (there, _mm256_and_si256(there, young))
    }

    /// [`crate::attention_weights`]; nothing at places that do not exist.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn weights(self, logits: &[i32], most: __m256i, weights: &mut [i16]) -> NonZeroU32 {
        let most = all_lanes(most, |a, b| _mm256_max_epi32(a, b));
        let mut total = _mm256_setzero_si256();
        let blocks = logits.as_chunks::<ROWS>().0.iter();
        let weights = weights.as_chunks_mut::<ROWS>().0;
        for (block, (weights, logits)) in weights.iter_mut().zip(blocks).enumerate() {
            let weight = softmax::weights(_mm256_sub_epi32(most, load_i32(logits)));
            let (there, _) = self.places(block);
            let weight = _mm256_and_si256(weight, there);
            total = _mm256_add_epi32(total, weight);
            let words = _mm_packs_epi32(
                _mm256_castsi256_si128(weight),
                _mm256_extracti128_si256::<1>(weight),
            );
            store_i16(weights, words);
        }
        let total = all_lanes(total, |a, b| _mm256_add_epi32(a, b));
        let total = _mm_cvtsi128_si32(_mm256_castsi256_si128(total)).cast_unsigned();
        NonZeroU32::new(total).unwrap_or(NonZeroU32::MIN)
    }
}

/// `join` over all lanes, in every lane.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn all_lanes(x: __m256i, join: impl Fn(__m256i, __m256i) -> __m256i) -> __m256i {
    let x = join(x, _mm256_permute4x64_epi64::<0b01_00_11_10>(x));
    let x = join(x, _mm256_shuffle_epi32::<0b01_00_11_10>(x));
    join(x, _mm256_shuffle_epi32::<0b10_11_00_01>(x))
}

/// The requantized weighted means of one head.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn average<const DOT: u8>(
    values: &[Half],
    weights: &[i16],
    (reciprocal, output): (Means, Output),
    means: &mut [i8],
) {
    let pairs: &[[u8; 4]] = bytemuck::must_cast_slice(weights.as_chunks::<2>().0);
    let columns = values.chunks_exact(pairs.len().max(1));
    for (column, means) in columns.zip(means.chunks_mut(ROWS)) {
        // Two sums, so that one product does not wait for another; the places are a multiple of eight.
        let mut sums = [[_mm256_setzero_si256()]; 2];
        let twos = pairs
            .as_chunks::<2>()
            .0
            .iter()
            .zip(column.as_chunks::<2>().0);
        for (weights, values) in twos {
            for ((sums, weights), values) in sums.iter_mut().zip(weights).zip(values) {
                accumulate::<DOT, PAIR, 1>(sums, weights, core::array::from_ref(values));
            }
        }
        let sum = _mm256_add_epi32(sums[0][0], sums[1][0]);
        output.store(reciprocal.of(sum), means);
    }
}
