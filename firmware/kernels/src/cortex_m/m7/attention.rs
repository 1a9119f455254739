//! Attention of one token over the window, one head after the other.

use core::num::NonZeroUsize;

use super::matrix::{Prepared, Room};
use super::rings;
use super::values::{WeightedMean, weighted_sums};
use super::{CortexM7, logits};

use crate::kernels::Watch;
use crate::portable::to_logits;
use crate::{Attention, HeadView, Reciprocal, ValueOrder, attention_weights};

/// Channels of a block of values.
const BLOCK: NonZeroUsize = NonZeroUsize::MIN.saturating_add(3);

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
        shape.width.max(1),
        CortexM7::places(shape),
    );
    let model = shape.heads.saturating_mul(width);
    let (Some((queries, rest)), Some(weights)) =
        (qkv.split_at_checked(model), weights.get_mut(..places))
    else {
        return;
    };
    let mut room = Room::uninit();
    let prepared = Prepared::new(queries, &mut room);
    if place.index >= window {
        return;
    }
    let (token_keys, token_values) = rest.split_at_checked(model).unwrap_or_default();
    let ring = rings::Ring {
        places,
        width,
        place: place.index,
    };
    ring.store_keys(keys, token_keys);
    ring.store_values(values, token_values.get(..model).unwrap_or_default());
    // Not zipped: the length of two zipped chunk iterators is a division, checked when not inlined.
    let ring = places.saturating_mul(width).max(1);
    let mut keys = keys.chunks_exact_mut(ring);
    let mut values = values.chunks_exact_mut(ring.saturating_mul(size_of::<i16>()));
    let mut biases = biases.chunks_exact(window);
    for (head, means) in means.chunks_exact_mut(width).enumerate() {
        let (Some(keys), Some(values)) = (keys.next(), values.next()) else {
            return;
        };
        let Some(products) = sums.get_mut(..places) else {
            return;
        };
        let keys: &[i8] = keys;
        prepared.product(head.wrapping_mul(width), width, keys, products);
        let biases = biases.next().unwrap_or_default();
        let total = if let Some(max) = logits::scale(products, window, logit, biases, place) {
            logits::weights(products, weights, max)
        } else {
            prepared.product(head.wrapping_mul(width), width, keys, products);
            products.iter_mut().for_each(|product| *product >>= 8);
            let products = products.get_mut(..window).unwrap_or_default();
            let row = biases.iter().copied().map(i32::from_le_bytes);
            to_logits(products, logit, row.chain(core::iter::repeat(0)), place);
            weights.fill(0);
            attention_weights(products, weights)
        };
        let values: &[i8] = values;
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
                order: ValueOrder::WideBlocks {
                    channels: BLOCK,
                    places,
                },
            };
            watch(head, &view);
        }
    }
}
