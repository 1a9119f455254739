//! Attention of one token over the window, one head after the other.

use super::matvec;
use crate::softmax::{Reciprocal, attention_probabilities, to_logits};
use crate::{Attention, HeadHook};

/// [`crate::Kernels::attend`].
pub(super) fn run(attention: Attention<'_, &[[u8; 4]]>, mut hook: Option<&mut HeadHook<'_>>) {
    let Attention {
        shape,
        position,
        logit,
        output,
        biases,
        qkv,
        keys,
        values,
        acc,
        probabilities,
        context,
    } = attention;
    let (window, width) = (shape.window.max(1), shape.width.max(1));
    // Cache and context may be filled up: what says how many heads there are, is the shape.
    let model = shape.heads.saturating_mul(width).max(1);
    let mut parts = qkv.chunks_exact(model);
    let token = [parts.next(), parts.next(), parts.next()].map(Option::unwrap_or_default);
    let mut token = token.map(|part| part.chunks_exact(width));
    // Not zipped: the length of two zipped chunk iterators is a division, checked when not inlined.
    let of_head = window.saturating_mul(width).max(1);
    let mut keys = keys.chunks_exact_mut(of_head);
    let mut values = values.chunks_exact_mut(of_head);
    let mut biases = biases.chunks_exact(window);
    let heads = context.chunks_exact_mut(width).take(shape.heads);
    for (head, context) in heads.enumerate() {
        let [query, key, value] = token.each_mut().map(|part| part.next().unwrap_or_default());
        let (Some(keys), Some(values)) = (keys.next(), values.next()) else {
            return;
        };
        if let Some(row) = keys.chunks_exact_mut(width).nth(position.index) {
            for (entry, &key) in row.iter_mut().zip(key) {
                *entry = key;
            }
        }
        for (row, &value) in values.chunks_exact_mut(window).zip(value) {
            if let Some(entry) = row.get_mut(position.index) {
                *entry = value;
            }
        }
        let (Some(products), Some(probabilities)) =
            (acc.get_mut(..window), probabilities.get_mut(..window))
        else {
            return;
        };
        matvec(keys, query, products);
        match biases.next() {
            Some(row) => {
                let row = row.iter().copied().map(i32::from_le_bytes);
                to_logits(products, logit, row, position);
            }
            None => to_logits(products, logit, core::iter::repeat(0), position),
        }
        let total = attention_probabilities(products, probabilities);
        let reciprocal = Reciprocal::new(total);
        // Sums of the values, one per channel; the logits are done with.
        let acc = acc.get_mut(..width).unwrap_or_default();
        matvec(values, probabilities, acc);
        for (out, &sum) in context.iter_mut().zip(&*acc) {
            *out = output.to_i8(reciprocal.context_q16(sum));
        }
        if let Some(hook) = &mut hook {
            hook(head, probabilities, total.get());
        }
    }
}
