//! The owned mirror of an image: what an exporter fills in.

use alloc::vec;
use alloc::vec::Vec;

use engram_kernels::Requant;

use crate::config::ModelConfig;
use crate::contract::Contract;
use crate::image::{Golden, Image, InputScales, Provenance};
use crate::limits::MAX_COLUMNS;
use crate::weights::{Head, Layer, Matrix, MatrixName, Weights};

/// Everything in an image that is not computed from the rest.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageSpec<'a> {
    /// The shape of the network.
    pub config: ModelConfig,
    /// What the policy expects of the plant.
    pub contract: Contract<'a>,
    /// From working memories to integers.
    pub input: InputScales,
    /// Real value of one unit of the residual stream.
    pub residual_scale: f32,
    /// The network.
    pub weights: WeightsSpec,
    /// Inputs and expected command words of a whole trial.
    pub golden: GoldenSpec,
    /// Where the policy comes from.
    pub provenance: Provenance<'a>,
}

/// Owned [`Weights`].
#[derive(Clone, Debug, PartialEq)]
pub struct WeightsSpec {
    /// `d x inputs`, no bias.
    pub embed: MatrixSpec,
    /// `[window][d]` in units of the residual; empty with `age`.
    pub positions: Vec<i16>,
    /// The encoder layers in order.
    pub layers: Vec<LayerSpec>,
    /// The policy head.
    pub head: HeadSpec,
}

/// Owned [`Layer`].
#[derive(Clone, Debug, PartialEq)]
pub struct LayerSpec {
    /// Residual int16 to the int8 input of `qkv`.
    pub attention_input: Requant,
    /// `3d x d`.
    pub qkv: MatrixSpec,
    /// `q . k` to a logit in base 2, Q10.
    pub logit: Requant,
    /// `[heads][window]`, Q10 in base 2, by age; empty with `slot`.
    pub age_bias: Vec<i32>,
    /// Weighted mean of the values to the int8 input of `out`.
    pub attention_output: Requant,
    /// `d x d`.
    pub out: MatrixSpec,
    /// Residual int16 to the int8 input of `ff1`.
    pub ff_input: Requant,
    /// `ff x d`.
    pub ff1: MatrixSpec,
    /// `d x ff`.
    pub ff2: MatrixSpec,
}

/// Owned [`Head`].
#[derive(Clone, Debug, PartialEq)]
pub struct HeadSpec {
    /// Encoder output int16 to the int8 input of `first`.
    pub input: Requant,
    /// `h0 x d`.
    pub first: MatrixSpec,
    /// `h0 x d`, no bias; present exactly when the head's input is `mixed`.
    pub raw: Option<MatrixSpec>,
    /// `h1 x h0`.
    pub second: MatrixSpec,
    /// `actions x h1`.
    pub third: MatrixSpec,
}

/// Owned [`Matrix`].
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixSpec {
    /// Outputs.
    pub rows: usize,
    /// Inputs.
    pub columns: usize,
    /// `[rows][columns]`, row major, in `[-127, 127]`.
    pub weight: Vec<i8>,
    /// `[rows]` in units of the accumulator; empty for the matrices without a bias.
    pub bias: Vec<i32>,
    /// `[rows]`: from the accumulator to the output.
    pub requant: Vec<Requant>,
}

/// Owned [`Golden`]; every list has an entry (or a row) for every step.
#[derive(Clone, Debug, PartialEq)]
pub struct GoldenSpec {
    /// `[steps][observations]` in channel units.
    pub observation: Vec<f32>,
    /// `[steps]`.
    pub reward: Vec<f32>,
    /// `[steps]`: whether an episode ended before the step.
    pub done: Vec<bool>,
    /// `[steps][actions]`: the command issued at the step before.
    pub issued: Vec<i16>,
    /// `[steps][actions]`: the expected command words.
    pub words: Vec<i16>,
}

impl WeightsSpec {
    /// Every matrix with its name, in the order of [`Weights::matrices`].
    pub fn matrices(&self) -> impl Iterator<Item = (MatrixName, &MatrixSpec)> {
        let layers = (0..).zip(&self.layers).flat_map(|(index, layer)| {
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

impl GoldenSpec {
    /// A trace of zeros, one step longer than the window: enough to write an image, read it, and run
    /// its policy to record the real trace. A board would refuse such an image on its replay.
    #[must_use]
    pub fn blank(config: &ModelConfig) -> Self {
        let steps = config.window + 1;
        Self {
            observation: vec![0.0; steps * config.observations],
            reward: vec![0.0; steps],
            done: vec![false; steps],
            issued: vec![0; steps * config.actions],
            words: vec![0; steps * config.actions],
        }
    }
}

impl<'a> From<&Image<'a>> for ImageSpec<'a> {
    /// The specification that writes the same body again.
    fn from(image: &Image<'a>) -> Self {
        Self {
            config: image.config,
            contract: image.contract,
            input: image.input,
            residual_scale: image.residual_scale,
            weights: (&image.weights).into(),
            golden: (&image.golden).into(),
            provenance: image.provenance,
        }
    }
}

impl From<&Weights<'_>> for WeightsSpec {
    fn from(weights: &Weights<'_>) -> Self {
        Self {
            embed: (&weights.embed).into(),
            positions: i16s(weights.positions),
            layers: weights.layers().iter().map(LayerSpec::from).collect(),
            head: (&weights.head).into(),
        }
    }
}

impl From<&Layer<'_>> for LayerSpec {
    fn from(layer: &Layer<'_>) -> Self {
        Self {
            attention_input: layer.attention_input,
            qkv: (&layer.qkv).into(),
            logit: layer.logit,
            age_bias: i32s(layer.age_bias),
            attention_output: layer.attention_output,
            out: (&layer.out).into(),
            ff_input: layer.ff_input,
            ff1: (&layer.ff1).into(),
            ff2: (&layer.ff2).into(),
        }
    }
}

impl From<&Head<'_>> for HeadSpec {
    fn from(head: &Head<'_>) -> Self {
        Self {
            input: head.input,
            first: (&head.first).into(),
            raw: head.raw.as_ref().map(MatrixSpec::from),
            second: (&head.second).into(),
            third: (&head.third).into(),
        }
    }
}

impl From<&Matrix<'_>> for MatrixSpec {
    fn from(matrix: &Matrix<'_>) -> Self {
        let mut room = [0; MAX_COLUMNS];
        let rows: Vec<(Vec<i8>, Requant)> = (0..matrix.rows)
            .filter_map(|row| {
                matrix
                    .row(row, &mut room)
                    .map(|row| (row.weight.to_vec(), row.requant))
            })
            .collect();
        Self {
            rows: matrix.rows,
            columns: matrix.columns,
            weight: rows
                .iter()
                .flat_map(|(weight, _)| weight)
                .copied()
                .collect(),
            bias: i32s(matrix.bias),
            requant: rows.iter().map(|&(_, requant)| requant).collect(),
        }
    }
}

impl From<&Golden<'_>> for GoldenSpec {
    fn from(golden: &Golden<'_>) -> Self {
        Self {
            observation: f32s(golden.observation),
            reward: f32s(golden.reward),
            done: golden.done.iter().map(|&done| done != 0).collect(),
            issued: i16s(golden.issued),
            words: i16s(golden.words),
        }
    }
}

fn i16s(values: &[[u8; 2]]) -> Vec<i16> {
    values.iter().copied().map(i16::from_le_bytes).collect()
}

fn i32s(values: &[[u8; 4]]) -> Vec<i32> {
    values.iter().copied().map(i32::from_le_bytes).collect()
}

fn f32s(values: &[[u8; 4]]) -> Vec<f32> {
    values.iter().copied().map(f32::from_le_bytes).collect()
}
