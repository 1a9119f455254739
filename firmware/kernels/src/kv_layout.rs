//! How the rings of keys and values lie, kernels by kernels: also for what a host reports of a board.

use crate::Shape;

/// Of keys and of values: bytes of an entry, and of which number the places of a head are filled up to a multiple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KvLayout([[usize; 2]; 2]);

impl KvLayout {
    /// Without gaps: [`crate::Portable`].
    pub const PLAIN: Self = Self([[1, 1], [1, 1]]);
    /// The Cortex-M7's kernels of packed images: whole groups of four places, values as int16.
    pub const CORTEX_M7: Self = Self([[1, 4], [2, 4]]);
    /// The Cortex-M55's kernels: values in whole vectors of eight places.
    pub const CORTEX_M55: Self = Self([[1, 1], [1, 8]]);
    /// Hosts' vectors, at most: heads and places filled up to multiples of four.
    pub const VECTORS: Self = Self([[4, 1], [4, 1]]);

    /// Channels that the width of a head must be a multiple of; other heads are laid out plainly.
    const CHANNELS: usize = 8;

    /// Bytes of the keys and of the values of one layer.
    #[must_use]
    pub fn bytes(self, shape: Shape) -> [usize; 2] {
        let Self(rings) = if Self::attends(shape) {
            self
        } else {
            Self::PLAIN
        };
        rings.map(|[entry, fill]| {
            let places = shape.window.div_ceil(fill.max(1)).saturating_mul(fill);
            let channels = shape.heads.saturating_mul(shape.width);
            channels.saturating_mul(places).saturating_mul(entry)
        })
    }

    /// The most bytes of keys and of values that layers of so many channels in all have, whose rings without gaps have so many.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_of_a_window_of_fifty() {
        let shape = Shape {
            heads: 8,
            width: 16,
            window: 50,
        };
        assert_eq!(KvLayout::PLAIN.bytes(shape), [6_400; 2]);
        assert_eq!(KvLayout::CORTEX_M7.bytes(shape), [6_656, 13_312]);
        assert_eq!(KvLayout::CORTEX_M55.bytes(shape), [6_400, 7_168]);
        let narrow = Shape { width: 4, ..shape };
        for rings in [KvLayout::PLAIN, KvLayout::CORTEX_M7, KvLayout::CORTEX_M55] {
            assert_eq!(rings.bytes(narrow), [1_600; 2]);
        }
    }
}
