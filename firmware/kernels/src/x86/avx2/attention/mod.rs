//! Attention of one token over the window, one head after the other, eight positions or channels at a time.

mod context;
mod kv_cache;

use core::arch::x86_64::*;
use core::num::NonZeroU32;

pub(super) use context::Reciprocals;
use kv_cache::{Ring, store_key, store_value};

use super::Avx2With;
use super::memory::{Half, load_i32, store_i16, store_i32};
use super::packed::ROWS;
use super::product::accumulate;
use super::requant::Single;
use super::softmax;
use crate::simd::biases::{AttentionLayout, Biases};
use crate::simd::packed::{PAIR, QUAD};
use crate::x86::prescale::{MEAN_MAX, Prescale};
use crate::{Attention, CachePosition, HeadHook, MASKED_LOGIT, Requant, Shape};

/// Most channels of a head.
const WIDTH: usize = 256;

/// Largest magnitude of a product of query and key.
const PRODUCT_MAX: u64 = 127 * 127 * WIDTH as u64;

impl<const DOT: u8> AttentionLayout for Avx2With<DOT> {
    const WIDTH: usize = WIDTH;
    const CHANNELS: usize = 1;
    const HEADS: usize = 1;
    const PLACES: usize = ROWS;

    fn kv_bytes(shape: Shape) -> [usize; 2] {
        let ring = Ring::new(shape);
        let bytes = shape.heads.saturating_mul(size_of::<Half>());
        [ring.keys(), ring.values()].map(|halves| bytes.saturating_mul(halves))
    }

    /// Scaled up until its upper half is enough, and down again, no logit is larger than `2^29`: with a bias, none has to be
    /// limited.
    fn takes(logit: Requant) -> bool {
        Prescale::of(logit.shift, PRODUCT_MAX).is_some()
    }
}

/// [`crate::Kernels::attend`].
#[target_feature(enable = "avx2,fma")]
pub(super) fn run<const DOT: u8>(
    attention: Attention<'_, Biases<'_, Avx2With<DOT>>>,
    falling: &[i32],
    mut hook: Option<&mut HeadHook<'_>>,
) {
    let Attention {
        shape,
        position,
        logit,
        output,
        qkv,
        keys,
        values,
        acc,
        probabilities,
        context,
        ..
    } = attention;
    let (window, width) = (shape.window.max(1), shape.width.max(1));
    let ring = Ring::new(shape);
    let (Some(acc), Some(probabilities)) = (
        acc.get_mut(..ring.positions),
        probabilities.get_mut(..ring.positions),
    ) else {
        return;
    };
    let scores = Scores {
        factor: Single::new(logit, PRODUCT_MAX),
        position,
        window,
    };
    let output = Single::new(output, MEAN_MAX);
    let model = shape.heads.saturating_mul(width).max(1);
    let mut parts = qkv.chunks_exact(model);
    let token = [parts.next(), parts.next(), parts.next()].map(Option::unwrap_or_default);
    let mut token = token.map(|part| part.chunks_exact(width));
    let mut keys = halves(keys).chunks_exact_mut(ring.keys().max(1));
    let mut values = halves(values).chunks_exact_mut(ring.values().max(1));
    let mut biases = falling.chunks_exact(16 * Avx2With::<DOT>::bias_lines(window));
    let heads = context.chunks_exact_mut(width).take(shape.heads);
    for (head, context) in heads.enumerate() {
        let [query, key, value] = token.each_mut().map(|part| part.next().unwrap_or_default());
        let (Some(keys), Some(values), Some(biases)) = (keys.next(), values.next(), biases.next())
        else {
            return;
        };
        store_key(keys, ring.quads, position.index, key);
        store_value(values, ring.positions, position.index, value);
        let most = scores.logits::<DOT>(keys, query, biases, acc);
        let total = weigh(acc, most, probabilities);
        average::<DOT>(
            values,
            probabilities,
            (Reciprocals::new(total), output),
            context,
        );
        if let Some(hook) = &mut hook {
            hook(
                head,
                probabilities.get(..window).unwrap_or_default(),
                total.get(),
            );
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
    position: CachePosition,
    window: usize,
}

impl Scores {
    /// The logits of all positions, and the largest of eight lanes.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn logits<const DOT: u8>(
        self,
        keys: &[Half],
        query: &[i8],
        biases: &[i32],
        logits: &mut [i32],
    ) -> __m256i {
        let mut quads = [[0; QUAD]; WIDTH / QUAD];
        for (quad, channels) in quads.iter_mut().zip(query.chunks(QUAD)) {
            for (byte, &channel) in quad.iter_mut().zip(channels) {
                *byte = channel.cast_unsigned();
            }
        }
        let quads = quads.get(..query.len().div_ceil(QUAD)).unwrap_or_default();
        let first = self
            .window
            .saturating_sub(self.position.index.saturating_add(1));
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
            let logit = _mm256_add_epi32(self.factor.apply(product[0]), load_i32(biases));
            let masked = _mm256_set1_epi32(MASKED_LOGIT);
            let logit = _mm256_blendv_epi8(masked, logit, self.present(block));
            most = _mm256_max_epi32(most, logit);
            store_i32(logits, logit);
        }
        most
    }

    /// Which positions of a block of eight hold a memory, as a mask.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn present(self, block: usize) -> __m256i {
        let splat = |x: usize| _mm256_set1_epi32(x as i32);
        let positions = _mm256_add_epi32(
            splat(ROWS.wrapping_mul(block)),
            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7),
        );
        let there = _mm256_cmpgt_epi32(splat(self.window), positions);
        let age = _mm256_sub_epi32(splat(self.position.index), positions);
        let wrapped = _mm256_and_si256(_mm256_srai_epi32::<31>(age), splat(self.window));
        let age = _mm256_add_epi32(age, wrapped);
        let young = _mm256_cmpgt_epi32(splat(self.position.filled), age);
        _mm256_and_si256(there, young)
    }
}

/// [`crate::attention_probabilities`] of logits of which at least one is not masked: nothing at positions that do not exist.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn weigh(logits: &[i32], most: __m256i, probabilities: &mut [i16]) -> NonZeroU32 {
    let most = all_lanes(most, |a, b| _mm256_max_epi32(a, b));
    let mut total = _mm256_setzero_si256();
    let probabilities = probabilities.as_chunks_mut::<ROWS>().0;
    for (probabilities, logits) in probabilities.iter_mut().zip(logits.as_chunks::<ROWS>().0) {
        let probability = softmax::probabilities(_mm256_sub_epi32(most, load_i32(logits)));
        total = _mm256_add_epi32(total, probability);
        let words = _mm_packs_epi32(
            _mm256_castsi256_si128(probability),
            _mm256_extracti128_si256::<1>(probability),
        );
        store_i16(probabilities, words);
    }
    let total = all_lanes(total, |a, b| _mm256_add_epi32(a, b));
    let total = _mm_cvtsi128_si32(_mm256_castsi256_si128(total)).cast_unsigned();
    NonZeroU32::new(total).unwrap_or(NonZeroU32::MIN)
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
    probabilities: &[i16],
    (reciprocals, output): (Reciprocals, Single),
    context: &mut [i8],
) {
    let pairs: &[[u8; 4]] = bytemuck::must_cast_slice(probabilities.as_chunks::<2>().0);
    let columns = values.chunks_exact(pairs.len().max(1));
    for (column, context) in columns.zip(context.chunks_mut(ROWS)) {
        // Two sums, so that one product does not wait for another; the positions are a multiple of eight.
        let mut acc = [[_mm256_setzero_si256()]; 2];
        let twos = pairs
            .as_chunks::<2>()
            .0
            .iter()
            .zip(column.as_chunks::<2>().0);
        for (probabilities, values) in twos {
            for ((acc, probabilities), values) in acc.iter_mut().zip(probabilities).zip(values) {
                accumulate::<DOT, PAIR, 1>(acc, probabilities, core::array::from_ref(values));
            }
        }
        let sum = _mm256_add_epi32(acc[0][0], acc[1][0]);
        context::store(reciprocals.context(sum), output, context);
    }
}
