//! Attention of one token over the window.
//!
//! Keys lie as `[head][place / 16][channel / 4][16][4]`, as `k + 128`: a line holds four channels of
//! sixteen places. Values of heads of up to eight channels lie as `[head][place / 8][8][8]`, of wider
//! ones as `[head][channel / 16][place / 4][16][4]`. A weight of 15 bits is two unsigned bytes.
//!
//! Shapes and biases that this does not fit are left to [`crate::Portable`].

mod means;
mod rings;

use core::arch::x86_64::*;
use core::num::{NonZeroU32, NonZeroUsize};

use super::numbers::{High, Prescale, load, load_i32, store, store_bytes, store_i32};
use super::softmax::Exponential;
use crate::{
    Attention, HeadView, Kernels, Line, MASKED_LOGIT, Place, Portable, Reciprocal, Requant, Shape,
    ValueOrder, Watch,
};
use means::{Output, narrow_means, narrow_sums, wide_means, wide_sums};
use rings::{insert_key, insert_value};

/// Places of a block of keys.
const BLOCK: usize = 16;
/// Blocks of places of the longest window that is kept in registers and on the stack.
const BLOCKS: usize = 32;
/// Channels of the widest head.
const WIDTH: usize = 128;
/// Largest magnitude of a bias: with any logit its sum stays in an i32.
const BIAS_MAX: u32 = 1 << 30;

/// Largest magnitude of a product of query and key. Scaled up until its upper half is enough, and down
/// again, no logit is larger than `2^30`.
const PRODUCT_MAX: u64 = 127 * 127 * WIDTH as u64;

/// What attention of one layer needs besides the rings.
#[derive(Clone, Copy, Debug)]
pub struct Biases<'a> {
    /// Age biases as in the image.
    image: &'a [[u8; 4]],
    /// `[head][row]` i32: biases by falling age, twice in a row, so that the ages of all places of a
    /// ring lie in a row wherever it stands. `None`: left to [`Portable`].
    falling: Option<&'a [i32]>,
}

/// i32 of one head in [`Biases::falling`].
const fn row(window: usize) -> usize {
    window
        .saturating_mul(2)
        .saturating_add(BLOCK)
        .next_multiple_of(BLOCK)
}

const fn fits(shape: Shape) -> bool {
    shape.width.is_multiple_of(4)
        && shape.width <= WIDTH
        && shape.width > 0
        && shape.window <= BLOCKS * BLOCK
        && shape.window > 0
}

/// Lines of the keys of one head.
const fn key_lines(shape: Shape) -> usize {
    shape.window.div_ceil(BLOCK).saturating_mul(shape.width / 4)
}

/// Lines of the values of one head.
const fn value_lines(shape: Shape) -> usize {
    if shape.width <= 8 {
        shape.window.div_ceil(8)
    } else {
        let lines = shape.window.div_ceil(4);
        lines.saturating_mul(shape.width.div_ceil(16))
    }
}

/// [`Kernels::key_bytes`].
pub(super) fn key_bytes(shape: Shape) -> usize {
    if !fits(shape) {
        return Portable.key_bytes(shape);
    }
    key_lines(shape)
        .saturating_mul(shape.heads)
        .saturating_mul(64)
}

/// [`Kernels::value_bytes`].
pub(super) fn value_bytes(shape: Shape) -> usize {
    if !fits(shape) {
        return Portable.value_bytes(shape);
    }
    value_lines(shape)
        .saturating_mul(shape.heads)
        .saturating_mul(64)
}

impl<'a> Biases<'a> {
    /// Lines of the biases of one layer.
    pub(super) fn lines(shape: Shape) -> usize {
        row(shape.window).saturating_mul(shape.heads).div_ceil(16)
    }

    /// [`crate::Packing::pack_biases`].
    pub(super) fn pack(
        shape: Shape,
        logit: Requant,
        image: &'a [[u8; 4]],
        lines: &'a mut [Line],
    ) -> Option<Self> {
        let entries = shape.heads.checked_mul(shape.window)?;
        if lines.len() != Self::lines(shape) || !image.is_empty() && image.len() != entries {
            return None;
        }
        let small = |bias: &[u8; 4]| i32::from_le_bytes(*bias).unsigned_abs() <= BIAS_MAX;
        if !fits(shape)
            || Prescale::of(logit.shift, PRODUCT_MAX).is_none()
            || !image.iter().all(small)
        {
            let falling = None;
            return Some(Self { image, falling });
        }
        lines.fill(Line::ZERO);
        let falling = bytemuck::cast_slice_mut::<Line, i32>(lines);
        let rows = falling.chunks_exact_mut(row(shape.window));
        for (row, biases) in rows.zip(image.chunks_exact(shape.window)) {
            let biases = biases.iter().rev().cycle().take(2 * shape.window);
            for (place, &bias) in row.iter_mut().zip(biases) {
                *place = i32::from_le_bytes(bias);
            }
        }
        let falling = Some(&*falling);
        Some(Self { image, falling })
    }
}

/// [`Kernels::attend`].
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn run(attention: Attention<'_, Biases<'_>>, watch: Option<&mut Watch<'_>>) {
    let Some(falling) = attention.biases.falling else {
        return portable(attention, watch);
    };
    let quads = attention.shape.width / 4;
    let Some(watch) = watch else {
        // Head widths of 8 and 16 with windows of up to 64 have loops of fixed lengths.
        return match (attention.shape.window.div_ceil(BLOCK), quads) {
            (1, 2) => heads::<1, 2, _>(attention, falling, ()),
            (1, 4) => heads::<1, 4, _>(attention, falling, ()),
            (2, 2) => heads::<2, 2, _>(attention, falling, ()),
            (2, 4) => heads::<2, 4, _>(attention, falling, ()),
            (3 | 4, 2) => heads::<4, 2, _>(attention, falling, ()),
            (3 | 4, 4) => heads::<4, 4, _>(attention, falling, ()),
            (1..=4, _) => heads::<4, ANY, _>(attention, falling, ()),
            (5..=8, _) => heads::<8, ANY, _>(attention, falling, ()),
            (9..=16, _) => heads::<16, ANY, _>(attention, falling, ()),
            _ => heads::<BLOCKS, ANY, _>(attention, falling, ()),
        };
    };
    heads::<BLOCKS, ANY, _>(attention, falling, watch);
}

/// Who looks on: nobody, at no cost, or a [`Watch`].
trait Watcher {
    /// Whether anybody does.
    const WATCHES: bool;
    /// What a head attends to.
    fn see(&mut self, head: usize, view: &HeadView<'_>);
}

impl Watcher for () {
    const WATCHES: bool = false;
    fn see(&mut self, _head: usize, _view: &HeadView<'_>) {}
}

impl Watcher for &mut Watch<'_> {
    const WATCHES: bool = true;
    fn see(&mut self, head: usize, view: &HeadView<'_>) {
        self(head, view);
    }
}

/// Instead of a fixed number of quads of channels.
const ANY: usize = 0;

/// Attention as the reference does it; its result as the input of a map.
fn portable(attention: Attention<'_, Biases<'_>>, watch: Option<&mut Watch<'_>>) {
    let Attention { shape, .. } = attention;
    let model = shape.heads.saturating_mul(shape.width);
    let means = attention.means.get_mut(..model).unwrap_or_default();
    let plain = Attention {
        shape,
        place: attention.place,
        logit: attention.logit,
        output: attention.output,
        biases: attention.biases.image,
        qkv: attention.qkv,
        keys: attention.keys,
        values: attention.values,
        sums: attention.sums,
        weights: attention.weights,
        means: &mut *means,
    };
    Portable.attend(plain, watch);
    for mean in means {
        *mean ^= -128;
    }
}

/// Weights of one head: lower and upper bytes by place.
#[repr(C, align(64))]
struct Weights<const B: usize> {
    low: [[i8; BLOCK]; B],
    high: [[i8; BLOCK]; B],
}

/// What is the same for all heads of a layer.
struct Common<const B: usize> {
    /// Places that hold a memory, block by block.
    present: [__mmask16; B],
    logit: High,
    exponential: Exponential,
}

/// Takes the first `count` entries off a slice.
#[inline]
fn take<'a, T>(slice: &mut &'a mut [T], count: usize) -> Option<&'a mut [T]> {
    let (taken, rest) = core::mem::take(slice).split_at_mut_checked(count)?;
    *slice = rest;
    Some(taken)
}

/// All heads of a layer, with a window of at most `B` blocks and a width of `4 Q` (or [`ANY`]).
///
/// First every head's sums, then every head's reciprocal and means: the second part is one chain of
/// dependent operations per head, which the processor overlaps where nothing stands between.
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn heads<const B: usize, const Q: usize, W: Watcher>(
    attention: Attention<'_, Biases<'_>>,
    falling: &[i32],
    mut watch: W,
) {
    let Attention { shape, place, .. } = attention;
    let Some(logit) = High::new(attention.logit, PRODUCT_MAX) else {
        return;
    };
    let common = Common::<B> {
        present: present(place, shape.window),
        logit,
        exponential: Exponential::new(),
    };
    let width = if Q == ANY { shape.width } else { 4 * Q };
    let shape = Shape { width, ..shape };
    let blocks = width.div_ceil(16);
    let mut plain = [0; BLOCKS * BLOCK];
    let (Ok(mut keys), Ok(mut values), Ok(totals)) = (
        bytemuck::try_cast_slice_mut::<i8, Line>(attention.keys),
        bytemuck::try_cast_slice_mut::<i8, Line>(attention.values),
        bytemuck::try_cast_slice_mut::<i16, Line>(attention.weights),
    ) else {
        return;
    };
    let Some(start) = shape.window.checked_sub(place.index.saturating_add(1)) else {
        return;
    };
    let (key_lines, value_lines) = (key_lines(shape), value_lines(shape));
    let model = shape.heads.saturating_mul(width);
    let qkv = attention.qkv;
    let (sums, _) = attention.sums.as_chunks_mut::<16>();
    let mut free = &mut *sums;
    let mut weights = Weights::<B> {
        low: [[0; BLOCK]; B],
        high: [[0; BLOCK]; B],
    };
    for (head, total) in totals.iter_mut().enumerate().take(shape.heads) {
        let first = head * width;
        let (Some(query), Some(key), Some(value), Some(biases)) = (
            qkv.get(first..first + width),
            qkv.get(model + first..model + first + width),
            // Not cut at the end: blocks of channels are read whole.
            qkv.get(2 * model + first..),
            falling.get(head * row(shape.window) + start..),
        ) else {
            return;
        };
        let (Some(keys), Some(values), Some(sums)) = (
            take(&mut keys, key_lines),
            take(&mut values, value_lines),
            take(&mut free, blocks),
        ) else {
            return;
        };
        insert_key::<Q>(keys, place.index, key.as_chunks::<4>().0);
        let logits = logits::<B, Q>(&common, keys, query.as_chunks::<4>().0, biases);
        let all = softmax::<B>(&common, logits, &mut weights);
        store(total, all);
        if width <= 8 {
            insert_value::<8>(values, place.index, value);
            if let Some(sums) = sums.first_mut() {
                store_i32(sums, narrow_sums(values, &weights));
            }
        } else {
            let lines = shape.window.div_ceil(4);
            let mut values = &mut *values;
            for (value, sums) in value.chunks(16).zip(sums) {
                let Some(values) = take(&mut values, lines) else {
                    return;
                };
                insert_value::<4>(values, place.index, value);
                store_i32(sums, wide_sums(values, &weights));
            }
        }
        if W::WATCHES {
            let plain = plain.get_mut(..shape.window).unwrap_or_default();
            let total = sum(all);
            watch.see(head, &view(shape, &weights, plain, values, total));
        }
    }
    let output = Output::new(attention.output);
    let mut sums = &mut *sums;
    let mut means = attention.means;
    for total in totals.iter().take(shape.heads) {
        let reciprocal = Reciprocal::new(sum(load(total)));
        let (Some(sums), Some(mut means)) = (take(&mut sums, blocks), take(&mut means, width))
        else {
            return;
        };
        if width <= 8 {
            if let Some(sums) = sums.first() {
                narrow_means(&output, load_i32(sums), reciprocal, means);
            }
            continue;
        }
        for sums in sums {
            let channels = means.len().min(16);
            let Some(means) = take(&mut means, channels) else {
                return;
            };
            wide_means(&output, load_i32(sums), reciprocal, means);
        }
    }
}

/// The total of a head's weights.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn sum(totals: __m512i) -> NonZeroU32 {
    let total = _mm512_reduce_add_epi32(totals).cast_unsigned();
    NonZeroU32::new(total).unwrap_or(NonZeroU32::MIN)
}

/// What a head attends to, for whoever looks on.
#[cold]
fn view<'a, const B: usize>(
    shape: Shape,
    weights: &Weights<B>,
    plain: &'a mut [i16],
    values: &'a [Line],
    total: NonZeroU32,
) -> HeadView<'a> {
    let places = weights.low.as_flattened().iter();
    let places = places.zip(weights.high.as_flattened());
    for (plain, (&low, &high)) in plain.iter_mut().zip(places) {
        *plain = i16::from_le_bytes([low.cast_unsigned(), high.cast_unsigned()]);
    }
    HeadView {
        weights: plain,
        values: bytemuck::cast_slice(values),
        width: shape.width,
        total: total.get(),
        order: order(shape),
    }
}

/// How the values lie.
fn order(shape: Shape) -> ValueOrder {
    const FOUR: NonZeroUsize = NonZeroUsize::new(4).unwrap();
    const EIGHT: NonZeroUsize = NonZeroUsize::new(8).unwrap();
    const SIXTEEN: NonZeroUsize = NonZeroUsize::new(16).unwrap();
    let (channels, places) = if shape.width <= 8 {
        (EIGHT, EIGHT)
    } else {
        (SIXTEEN, FOUR)
    };
    ValueOrder::Blocks { channels, places }
}

/// The places of a ring whose memories are attended to.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn present<const B: usize>(place: Place, window: usize) -> [__mmask16; B] {
    let number = |x: usize| _mm512_set1_epi32(x as i32);
    let (index, filled, window) = (number(place.index), number(place.filled), number(window));
    let mut places = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    let mut present = [0; B];
    for present in &mut present {
        let age = _mm512_sub_epi32(index, places);
        let age = _mm512_mask_add_epi32(age, _mm512_movepi32_mask(age), age, window);
        let exists = _mm512_cmplt_epi32_mask(places, window);
        *present = _mm512_mask_cmplt_epu32_mask(exists, age, filled);
        places = _mm512_add_epi32(places, _mm512_set1_epi32(16));
    }
    present
}

/// Four channels of a query in every lane.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn broadcast(quad: [i8; 4]) -> __m512i {
    _mm512_set1_epi32(i32::from_le_bytes(bytemuck::must_cast(quad)))
}

/// `sum` and the products of a query with the keys of sixteen places.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn dot(sum: __m512i, lines: &[Line], query: &[[i8; 4]]) -> __m512i {
    let mut sum = sum;
    for (line, &quad) in lines.iter().zip(query) {
        sum = _mm512_dpbusd_epi32(sum, load(line), broadcast(quad));
    }
    sum
}

/// Logits of all places of one head; [`MASKED_LOGIT`] where there is no memory.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn logits<const B: usize, const Q: usize>(
    common: &Common<B>,
    keys: &[Line],
    query: &[[i8; 4]],
    biases: &[i32],
) -> [__m512i; B] {
    // Keys are stored with 128 added: 128 * sum(query) too much.
    let mut surplus = _mm512_setzero_si512();
    for quad in query {
        surplus = _mm512_dpbusd_epi32(surplus, _mm512_set1_epi8(-128), broadcast(*quad));
    }
    let start = _mm512_sub_epi32(_mm512_setzero_si512(), surplus);
    let (biases, _) = biases.as_chunks::<BLOCK>();
    let mut biases = biases.iter();
    let mut keys = keys;
    let quads = if Q == ANY { query.len() } else { Q };
    let mut logits = [_mm512_set1_epi32(MASKED_LOGIT); B];
    for (logit, &present) in logits.iter_mut().zip(&common.present) {
        let (Some((lines, rest)), Some(bias)) = (keys.split_at_checked(quads), biases.next())
        else {
            break;
        };
        keys = rest;
        let sum = match (lines.first_chunk::<Q>(), query.first_chunk::<Q>()) {
            (Some(lines), Some(query)) if Q != ANY => dot(start, lines, query),
            _ => dot(start, lines, query),
        };
        let scaled = _mm512_add_epi32(common.logit.apply(sum), load_i32(bias));
        let limited = _mm512_max_epi32(scaled, _mm512_set1_epi32(-(1 << 30)));
        let limited = _mm512_min_epi32(limited, _mm512_set1_epi32(1 << 30));
        *logit = _mm512_mask_mov_epi32(*logit, present, limited);
    }
    logits
}

/// Weights of all places; returns sixteen sums of them.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn softmax<const B: usize>(
    common: &Common<B>,
    logits: [__m512i; B],
    weights: &mut Weights<B>,
) -> __m512i {
    let mut max = logits[0];
    for &logits in &logits[1..] {
        max = _mm512_max_epi32(max, logits);
    }
    let max = _mm512_set1_epi32(_mm512_reduce_max_epi32(max));
    let mut total = _mm512_setzero_si512();
    let places = weights.low.iter_mut().zip(&mut weights.high);
    for (logits, (low, high)) in logits.into_iter().zip(places) {
        let weight = common.exponential.weights(_mm512_sub_epi32(max, logits));
        total = _mm512_add_epi32(total, weight);
        store_bytes(low, _mm512_cvtepi32_epi8(weight));
        store_bytes(high, _mm512_cvtepi32_epi8(_mm512_srli_epi32::<8>(weight)));
    }
    total
}
