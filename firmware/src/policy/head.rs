//! The policy head: encoder output, and with `mixed` the embedding, to the command words.

use engram_kernels::Kernels;

use super::memory::{Memory, Scratch};
use super::network::Network;

/// Computes `words` from `scratch.encoded` and `scratch.embedded`.
pub(super) fn run<K: Kernels>(
    network: &Network<'_, '_, K>,
    memory: &mut Memory,
    words: &mut [i16],
) {
    network.kernels.run(
        #[inline(always)]
        || layers(network, &mut memory.scratch, words),
    );
}

#[inline(always)]
fn layers<K: Kernels>(network: &Network<'_, '_, K>, scratch: &mut Scratch, words: &mut [i16]) {
    let kernels = network.kernels;
    let maps = &network.weights.head;
    let config = network.config;
    let model = K::padded(config.model);
    let [width_0, width_1] = config.hidden.map(K::padded);
    let Scratch {
        acc,
        embedded,
        encoded,
        hidden: [hidden_0, hidden_1],
        preactivation,
        words: padded_words,
        ..
    } = scratch;
    let (acc, preactivation) = (&mut acc.0, &mut preactivation.0);
    let (Some(encoded), Some(embedded), Some(hidden_0), Some(hidden_1), Some(padded_words)) = (
        encoded.0.get(..model),
        embedded.0.get(..model),
        hidden_0.0.get_mut(..width_0),
        hidden_1.0.get_mut(..width_1),
        padded_words.0.get_mut(..K::padded(config.actions)),
    ) else {
        return;
    };
    let raw = maps.raw.map(|raw| (raw, embedded));
    kernels.linear_tanh(
        maps.first,
        encoded,
        raw,
        (&mut *acc, &mut *preactivation),
        hidden_0,
    );
    kernels.linear_tanh(
        maps.second,
        hidden_0,
        None,
        (&mut *acc, preactivation),
        hidden_1,
    );
    kernels.linear_i16(maps.third, hidden_1, acc, padded_words);
    for (word, &computed) in words.iter_mut().zip(&*padded_words) {
        *word = computed;
    }
}
