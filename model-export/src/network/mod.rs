//! The policies that this program can train and judge, one control step at a time in f32.
//!
//! The transformer is `engram-export`'s, which images are made of. The recurrent network is a reference: it is
//! trained and evaluated in the same way, and no image is ever made of it. Nothing here computes gradients.

mod gru;

use crate::parameters::ParametersError;
use crate::tensors::Tensors;
use crate::{FloatBatch, FloatPolicy, FloatState, Normalizer, Parameters};
use engram_image::{ConfigError, ModelConfig};

pub use gru::{GruConfig, GruPolicy, GruState};

/// Which network, and its dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(untagged)]
pub enum NetworkConfig {
    /// Attention over a window of working memories.
    Transformer(ModelConfig),
    /// A gated recurrent unit.
    Gru(GruConfig),
}

impl NetworkConfig {
    /// Checks that such a network can be computed.
    ///
    /// # Errors
    /// Names the first dimension that is out of its range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        match self {
            Self::Transformer(config) => config.validate(),
            Self::Gru(config) => config.validate(),
        }
    }

    /// Entries of an observation.
    #[must_use]
    pub fn observations(&self) -> usize {
        match self {
            Self::Transformer(config) => config.observations,
            Self::Gru(config) => config.observations,
        }
    }

    /// Entries of an action.
    #[must_use]
    pub fn actions(&self) -> usize {
        match self {
            Self::Transformer(config) => config.actions,
            Self::Gru(config) => config.actions,
        }
    }

    /// Entries of a working memory: observation, action, reward, done.
    #[must_use]
    pub fn inputs(&self) -> usize {
        match self {
            Self::Transformer(config) => config.inputs(),
            Self::Gru(config) => config.inputs(),
        }
    }

    /// Entries of what the memory says to the head: the encoder's output, or the recurrent state.
    #[must_use]
    pub fn encoded(&self) -> usize {
        match self {
            Self::Transformer(config) => config.model,
            Self::Gru(config) => config.state,
        }
    }
}

impl From<ModelConfig> for NetworkConfig {
    fn from(config: ModelConfig) -> Self {
        Self::Transformer(config)
    }
}

impl From<GruConfig> for NetworkConfig {
    fn from(config: GruConfig) -> Self {
        Self::Gru(config)
    }
}

/// A policy in f32, ready to step.
#[derive(Clone, Debug)]
pub enum Network {
    /// Attention over a window of working memories.
    Transformer(Box<FloatPolicy>),
    /// A gated recurrent unit.
    Gru(Box<GruPolicy>),
}

/// What a policy remembers of a trial.
#[derive(Clone, Debug)]
pub enum NetworkState {
    /// The transformer's.
    Transformer(Box<FloatState>),
    /// The recurrent network's.
    Gru(Box<GruState>),
}

/// What a policy remembers of several trials that step together.
#[derive(Clone, Debug)]
pub enum NetworkBatch {
    /// The transformer's.
    Transformer(Box<FloatBatch>),
    /// The recurrent network's.
    Gru(Vec<GruState>),
}

impl Network {
    /// Checks named tensors, the normalizer's among them; `clip` bounds the normalised working memory.
    ///
    /// # Errors
    /// The first tensor that does not fit the configuration, by name.
    pub fn new(
        config: &NetworkConfig,
        clip: f32,
        tensors: &Tensors,
    ) -> Result<Self, ParametersError> {
        Ok(match config {
            NetworkConfig::Transformer(config) => Parameters::from_tensors(*config, clip, tensors)
                .map(FloatPolicy::new)?
                .into(),
            NetworkConfig::Gru(config) => {
                Self::Gru(Box::new(GruPolicy::new(*config, clip, tensors.clone())?))
            }
        })
    }

    /// Which network, and its dimensions.
    #[must_use]
    pub fn config(&self) -> NetworkConfig {
        match self {
            Self::Transformer(policy) => NetworkConfig::Transformer(*policy.config()),
            Self::Gru(policy) => NetworkConfig::Gru(*policy.config()),
        }
    }

    /// All tensors by name, as a checkpoint holds them.
    #[must_use]
    pub fn tensors(&self) -> Tensors {
        match self {
            Self::Transformer(policy) => policy.parameters().to_tensors(),
            Self::Gru(policy) => policy.tensors().clone(),
        }
    }

    /// Scaling of the working memory.
    #[must_use]
    pub fn normalizer(&self) -> &Normalizer {
        match self {
            Self::Transformer(policy) => policy.normalizer(),
            Self::Gru(policy) => policy.normalizer(),
        }
    }

    /// Natural logarithm of the action's standard deviation, per action.
    #[must_use]
    pub fn log_std(&self) -> &[f32] {
        match self {
            Self::Transformer(policy) => policy.log_std(),
            Self::Gru(policy) => policy.log_std(),
        }
    }

    /// An empty memory; all that a step needs is allocated here.
    #[must_use]
    pub fn new_state(&self) -> NetworkState {
        match self {
            Self::Transformer(policy) => NetworkState::Transformer(Box::new(policy.new_state())),
            Self::Gru(policy) => NetworkState::Gru(Box::new(policy.new_state())),
        }
    }

    /// Empties the memory, as at the start of a trial.
    pub fn clear(&self, state: &mut NetworkState) {
        match (self, state) {
            (Self::Transformer(policy), NetworkState::Transformer(state)) => policy.clear(state),
            (_, NetworkState::Gru(state)) => state.clear(),
            (_, state) => *state = self.new_state(),
        }
    }

    /// One control step: takes in the raw working memory and writes the action mean on the `[-1, 1]` scale,
    /// unclipped. A state of another policy is replaced by an empty one of this policy.
    ///
    /// # Panics
    /// When `input` or `mean` has another length than the configuration says.
    pub fn step(&self, state: &mut NetworkState, input: &[f32], mean: &mut [f32]) {
        match (self, state) {
            (Self::Transformer(policy), NetworkState::Transformer(state)) => {
                policy.step(state, input, mean);
            }
            (Self::Gru(policy), NetworkState::Gru(state)) => policy.step(state, input, mean),
            (_, state) => {
                *state = self.new_state();
                self.step(state, input, mean);
            }
        }
    }

    /// Empty memories of so many trials; all that a step needs is allocated here.
    #[must_use]
    pub fn new_batch(&self, trials: usize) -> NetworkBatch {
        match self {
            Self::Transformer(policy) => {
                NetworkBatch::Transformer(Box::new(policy.new_batch(trials)))
            }
            Self::Gru(policy) => NetworkBatch::Gru(vec![policy.new_state(); trials]),
        }
    }

    /// [`Network::step`] of every trial of a batch of this policy: `inputs` are `[trials][inputs]`, `means`
    /// `[trials][actions]`. The same bits as each trial alone.
    ///
    /// # Panics
    /// When a slice has another length, or the batch belongs to another kind of policy.
    pub fn step_batch(&self, batch: &mut NetworkBatch, inputs: &[f32], means: &mut [f32]) {
        match (self, batch) {
            (Self::Transformer(policy), NetworkBatch::Transformer(batch)) => {
                policy.step_batch(batch, inputs, means);
            }
            (Self::Gru(policy), NetworkBatch::Gru(states)) => {
                let config = policy.config();
                let (width, actions) = (config.inputs(), config.actions);
                let rows = inputs
                    .chunks_exact(width)
                    .zip(means.chunks_exact_mut(actions));
                assert_eq!(rows.len(), states.len(), "trials of the batch");
                for (state, (input, mean)) in states.iter_mut().zip(rows) {
                    policy.step(state, input, mean);
                }
            }
            _ => panic!("the batch belongs to another kind of policy"),
        }
    }
}

impl NetworkBatch {
    /// Empties the memory of one trial.
    pub fn clear(&mut self, trial: usize) {
        match self {
            Self::Transformer(batch) => batch.clear(trial),
            Self::Gru(states) => {
                if let Some(state) = states.get_mut(trial) {
                    state.clear();
                }
            }
        }
    }
}

/// The same network with the same numbers.
impl PartialEq for Network {
    fn eq(&self, other: &Self) -> bool {
        self.config() == other.config()
            && self.normalizer().clip == other.normalizer().clip
            && self.tensors() == other.tensors()
    }
}

impl From<FloatPolicy> for Network {
    fn from(policy: FloatPolicy) -> Self {
        Self::Transformer(Box::new(policy))
    }
}
