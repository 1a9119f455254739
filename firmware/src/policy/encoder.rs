//! Tokens through all encoder layers: `h = x + out(attention(x))`, `x' = h + ff2(relu(ff1(h)))`.
//!
//! One token at a time, or several for kernels that read every weight once for all of them: then a layer finishes its
//! tokens before the next one begins. A token attends to those before it and to itself.

use engram_image::{ModelConfig, Positions};
use engram_kernels::{Attention, CachePosition, Kernels, Requant, Shape, TOKENS, add_saturating};

use super::attention_hook::AttentionHook;
use super::memory::{Memory, Parts, Scratch, entry, next_index, row_mut};
use super::network::{Layer, Network};

/// The shape of every layer's attention.
pub(super) fn shape(config: &ModelConfig) -> Shape {
    Shape {
        heads: config.heads,
        width: config.head_dim(),
        window: config.window,
    }
}

/// Takes the embedding into the window; what the layers make of it goes to `scratch.encoded`.
pub(super) fn step<K: Kernels>(
    network: &Network<'_, '_, K>,
    memory: &mut Memory,
    hook: Option<&mut dyn AttentionHook>,
) {
    let config = network.config;
    let (position, oldest) = memory.advance(config.window);
    match config.positions {
        Positions::Age => age(network, memory, position, hook),
        Positions::Slot => slot(network, memory, (position, oldest), hook),
    }
}

/// `age`: one token; its keys and values take the oldest position of the ring.
fn age<K: Kernels>(
    network: &Network<'_, '_, K>,
    memory: &mut Memory,
    first: CachePosition,
    hook: Option<&mut dyn AttentionHook>,
) {
    let Scratch {
        residual, embedded, ..
    } = &mut memory.scratch;
    if let Some((residual, _)) = residual.0.split_first_chunk_mut() {
        *residual = embedded.0;
    }
    let newest = Some(0);
    encode::<K, 1>(network, memory, Group { first, newest }, hook);
}

/// `slot`: the embedding takes the oldest position of the ring, then all slots are computed in order.
///
/// Slots fill from 0. Those that are still empty are computed too and change nothing: a token sees
/// only itself and the slots before it.
fn slot<K: Kernels>(
    network: &Network<'_, '_, K>,
    memory: &mut Memory,
    (position, oldest): (CachePosition, usize),
    mut hook: Option<&mut dyn AttentionHook>,
) {
    let ModelConfig { model, window, .. } = *network.config;
    if let Some(Parts { slots, scratch, .. }) = memory.parts(network.cache)
        && let Some(row) = row_mut(slots, model, position.index)
    {
        for (kept, &embedded) in row.iter_mut().zip(&scratch.embedded.0) {
            *kept = embedded.to_le_bytes().map(u8::cast_signed);
        }
    }
    let newest = position.filled.wrapping_sub(1);
    let mut slots = Slots {
        next: 0,
        index: oldest,
        newest,
    };
    while slots.next < window {
        let left = window.wrapping_sub(slots.next);
        if K::TOGETHER && left >= TOKENS {
            slots.encode::<K, TOKENS>(network, memory, &mut hook);
        } else {
            slots.encode::<K, 1>(network, memory, &mut hook);
        }
    }
}

/// The way through the slots of a window.
struct Slots {
    /// The next slot.
    next: usize,
    /// Where its working memory lies in the ring.
    index: usize,
    /// The slot of the newest working memory.
    newest: usize,
}

impl Slots {
    /// Takes the next `T` slots through all layers.
    #[inline(always)]
    fn encode<K: Kernels, const T: usize>(
        &mut self,
        network: &Network<'_, '_, K>,
        memory: &mut Memory,
        hook: &mut Option<&mut dyn AttentionHook>,
    ) {
        let config = network.config;
        let (model, window) = (config.model.max(1), config.window);
        let positions = network.weights.positions.chunks_exact(model);
        let positions = positions.skip(self.next);
        let Some(Parts { slots, scratch, .. }) = memory.parts(network.cache) else {
            // Without room nothing is computed, and the way ends.
            self.next = window;
            return;
        };
        let residual = &mut scratch.residual.0;
        let residuals = residual.chunks_exact_mut(K::padded(model).max(1)).take(T);
        for (residual, position) in residuals.zip(positions) {
            if let Some(row) = row_mut(slots, model, self.index) {
                let entries = residual.iter_mut().zip(row).zip(position);
                for ((residual, &mut embedded), &position) in entries {
                    *residual = add_saturating(entry(embedded), i16::from_le_bytes(position));
                }
            }
            self.index = next_index(self.index, window);
        }
        let first = CachePosition {
            index: self.next,
            filled: self.next.wrapping_add(1),
        };
        let newest = self.newest.checked_sub(self.next);
        let newest = newest.filter(|&token| token < T);
        let hook = newest.and_then(|_| hook.take());
        encode::<K, T>(network, memory, Group { first, newest }, hook);
        self.next = self.next.wrapping_add(T);
    }
}

/// Tokens that go through the layers together.
#[derive(Clone, Copy)]
struct Group {
    /// Cache position of the first; the others follow.
    first: CachePosition,
    /// Number of the newest token of the window, if it is here.
    newest: Option<usize>,
}

/// Takes `scratch.residual` of `T` tokens through all layers and leaves their keys and values at their places; the
/// newest one's result goes to `scratch.encoded`.
#[inline(always)]
fn encode<K: Kernels, const T: usize>(
    network: &Network<'_, '_, K>,
    memory: &mut Memory,
    group: Group,
    hook: Option<&mut dyn AttentionHook>,
) {
    run::<K, T>(network, memory, group, hook);
    let Scratch {
        requantized,
        encoded,
        ..
    } = &mut memory.scratch;
    if group.newest.is_some()
        && let Some(requantized) = requantized.0.first_chunk()
    {
        encoded.0 = *requantized;
    }
}

/// [`layers`] with the instructions of the kernels.
// Not inlined: the proof that no panic is reachable looks for it by name.
#[inline(never)]
fn run<K: Kernels, const T: usize>(
    network: &Network<'_, '_, K>,
    memory: &mut Memory,
    group: Group,
    hook: Option<&mut dyn AttentionHook>,
) {
    network.kernels.run(
        #[inline(always)]
        || layers::<K, T>(network, memory, group, hook),
    );
}

/// All layers. The input of the head, of the newest token, is the first in `scratch.requantized`.
#[inline(always)]
fn layers<K: Kernels, const T: usize>(
    network: &Network<'_, '_, K>,
    memory: &mut Memory,
    group: Group,
    mut hook: Option<&mut dyn AttentionHook>,
) {
    let (kernels, config) = (network.kernels, network.config);
    let shape = shape(config);
    let [key_bytes, value_bytes] = network.cache.of_layer;
    let Some(Parts {
        keys,
        values,
        scratch,
        ..
    }) = memory.parts(network.cache)
    else {
        return;
    };
    // Not zipped: the length of two zipped chunk iterators is a division, checked when not inlined.
    let mut keys = keys.chunks_exact_mut(key_bytes.max(1));
    let mut values = values.chunks_exact_mut(value_bytes.max(1));
    let Some(mut buffers) = Buffers::<T>::new::<K>(config, scratch) else {
        return;
    };
    let head_input = network.weights.head.input;
    let mut layer = network.layer(0);
    let input = layer.map_or(head_input, |maps| maps.attention_input);
    for (residual, requantized) in buffers.residual.iter().zip(&mut buffers.requantized) {
        kernels.requantize(residual, input, requantized);
    }
    let mut index = 0_usize;
    while let Some(maps) = layer {
        let (Some(keys), Some(values)) = (keys.next(), values.next()) else {
            return;
        };
        layer = network.layer(index.wrapping_add(1));
        let next = layer.map(|maps| maps.attention_input);
        let requantized = buffers
            .requantized
            .each_ref()
            .map(|requantized| &**requantized);
        let qkv = buffers.qkv.each_mut().map(|qkv| &mut **qkv);
        kernels.linear_i8::<false, T>(maps.qkv, requantized, buffers.acc, qkv);
        for (token, (qkv, context)) in buffers.qkv.iter().zip(&mut buffers.context).enumerate() {
            let position = CachePosition {
                index: group.first.index.wrapping_add(token),
                filled: group.first.filled.wrapping_add(token),
            };
            let attention = Attention {
                shape,
                position,
                logit: maps.logit,
                output: maps.attention_output,
                biases: maps.age_bias,
                qkv,
                keys: &mut *keys,
                values: &mut *values,
                acc: &mut *buffers.acc,
                probabilities: &mut *buffers.probabilities,
                context,
            };
            match &mut hook {
                Some(hook) if group.newest == Some(token) => {
                    let mut of_head = |head: usize, probabilities: &[i16], total: u32| {
                        report(*hook, (index, head), position, probabilities, total);
                    };
                    kernels.attend(attention, Some(&mut of_head));
                }
                _ => kernels.attend(attention, None),
            }
        }
        match next {
            // Behind the last layer's keys and values nobody reads any but the newest token.
            None if K::TOGETHER => {
                let newest = group.newest.and_then(|newest| buffers.token(newest));
                if let Some(mut newest) = newest {
                    newest.feed(kernels, maps, head_input);
                }
            }
            next => buffers.feed(kernels, maps, next.unwrap_or(head_input)),
        }
        index = index.wrapping_add(1);
    }
}

/// The parts of the buffers that `T` tokens fill.
struct Buffers<'a, const T: usize> {
    acc: &'a mut [i32],
    probabilities: &'a mut [i16],
    residual: [&'a mut [i16]; T],
    requantized: [&'a mut [i8]; T],
    qkv: [&'a mut [i8]; T],
    context: [&'a mut [i8]; T],
    wide: [&'a mut [i8]; T],
}

impl<'a, const T: usize> Buffers<'a, T> {
    /// `None`: not for a configuration that the reader accepts.
    #[inline(always)]
    fn new<K: Kernels>(config: &ModelConfig, scratch: &'a mut Scratch) -> Option<Self> {
        let model = K::padded(config.model);
        Some(Self {
            acc: &mut scratch.acc.0,
            probabilities: &mut scratch.probabilities.0,
            residual: vectors(&mut scratch.residual.0, model)?,
            requantized: vectors(&mut scratch.requantized.0, model)?,
            qkv: vectors(
                &mut scratch.qkv.0,
                K::padded(config.model.saturating_mul(3)),
            )?,
            context: vectors(&mut scratch.context.0, model)?,
            wide: vectors(&mut scratch.wide.0, K::padded(config.ff))?,
        })
    }

    /// One of them alone, with its next input as the first.
    #[inline(always)]
    fn token(&mut self, token: usize) -> Option<Buffers<'_, 1>> {
        Some(Buffers {
            acc: self.acc,
            probabilities: self.probabilities,
            residual: [self.residual.get_mut(token)?],
            requantized: [self.requantized.first_mut()?],
            qkv: [self.qkv.get_mut(token)?],
            context: [self.context.get_mut(token)?],
            wide: [self.wide.get_mut(token)?],
        })
    }

    /// What follows attention.
    #[inline(always)]
    fn feed<K: Kernels>(&mut self, kernels: K, maps: &Layer<'_, K>, next: Requant) {
        fn read<'b, T, const N: usize>(vectors: &'b [&mut [T]; N]) -> [&'b [T]; N] {
            vectors.each_ref().map(|vector| &**vector)
        }
        fn write<'b, T, const N: usize>(vectors: &'b mut [&mut [T]; N]) -> [&'b mut [T]; N] {
            vectors.each_mut().map(|vector| &mut **vector)
        }
        let Self {
            acc,
            residual,
            requantized,
            context,
            wide,
            ..
        } = self;
        let onto = (write(residual), maps.ff_input, write(requantized));
        kernels.linear_add(maps.out, read(context), acc, onto);
        kernels.linear_i8::<true, T>(maps.ff1, read(requantized), acc, write(wide));
        let onto = (write(residual), next, write(requantized));
        kernels.linear_add(maps.ff2, read(wide), acc, onto);
    }
}

/// The first vectors of a buffer that holds them one behind the other.
#[inline(always)]
fn vectors<T, const N: usize>(mut buffer: &mut [T], length: usize) -> Option<[&mut [T]; N]> {
    let mut vectors = core::array::from_fn(|_| <&mut [T]>::default());
    for vector in &mut vectors {
        let (first, rest) = core::mem::take(&mut buffer).split_at_mut_checked(length)?;
        (*vector, buffer) = (first, rest);
    }
    Some(vectors)
}

/// Tells the hook the attention probabilities of a layer's head by age.
fn report(
    hook: &mut dyn AttentionHook,
    (layer, head): (usize, usize),
    position: CachePosition,
    probabilities: &[i16],
    total: u32,
) {
    let window = probabilities.len();
    let mut index = position.index;
    for age in 0..window {
        let probability = probabilities.get(index).copied().unwrap_or(0);
        let probability = u32::from(probability.unsigned_abs());
        hook.attention(layer, head, age, probability, total);
        index = if index == 0 { window } else { index }.wrapping_sub(1);
    }
}
