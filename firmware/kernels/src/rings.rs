//! How much the rings of keys and values take, kernels by kernels: what a host reports of a board.

use crate::{Kernels, Portable, Shape};

/// Who lays out the rings of attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rings {
    /// Without gaps: [`crate::Portable`].
    Plain,
    /// The Cortex-M7's kernels of packed images: whole groups of four places, values as int16.
    CortexM7,
    /// The Cortex-M55's kernels: values in whole vectors of eight places.
    CortexM55,
}

impl Rings {
    /// Channels that the width of a head must be a multiple of; other heads are laid out plainly.
    const CHANNELS: usize = 8;

    /// Bytes of the keys and of the values of one layer.
    #[must_use]
    pub fn bytes(self, shape: Shape) -> [usize; 2] {
        let plain = Portable.key_bytes(shape);
        if !Self::attends(shape) {
            return [plain; 2];
        }
        let filled_up = |places: usize| {
            let places = shape.window.div_ceil(places).saturating_mul(places);
            shape
                .heads
                .saturating_mul(places)
                .saturating_mul(shape.width)
        };
        match self {
            Self::Plain => [plain; 2],
            Self::CortexM7 => [filled_up(4), filled_up(4).saturating_mul(2)],
            Self::CortexM55 => [plain, filled_up(8)],
        }
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
        assert_eq!(Rings::Plain.bytes(shape), [6_400; 2]);
        assert_eq!(Rings::CortexM7.bytes(shape), [6_656, 13_312]);
        assert_eq!(Rings::CortexM55.bytes(shape), [6_400, 7_168]);
        let narrow = Shape { width: 4, ..shape };
        for rings in [Rings::Plain, Rings::CortexM7, Rings::CortexM55] {
            assert_eq!(rings.bytes(narrow), [1_600; 2]);
        }
    }
}
