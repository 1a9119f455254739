//! Age biases by falling age, twice in a row: so the ages of all positions of a ring lie in a row wherever it stands.

use core::marker::PhantomData;

use super::packed::{PackedLayout, QUAD};
use crate::{Attention, CacheLine, HeadHook, Kernels, PackedBiases, Portable, Requant, Shape};

/// Largest magnitude of a bias: with logits of at most as much, no sum has to be limited.
const BIAS_MAX: u32 = 1 << 29;

/// Marks lines that are in use.
const IN_USE: u8 = 1;

/// Places of the longest window that vectors compute: a total of weights is below 2^24.
pub(crate) const WINDOW: usize = 512;

/// Which attention some kernels compute, and how its keys, values and age biases lie. The rest is left to [`Portable`].
pub trait AttentionLayout: Copy {
    /// Most channels of a head.
    const WIDTH: usize;
    /// What the channels of a head are a multiple of.
    const CHANNELS: usize;
    /// Heads whose biases alternate.
    const HEADS: usize;
    /// Places that are read together, up to so many behind the last.
    const PLACES: usize;

    /// Bytes of the keys and of the values of heads that fit.
    fn kv_bytes(shape: Shape) -> [usize; 2];

    /// Whether the kernels compute logits by this factor, given small biases.
    fn takes(logit: Requant) -> bool;

    /// Whether the kernels compute such heads.
    fn fits(shape: Shape) -> bool {
        (1..=Self::WIDTH).contains(&shape.width)
            && shape.width.is_multiple_of(Self::CHANNELS)
            && matches!(shape.window, 1..=WINDOW)
    }

    /// Lines of [`AttentionLayout::HEADS`] heads.
    fn bias_lines(window: usize) -> usize {
        let ages = window.saturating_mul(2).saturating_add(Self::PLACES);
        ages.div_ceil(16 / Self::HEADS)
    }
}

/// What attention of one layer needs besides the KV cache.
#[derive(Clone, Copy)]
pub struct Biases<'a, L> {
    /// Age biases as in the image.
    image: &'a [[u8; 4]],
    /// `[head / HEADS][row][HEADS]`, [`AttentionLayout::bias_lines`] each. `None`: left to [`Portable`].
    pub(crate) falling: Option<&'a [i32]>,
    layout: PhantomData<L>,
}

impl<'a, L: AttentionLayout> PackedBiases<'a> for Biases<'a, L> {
    /// The first says whether the others are in use.
    fn lines(shape: Shape) -> usize {
        L::bias_lines(shape.window)
            .saturating_mul(shape.heads.div_ceil(L::HEADS))
            .saturating_add(1)
    }

    fn pack(
        shape: Shape,
        logit: Requant,
        image: &[[u8; 4]],
        lines: &mut [CacheLine],
    ) -> Option<()> {
        let entries = shape.heads.checked_mul(shape.window)?;
        if lines.len() != Self::lines(shape) || !image.is_empty() && image.len() != entries {
            return None;
        }
        let small = |bias: &[u8; 4]| i32::from_le_bytes(*bias).unsigned_abs() <= BIAS_MAX;
        lines.fill(CacheLine::ZERO);
        let (first, lines) = lines.split_first_mut()?;
        if !(L::fits(shape) && L::takes(logit) && image.iter().all(small)) {
            return Some(());
        }
        first.0[0] = IN_USE;
        let falling = bytemuck::cast_slice_mut::<CacheLine, i32>(lines);
        for (head, biases) in image.chunks_exact(shape.window).enumerate() {
            let first = head / L::HEADS * L::bias_lines(shape.window) * 16 + head % L::HEADS;
            let row = falling.get_mut(first..)?.iter_mut().step_by(L::HEADS);
            let biases = biases.iter().rev().cycle().take(2 * shape.window);
            for (place, &bias) in row.zip(biases) {
                *place = i32::from_le_bytes(bias);
            }
        }
        Some(())
    }

    fn view(
        shape: Shape,
        logit: Requant,
        image: &'a [[u8; 4]],
        lines: &'a [CacheLine],
    ) -> Option<Self> {
        if lines.len() != Self::lines(shape) {
            return None;
        }
        let (first, lines) = lines.split_first()?;
        let in_use = first.0[0] == IN_USE && L::fits(shape) && L::takes(logit);
        Some(Self {
            image,
            falling: in_use.then(|| bytemuck::cast_slice(lines)),
            layout: PhantomData,
        })
    }
}

/// Attention as the reference does it, its result as the input of a map. Never inlined: it would take the registers.
#[cold]
#[inline(never)]
pub(crate) fn portable<L: AttentionLayout + PackedLayout<QUAD>>(
    mut attention: Attention<'_, Biases<'_, L>>,
    hook: Option<&mut HeadHook<'_>>,
) {
    let image = attention.biases.image;
    Portable.attend(attention.with_biases(image), hook);
    let model = attention.shape.heads.saturating_mul(attention.shape.width);
    for context in attention.context.iter_mut().take(model) {
        *context = context.wrapping_add(L::INPUT_OFFSET as i8);
    }
}
