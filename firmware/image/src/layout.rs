//! Where the parameters that a step reads lie in an image that was read once: found again without reading again.
//!
//! The runtime keeps images in slots that it must also be able to rewrite, so it cannot hold an
//! [`Image`], which borrows the slot, between control steps. It holds a [`Layout`], which borrows
//! nothing, and takes the weights from the slot's bytes in every step. That costs some hundred bounds
//! checks, no hashing and no parsing.
//!
//! The weights are as trustworthy as the bytes are unchanged: [`Layout`] checks that every slice lies inside,
//! never what it holds. Changed bytes give other numbers, not a panic.

use engram_kernels::portable::Rows;

use crate::config::ModelConfig;
use crate::image::{Image, InputScales, Parameters};
use crate::packing::Packing;
use crate::weights::{InPlace, Weights};

/// The places of an image's weights, as offsets into its file, with the plain values of the rest of its [`Parameters`].
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// Bytes of the image.
    pub total_length: u32,
    /// SHA-256 of the image's body, as taken when it was read.
    pub sha256: [u8; 32],
    /// SHA-256 of the image's logical weights, as taken when it was read.
    pub weights_sha256: [u8; 32],
    packing: Packing,
    config: ModelConfig,
    input: InputScales,
    weights: Weights<MatrixSpan, Span, Span>,
}

impl Layout {
    /// The layout of `image`, which was read from `bytes`; `None` if it was read from others.
    #[must_use]
    pub fn of(image: &Image<'_>, bytes: &[u8]) -> Option<Self> {
        let matrix = |_, rows: &Rows<'_>| MatrixSpan::of(rows, bytes);
        Some(Self {
            total_length: image.total_length,
            sha256: image.sha256,
            weights_sha256: image.weights_sha256,
            packing: image.packing,
            config: image.config,
            input: image.input,
            weights: image.weights.try_map(
                matrix,
                matrix,
                |layer| Span::of(layer.age_bias, bytes),
                |positions| Span::of(positions, bytes),
            )?,
        })
    }

    /// The weights in `bytes`, which must be the bytes of [`Layout::of`] or an unchanged copy; `None` if they are too few.
    #[must_use]
    pub fn weights<'a>(&self, bytes: &'a [u8]) -> Option<InPlace<'a>> {
        let matrix = |_, span: &MatrixSpan| span.rows(bytes);
        self.weights.try_map(
            matrix,
            matrix,
            |layer| layer.age_bias.chunks(bytes),
            |positions| positions.chunks(bytes),
        )
    }

    /// What a step reads; `weights` are those of [`Layout::weights`].
    #[must_use]
    pub const fn parameters<'a>(&'a self, weights: &'a InPlace<'a>) -> Parameters<'a> {
        Parameters {
            config: &self.config,
            input: &self.input,
            packing: self.packing,
            weights,
        }
    }
}

/// A run of bytes in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
struct Span {
    offset: usize,
    length: usize,
}

impl Span {
    fn of<T>(slice: &[T], bytes: &[u8]) -> Option<Self> {
        let length = core::mem::size_of_val(slice);
        if length == 0 {
            return Some(Self::default());
        }
        let offset = slice.as_ptr().addr().checked_sub(bytes.as_ptr().addr())?;
        let span = Self { offset, length };
        span.bytes(bytes).map(|_| span)
    }

    fn bytes(self, bytes: &[u8]) -> Option<&[u8]> {
        bytes.get(self.offset..self.offset.checked_add(self.length)?)
    }

    fn chunks<const N: usize>(self, bytes: &[u8]) -> Option<&[[u8; N]]> {
        Some(self.bytes(bytes)?.as_chunks::<N>().0)
    }
}

/// [`Rows`] in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct MatrixSpan {
    rows: usize,
    weight: Span,
    bias: Span,
    multiplier: Span,
    shift: Span,
}

impl MatrixSpan {
    fn of(rows: &Rows<'_>, bytes: &[u8]) -> Option<Self> {
        Some(Self {
            rows: rows.rows,
            weight: Span::of(rows.weight, bytes)?,
            bias: Span::of(rows.bias, bytes)?,
            multiplier: Span::of(rows.multiplier, bytes)?,
            shift: Span::of(rows.shift, bytes)?,
        })
    }

    fn rows<'a>(&self, bytes: &'a [u8]) -> Option<Rows<'a>> {
        Some(Rows {
            rows: self.rows,
            weight: bytemuck::must_cast_slice(self.weight.bytes(bytes)?),
            bias: self.bias.chunks(bytes)?,
            multiplier: self.multiplier.chunks(bytes)?,
            shift: self.shift.bytes(bytes)?,
        })
    }
}
