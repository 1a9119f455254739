//! Every setting of a training run, read from TOML. A misspelt or missing key is an error with its line, and
//! so is a value that no run can have. Nothing here trains.

mod checks;
mod dimensions;
mod error;
mod model;
mod presets;
pub(crate) mod ranges;
pub(crate) mod reading;
mod together;
mod training;

use serde::{Deserialize, Serialize};

pub use engram_image::{HeadInput, Positions};
pub use error::ConfigError;
pub use model::{Belief, Initial, Model, NormalizerSettings, Rl2};
pub use presets::Preset;
pub(crate) use presets::file as preset_file;
pub use training::{Critic, CriticInput, CriticLoss, CriticTargets, Ppo, Trial};

/// The settings of a run. `presets/engram/pendulum.toml` documents every key; keys with a default are missing in
/// runs of earlier versions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Dimensions of the policy, as far as the contract leaves them open.
    pub model: Model,
    /// Scaling of working memories.
    pub normalizer: NormalizerSettings,
    /// Weights before the first update.
    pub initial: Initial,
    /// What a training trial is.
    pub trial: Trial,
    /// The optimisation.
    pub ppo: Ppo,
    /// The value function.
    pub critic: Critic,
    /// The belief.
    pub belief: Belief,
    /// The recurrent reference; read for no other agent, and may be left out.
    #[serde(default)]
    pub rl2: Rl2,
}

/// A default that serde can name.
const fn yes() -> bool {
    true
}

impl Settings {
    /// Turns the settings into those of a policy with a window of one working memory.
    #[must_use]
    pub fn one_step(mut self) -> Self {
        self.model.window = 1;
        self.model.positions = Positions::Age;
        self
    }

    /// Environment steps of one iteration.
    #[must_use]
    pub fn steps_per_iteration(&self) -> u64 {
        (self.trial.trials * self.trial.steps) as u64
    }

    /// Iterations of the whole training, at least one.
    #[must_use]
    pub fn iterations(&self) -> u64 {
        self.ppo.steps.div_ceil(self.steps_per_iteration()).max(1)
    }
}

#[cfg(test)]
mod tests;
