//! What the networks are: dimensions, scaling, first weights.

use engram_image::{HeadInput, Positions};
use serde::{Deserialize, Serialize};

use super::yes;

/// Dimensions of the policy network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Encoder layers.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Width of the residual stream.
    pub model: usize,
    /// Width of the feed-forward blocks.
    pub ff: usize,
    /// Working memories that one layer attends to.
    pub window: usize,
    /// Widths of the head's hidden layers.
    pub hidden: [usize; 2],
    /// How the policy knows when a memory happened.
    pub positions: Positions,
    /// What the head reads.
    pub head_input: HeadInput,
}

/// Scaling of working memories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NormalizerSettings {
    /// Normalised entries are clamped to plus and minus this.
    pub clip: f32,
    /// Observations get mean 0 and deviation 1; otherwise the policy sees them as they are.
    #[serde(default = "yes")]
    pub observations: bool,
    /// Rewards are scaled: in working memories to mean 0 and deviation 1, for the learner to returns of
    /// deviation 1.
    #[serde(default = "yes")]
    pub rewards: bool,
}

/// Weights before the first update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Initial {
    /// Natural logarithm of the exploration's standard deviation.
    pub log_std: f64,
    /// Initial age bias: `-age_bias * age`.
    pub age_bias: f64,
    /// Scale of the embedding, relative to T-Fixup's: the paper's way to give it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding_gain: Option<f64>,
    /// Deviation of the embedding of a working memory whose entries have deviation 1: its weights have this over the
    /// square root of the entries' number, so that one value suits few entries and many. Stands in the place of
    /// `embedding_gain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding_std: Option<f64>,
    /// Scale of the head's last layer.
    pub last_layer_gain: f64,
}

/// Dimensions of the recurrent network; the rest is `model`'s: embedding, head and what the head reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rl2 {
    /// Width of the recurrent state.
    pub hidden: usize,
}

impl Default for Rl2 {
    fn default() -> Self {
        Self { hidden: 128 }
    }
}

/// The auxiliary task: say true state and hidden task from the encoder's output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Belief {
    /// Weight of its loss beside the policy's; 0 for none, as in the paper.
    pub weight: f64,
}
