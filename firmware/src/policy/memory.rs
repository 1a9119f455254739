//! What the policy remembers, and the buffers it computes in.

#[cfg(feature = "count-macs")]
use core::ops::Range;

use engram_image::limits::{
    KV_BYTES, MAX_ACTIONS, MAX_FF, MAX_HIDDEN, MAX_INPUTS, MAX_LAYERS, MAX_MODEL, MAX_WINDOW,
    SLOT_ENTRIES,
};
use engram_kernels::Place;

use super::backend::{most_tokens, ring_bytes};

/// Largest number of rows of any product: a feed-forward block, the stacked queries, keys and
/// values, the logits of a window, or a hidden layer of the head.
pub(super) const MAX_ROWS: usize = largest(&[MAX_FF, 3 * MAX_MODEL, MAX_WINDOW, MAX_HIDDEN]);

/// No kernels compute more lanes at a time. The limits that are not padded here are multiples of it.
const LANES_MAX: usize = 16;

/// Tokens that a step of this program takes through the layers together, at most.
const TOKENS: usize = most_tokens();

/// Bytes of the rings of keys and of values, as the kernels of this program fill them up.
pub(super) const RING_BYTES: [usize; 2] = ring_bytes(MAX_LAYERS * MAX_MODEL, KV_BYTES);

/// The episodic memory of one policy: keys and values of every layer, and where the window stands.
///
/// Sized by the limits of engram-image: about 150 KiB, with the kernels of the Cortex-M7 about 225, on hosts about 540. A board
/// keeps it in a static, a host in a box.
/// It also holds the buffers of a step, so that the stack stays small.
///
/// Within a layer, keys and values lie as the kernels want them. With `age`, places are a ring over the steps;
/// with `slot` they are the slots, and the ring holds embedded working memories instead.
pub struct Memory {
    pub(super) keys: Aligned<[i8; RING_BYTES[0]]>,
    pub(super) values: Aligned<[i8; RING_BYTES[1]]>,
    /// `[place][model]`, `slot` only.
    pub(super) slots: [i16; SLOT_ENTRIES],
    /// Where the next working memory goes.
    pub(super) next: usize,
    /// Working memories since the memory was cleared, at most the window.
    pub(super) filled: usize,
    pub(super) scratch: Scratch,
}

/// Aligned to a cache line, for the kernels' vectors.
#[repr(align(64))]
pub(super) struct Aligned<T>(pub(super) T);

/// Buffers of a step. Nothing in them outlives the step.
pub(super) struct Scratch {
    /// Sums of one product.
    pub(super) sums: Aligned<[i32; MAX_ROWS]>,
    /// `[inputs]`
    pub(super) quantized: Aligned<[i16; padded(MAX_INPUTS)]>,
    /// `[model]`: embedding of the newest working memory.
    pub(super) embedded: Aligned<[i16; MAX_MODEL]>,
    /// `[token][model]`: the tokens on their way through the layers.
    pub(super) residual: Aligned<[i16; TOKENS * MAX_MODEL]>,
    /// `[token][model]`: input of a product.
    pub(super) narrow: Aligned<[i8; TOKENS * MAX_MODEL]>,
    /// `[model]`: the newest token after the last layer, as the input of the head.
    pub(super) encoded: Aligned<[i8; MAX_MODEL]>,
    /// `[token][3 model]`: queries, keys, values.
    pub(super) qkv: Aligned<[i8; TOKENS * 3 * MAX_MODEL]>,
    /// `[window]`: attention weights of one head.
    pub(super) weights: Aligned<[i16; MAX_WINDOW]>,
    /// `[token][model]`: weighted means of the values.
    pub(super) means: Aligned<[i8; TOKENS * MAX_MODEL]>,
    /// `[token][ff]`
    pub(super) wide: Aligned<[i8; TOKENS * MAX_FF]>,
    /// `[hidden]`: preactivations of the head.
    pub(super) preactivation: Aligned<[i32; MAX_HIDDEN]>,
    /// `[hidden]`: activations of the head's two hidden layers.
    pub(super) hidden: [Aligned<[i8; MAX_HIDDEN]>; 2],
    /// `[actions]`
    pub(super) words: Aligned<[i16; padded(MAX_ACTIONS)]>,
}

impl Memory {
    /// An empty memory.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            keys: Aligned([0; RING_BYTES[0]]),
            values: Aligned([0; RING_BYTES[1]]),
            slots: [0; SLOT_ENTRIES],
            next: 0,
            filled: 0,
            scratch: Scratch::EMPTY,
        }
    }

    /// Forgets everything: from here on it behaves like a new memory. Constant time: what lies in
    /// the rings stays there, masked until it is overwritten.
    pub const fn clear(&mut self) {
        self.next = 0;
        self.filled = 0;
    }

    /// Working memories held, at most the window of the image.
    #[must_use]
    pub const fn filled(&self) -> usize {
        self.filled
    }

    /// Bytes of keys, of values and of embedded working memories up to the last that is not zero: what the policy that
    /// ran on a new memory has written.
    #[cfg(test)]
    pub(super) fn written_bytes(&self) -> [usize; 3] {
        let end = |last: Option<usize>| last.map_or(0, |index| index.wrapping_add(1));
        let bytes = |ring: &[i8]| end(ring.iter().rposition(|&byte| byte != 0));
        let slots = end(self.slots.iter().rposition(|&entry| entry != 0));
        [
            bytes(&self.keys.0),
            bytes(&self.values.0),
            slots.wrapping_mul(size_of::<i16>()),
        ]
    }

    /// Addresses of keys, of values and of embedded working memories, all that an image may use of them.
    #[cfg(feature = "count-macs")]
    pub(super) fn addresses(&self) -> [Range<usize>; 3] {
        let range = |start: usize, bytes: usize| start..start.wrapping_add(bytes);
        [
            range(self.keys.0.as_ptr().addr(), size_of_val(&self.keys.0)),
            range(self.values.0.as_ptr().addr(), size_of_val(&self.values.0)),
            range(self.slots.as_ptr().addr(), size_of_val(&self.slots)),
        ]
    }

    /// Takes the next place of a ring of `window`; returns it, and the place of the oldest memory.
    pub(super) fn advance(&mut self, window: usize) -> (Place, usize) {
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
        (Place { index, filled }, oldest)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Scratch {
    const EMPTY: Self = Self {
        sums: Aligned([0; MAX_ROWS]),
        quantized: Aligned([0; padded(MAX_INPUTS)]),
        embedded: Aligned([0; MAX_MODEL]),
        residual: Aligned([0; TOKENS * MAX_MODEL]),
        narrow: Aligned([0; TOKENS * MAX_MODEL]),
        encoded: Aligned([0; MAX_MODEL]),
        qkv: Aligned([0; TOKENS * 3 * MAX_MODEL]),
        weights: Aligned([0; MAX_WINDOW]),
        means: Aligned([0; TOKENS * MAX_MODEL]),
        wide: Aligned([0; TOKENS * MAX_FF]),
        preactivation: Aligned([0; MAX_HIDDEN]),
        hidden: [const { Aligned([0; MAX_HIDDEN]) }; 2],
        words: Aligned([0; padded(MAX_ACTIONS)]),
    };
}

/// The place after `index` in a ring of `window`.
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
