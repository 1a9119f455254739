//! Where the weights lie in an image that was read once: a view without reading again.
//!
//! The runtime keeps images in slots that it must also be able to rewrite, so it cannot hold an
//! [`Image`], which borrows the slot, between control steps. It holds a [`Layout`], which borrows
//! nothing, and asks it for a view of the slot's bytes in every step. That costs some hundred bounds
//! checks, no hashing and no parsing. What a step does not need (contract, golden trace, provenance) is not kept.
//!
//! A view is as trustworthy as the bytes are unchanged: [`Layout`] checks that every slice lies inside,
//! never what it holds. Changed bytes give other numbers, not a panic.

use crate::config::ModelConfig;
use crate::image::{Image, InputScales, Parameters};
use crate::limits::MAX_LAYERS;
use crate::list::{Fill, List};
use crate::packing::Packing;
use crate::weights::{Head, Layer, Matrix, Weights};
use engram_kernels::Requant;

/// Places of all weights of one image, as offsets into its file, with the plain values.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    total_length: u32,
    sha256: [u8; 32],
    weights_sha256: [u8; 32],
    packing: Packing,
    config: ModelConfig,
    input: InputScales,
    embed: MatrixLayout,
    positions: Span,
    layers: List<LayerLayout, MAX_LAYERS>,
    head_input: Requant,
    first: MatrixLayout,
    raw: Option<MatrixLayout>,
    second: MatrixLayout,
    third: MatrixLayout,
}

impl Layout {
    /// The layout of `image`, which was read from `bytes`; `None` if it was read from others.
    #[must_use]
    pub fn of(image: &Image<'_>, bytes: &[u8]) -> Option<Self> {
        let weights = &image.weights;
        let mut layers = List::EMPTY;
        for layer in weights.layers() {
            layers.push(LayerLayout::of(layer, bytes)?).ok()?;
        }
        Some(Self {
            total_length: image.total_length,
            sha256: image.sha256,
            weights_sha256: image.weights_sha256,
            packing: image.packing,
            config: image.config,
            input: image.input,
            embed: MatrixLayout::of(&weights.embed, bytes)?,
            positions: Span::of(weights.positions, bytes)?,
            layers,
            head_input: weights.head.input,
            first: MatrixLayout::of(&weights.head.first, bytes)?,
            raw: match &weights.head.raw {
                Some(raw) => Some(MatrixLayout::of(raw, bytes)?),
                None => None,
            },
            second: MatrixLayout::of(&weights.head.second, bytes)?,
            third: MatrixLayout::of(&weights.head.third, bytes)?,
        })
    }

    /// SHA-256 of the image's logical weights, as taken when it was read.
    #[must_use]
    pub const fn weights_sha256(&self) -> [u8; 32] {
        self.weights_sha256
    }

    /// SHA-256 of the image's body, as taken when it was read.
    #[must_use]
    pub const fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// Bytes of the image.
    #[must_use]
    pub const fn total_length(&self) -> u32 {
        self.total_length
    }

    /// The weights in `bytes`, which must be the bytes of [`Layout::of`] or an unchanged copy; `None` if they are
    /// too few.
    #[must_use]
    pub fn weights<'a>(&self, bytes: &'a [u8]) -> Option<Weights<'a>> {
        let mut layers = List::EMPTY;
        for layer in &self.layers {
            layers.push(layer.view(bytes)?).ok()?;
        }
        Some(Weights {
            embed: self.embed.view(bytes)?,
            positions: self.positions.chunks(bytes)?,
            layers,
            head: Head {
                input: self.head_input,
                first: self.first.view(bytes)?,
                raw: match &self.raw {
                    Some(raw) => Some(raw.view(bytes)?),
                    None => None,
                },
                second: self.second.view(bytes)?,
                third: self.third.view(bytes)?,
            },
        })
    }

    /// What a control step reads, with the weights that [`Layout::weights`] gave.
    #[must_use]
    pub const fn parameters<'a>(&'a self, weights: &'a Weights<'a>) -> Parameters<'a> {
        Parameters {
            packing: self.packing,
            config: &self.config,
            input: &self.input,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
struct MatrixLayout {
    rows: usize,
    columns: usize,
    wide: bool,
    packing: Packing,
    weight: Span,
    bias: Span,
    multiplier: Span,
    shift: Span,
}

impl MatrixLayout {
    fn of(matrix: &Matrix<'_>, bytes: &[u8]) -> Option<Self> {
        Some(Self {
            rows: matrix.rows,
            columns: matrix.columns,
            wide: matrix.wide,
            packing: matrix.packing,
            weight: Span::of(matrix.weight, bytes)?,
            bias: Span::of(matrix.bias, bytes)?,
            multiplier: Span::of(matrix.multiplier, bytes)?,
            shift: Span::of(matrix.shift, bytes)?,
        })
    }

    fn view<'a>(&self, bytes: &'a [u8]) -> Option<Matrix<'a>> {
        Some(Matrix {
            rows: self.rows,
            columns: self.columns,
            wide: self.wide,
            packing: self.packing,
            weight: bytemuck::try_cast_slice(self.weight.bytes(bytes)?).ok()?,
            bias: self.bias.chunks(bytes)?,
            multiplier: self.multiplier.chunks(bytes)?,
            shift: self.shift.bytes(bytes)?,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LayerLayout {
    attention_input: Requant,
    qkv: MatrixLayout,
    logit: Requant,
    age_bias: Span,
    attention_output: Requant,
    out: MatrixLayout,
    ff_input: Requant,
    ff1: MatrixLayout,
    ff2: MatrixLayout,
}

impl Fill for LayerLayout {
    const FILL: Self = {
        const SPAN: Span = Span {
            offset: 0,
            length: 0,
        };
        const MATRIX: MatrixLayout = MatrixLayout {
            rows: 0,
            columns: 0,
            wide: false,
            packing: Packing::Rows,
            weight: SPAN,
            bias: SPAN,
            multiplier: SPAN,
            shift: SPAN,
        };
        Self {
            attention_input: Requant::ZERO,
            qkv: MATRIX,
            logit: Requant::ZERO,
            age_bias: SPAN,
            attention_output: Requant::ZERO,
            out: MATRIX,
            ff_input: Requant::ZERO,
            ff1: MATRIX,
            ff2: MATRIX,
        }
    };
}

impl LayerLayout {
    fn of(layer: &Layer<'_>, bytes: &[u8]) -> Option<Self> {
        Some(Self {
            attention_input: layer.attention_input,
            qkv: MatrixLayout::of(&layer.qkv, bytes)?,
            logit: layer.logit,
            age_bias: Span::of(layer.age_bias, bytes)?,
            attention_output: layer.attention_output,
            out: MatrixLayout::of(&layer.out, bytes)?,
            ff_input: layer.ff_input,
            ff1: MatrixLayout::of(&layer.ff1, bytes)?,
            ff2: MatrixLayout::of(&layer.ff2, bytes)?,
        })
    }

    fn view<'a>(&self, bytes: &'a [u8]) -> Option<Layer<'a>> {
        Some(Layer {
            attention_input: self.attention_input,
            qkv: self.qkv.view(bytes)?,
            logit: self.logit,
            age_bias: self.age_bias.chunks(bytes)?,
            attention_output: self.attention_output,
            out: self.out.view(bytes)?,
            ff_input: self.ff_input,
            ff1: self.ff1.view(bytes)?,
            ff2: self.ff2.view(bytes)?,
        })
    }
}
