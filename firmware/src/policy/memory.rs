//! What the policy remembers, and the buffers it computes in.

#[cfg(feature = "bench")]
use core::ops::Range;

use engram_image::limits::{
    KV_BYTES, MAX_ACTIONS, MAX_FF, MAX_HIDDEN, MAX_INPUTS, MAX_LAYERS, MAX_MODEL, MAX_WINDOW,
    SLOT_ENTRIES,
};
use engram_image::{ModelConfig, Positions};
use engram_kernels::CachePosition;

use super::backend::{kv_bytes, most_tokens};

/// Largest number of rows of any product: a feed-forward block, the stacked queries, keys and
/// values, the logits of a window, or a hidden layer of the head.
pub(super) const MAX_ROWS: usize = largest(&[MAX_FF, 3 * MAX_MODEL, MAX_WINDOW, MAX_HIDDEN]);

/// No kernels compute more lanes at a time. The limits that are not padded here are multiples of it.
const LANES_MAX: usize = 16;

/// Tokens that a step of this program takes through the layers together, at most.
const TOKENS: usize = most_tokens();

/// Bytes of cache that the largest policy takes on the kernels of this program. One that would take more for its padding, which only
/// tiny heads can, runs on the portable kernels.
pub const LARGEST_CACHE: usize = {
    let [keys, values] = kv_bytes(MAX_LAYERS * MAX_MODEL, KV_BYTES);
    line(keys) + line(values) + 2 * SLOT_ENTRIES
};

/// Bytes of a [`Memory`] beside its cache: the buffers of a step.
pub const BUFFERS_BYTES: usize = size_of::<Memory<[i8; 0]>>();

/// A memory with room for every policy, on hosts.
pub type LargestMemory = Memory<[i8; LARGEST_CACHE]>;

/// The episodic memory of one policy: keys and values of every layer, where the window stands, and the buffers of a step, so that the
/// stack stays small.
///
/// The caller lends the room: `Memory<[i8; N]>`, in a static or in a box, has `N` bytes for the cache, and becomes a `Memory` by
/// itself where one is asked for by reference. A policy takes [`super::Policy::cache_bytes`] of them, and none that needs more is run.
///
/// Within a layer, keys and values lie as the kernels want them. With `age`, positions are a ring over the steps;
/// with `slot` they are the slots, and before them stands a ring of embedded working memories.
pub struct Memory<T: ?Sized = [i8]> {
    /// Where the next working memory goes.
    pub(super) next: usize,
    /// Working memories since the memory was cleared, at most the window.
    pub(super) filled: usize,
    pub(super) scratch: Scratch,
    pub(super) cache: Aligned<T>,
}

/// How many bytes of a cache hold what; each part begins at a cache line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CacheBytes {
    /// Embedded working memories, `[position][model]` of int16, `slot` only.
    pub(super) slots: usize,
    /// Keys of all layers.
    pub(super) keys: usize,
    /// Values of all layers.
    pub(super) values: usize,
    /// Keys and values of one layer.
    pub(super) of_layer: [usize; 2],
}

/// A cache in its parts, with the buffers beside it.
pub(super) struct Parts<'a> {
    pub(super) slots: &'a mut [i8],
    pub(super) keys: &'a mut [i8],
    pub(super) values: &'a mut [i8],
    pub(super) scratch: &'a mut Scratch,
}

impl CacheBytes {
    /// What a policy of this shape takes where the keys and the values of one layer take so many bytes.
    pub(super) fn of(config: &ModelConfig, [keys, values]: [usize; 2]) -> Self {
        Self {
            slots: match config.positions {
                Positions::Slot => config.state_bytes(),
                Positions::Age => 0,
            },
            keys: keys.saturating_mul(config.layers),
            values: values.saturating_mul(config.layers),
            of_layer: [keys, values],
        }
    }

    /// Those of slots, keys and values that persist from step to step: the keys and values of a `slot` policy are computed
    /// anew in every step.
    pub(super) const fn kept(self) -> [usize; 3] {
        match self.slots {
            0 => [0, self.keys, self.values],
            slots => [slots, 0, 0],
        }
    }

    /// Bytes that persist from step to step.
    pub(super) fn kept_bytes(self) -> usize {
        self.kept().into_iter().fold(0, usize::saturating_add)
    }

    /// Bytes of cache that the policy needs; `usize::MAX` for an image that contradicts itself.
    pub(super) const fn all(self) -> usize {
        line(self.slots)
            .saturating_add(line(self.keys))
            .saturating_add(line(self.values))
    }
}

/// Whole cache lines.
const fn line(bytes: usize) -> usize {
    bytes.div_ceil(64).saturating_mul(64)
}

/// Aligned to a cache line, for the kernels' vectors.
#[repr(align(64))]
pub(super) struct Aligned<T: ?Sized>(pub(super) T);

/// Buffers of a step. Nothing in them outlives the step.
pub(super) struct Scratch {
    /// Sums of one product.
    pub(super) acc: Aligned<[i32; MAX_ROWS]>,
    /// `[inputs]`
    pub(super) quantized: Aligned<[i16; padded(MAX_INPUTS)]>,
    /// `[model]`: embedding of the newest working memory.
    pub(super) embedded: Aligned<[i16; MAX_MODEL]>,
    /// `[token][model]`: the tokens on their way through the layers.
    pub(super) residual: Aligned<[i16; TOKENS * MAX_MODEL]>,
    /// `[token][model]`: input of a product.
    pub(super) requantized: Aligned<[i8; TOKENS * MAX_MODEL]>,
    /// `[model]`: the newest token after the last layer, as the input of the head.
    pub(super) encoded: Aligned<[i8; MAX_MODEL]>,
    /// `[token][3 model]`: queries, keys, values.
    pub(super) qkv: Aligned<[i8; TOKENS * 3 * MAX_MODEL]>,
    /// `[window]`: attention probabilities of one head.
    pub(super) probabilities: Aligned<[i16; MAX_WINDOW]>,
    /// `[token][model]`: context of attention, the mean of the values by their probabilities.
    pub(super) context: Aligned<[i8; TOKENS * MAX_MODEL]>,
    /// `[token][ff]`
    pub(super) wide: Aligned<[i8; TOKENS * MAX_FF]>,
    /// `[hidden]`: preactivations of the head.
    pub(super) preactivation: Aligned<[i32; MAX_HIDDEN]>,
    /// `[hidden]`: activations of the head's two hidden layers.
    pub(super) hidden: [Aligned<[i8; MAX_HIDDEN]>; 2],
    /// `[actions]`
    pub(super) words: Aligned<[i16; padded(MAX_ACTIONS)]>,
}

impl<const N: usize> Memory<[i8; N]> {
    /// An empty memory.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            next: 0,
            filled: 0,
            scratch: Scratch::EMPTY,
            cache: Aligned([0; N]),
        }
    }
}

impl<const N: usize> Default for Memory<[i8; N]> {
    fn default() -> Self {
        Self::new()
    }
}

impl Memory {
    /// Forgets everything: from here on it behaves like a new memory. Constant time: what lies in
    /// the cache stays there, masked until it is overwritten.
    pub const fn clear(&mut self) {
        self.next = 0;
        self.filled = 0;
    }

    /// Working memories held, at most the window of the image.
    #[must_use]
    pub const fn filled(&self) -> usize {
        self.filled
    }

    /// Bytes that were lent for the cache.
    #[must_use]
    pub const fn cache_bytes(&self) -> usize {
        self.cache.0.len()
    }

    /// The cache of a policy, and the buffers; `None` where it is too small.
    pub(super) fn parts(&mut self, bytes: CacheBytes) -> Option<Parts<'_>> {
        let CacheBytes {
            slots,
            keys,
            values,
            ..
        } = bytes;
        let (to_slots, rest) = self.cache.0.split_at_mut_checked(line(slots))?;
        let (to_keys, to_values) = rest.split_at_mut_checked(line(keys))?;
        Some(Parts {
            slots: to_slots.get_mut(..slots)?,
            keys: to_keys.get_mut(..keys)?,
            values: to_values.get_mut(..values)?,
            scratch: &mut self.scratch,
        })
    }

    /// Bytes of the cache up to the last that is not zero: what the policy that ran on a new memory has written.
    #[cfg(test)]
    pub(super) fn written_bytes(&self) -> usize {
        let last = self.cache.0.iter().rposition(|&byte| byte != 0);
        last.map_or(0, |index| index.wrapping_add(1))
    }

    /// Addresses of the cache.
    #[cfg(feature = "bench")]
    pub(super) fn addresses(&self) -> Range<usize> {
        let start = self.cache.0.as_ptr().addr();
        start..start.wrapping_add(self.cache.0.len())
    }

    /// Takes the next position of a ring of `window`; returns it, and the position of the oldest memory.
    pub(super) fn advance(&mut self, window: usize) -> (CachePosition, usize) {
        // A memory that another image left without a clear may stand beyond this one's window.
        let index = if self.next < window { self.next } else { 0 };
        self.next = next_index(index, window);
        self.filled = if self.filled < window {
            self.filled.wrapping_add(1)
        } else {
            window
        };
        let filled = self.filled;
        let age = filled.wrapping_sub(1);
        let wrapped = if index < age { window } else { 0 };
        let oldest = index.wrapping_add(wrapped).wrapping_sub(age);
        (CachePosition { index, filled }, oldest)
    }
}

impl Scratch {
    const EMPTY: Self = Self {
        acc: Aligned([0; MAX_ROWS]),
        quantized: Aligned([0; padded(MAX_INPUTS)]),
        embedded: Aligned([0; MAX_MODEL]),
        residual: Aligned([0; TOKENS * MAX_MODEL]),
        requantized: Aligned([0; TOKENS * MAX_MODEL]),
        encoded: Aligned([0; MAX_MODEL]),
        qkv: Aligned([0; TOKENS * 3 * MAX_MODEL]),
        probabilities: Aligned([0; MAX_WINDOW]),
        context: Aligned([0; TOKENS * MAX_MODEL]),
        wide: Aligned([0; TOKENS * MAX_FF]),
        preactivation: Aligned([0; MAX_HIDDEN]),
        hidden: [const { Aligned([0; MAX_HIDDEN]) }; 2],
        words: Aligned([0; padded(MAX_ACTIONS)]),
    };
}

/// The embedded working memory at a position of the ring, as bytes of int16.
pub(super) fn row_mut(slots: &mut [i8], model: usize, index: usize) -> Option<&mut [[i8; 2]]> {
    let rows = slots.as_chunks_mut::<2>().0;
    rows.chunks_exact_mut(model.max(1)).nth(index)
}

/// An entry of [`row_mut`].
pub(super) const fn entry(bytes: [i8; 2]) -> i16 {
    i16::from_le_bytes([bytes[0].cast_unsigned(), bytes[1].cast_unsigned()])
}

/// The position after `index` in a ring of `window`.
pub(super) const fn next_index(index: usize, window: usize) -> usize {
    let next = index.wrapping_add(1);
    if next < window { next } else { 0 }
}

/// A length that no kernels' padding exceeds.
const fn padded(length: usize) -> usize {
    length.next_multiple_of(LANES_MAX)
}

pub(super) const fn largest(values: &[usize]) -> usize {
    let mut largest = 0;
    let mut i = 0;
    while i < values.len() {
        if values[i] > largest {
            largest = values[i];
        }
        i += 1;
    }
    largest
}
