//! The policy in f32, one control step at a time, of one trial or of several together.
//!
//! This is the trainer's rollout path: a step allocates nothing and reads its weights in the order
//! of their storage. Gradients do not live here; the learner computes whole trials in one pass and
//! must agree with this file.

mod math;
mod scratch;
mod state;
mod step;

use engram_image::{ModelConfig, Positions};

use crate::normalizer::Normalizer;
use crate::parameters::{Parameters, ParametersError, slot_positions};
use crate::tensors::Tensors;
pub use math::Packed;
use state::Memory;
pub use state::{FloatBatch, FloatState};

/// A place in the network whose values an observer sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Site {
    /// The normalised working memory, `[inputs]`.
    Input,
    /// The embedded working memory, before positions, `[d]`.
    Embedded,
    /// The residual stream as it enters layer `.0`, `[d]`.
    LayerInput(usize),
    /// Queries, keys and values of layer `.0`, `[3d]`.
    Qkv(usize),
    /// Attention-weighted mean of the values of layer `.0`, heads concatenated, `[d]`.
    AttentionOutput(usize),
    /// What attention adds to the residual stream in layer `.0`, `[d]`.
    AttentionBranch(usize),
    /// The residual stream between attention and feed-forward of layer `.0`, `[d]`.
    FeedForwardInput(usize),
    /// The feed-forward block's hidden activations of layer `.0` after ReLU, `[ff]`.
    Hidden(usize),
    /// What the feed-forward block adds to the residual stream in layer `.0`, `[d]`.
    FeedForwardBranch(usize),
    /// The newest token's encoder output, `[d]`.
    Encoder,
    /// The head's preactivations of hidden layer `.0`, `[h0]` or `[h1]`.
    HeadPreactivation(usize),
    /// The head's hidden activations of layer `.0` after the tangent, `[h0]` or `[h1]`.
    HeadHidden(usize),
    /// The action mean, `[actions]`.
    Mean,
}

/// Watches a step. All methods default to nothing, and `()` is the observer that costs nothing.
pub trait FloatObserver {
    /// The values at `site`, once per token (`slot` positions compute several tokens per step).
    fn values(&mut self, site: Site, values: &[f32]) {
        let _ = (site, values);
    }

    /// Attention of the token being computed: `weights[s]` belongs to storage place `s`, `newest` is
    /// the token's own place, and the age of place `s` is `(newest + window - s) % window`.
    /// Weights are unnormalised; they sum to `total`.
    fn attention(&mut self, layer: usize, head: usize, weights: &[f32], newest: usize, total: f32) {
        let _ = (layer, head, weights, newest, total);
    }
}

impl FloatObserver for () {}

#[derive(Clone, Debug)]
struct PackedLayer {
    in_proj: Packed,
    out_proj: Packed,
    /// `[heads][2 * window]`: entry `k` is the bias of age `-k mod window`, so that the biases in storage
    /// order for any newest place are one contiguous piece. Zero for `slot`.
    bias: Vec<f32>,
    linear1: Packed,
    linear2: Packed,
}

/// The f32 policy: exactly the checkpoint's tensors, ready to step.
#[derive(Clone, Debug)]
pub struct FloatPolicy {
    parameters: Parameters,
    embed: Packed,
    layers: Vec<PackedLayer>,
    head: [Packed; 3],
    positions: Vec<f32>,
}

impl FloatPolicy {
    /// Packs checked parameters.
    #[must_use]
    pub fn new(parameters: Parameters) -> Self {
        let pack =
            |m: &crate::parameters::Linear| Packed::new(m.rows, m.columns, &m.weight, &m.bias);
        let config = parameters.config;
        let (heads, window) = (config.heads, config.window);
        let layers = parameters
            .layers
            .iter()
            .map(|layer| {
                let mut bias = vec![0.0; heads * 2 * window];
                for (row, ages) in bias
                    .chunks_exact_mut(2 * window)
                    .zip(layer.age_bias.chunks_exact(window))
                {
                    for (k, entry) in row.iter_mut().enumerate() {
                        *entry = ages[(window - k % window) % window];
                    }
                }
                PackedLayer {
                    in_proj: pack(&layer.in_proj),
                    out_proj: pack(&layer.out_proj),
                    bias,
                    linear1: pack(&layer.linear1),
                    linear2: pack(&layer.linear2),
                }
            })
            .collect();
        let [first, second, third] = &parameters.head;
        let head = [pack(first), pack(second), pack(third)];
        let positions = match config.positions {
            Positions::Slot => slot_positions(window, config.model),
            Positions::Age => Vec::new(),
        };
        Self {
            embed: pack(&parameters.embed),
            layers,
            head,
            positions,
            parameters,
        }
    }

    /// Checks named tensors and packs them; `clip` bounds the normalised working memory.
    ///
    /// # Errors
    /// The first thing that does not fit the configuration, by name.
    pub fn from_tensors(
        config: ModelConfig,
        clip: f32,
        tensors: &Tensors,
    ) -> Result<Self, ParametersError> {
        Parameters::from_tensors(config, clip, tensors).map(Self::new)
    }

    /// Dimensions and variants.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.parameters.config
    }

    /// Scaling of the working memory.
    #[must_use]
    pub fn normalizer(&self) -> &Normalizer {
        &self.parameters.normalizer
    }

    /// The parameters, row major.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Natural logarithm of the action's standard deviation, per action.
    #[must_use]
    pub fn log_std(&self) -> &[f32] {
        &self.parameters.log_std
    }

    /// An empty memory for this policy; all that a step needs is allocated here.
    #[must_use]
    pub fn new_state(&self) -> FloatState {
        FloatState::new(self.config())
    }

    /// Empty memories of so many trials that step together; all that a step needs is allocated here.
    #[must_use]
    pub fn new_batch(&self, trials: usize) -> FloatBatch {
        FloatBatch::new(self.config(), trials)
    }

    /// Empties the memory, as at the start of a trial.
    pub fn clear(&self, state: &mut FloatState) {
        state.memory.clear();
    }

    /// One control step: takes in the raw working memory `input` (`[observation, action, reward, done]`,
    /// action entries in `[-1, 1]`, the rest in the contract's units) and writes the action mean on the
    /// `[-1, 1]` scale, unclipped, to `mean`.
    ///
    /// # Panics
    /// When `input` does not have `config.inputs()` entries, `mean` not `config.actions`, or `state`
    /// belongs to a policy of other dimensions.
    pub fn step(&self, state: &mut FloatState, input: &[f32], mean: &mut [f32]) {
        self.step_observed(state, input, mean, &mut ());
    }

    /// [`Self::step`], watched.
    ///
    /// # Panics
    /// As [`Self::step`].
    pub fn step_observed(
        &self,
        state: &mut FloatState,
        input: &[f32],
        mean: &mut [f32],
        observer: &mut impl FloatObserver,
    ) {
        let memories = core::slice::from_mut(&mut state.memory);
        self.check(memories, input, mean);
        self.step_trials(memories, &mut state.scratch, input, mean, observer);
    }

    /// [`Self::step`] of every trial of a batch: `inputs` are `[trials][inputs]`, `means` `[trials][actions]`. The same
    /// bits as each trial alone.
    ///
    /// # Panics
    /// When a slice has another length, or the batch belongs to a policy of other dimensions.
    pub fn step_batch(&self, batch: &mut FloatBatch, inputs: &[f32], means: &mut [f32]) {
        self.check(&batch.memories, inputs, means);
        let (memories, scratch) = (&mut batch.memories, &mut batch.scratch);
        self.step_trials(memories, scratch, inputs, means, &mut ());
    }

    /// Panics as the steps say.
    fn check(&self, memories: &[Memory], inputs: &[f32], means: &[f32]) {
        let config = self.config();
        let trials = memories.len();
        assert_eq!(
            inputs.len(),
            trials * config.inputs(),
            "entries of the working memory"
        );
        assert_eq!(
            means.len(),
            trials * config.actions,
            "entries of the action mean"
        );
        assert!(
            memories.iter().all(|memory| memory.dimensions == *config),
            "the state belongs to a policy of other dimensions"
        );
    }
}
