//! One token through all encoder layers: `h = x + out(attention(x))`, `x' = h + ff2(relu(ff1(h)))`.

use engram_image::ModelConfig;
use engram_kernels::{Attention, HeadView, Kernels, Place, Shape};

use super::cache_on;
use super::memory::{Memory, Parts, Scratch};
use super::network::Network;
use super::observer::Observer;

/// Takes `scratch.residual` through all layers and leaves the token's keys and values at `place`.
///
/// What comes out stays in `scratch.residual`, and as the input of the head in `scratch.narrow`.
// Not inlined: the proof that no panic is reachable looks for it by name.
#[inline(never)]
pub(super) fn run<K: Kernels>(
    kernels: K,
    network: &Network<'_, '_, K>,
    memory: &mut Memory,
    place: Place,
    observer: Option<&mut dyn Observer>,
) {
    kernels.run(
        #[inline(always)]
        || layers(kernels, network, memory, place, observer),
    );
}

/// The shape of every layer's attention.
pub(super) fn shape(config: &ModelConfig) -> Shape {
    Shape {
        heads: config.heads,
        width: config.head_dim(),
        window: config.window,
    }
}

#[inline(always)]
fn layers<K: Kernels>(
    kernels: K,
    network: &Network<'_, '_, K>,
    memory: &mut Memory,
    place: Place,
    mut observer: Option<&mut dyn Observer>,
) {
    let config = network.config;
    let shape = shape(config);
    let Some(Parts {
        keys,
        values,
        scratch,
        ..
    }) = memory.parts(cache_on(kernels, config))
    else {
        return;
    };
    // Not zipped: the length of two zipped chunk iterators is a division, checked when not inlined.
    let mut keys = keys.chunks_exact_mut(kernels.key_bytes(shape).max(1));
    let mut values = values.chunks_exact_mut(kernels.value_bytes(shape).max(1));
    let Scratch {
        sums,
        residual,
        narrow,
        means,
        qkv,
        weights,
        wide,
        ..
    } = scratch;
    // The reader keeps all of them below the buffers' sizes.
    let (model, ff) = (K::padded(config.model), K::padded(config.ff));
    let (Some(residual), Some(narrow), Some(means), Some(wide)) = (
        residual.0.get_mut(..model),
        narrow.0.get_mut(..model),
        means.0.get_mut(..model),
        wide.0.get_mut(..ff),
    ) else {
        return;
    };
    let (sums, weights, qkv) = (&mut sums.0, &mut weights.0, &mut qkv.0);
    let head_input = network.weights.head.input;
    let mut layer = network.layer(0);
    let input = layer
        .as_ref()
        .map_or(head_input, |maps| maps.attention_input);
    kernels.narrow(residual, input, narrow);
    let mut index = 0_usize;
    while let Some(maps) = layer {
        let (Some(keys), Some(values)) = (keys.next(), values.next()) else {
            return;
        };
        layer = network.layer(index.wrapping_add(1));
        let next = layer
            .as_ref()
            .map_or(head_input, |maps| maps.attention_input);
        kernels.project(maps.qkv, narrow, sums, qkv);
        let attention = Attention {
            shape,
            place,
            logit: maps.logit,
            output: maps.attention_output,
            biases: maps.age_bias,
            qkv,
            keys,
            values,
            sums,
            weights,
            means,
        };
        match &mut observer {
            Some(observer) => {
                let mut watch = |head: usize, view: &HeadView<'_>| {
                    report(*observer, index, head, place, view);
                };
                kernels.attend(attention, Some(&mut watch));
            }
            None => kernels.attend(attention, None),
        }
        kernels.add(maps.out, means, sums, residual, (maps.ff_input, narrow));
        kernels.rectify(maps.ff1, narrow, sums, wide);
        kernels.add(maps.ff2, wide, sums, residual, (next, narrow));
        index = index.wrapping_add(1);
    }
}

/// Tells the observer the weights by age.
pub(super) fn report(
    observer: &mut dyn Observer,
    layer: usize,
    head: usize,
    place: Place,
    view: &HeadView<'_>,
) {
    let window = view.weights.len();
    let mut index = place.index;
    for age in 0..window {
        let weight = view.weights.get(index).copied().unwrap_or(0);
        let weight = u32::from(weight.unsigned_abs());
        observer.attention(layer, head, age, weight, view.total);
        index = if index == 0 { window } else { index }.wrapping_sub(1);
    }
}
