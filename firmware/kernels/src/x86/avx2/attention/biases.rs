//! Age biases in an order in which eight places of the ring read eight neighbours.
//!
//! For every head `falling[j] = bias[-j mod window]`, so that the biases of the places from `p` on start at
//! `window - index + p`, wherever the ring begins.

use super::super::packed::ROWS;
use crate::{Line, PackedBiases, Requant, Shape};

/// The age biases of one layer.
#[derive(Clone, Copy, Debug)]
pub struct Biases<'a> {
    /// `[heads][`[`stride`]`]`
    pub(super) falling: &'a [i32],
}

/// Entries of one head.
pub(super) const fn stride(window: usize) -> usize {
    window.saturating_add(window.next_multiple_of(ROWS))
}

impl<'a> PackedBiases<'a> for Biases<'a> {
    fn lines(shape: Shape) -> usize {
        stride(shape.window)
            .saturating_mul(shape.heads)
            .div_ceil(16)
    }

    fn pack(shape: Shape, _: Requant, biases: &[[u8; 4]], lines: &mut [Line]) -> Option<()> {
        let entries = shape.heads.checked_mul(shape.window)?;
        if lines.len() != Self::lines(shape) || !biases.is_empty() && biases.len() != entries {
            return None;
        }
        lines.fill(Line::ZERO);
        if shape.window == 0 {
            return Some(());
        }
        let falling = bytemuck::cast_slice_mut::<Line, i32>(lines);
        let heads = falling.chunks_exact_mut(stride(shape.window));
        for (falling, biases) in heads.zip(biases.chunks_exact(shape.window)) {
            let ages = biases.iter().take(1).chain(biases.iter().skip(1).rev());
            for (place, &bias) in falling.iter_mut().zip(ages.cycle()) {
                *place = i32::from_le_bytes(bias);
            }
        }
        Some(())
    }

    fn view(shape: Shape, _: Requant, _: &'a [[u8; 4]], lines: &'a [Line]) -> Option<Self> {
        let falling = bytemuck::cast_slice::<Line, i32>(lines);
        (lines.len() == Self::lines(shape)).then_some(Self { falling })
    }
}
