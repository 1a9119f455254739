//! Where keys and values lie.
//!
//! Keys: `[head][position / 8][channel / 4]` halves of eight positions, four channels each, as the weights of a map whose
//! rows are the positions. Values: int16, `[head][channel / 8][position / 2]` halves of eight channels, two positions each.
//! Channels and positions that do not exist are zeros, or weighed by zeros.

use super::super::memory::Half;
use super::super::packed::ROWS;
use crate::Shape;
use crate::simd::packed::QUAD;

/// Lengths of the KV cache of one head.
#[derive(Clone, Copy)]
pub(super) struct Ring {
    /// Places, a multiple of eight.
    pub(super) positions: usize,
    /// Four channels each.
    pub(super) quads: usize,
    /// Eight channels each.
    pub(super) eights: usize,
}

impl Ring {
    pub(super) const fn new(shape: Shape) -> Self {
        Self {
            positions: shape.window.next_multiple_of(ROWS),
            quads: shape.width.div_ceil(QUAD),
            eights: shape.width.div_ceil(ROWS),
        }
    }

    /// Halves of the keys of one head.
    pub(super) const fn keys(self) -> usize {
        (self.positions / ROWS).saturating_mul(self.quads)
    }

    /// Halves of the values of one head.
    pub(super) const fn values(self) -> usize {
        (self.positions / 2).saturating_mul(self.eights)
    }
}

/// Puts a token's key at its position.
pub(super) fn store_key(ring: &mut [Half], quads: usize, position: usize, key: &[i8]) {
    let block = (position / ROWS).saturating_mul(quads);
    let halves = ring.get_mut(block..).unwrap_or_default();
    for (half, channels) in halves.iter_mut().zip(key.chunks(QUAD)) {
        let mut bytes = [0; QUAD];
        for (byte, &channel) in bytes.iter_mut().zip(channels) {
            *byte = channel.cast_unsigned();
        }
        if let Some(cell) = half.as_chunks_mut::<QUAD>().0.get_mut(position % ROWS) {
            *cell = bytes;
        }
    }
}

/// Puts a token's value at its position.
pub(super) fn store_value(ring: &mut [Half], positions: usize, position: usize, value: &[i8]) {
    let columns = ring.chunks_exact_mut((positions / 2).max(1));
    for (column, channels) in columns.zip(value.chunks(ROWS)) {
        let Some(half) = column.get_mut(position / 2) else {
            return;
        };
        for (cell, &channel) in half.as_chunks_mut::<4>().0.iter_mut().zip(channels) {
            if let Some(wide) = cell.as_chunks_mut::<2>().0.get_mut(position % 2) {
                *wide = i16::from(channel).to_le_bytes();
            }
        }
    }
}
