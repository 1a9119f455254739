//! How keys and values lie in the KV cache, kernels by kernels: also for what a host reports of a board.

use crate::Shape;

/// Of keys and of values: bytes of an entry, and of which number the positions of a head are filled up to a multiple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KvLayout([[usize; 2]; 2]);

impl KvLayout {
    /// Without gaps: [`crate::Portable`].
    pub const PLAIN: Self = Self([[1, 1], [1, 1]]);
    /// The Cortex-M7's kernels of packed images: whole groups of four positions, values as int16.
    pub const CORTEX_M7: Self = Self([[1, 4], [2, 4]]);
    /// The Cortex-M55's kernels: values in whole vectors of eight positions.
    pub const CORTEX_M55: Self = Self([[1, 1], [1, 8]]);
    /// Hosts' vectors, at most: heads and positions filled up to multiples of four.
    pub const VECTORS: Self = Self([[4, 1], [4, 1]]);

    /// Channels that the width of a head must be a multiple of; other heads are laid out plainly.
    const CHANNELS: usize = 8;

    /// Bytes of the keys and of the values of one layer.
    #[must_use]
    pub fn bytes(self, shape: Shape) -> [usize; 2] {
        let layout = if Self::attends(shape) {
            self
        } else {
            Self::PLAIN
        };
        layout
            .bytes_of_head(shape)
            .map(|bytes| bytes.saturating_mul(shape.heads))
    }

    /// Bytes of the keys and of the values of one head that [`KvLayout::attends`].
    #[inline]
    pub(crate) fn bytes_of_head(self, shape: Shape) -> [usize; 2] {
        self.0.map(|[entry, fill]| {
            let positions = filled_up(shape.window, fill);
            shape.width.saturating_mul(positions).saturating_mul(entry)
        })
    }

    /// Positions of the values of one head, those that only fill up blocks included.
    #[inline]
    #[must_use]
    pub fn positions(self, shape: Shape) -> usize {
        let Self([_, [_, fill]]) = self;
        filled_up(shape.window, fill)
    }

    /// The most bytes of keys and of values that layers of so many channels in all have, whose entries without gaps are so many.
    #[must_use]
    pub const fn most(self, channels: usize, plain: usize) -> [usize; 2] {
        let Self([[key, keys], [value, values]]) = self;
        [
            key * (plain + (keys - 1) * channels),
            value * (plain + (values - 1) * channels),
        ]
    }

    /// Whether the microcontrollers' kernels compute heads of this shape; otherwise [`crate::Portable`] does.
    #[must_use]
    pub const fn attends(shape: Shape) -> bool {
        shape.width.is_multiple_of(Self::CHANNELS) && shape.width > 0 && shape.window > 0
    }
}

/// The next multiple of `fill`.
#[inline]
fn filled_up(window: usize, fill: usize) -> usize {
    window.div_ceil(fill.max(1)).saturating_mul(fill)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_of_fifty() {
        let shape = Shape {
            heads: 8,
            width: 16,
            window: 50,
        };
        assert_eq!(KvLayout::PLAIN.bytes(shape), [6_400; 2]);
        assert_eq!(KvLayout::CORTEX_M7.bytes(shape), [6_656, 13_312]);
        assert_eq!(KvLayout::CORTEX_M55.bytes(shape), [6_400, 7_168]);
        let narrow = Shape { width: 4, ..shape };
        for layout in [KvLayout::PLAIN, KvLayout::CORTEX_M7, KvLayout::CORTEX_M55] {
            assert_eq!(layout.bytes(narrow), [1_600; 2]);
        }
    }
}
