//! What the policy remembers, and the buffers it computes in.

use engram_image::limits::{
    KV_BYTES, MAX_FF, MAX_HIDDEN, MAX_INPUTS, MAX_MODEL, MAX_WINDOW, SLOT_ENTRIES,
};

/// Largest number of rows of any product: a feed-forward block, the stacked queries, keys and
/// values, the logits of a window, or a hidden layer of the head.
pub(super) const MAX_ROWS: usize = largest(&[MAX_FF, 3 * MAX_MODEL, MAX_WINDOW, MAX_HIDDEN]);

/// The episodic memory of one policy: keys and values of every layer, and where the window stands.
///
/// About 150 KiB, sized by the limits of engram-image: a board keeps it in a static, a host in a box.
/// It also holds the buffers of a step, so that the stack stays small.
///
/// Keys lie as `[layer][head][place][channel]`, values as `[layer][head][channel][place]`: both
/// products of attention then read them row by row. With `age`, places are a ring over the steps;
/// with `slot` they are the slots, and the ring holds embedded working memories instead.
pub struct Memory {
    pub(super) keys: [i8; KV_BYTES],
    pub(super) values: [i8; KV_BYTES],
    /// `[place][model]`, `slot` only.
    pub(super) slots: [i16; SLOT_ENTRIES],
    /// Where the next working memory goes.
    pub(super) next: usize,
    /// Working memories since the memory was cleared, at most the window.
    pub(super) filled: usize,
    pub(super) scratch: Scratch,
}

/// Where a token stands in the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Place of its keys and values. Place `p` holds the memory of age `(index - p) mod window`.
    pub(super) index: usize,
    /// Memories that it attends to, itself included: those of an age below this.
    pub(super) filled: usize,
}

/// Buffers of a step. Nothing in them outlives the step.
pub(super) struct Scratch {
    /// Sums of one product.
    pub(super) sums: [i32; MAX_ROWS],
    /// `[inputs]`
    pub(super) quantized: [i16; MAX_INPUTS],
    /// `[model]`: embedding of the newest working memory.
    pub(super) embedded: [i16; MAX_MODEL],
    /// `[model]`: the token on its way through the layers.
    pub(super) residual: [i16; MAX_MODEL],
    /// `[model]`: the newest token after the last layer.
    pub(super) encoded: [i16; MAX_MODEL],
    /// `[model]`: input of a product.
    pub(super) narrow: [i8; MAX_MODEL],
    /// `[3 model]`: queries, keys, values.
    pub(super) qkv: [i8; 3 * MAX_MODEL],
    /// `[window]`: attention weights of one head.
    pub(super) weights: [i16; MAX_WINDOW],
    /// `[ff]`
    pub(super) wide: [i8; MAX_FF],
    /// `[hidden]`: preactivations of the head.
    pub(super) preactivation: [i32; MAX_HIDDEN],
    /// `[hidden]`: activations of the head.
    pub(super) hidden: [i8; MAX_HIDDEN],
}

impl Memory {
    /// An empty memory.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            keys: [0; KV_BYTES],
            values: [0; KV_BYTES],
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
        sums: [0; MAX_ROWS],
        quantized: [0; MAX_INPUTS],
        embedded: [0; MAX_MODEL],
        residual: [0; MAX_MODEL],
        encoded: [0; MAX_MODEL],
        narrow: [0; MAX_MODEL],
        qkv: [0; 3 * MAX_MODEL],
        weights: [0; MAX_WINDOW],
        wide: [0; MAX_FF],
        preactivation: [0; MAX_HIDDEN],
        hidden: [0; MAX_HIDDEN],
    };
}

/// The place after `index` in a ring of `window`.
pub(super) const fn next_index(index: usize, window: usize) -> usize {
    let next = index.wrapping_add(1);
    if next < window { next } else { 0 }
}

const fn largest(values: &[usize]) -> usize {
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
