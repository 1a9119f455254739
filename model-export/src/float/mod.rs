//! The policy in f32, one control step at a time.
//!
//! This is the trainer's rollout path: a step allocates nothing and reads its weights in the order
//! of their storage. Gradients do not live here; the learner computes whole trials in one pass and
//! must agree with this file.

mod math;
mod state;

use engram_image::{HeadInput, ModelConfig, Positions};

use crate::normalizer::Normalizer;
use crate::parameters::{Parameters, ParametersError, slot_positions};
use crate::tensors::Tensors;
pub use math::Packed;
use math::{add_scaled, dot, exponentials, tanh};
pub use state::FloatState;

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

    /// Empties the memory, as at the start of a trial.
    pub fn clear(&self, state: &mut FloatState) {
        state.clear();
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
        let config = self.config();
        assert_eq!(
            input.len(),
            config.inputs(),
            "entries of the working memory"
        );
        assert_eq!(mean.len(), config.actions, "entries of the action mean");
        assert!(
            state.fits(config),
            "the state belongs to a policy of other dimensions"
        );
        self.parameters.normalizer.apply(input, &mut state.input);
        observer.values(Site::Input, &state.input);
        self.embed.apply(&state.input, &mut state.embedded);
        observer.values(Site::Embedded, &state.embedded);
        match config.positions {
            Positions::Age => {
                let place = state.next;
                state.residual.copy_from_slice(&state.embedded);
                state.next = if place + 1 == config.window {
                    0
                } else {
                    place + 1
                };
                state.filled = (state.filled + 1).min(config.window);
                self.token(state, place, state.filled, observer);
            }
            Positions::Slot => self.recompute_slots(state, observer),
        }
        observer.values(Site::Encoder, &state.residual);
        let (encoder, raw) = state.head_input.split_at_mut(config.model);
        encoder.copy_from_slice(&state.residual);
        if config.head_input == HeadInput::Mixed {
            raw.copy_from_slice(&state.embedded);
        }
        let [first, second, third] = &self.head;
        first.apply(&state.head_input, &mut state.hidden[0]);
        observer.values(Site::HeadPreactivation(0), &state.hidden[0]);
        tanh(&mut state.hidden[0]);
        observer.values(Site::HeadHidden(0), &state.hidden[0]);
        let [h0, h1] = &mut state.hidden;
        second.apply(h0, h1);
        observer.values(Site::HeadPreactivation(1), h1);
        tanh(h1);
        observer.values(Site::HeadHidden(1), h1);
        third.apply(h1, mean);
        observer.values(Site::Mean, mean);
    }

    /// `slot`: pushes the newest embedding and recomputes every filled slot, oldest first. The last one
    /// computed is the newest, and its output stays in `state.residual`.
    fn recompute_slots(&self, state: &mut FloatState, observer: &mut impl FloatObserver) {
        let config = self.config();
        let (d, window) = (config.model, config.window);
        let newest = state.next;
        state.memories[newest * d..][..d].copy_from_slice(&state.embedded);
        state.next = if newest + 1 == window { 0 } else { newest + 1 };
        state.filled = (state.filled + 1).min(window);
        let oldest = (newest + window + 1 - state.filled) % window;
        for slot in 0..state.filled {
            let memory = &state.memories[((oldest + slot) % window) * d..][..d];
            let position = &self.positions[slot * d..][..d];
            for ((x, memory), position) in state.residual.iter_mut().zip(memory).zip(position) {
                *x = memory + position;
            }
            self.token(state, slot, slot + 1, observer);
        }
    }

    /// One token through the encoder: reads and leaves the residual stream in `state.residual`, stores its
    /// keys and values at `place`, and attends to places `0..filled`.
    fn token(
        &self,
        state: &mut FloatState,
        place: usize,
        filled: usize,
        observer: &mut impl FloatObserver,
    ) {
        let config = self.config();
        let (d, window, width) = (config.model, config.window, config.head_dim());
        let scale = 1.0 / (width as f32).sqrt();
        for (l, layer) in self.layers.iter().enumerate() {
            observer.values(Site::LayerInput(l), &state.residual);
            layer.in_proj.apply(&state.residual, &mut state.qkv);
            observer.values(Site::Qkv(l), &state.qkv);
            let keys = &mut state.keys[l * d * window..][..d * window];
            let values = &mut state.values[l * d * window..][..d * window];
            let (query, new) = state.qkv.split_at_mut(d);
            // Dimension-major rings: all inner loops below run along the window.
            for (i, (key, value)) in new[..d].iter().zip(&new[d..]).enumerate() {
                keys[i * window + place] = *key;
                values[i * window + place] = *value;
            }
            let logits = &mut state.logits[..filled];
            for head in 0..config.heads {
                let bias = &layer.bias[head * 2 * window + window - place..];
                logits.copy_from_slice(&bias[..filled]);
                for i in head * width..(head + 1) * width {
                    add_scaled(logits, query[i] * scale, &keys[i * window..][..filled]);
                }
                let total = exponentials(logits);
                observer.attention(l, head, logits, place, total);
                let inverse = 1.0 / total;
                for i in head * width..(head + 1) * width {
                    state.mixed[i] = dot(logits, &values[i * window..][..filled]) * inverse;
                }
            }
            observer.values(Site::AttentionOutput(l), &state.mixed);
            layer.out_proj.apply(&state.mixed, &mut state.branch);
            observer.values(Site::AttentionBranch(l), &state.branch);
            add_scaled(&mut state.residual, 1.0, &state.branch);
            observer.values(Site::FeedForwardInput(l), &state.residual);
            layer.linear1.apply(&state.residual, &mut state.ff);
            for x in &mut state.ff {
                *x = if *x > 0.0 { *x } else { 0.0 };
            }
            observer.values(Site::Hidden(l), &state.ff);
            layer.linear2.apply(&state.ff, &mut state.branch);
            observer.values(Site::FeedForwardBranch(l), &state.branch);
            add_scaled(&mut state.residual, 1.0, &state.branch);
        }
    }
}
