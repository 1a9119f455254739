//! The image as the runtime sees it: plain values and slices into the file.

use crate::bounds::Bounds;
use crate::config::ModelConfig;
use crate::contract::Contract;
use crate::limits::MAX_INPUTS;
use crate::list::List;
use crate::packing::Packing;
use crate::weights::{InPlace, Matrix};

/// A checked image; borrows the bytes it was read from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Image<'a> {
    /// Bytes of the file, header and body.
    pub total_length: u32,
    /// SHA-256 of the body.
    pub sha256: [u8; 32],
    /// SHA-256 of the logical weights: config, scales, factors and tensors, whatever their place in
    /// the file. Two packings of one policy share it.
    pub weights_sha256: [u8; 32],
    /// Whether the header carries a signature. The reader does not verify it.
    pub signed: bool,
    /// How the weights lie in the file.
    pub packing: Packing,
    /// The signature slot of the header: all zero without a signature, and only then.
    pub signature: &'a [u8; 64],
    /// Grows with every release that must not be followed by an older one; 0 where nobody counts.
    pub counter: u32,
    /// The shape of the network.
    pub config: ModelConfig,
    /// What the policy expects of the plant.
    pub contract: Contract<'a>,
    /// From working memories to integers.
    pub input: InputScales,
    /// Real value of one unit of the residual stream; finite and positive.
    pub residual_scale: f32,
    /// The network.
    pub weights: InPlace<'a>,
    /// Inputs and expected command words of a whole trial.
    pub golden: Golden<'a>,
    /// What the policy needs, recomputed by the reader.
    pub bounds: Bounds,
    /// Where the policy comes from.
    pub provenance: Provenance<'a>,
}

/// What a control step reads of an image: its shape, its scales and its weights. Passed by value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameters<'a> {
    /// How the weights lie.
    pub packing: Packing,
    /// The shape of the network.
    pub config: &'a ModelConfig,
    /// From working memories to integers.
    pub input: &'a InputScales,
    /// The network.
    pub weights: &'a InPlace<'a>,
}

impl<'a> From<&'a Image<'_>> for Parameters<'a> {
    fn from(image: &'a Image<'_>) -> Self {
        Self {
            packing: image.packing,
            config: &image.config,
            input: &image.input,
            weights: &image.weights,
        }
    }
}

/// `q = clamp(round_half_even((x - mean) * inverse), -32767, 32767)` for every entry of a working
/// memory, in its order: observation, action, reward, done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InputScales {
    /// Finite.
    pub mean: List<f32, MAX_INPUTS>,
    /// Integer steps per unit; finite and positive.
    pub inverse: List<f32, MAX_INPUTS>,
}

/// A recorded trial, longer than the window: inputs, and the words that the policy must produce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Golden<'a> {
    /// Control steps, more than the window.
    pub steps: usize,
    /// Observation channels: entries of a step in `observation`.
    pub observations: usize,
    /// Action channels: entries of a step in `issued` and `words`.
    pub actions: usize,
    /// `[steps][observations]` f32, little endian, in channel units.
    pub observation: &'a [[u8; 4]],
    /// `[steps]` f32, little endian.
    pub reward: &'a [[u8; 4]],
    /// `[steps]`, 0 or 1.
    pub done: &'a [u8],
    /// `[steps][actions]` i16, little endian: the command issued at the step before (an input).
    pub issued: &'a [[u8; 2]],
    /// `[steps][actions]` i16, little endian: the expected command words.
    pub words: &'a [[u8; 2]],
}

/// One step of a [`Golden`] trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GoldenStep<'a> {
    /// `[observations]` f32, little endian, in channel units.
    pub observation: &'a [[u8; 4]],
    /// Reward of this working memory.
    pub reward: f32,
    /// Whether an episode ended before this step.
    pub done: bool,
    /// `[actions]` i16, little endian: the command issued at the step before.
    pub issued: &'a [[u8; 2]],
    /// `[actions]` i16, little endian: the expected command words.
    pub words: &'a [[u8; 2]],
}

impl<'a> Golden<'a> {
    pub(crate) const EMPTY: Self = Self {
        steps: 0,
        observations: 0,
        actions: 0,
        observation: &[],
        reward: &[],
        done: &[],
        issued: &[],
        words: &[],
    };

    /// The steps in order.
    pub fn iter(&self) -> impl Iterator<Item = GoldenStep<'a>> {
        // A golden trace of the reader has channels; the maxima are for the one that is not there.
        let observations = self.observation.chunks_exact(self.observations.max(1));
        let actions = self.actions.max(1);
        let issued = self.issued.chunks_exact(actions);
        let words = issued.zip(self.words.chunks_exact(actions));
        let rewards = self.reward.iter().copied().map(f32::from_le_bytes);
        let steps = observations.zip(words).zip(rewards.zip(self.done));
        steps.map(
            |((observation, (issued, words)), (reward, &done))| GoldenStep {
                observation,
                reward,
                done: done != 0,
                issued,
                words,
            },
        )
    }
}

/// Where a policy comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Provenance<'a> {
    /// The plant it was trained on: 1 to `TEXT_BYTES` printable ASCII bytes, no space.
    pub plant: &'a str,
    /// Version of the project that exported it; text as in `plant`.
    pub version: &'a str,
    /// Seed of the training run.
    pub seed: u64,
    /// SHA-256 of the training run's configuration file.
    pub config_sha256: [u8; 32],
    /// Mean return of a trial at the end of training; finite.
    pub training_return: f32,
}

impl<'a> Image<'a> {
    /// No image: what the reader starts from and fills in place.
    pub const EMPTY: Self = Self {
        total_length: 0,
        sha256: [0; 32],
        weights_sha256: [0; 32],
        signed: false,
        packing: Packing::Rows,
        signature: &[0; 64],
        counter: 0,
        config: ModelConfig::SMALLEST,
        contract: Contract::EMPTY,
        input: InputScales {
            mean: List::EMPTY,
            inverse: List::EMPTY,
        },
        residual_scale: 1.0,
        weights: InPlace::EMPTY,
        golden: Golden::EMPTY,
        bounds: Bounds::EMPTY,
        provenance: Provenance {
            plant: "",
            version: "",
            seed: 0,
            config_sha256: [0; 32],
            training_return: 0.0,
        },
    };

    /// Every matrix, in the order of [`Weights::matrices`](crate::Weights::matrices).
    pub fn matrices(&self) -> impl Iterator<Item = Matrix<'a>> {
        let matrices = self.weights.matrices();
        matrices.map(|(name, rows)| Matrix::new(name, &self.config, self.packing, *rows))
    }
}
