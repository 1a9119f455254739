//! One token through all encoder layers: `h = x + out(attention(x))`, `x' = h + ff2(relu(ff1(h)))`.

use core::borrow::Borrow;

use engram_image::ModelConfig;
use engram_kernels::{Attention, Kernels, Place, Shape};

use super::memory::{Memory, Scratch};
use super::network::{Network, factor};
use super::observer::Observer;

/// Takes `scratch.residual` through all layers and leaves the token's keys and values at `place`.
///
/// What comes out stays in `scratch.residual`, and as the input of the head in `scratch.narrow`.
// Not inlined: the proof that no panic is reachable looks for it by name.
#[inline(never)]
pub(super) fn run<'n, K: Kernels>(
    network: &impl Network<'n, K>,
    memory: &mut Memory,
    place: Place,
    observer: Option<&mut dyn Observer>,
) {
    network.kernels().run(
        #[inline(always)]
        || layers(network, memory, place, observer),
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
fn layers<'n, K: Kernels>(
    network: &impl Network<'n, K>,
    memory: &mut Memory,
    place: Place,
    mut observer: Option<&mut dyn Observer>,
) {
    let (kernels, image) = (network.kernels(), network.image());
    let config = &image.config;
    let shape = shape(config);
    // Not zipped: the length of two zipped chunk iterators is a division, checked when not inlined.
    let [key_bytes, value_bytes] = K::ring_bytes(shape);
    let mut keys = memory.keys.0.chunks_exact_mut(key_bytes.max(1));
    let mut values = memory.values.0.chunks_exact_mut(value_bytes.max(1));
    let Scratch {
        sums,
        residual,
        narrow,
        means,
        qkv,
        weights,
        wide,
        ..
    } = &mut memory.scratch;
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
    let head_input = factor(image.weights.head.input);
    let mut layer = network.layer(0);
    let input = layer
        .as_ref()
        .map_or(head_input, |maps| maps.borrow().attention_input);
    kernels.narrow(residual, input, narrow);
    let mut index = 0_usize;
    while let Some(maps) = layer {
        let maps = maps.borrow();
        let (Some(keys), Some(values)) = (keys.next(), values.next()) else {
            return;
        };
        layer = network.layer(index.wrapping_add(1));
        let next = layer
            .as_ref()
            .map_or(head_input, |maps| maps.borrow().attention_input);
        kernels.project(maps.qkv, narrow, sums, qkv);
        let attention = Attention {
            shape,
            place,
            logit: maps.logit,
            output: maps.attention_output,
            biases: maps.biases,
            qkv,
            keys,
            values,
            sums,
            weights,
            means,
        };
        match &mut observer {
            Some(observer) => {
                let mut watch = |head: usize, weights: &[i16], total: u32| {
                    report(*observer, (index, head), place, weights, total);
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

/// Tells the observer the weights of a layer's head by age.
pub(super) fn report(
    observer: &mut dyn Observer,
    (layer, head): (usize, usize),
    place: Place,
    weights: &[i16],
    total: u32,
) {
    let window = weights.len();
    let mut index = place.index;
    for age in 0..window {
        let weight = weights.get(index).copied().unwrap_or(0);
        let weight = u32::from(weight.unsigned_abs());
        observer.attention(layer, head, age, weight, total);
        index = if index == 0 { window } else { index }.wrapping_sub(1);
    }
}
