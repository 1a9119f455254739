//! The integer network as it lies in the image: borrowed slices and fixed-point factors.

use core::fmt;

use engram_kernels::Requant;

use crate::config::ModelConfig;
use crate::limits::{MAX_COLUMNS, MAX_LAYERS};
use crate::list::{Fill, List};
use crate::packing::Packing;

/// One linear map: int8 weights, a bias and a factor for every output row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Matrix<'a> {
    /// Outputs.
    pub rows: usize,
    /// Inputs.
    pub columns: usize,
    /// Whether the input is int16.
    pub wide: bool,
    /// How `weight` lies.
    pub packing: Packing,
    /// `[rows][columns]`, in `[-127, 127]`, as the packing orders them.
    pub weight: &'a [i8],
    /// `[rows]` i32, little endian, in units of the accumulator; empty: no bias.
    pub bias: &'a [[u8; 4]],
    /// `[rows]` i32, little endian: [`Requant::multiplier`] of every row.
    pub multiplier: &'a [[u8; 4]],
    /// `[rows]`: [`Requant::shift`] of every row.
    pub shift: &'a [u8],
}

/// One output row of a [`Matrix`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatrixRow<'a> {
    /// `[columns]`.
    pub weight: &'a [i8],
    /// In units of the accumulator; 0 where the matrix has no bias.
    pub bias: i32,
    /// From the accumulator to the output.
    pub requant: Requant,
}

impl<'a> Matrix<'a> {
    pub(crate) const EMPTY: Self = Self {
        rows: 0,
        columns: 0,
        wide: false,
        packing: Packing::Rows,
        weight: &[],
        bias: &[],
        multiplier: &[],
        shift: &[],
    };

    /// One row; `None` behind the last. A packed row is unpacked into `room`.
    pub fn row<'r>(&self, row: usize, room: &'r mut [i8; MAX_COLUMNS]) -> Option<MatrixRow<'r>>
    where
        'a: 'r,
    {
        if row >= self.rows {
            return None;
        }
        let number = |numbers: &[[u8; 4]]| numbers.get(row).copied().map(i32::from_le_bytes);
        let first = row.saturating_mul(self.columns);
        let weight = match self.packing {
            Packing::Rows => self.weight.get(first..first.saturating_add(self.columns))?,
            Packing::CortexM => {
                let room = room.get_mut(..self.columns)?;
                for (column, entry) in room.iter_mut().enumerate() {
                    let place = (row, column);
                    *entry = self
                        .packing
                        .weight(self.weight, self.wide, self.columns, place);
                }
                room
            }
        };
        Some(MatrixRow {
            weight,
            bias: number(self.bias).unwrap_or(0),
            requant: Requant {
                multiplier: number(self.multiplier)?,
                shift: *self.shift.get(row)?,
            },
        })
    }
}

/// One encoder layer, for `d` = width of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer<'a> {
    /// Residual int16 to the int8 input of `qkv`.
    pub attention_input: Requant,
    /// `3d x d`, to int8: queries, keys, values.
    pub qkv: Matrix<'a>,
    /// `q . k` (int32) to a logit in base 2, Q10.
    pub logit: Requant,
    /// `[heads][window]` i32, little endian, Q10 in base 2, by age; empty with `slot`.
    pub age_bias: &'a [[u8; 4]],
    /// Weighted mean of the values to the int8 input of `out`.
    pub attention_output: Requant,
    /// `d x d`, to the residual int16.
    pub out: Matrix<'a>,
    /// Residual int16 to the int8 input of `ff1`.
    pub ff_input: Requant,
    /// `ff x d`, to int8, then relu.
    pub ff1: Matrix<'a>,
    /// `d x ff`, to the residual int16.
    pub ff2: Matrix<'a>,
}

impl Fill for Layer<'_> {
    const FILL: Self = Self {
        attention_input: Requant::ZERO,
        qkv: Matrix::EMPTY,
        logit: Requant::ZERO,
        age_bias: &[],
        attention_output: Requant::ZERO,
        out: Matrix::EMPTY,
        ff_input: Requant::ZERO,
        ff1: Matrix::EMPTY,
        ff2: Matrix::EMPTY,
    };
}

/// The policy head, for `h0`, `h1` = widths of its hidden layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head<'a> {
    /// Encoder output int16 to the int8 input of `first`.
    pub input: Requant,
    /// `h0 x d`, to the Q12 preactivation; holds the bias of the layer.
    pub first: Matrix<'a>,
    /// `h0 x d`, int16 input (the embedded working memory), to the Q12 preactivation; no bias.
    /// Present exactly when the head's input is `mixed`.
    pub raw: Option<Matrix<'a>>,
    /// `h1 x h0`, to the Q12 preactivation.
    pub second: Matrix<'a>,
    /// `actions x h1`, to the int16 command words.
    pub third: Matrix<'a>,
}

/// The whole integer network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights<'a> {
    /// `d x inputs`, int16 input, to the residual int16; no bias.
    pub embed: Matrix<'a>,
    /// `[window][d]` i16, little endian, in units of the residual; empty with `age`.
    pub positions: &'a [[u8; 2]],
    /// The encoder layers in order.
    pub layers: List<Layer<'a>, MAX_LAYERS>,
    /// The policy head.
    pub head: Head<'a>,
}

/// Which matrix of the network; its order is the order of the bounds report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum MatrixName {
    /// Embedding of the working memory.
    Embed,
    /// Queries, keys and values of a layer.
    Qkv(u8),
    /// Output of the attention of a layer.
    Out(u8),
    /// First half of the feed-forward block of a layer.
    Ff1(u8),
    /// Second half of the feed-forward block of a layer.
    Ff2(u8),
    /// First layer of the head, from the encoder's output.
    First,
    /// First layer of the head, from the embedded working memory.
    Raw,
    /// Second layer of the head.
    Second,
    /// Third layer of the head.
    Third,
}

impl MatrixName {
    /// Largest magnitude of an input: int16 for the embedding and the raw path, int8 elsewhere.
    ///
    /// These are the magnitudes of the types' minima, so that a bound made of them holds whatever
    /// saturation produced the input.
    #[must_use]
    pub const fn input_max(self) -> u32 {
        match self {
            Self::Embed | Self::Raw => 32_768,
            _ => 128,
        }
    }

    /// Rows and columns of the matrix in a network of this shape.
    #[must_use]
    pub const fn shape(self, config: &ModelConfig) -> (usize, usize) {
        let [first, second] = config.hidden;
        match self {
            Self::Embed => (config.model, config.inputs()),
            Self::Qkv(_) => (config.model.saturating_mul(3), config.model),
            Self::Out(_) => (config.model, config.model),
            Self::Ff1(_) => (config.ff, config.model),
            Self::Ff2(_) => (config.model, config.ff),
            Self::First | Self::Raw => (first, config.model),
            Self::Second => (second, first),
            Self::Third => (config.actions, second),
        }
    }

    /// Whether the input is int16.
    #[must_use]
    pub const fn is_wide(self) -> bool {
        matches!(self, Self::Embed | Self::Raw)
    }

    /// Whether the matrix has a bias.
    #[must_use]
    pub const fn has_bias(self) -> bool {
        !matches!(self, Self::Embed | Self::Raw)
    }
}

impl fmt::Display for MatrixName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embed => f.write_str("embed"),
            Self::Qkv(layer) => write!(f, "layers[{layer}].qkv"),
            Self::Out(layer) => write!(f, "layers[{layer}].out"),
            Self::Ff1(layer) => write!(f, "layers[{layer}].ff1"),
            Self::Ff2(layer) => write!(f, "layers[{layer}].ff2"),
            Self::First => f.write_str("head.first"),
            Self::Raw => f.write_str("head.raw"),
            Self::Second => f.write_str("head.second"),
            Self::Third => f.write_str("head.third"),
        }
    }
}

impl<'a> Weights<'a> {
    pub(crate) const EMPTY: Self = Self {
        embed: Matrix::EMPTY,
        positions: &[],
        layers: List::EMPTY,
        head: Head {
            input: Requant::ZERO,
            first: Matrix::EMPTY,
            raw: None,
            second: Matrix::EMPTY,
            third: Matrix::EMPTY,
        },
    };

    /// The encoder layers in order.
    #[must_use]
    pub fn layers(&self) -> &[Layer<'a>] {
        &self.layers
    }

    /// Every matrix with its name: embedding, then `qkv`, `out`, `ff1`, `ff2` of every layer, then
    /// the head's `first`, `raw` where present, `second`, `third`.
    pub fn matrices(&self) -> impl Iterator<Item = (MatrixName, &Matrix<'a>)> {
        let layers = (0..).zip(self.layers()).flat_map(|(index, layer)| {
            [
                (MatrixName::Qkv(index), &layer.qkv),
                (MatrixName::Out(index), &layer.out),
                (MatrixName::Ff1(index), &layer.ff1),
                (MatrixName::Ff2(index), &layer.ff2),
            ]
        });
        core::iter::once((MatrixName::Embed, &self.embed))
            .chain(layers)
            .chain([(MatrixName::First, &self.head.first)])
            .chain(self.head.raw.iter().map(|raw| (MatrixName::Raw, raw)))
            .chain([
                (MatrixName::Second, &self.head.second),
                (MatrixName::Third, &self.head.third),
            ])
    }
}
