//! Attention of one token over the window, one head after the other.

use super::matrix::product;
use super::values::{self, WeightedMean, weighted_sums};
use super::{CortexM55, LANES, VALUE_ORDER, logits};

use crate::kernels::Watch;
use crate::portable::to_logits;
use crate::{Attention, HeadView, Reciprocal, attention_weights};

/// [`crate::Kernels::attend`] for heads of a multiple of eight channels.
pub(super) fn run(attention: Attention<'_, &[[u8; 4]]>, mut watch: Option<&mut Watch<'_>>) {
    let Attention {
        shape,
        place,
        logit,
        output,
        biases,
        qkv,
        keys,
        values,
        sums,
        weights,
        means,
    } = attention;
    let (window, width, places) = (
        shape.window.max(1),
        shape.width.max(LANES),
        CortexM55::places(shape),
    );
    let model = shape.heads.saturating_mul(width);
    let (Some((queries, rest)), Some(weights)) =
        (qkv.split_at_checked(model), weights.get_mut(..places))
    else {
        return;
    };
    if place.index >= window {
        return;
    }
    let (token_keys, token_values) = rest.split_at_checked(model).unwrap_or_default();
    let token_values = token_values.get(..model).unwrap_or_default();
    values::store(values, token_values, place.index, places);
    // Not zipped: the length of two zipped chunk iterators is a division, checked when not inlined.
    let mut queries = queries.chunks_exact(width);
    let mut token_keys = token_keys.chunks_exact(width);
    let mut keys = keys.chunks_exact_mut(window.saturating_mul(width).max(1));
    let mut values = values.chunks_exact(places.saturating_mul(width).max(1));
    let mut biases = biases.chunks_exact(window);
    for (head, means) in means.chunks_exact_mut(width).enumerate() {
        let (Some(query), Some(key), Some(keys), Some(values)) = (
            queries.next(),
            token_keys.next(),
            keys.next(),
            values.next(),
        ) else {
            return;
        };
        let start = place.index.wrapping_mul(width);
        if let Some(entry) = keys.get_mut(start..start.wrapping_add(width)) {
            store_key(entry, key);
        }
        let keys: &[i8] = keys;
        let Some(products) = sums.get_mut(..places) else {
            return;
        };
        key_products(keys, query, products, window);
        let biases = biases.next().unwrap_or_default();
        let total = if let Some(max) = logits::scale(products, window, logit, biases, place) {
            logits::weights(products, weights, max)
        } else {
            key_products(keys, query, products, window);
            let products = products.get_mut(..window).unwrap_or_default();
            let row = biases.iter().copied().map(i32::from_le_bytes);
            to_logits(products, logit, row.chain(core::iter::repeat(0)), place);
            weights.fill(0);
            attention_weights(products, weights)
        };
        // Sums of the values, one per channel; the logits are done with.
        let sums = sums.get_mut(..width).unwrap_or_default();
        weighted_sums(values, weights, sums);
        WeightedMean::new(Reciprocal::new(total), output).take(sums, means);
        if let Some(watch) = &mut watch {
            let view = HeadView {
                weights: weights.get(..window).unwrap_or_default(),
                values,
                width,
                total: total.get(),
                order: VALUE_ORDER,
            };
            watch(head, &view);
        }
    }
}

/// Eight bytes at a time; heads have a multiple of eight channels.
#[inline(always)]
fn store_key(to: &mut [i8], key: &[i8]) {
    let eights = to.as_chunks_mut::<LANES>().0.iter_mut();
    for (to, key) in eights.zip(key.as_chunks::<LANES>().0) {
        *to = *key;
    }
}

/// Inner products of the query with the keys of all places of the window.
#[inline(always)]
fn key_products(keys: &[i8], query: &[i8], products: &mut [i32], window: usize) {
    let products = products.get_mut(..window).unwrap_or_default();
    product(keys, query, &[], products);
}
