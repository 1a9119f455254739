//! The integer network: one description of its parts, whatever stands for a matrix, and how one lies in an image.

use core::fmt;

use engram_kernels::Requant;
use engram_kernels::portable::Rows;

use crate::config::ModelConfig;
use crate::limits::{MAX_COLUMNS, MAX_LAYERS};
use crate::packing::Packing;

/// One encoder layer, for `d` = width of the model: `M` stands for a matrix, `B` for the age biases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer<M, B> {
    /// Residual int16 to the int8 input of `qkv`.
    pub attention_input: Requant,
    /// `3d x d`, to int8: queries, keys, values.
    pub qkv: M,
    /// `q . k` (int32) to a logit in base 2, Q10.
    pub logit: Requant,
    /// `[heads][window]` i32 (in an image little endian), Q10 in base 2, by age; empty with `slot`.
    pub age_bias: B,
    /// Weighted mean of the values to the int8 input of `out`.
    pub attention_output: Requant,
    /// `d x d`, to the residual int16.
    pub out: M,
    /// Residual int16 to the int8 input of `ff1`.
    pub ff_input: Requant,
    /// `ff x d`, to int8, then relu.
    pub ff1: M,
    /// `d x ff`, to the residual int16.
    pub ff2: M,
}

/// The policy head, for `h0`, `h1` = widths of its hidden layers; `W` stands for a matrix with an int16 input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head<M, W = M> {
    /// Encoder output int16 to the int8 input of `first`.
    pub input: Requant,
    /// `h0 x d`, to the Q12 preactivation; holds the bias of the layer.
    pub first: M,
    /// `h0 x d`, int16 input (the embedded working memory), to the Q12 preactivation; no bias.
    /// Present exactly when the head's input is `mixed`.
    pub raw: Option<W>,
    /// `h1 x h0`, to the Q12 preactivation.
    pub second: M,
    /// `actions x h1`, to the int16 command words.
    pub third: M,
}

/// The whole integer network; `P` stands for the positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights<M, B, P, W = M> {
    /// `d x inputs`, int16 input, to the residual int16; no bias.
    pub embed: W,
    /// `[window][d]` i16 (in an image little endian), in units of the residual; empty with `age`.
    pub positions: P,
    /// The encoder layers in order; `None` behind the last.
    pub layers: [Option<Layer<M, B>>; MAX_LAYERS],
    /// The policy head.
    pub head: Head<M, W>,
}

/// The network as it lies in an image: borrowed slices.
pub type InPlace<'a> = Weights<Rows<'a>, &'a [[u8; 4]], &'a [[u8; 2]]>;

impl<M, B, P, W> Weights<M, B, P, W> {
    /// The encoder layers in order.
    pub fn layers(&self) -> impl Iterator<Item = &Layer<M, B>> {
        self.layers.iter().flatten()
    }

    /// The same network made of other parts, in the order of [`Weights::matrices`], a layer's biases after its `qkv`; `None`
    /// where a part cannot be made.
    #[inline]
    pub fn try_map<'s, N, C, Q, V>(
        &'s self,
        mut matrix: impl FnMut(MatrixName, &'s M) -> Option<N>,
        mut wide: impl FnMut(MatrixName, &'s W) -> Option<V>,
        mut biases: impl FnMut(&'s Layer<M, B>) -> Option<C>,
        positions: impl FnOnce(&'s P) -> Option<Q>,
    ) -> Option<Weights<N, C, Q, V>> {
        let embed = wide(MatrixName::Embed, &self.embed)?;
        let mut layers = [const { None }; MAX_LAYERS];
        for ((index, place), layer) in (0..).zip(&mut layers).zip(self.layers()) {
            *place = Some(Layer {
                attention_input: layer.attention_input,
                qkv: matrix(MatrixName::Qkv(index), &layer.qkv)?,
                logit: layer.logit,
                age_bias: biases(layer)?,
                attention_output: layer.attention_output,
                out: matrix(MatrixName::Out(index), &layer.out)?,
                ff_input: layer.ff_input,
                ff1: matrix(MatrixName::Ff1(index), &layer.ff1)?,
                ff2: matrix(MatrixName::Ff2(index), &layer.ff2)?,
            });
        }
        let head = &self.head;
        Some(Weights {
            embed,
            positions: positions(&self.positions)?,
            layers,
            head: Head {
                input: head.input,
                first: matrix(MatrixName::First, &head.first)?,
                raw: match &head.raw {
                    Some(raw) => Some(wide(MatrixName::Raw, raw)?),
                    None => None,
                },
                second: matrix(MatrixName::Second, &head.second)?,
                third: matrix(MatrixName::Third, &head.third)?,
            },
        })
    }
}

impl<M, B, P> Weights<M, B, P> {
    /// Every matrix with its name: embedding, then `qkv`, `out`, `ff1`, `ff2` of every layer, then
    /// the head's `first`, `raw` where present, `second`, `third`.
    pub fn matrices(&self) -> impl Iterator<Item = (MatrixName, &M)> {
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

impl Layer<Rows<'_>, &[[u8; 4]]> {
    pub(crate) const EMPTY: Self = Self {
        attention_input: Requant::ZERO,
        qkv: Rows::EMPTY,
        logit: Requant::ZERO,
        age_bias: &[],
        attention_output: Requant::ZERO,
        out: Rows::EMPTY,
        ff_input: Requant::ZERO,
        ff1: Rows::EMPTY,
        ff2: Rows::EMPTY,
    };
}

impl InPlace<'_> {
    /// What the reader starts from and fills in place.
    pub(crate) const EMPTY: Self = Self {
        embed: Rows::EMPTY,
        positions: &[],
        layers: [const { None }; MAX_LAYERS],
        head: Head {
            input: Requant::ZERO,
            first: Rows::EMPTY,
            raw: None,
            second: Rows::EMPTY,
            third: Rows::EMPTY,
        },
    };
}

/// The rows of a matrix, with what its bytes mean.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    /// Which it is.
    pub name: MatrixName,
    /// Inputs.
    pub columns: usize,
    /// How the weights lie.
    pub packing: Packing,
    /// Weights, biases and factors as they lie in an image.
    pub rows: Rows<'a>,
}

/// One output row of a [`Matrix`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatrixRow<'a> {
    /// `[columns]`, in `[-127, 127]`.
    pub weight: &'a [i8],
    /// In units of the accumulator; 0 where the matrix has no bias.
    pub bias: i32,
    /// From the accumulator to the output.
    pub requant: Requant,
}

impl<'a> Matrix<'a> {
    /// The matrix of this name in an image of this shape.
    #[must_use]
    pub const fn new(
        name: MatrixName,
        config: &ModelConfig,
        packing: Packing,
        rows: Rows<'a>,
    ) -> Self {
        Self {
            name,
            columns: name.shape(config).1,
            packing,
            rows,
        }
    }

    /// One row; `None` behind the last. A packed row is unpacked into `room`.
    pub fn row<'r>(&self, row: usize, room: &'r mut [i8; MAX_COLUMNS]) -> Option<MatrixRow<'r>>
    where
        'a: 'r,
    {
        let rows = &self.rows;
        if row >= rows.rows {
            return None;
        }
        let number = |numbers: &[[u8; 4]]| numbers.get(row).copied().map(i32::from_le_bytes);
        let first = row.saturating_mul(self.columns);
        let weight = match self.packing {
            Packing::Rows => rows.weight.get(first..first.saturating_add(self.columns))?,
            Packing::CortexM => {
                let room = room.get_mut(..self.columns)?;
                for (column, entry) in room.iter_mut().enumerate() {
                    let place = (row, column);
                    *entry = (self.packing).weight(
                        rows.weight,
                        self.name.is_wide(),
                        self.columns,
                        place,
                    );
                }
                room
            }
        };
        Some(MatrixRow {
            weight,
            bias: number(rows.bias).unwrap_or(0),
            requant: Requant {
                multiplier: number(rows.multiplier)?,
                shift: *rows.shift.get(row)?,
            },
        })
    }
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
        if self.is_wide() { 32_768 } else { 128 }
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

    /// Whether the input is int16; such a matrix has no bias.
    #[must_use]
    pub const fn is_wide(self) -> bool {
        matches!(self, Self::Embed | Self::Raw)
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
