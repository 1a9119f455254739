//! The slots of a window, several tokens at a time, for kernels that read every weight once for all of them.
//!
//! The same numbers as [`super::token`] one after the other: a layer finishes its tokens before the next one
//! begins, and a token attends to those before it. In the last layer only the newest token goes on behind
//! its keys and values: nobody reads the others.

use core::borrow::Borrow;
use core::num::NonZeroUsize;

use engram_image::{Image, ModelConfig};
use engram_kernels::{Attention, Kernels, Place, Requant, add_saturating};

use super::memory::{self, Memory, Scratch, Tokens};
use super::network::{LayerMaps, Network, factor};
use super::observer::Observer;
use super::token::{report, shape};

/// Takes all slots through all layers, from the embedded working memories on; the newest one's result goes
/// to `scratch.encoded`.
pub(super) fn slots<'n, K: Kernels>(
    network: &impl Network<'n, K>,
    memory: &mut Memory,
    (oldest, newest): (usize, usize),
    mut observer: Option<&mut dyn Observer>,
) {
    let window = network.image().config.window;
    let together = K::TOKENS.min(memory::TOKENS);
    let mut index = oldest;
    let mut first = 0_usize;
    while let Some(count) = NonZeroUsize::new(together.min(window.saturating_sub(first))) {
        index = embed::<K>(network.image(), memory, first..first + count.get(), index);
        let group = Group {
            first,
            count,
            newest: newest
                .checked_sub(first)
                .filter(|&token| token < count.get()),
        };
        network.kernels().run(
            #[inline(always)]
            || layers(network, memory, group, &mut observer),
        );
        first += count.get();
    }
}

/// Tokens that go through the layers together.
#[derive(Clone, Copy)]
struct Group {
    /// Slot of the first.
    first: usize,
    count: NonZeroUsize,
    /// Number of the newest token of the window, if it is here.
    newest: Option<usize>,
}

/// The residuals of some slots, whose working memories lie in a ring from `index` on; returns what is next.
fn embed<K: Kernels>(
    image: &Image<'_>,
    memory: &mut Memory,
    slots: core::ops::Range<usize>,
    mut index: usize,
) -> usize {
    let (model, window) = (image.config.model.max(1), image.config.window);
    let positions = image
        .weights
        .positions
        .chunks_exact(model)
        .skip(slots.start);
    let residuals = memory
        .scratch
        .tokens
        .residual
        .0
        .chunks_exact_mut(K::padded(model).max(1));
    for ((_, residual), position) in slots.zip(residuals).zip(positions) {
        if let Some(row) = memory.slots.chunks_exact(model).nth(index) {
            for ((residual, &embedded), &position) in residual.iter_mut().zip(row).zip(position) {
                *residual = add_saturating(embedded, i16::from_le_bytes(position));
            }
        }
        index = memory::next_index(index, window);
    }
    index
}

#[inline(always)]
fn layers<'n, K: Kernels>(
    network: &impl Network<'n, K>,
    memory: &mut Memory,
    group: Group,
    observer: &mut Option<&mut dyn Observer>,
) {
    let (kernels, image) = (network.kernels(), network.image());
    let shape = shape(&image.config);
    let [key_bytes, value_bytes] = K::ring_bytes(shape);
    let mut keys = memory.keys.0.chunks_exact_mut(key_bytes.max(1));
    let mut values = memory.values.0.chunks_exact_mut(value_bytes.max(1));
    let Some(mut buffers) = Buffers::new::<K>(&image.config, &mut memory.scratch, group) else {
        return;
    };
    let head_input = factor(image.weights.head.input);
    let mut layer = network.layer(0);
    let input = layer
        .as_ref()
        .map_or(head_input, |maps| maps.borrow().attention_input);
    kernels.narrow(buffers.residual, input, buffers.narrow);
    let mut index = 0_usize;
    while let Some(maps) = layer {
        let maps = maps.borrow();
        let (Some(keys), Some(values)) = (keys.next(), values.next()) else {
            return;
        };
        layer = network.layer(index.wrapping_add(1));
        let next = layer.as_ref().map(|maps| maps.borrow().attention_input);
        kernels.project_all(
            maps.qkv,
            group.count,
            buffers.narrow,
            buffers.sums,
            buffers.qkv,
        );
        let tokens = buffers
            .qkv
            .chunks_exact((buffers.qkv.len() / group.count).max(1));
        let means = buffers.means.chunks_exact_mut(buffers.model);
        for (token, (qkv, means)) in tokens.zip(means).enumerate() {
            let slot = group.first.wrapping_add(token);
            let place = Place {
                index: slot,
                filled: slot.wrapping_add(1),
            };
            let attention = Attention {
                shape,
                place,
                logit: maps.logit,
                output: maps.attention_output,
                biases: maps.biases,
                qkv,
                keys: &mut *keys,
                values: &mut *values,
                sums: &mut *buffers.sums,
                weights: &mut *buffers.weights,
                means,
            };
            match observer {
                Some(observer) if group.newest == Some(token) => {
                    let mut watch = |head: usize, weights: &[i16], total: u32| {
                        report(&mut **observer, (index, head), place, weights, total);
                    };
                    kernels.attend(attention, Some(&mut watch));
                }
                _ => kernels.attend(attention, None),
            }
        }
        match next {
            Some(next) => buffers.forward(kernels, maps, group.count, next),
            None => buffers.last(kernels, maps, group.newest, head_input),
        }
        index = index.wrapping_add(1);
    }
}

/// The parts of the buffers that a group fills.
struct Buffers<'a> {
    /// Entries of a token's residual.
    model: usize,
    /// Entries of a token's feed-forward block.
    ff: usize,
    sums: &'a mut [i32],
    weights: &'a mut [i16],
    residual: &'a mut [i16],
    narrow: &'a mut [i8],
    qkv: &'a mut [i8],
    means: &'a mut [i8],
    wide: &'a mut [i8],
    encoded: &'a mut [i8],
}

impl<'a> Buffers<'a> {
    fn new<K: Kernels>(
        config: &ModelConfig,
        scratch: &'a mut Scratch,
        group: Group,
    ) -> Option<Self> {
        let count = group.count.get();
        let model = K::padded(config.model);
        let Tokens {
            residual,
            narrow,
            qkv,
            means,
            wide,
        } = &mut scratch.tokens;
        Some(Self {
            model: model.max(1),
            ff: K::padded(config.ff),
            sums: &mut scratch.sums.0,
            weights: &mut scratch.weights.0,
            residual: residual.0.get_mut(..count.checked_mul(model)?)?,
            narrow: narrow.0.get_mut(..count.checked_mul(model)?)?,
            qkv: qkv
                .0
                .get_mut(..count.checked_mul(K::padded(config.model.checked_mul(3)?))?)?,
            means: means.0.get_mut(..count.checked_mul(model)?)?,
            wide: wide.0.get_mut(..count.checked_mul(K::padded(config.ff))?)?,
            encoded: scratch.encoded.0.get_mut(..model)?,
        })
    }

    /// What follows attention, for every token.
    #[inline(always)]
    fn forward<K: Kernels>(
        &mut self,
        kernels: K,
        maps: &LayerMaps<'_, K>,
        count: NonZeroUsize,
        next: Requant,
    ) {
        let Self {
            sums,
            residual,
            narrow,
            means,
            wide,
            ..
        } = self;
        kernels.add_all(
            maps.out,
            count,
            means,
            sums,
            residual,
            (maps.ff_input, narrow),
        );
        kernels.rectify_all(maps.ff1, count, narrow, sums, wide);
        kernels.add_all(maps.ff2, count, wide, sums, residual, (next, narrow));
    }

    /// What follows attention in the last layer, for the newest token alone.
    #[inline(always)]
    fn last<K: Kernels>(
        &mut self,
        kernels: K,
        maps: &LayerMaps<'_, K>,
        newest: Option<usize>,
        head_input: Requant,
    ) {
        let Some(newest) = newest else {
            return;
        };
        let (Some(means), Some(residual), Some(narrow), Some(wide)) = (
            self.means.chunks_exact(self.model).nth(newest),
            self.residual.chunks_exact_mut(self.model).nth(newest),
            self.narrow.chunks_exact_mut(self.model).nth(newest),
            self.wide.get_mut(..self.ff),
        ) else {
            return;
        };
        let sums = &mut *self.sums;
        kernels.add(maps.out, means, sums, residual, (maps.ff_input, narrow));
        kernels.rectify(maps.ff1, narrow, sums, wide);
        kernels.add(maps.ff2, wide, sums, residual, (head_input, self.encoded));
    }
}
