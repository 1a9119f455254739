//! The owned mirror of an image: what an exporter fills in.

use alloc::vec;
use alloc::vec::Vec;

use engram_kernels::Requant;
use engram_kernels::portable::Rows;

use super::each;
use crate::config::ModelConfig;
use crate::contract::Contract;
use crate::image::{Golden, Image, InputScales, Provenance};
use crate::limits::MAX_COLUMNS;
use crate::weights::{Head, Layer, Matrix, Weights};

/// Everything in an image that is not computed from the rest.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageSpec<'a> {
    /// Grows with every release that must not be followed by an older one; 0 where nobody counts.
    pub counter: u32,
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

/// Owned weights.
pub type WeightsSpec = Weights<MatrixSpec, Vec<i32>, Vec<i16>>;
/// A layer of them.
pub type LayerSpec = Layer<MatrixSpec, Vec<i32>>;
/// Their head.
pub type HeadSpec = Head<MatrixSpec>;

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
    /// The specification that writes the same image again, but for a signature.
    fn from(image: &Image<'a>) -> Self {
        let matrix = |name, rows: &Rows<'_>| {
            let matrix = Matrix::new(name, &image.config, image.packing, *rows);
            Some(MatrixSpec::from(&matrix))
        };
        let weights = image.weights.try_map(
            matrix,
            matrix,
            |layer| Some(each(layer.age_bias, i32::from_le_bytes)),
            |positions| Some(each(positions, i16::from_le_bytes)),
        );
        let weights = weights.expect("as many layers as there are");
        Self {
            counter: image.counter,
            config: image.config,
            contract: image.contract,
            input: image.input,
            residual_scale: image.residual_scale,
            weights,
            golden: (&image.golden).into(),
            provenance: image.provenance,
        }
    }
}

impl From<&Matrix<'_>> for MatrixSpec {
    fn from(matrix: &Matrix<'_>) -> Self {
        let mut room = [0; MAX_COLUMNS];
        let (mut weight, mut requant) = (Vec::new(), Vec::new());
        for row in 0..matrix.rows.rows {
            if let Some(row) = matrix.row(row, &mut room) {
                weight.extend(row.weight);
                requant.push(row.requant);
            }
        }
        Self {
            rows: matrix.rows.rows,
            columns: matrix.columns,
            weight,
            bias: each(matrix.rows.bias, i32::from_le_bytes),
            requant,
        }
    }
}

impl From<&Golden<'_>> for GoldenSpec {
    fn from(golden: &Golden<'_>) -> Self {
        Self {
            observation: each(golden.observation, f32::from_le_bytes),
            reward: each(golden.reward, f32::from_le_bytes),
            done: each(golden.done, |done| done != 0),
            issued: each(golden.issued, i16::from_le_bytes),
            words: each(golden.words, i16::from_le_bytes),
        }
    }
}
