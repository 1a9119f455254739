//! Attention of one token over the window, all heads of one layer.

use engram_image::limits::{MAX_MODEL, MAX_WINDOW};
use engram_image::{Layer, ModelConfig};
use engram_kernels::{
    MASKED_LOGIT, Reciprocal, Requant, attention_weights, biased_logit, matvec_i8, matvec_i16,
};

use super::dense::factor;
use super::memory::{MAX_ROWS, Place};
use super::observer::{HeadValues, Observer};

/// Keys and values of one layer, as [`super::Memory`] lays them out; `window * model` each.
pub(super) struct Rings<'a> {
    pub(super) keys: &'a mut [i8],
    pub(super) values: &'a mut [i8],
}

/// The buffers that attention reads and writes.
pub(super) struct Buffers<'a> {
    /// Queries, keys and values of the token, `model` each.
    pub(super) qkv: &'a [i8; 3 * MAX_MODEL],
    pub(super) sums: &'a mut [i32; MAX_ROWS],
    pub(super) weights: &'a mut [i16; MAX_WINDOW],
    /// `[model]`, the result: the weighted means of the values, requantized.
    pub(super) means: &'a mut [i8],
}

/// The age bias of a layer without one.
static NO_BIAS: [[u8; 4]; MAX_WINDOW] = [[0; 4]; MAX_WINDOW];

/// Stores the token's keys and values at `place` and attends to the window from there.
///
/// `observer` comes with the number of the layer.
pub(super) fn run(
    config: &ModelConfig,
    layer: &Layer<'_>,
    rings: Rings<'_>,
    place: Place,
    buffers: Buffers<'_>,
    mut observer: Option<(usize, &mut dyn Observer)>,
) {
    let Buffers {
        qkv,
        sums,
        weights,
        means,
    } = buffers;
    let (window, width) = (config.window.max(1), config.head_dim().max(1));
    let [logit, output] = [factor(layer.logit), factor(layer.attention_output)];
    let mut parts = qkv.chunks_exact(config.model.max(1));
    let [queries, keys, values] =
        [parts.next(), parts.next(), parts.next()].map(Option::unwrap_or_default);
    let mut token = [queries, keys, values].map(|part| part.chunks_exact(width));
    // Not zipped: the length of two zipped chunk iterators is a division, checked when not inlined.
    let ring = window.saturating_mul(width).max(1);
    let mut keys = rings.keys.chunks_exact_mut(ring);
    let mut values = rings.values.chunks_exact_mut(ring);
    let mut biases = layer.age_bias.chunks_exact(window);
    for (head, means) in means.chunks_exact_mut(width).enumerate() {
        let [query, key, value] = token.each_mut().map(|part| part.next().unwrap_or_default());
        let (Some(keys), Some(values)) = (keys.next(), values.next()) else {
            return;
        };
        if let Some(row) = keys.chunks_exact_mut(width).nth(place.index) {
            for (entry, &key) in row.iter_mut().zip(key) {
                *entry = key;
            }
        }
        for (row, &value) in values.chunks_exact_mut(window).zip(value) {
            if let Some(entry) = row.get_mut(place.index) {
                *entry = value;
            }
        }
        let (Some(products), Some(weights)) = (sums.get_mut(..window), weights.get_mut(..window))
        else {
            return;
        };
        matvec_i8(keys, query, products);
        to_logits(products, logit, biases.next().unwrap_or(&NO_BIAS), place);
        let total = attention_weights(products, weights);
        let reciprocal = Reciprocal::new(total);
        // Sums of the values, one per channel; the logits are done with.
        let sums = sums.get_mut(..width).unwrap_or_default();
        matvec_i16(values, weights, sums);
        for (mean, &sum) in means.iter_mut().zip(&*sums) {
            *mean = output.to_i8(reciprocal.mean_q16(sum));
        }
        if let Some((layer, observer)) = &mut observer {
            let head_values = HeadValues {
                weights,
                values,
                total: total.get(),
            };
            report(*observer, *layer, head, place, &head_values);
        }
    }
}

/// Inner products in the order of the ring to logits: scaled, biased by age, masked where empty.
///
/// Every entry costs the same, masked or not.
fn to_logits(products: &mut [i32], scale: Requant, biases: &[[u8; 4]], place: Place) {
    // Ages fall along the ring up to the newest place, and again from the end to behind it.
    let newest = place.index.wrapping_add(1);
    let Some((newer, older)) = products.split_at_mut_checked(newest) else {
        return;
    };
    let ascending = newer.iter_mut().rev().chain(older.iter_mut().rev());
    for (age, (product, &bias)) in ascending.zip(biases).enumerate() {
        let logit = biased_logit(*product, scale, i32::from_le_bytes(bias));
        *product = if age < place.filled {
            logit
        } else {
            MASKED_LOGIT
        };
    }
}

/// Tells the observer the weights by age, and the values.
fn report(
    observer: &mut dyn Observer,
    layer: usize,
    head: usize,
    place: Place,
    values: &HeadValues<'_>,
) {
    let window = values.weights.len();
    let mut index = place.index;
    for age in 0..window {
        let weight = values.weights.get(index).copied().unwrap_or(0);
        observer.attention(
            layer,
            head,
            age,
            u32::from(weight.unsigned_abs()),
            values.total,
        );
        index = if index == 0 { window } else { index }.wrapping_sub(1);
    }
    observer.values(layer, head, values);
}
