//! The policy head: encoder output, and with `mixed` the embedding, to the command words.

use engram_image::Image;
use engram_kernels::tanh_q12;

use super::dense::{factor, product_i8, product_i16};
use super::memory::Scratch;

/// Computes `words` from `scratch.encoded` and `scratch.embedded`.
pub(super) fn run(image: &Image<'_>, scratch: &mut Scratch, words: &mut [i16]) {
    let head = &image.weights.head;
    let model = image.config.model;
    let [width_0, width_1] = image.config.hidden;
    let Scratch {
        sums,
        embedded,
        encoded,
        narrow,
        preactivation,
        hidden,
        ..
    } = scratch;
    let (Some(narrow), Some(embedded)) = (narrow.get_mut(..model), embedded.get(..model)) else {
        return;
    };
    let input = factor(head.input);
    for (narrow, &encoded) in narrow.iter_mut().zip(&*encoded) {
        *narrow = input.to_i8(i32::from(encoded));
    }
    let rows = product_i8(&head.first, narrow, sums);
    for (preactivation, (factor, sum)) in preactivation.iter_mut().zip(rows) {
        *preactivation = factor.to_i32(sum);
    }
    if let Some(raw) = &head.raw {
        let rows = product_i16(raw, embedded, sums);
        for (preactivation, (factor, sum)) in preactivation.iter_mut().zip(rows) {
            *preactivation = preactivation.saturating_add(factor.to_i32(sum));
        }
    }
    for (hidden, &preactivation) in hidden.iter_mut().zip(&*preactivation).take(width_0) {
        *hidden = tanh_q12(preactivation);
    }
    let rows = product_i8(
        &head.second,
        hidden.get(..width_0).unwrap_or_default(),
        sums,
    );
    for (preactivation, (factor, sum)) in preactivation.iter_mut().zip(rows) {
        *preactivation = factor.to_i32(sum);
    }
    for (hidden, &preactivation) in hidden.iter_mut().zip(&*preactivation).take(width_1) {
        *hidden = tanh_q12(preactivation);
    }
    let rows = product_i8(&head.third, hidden.get(..width_1).unwrap_or_default(), sums);
    for (word, (factor, sum)) in words.iter_mut().zip(rows) {
        *word = factor.to_i16(sum);
    }
}
