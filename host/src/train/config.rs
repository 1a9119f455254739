//! Every setting of a training run, read from TOML. A misspelt or missing key is an error with its line, and
//! so is a value that no run can have.

use engram_image::{HeadInput, ModelConfig, Positions};
use serde::{Deserialize, Serialize};

use super::place::Place;
use super::schedule::Decay;
use crate::network::{GruConfig, NetworkConfig, RL2};
use crate::plant::Plant;
use crate::plant::robot::RobotError;

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
    pub positions: PositionsName,
    /// What the head reads.
    pub head_input: HeadInputName,
}

/// `slot` or `age`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum PositionsName {
    /// The paper's: encodings per window slot.
    Slot,
    /// A learned bias per head and age.
    Age,
}

/// `encoder` or `mixed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeadInputName {
    /// The encoder's output alone.
    Encoder,
    /// Beside it, the newest embedded working memory.
    Mixed,
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
    /// Scale of the embedding, relative to T-Fixup's.
    pub embedding_gain: f64,
    /// Scale of the head's last layer.
    pub last_layer_gain: f64,
}

/// What a training trial is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// Trials per iteration.
    pub trials: usize,
    /// Control steps of one trial.
    pub steps: usize,
    /// Control steps after which an episode times out and the trial's next begins; 0 for never.
    pub episode_steps: usize,
    /// Probability that an episode starts in any state instead of a usual one.
    pub anywhere: f64,
    /// Mean control steps between two redraws of the whole task; 0 for never.
    pub redraw_every: f64,
    /// Mean control steps between two of the `changes`; 0 for never.
    pub change_every: f64,
    /// Names of the plant's changes that may come; each is as likely.
    pub changes: Vec<String>,
    /// Mean control steps between two starts of a new episode within the trial; 0 for never.
    pub restart_every: f64,
    /// Every episode begins with an empty memory, and with zeros for action, reward and `done`, as in the
    /// paper's code; otherwise the memory persists through the trial.
    #[serde(default)]
    pub clear_memory: bool,
}

/// Proximal policy optimisation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ppo {
    /// Environment steps of the whole training.
    pub steps: u64,
    /// Passes over the trials of an iteration.
    pub epochs: usize,
    /// Updates per pass.
    pub minibatches: usize,
    /// Steps of one update, drawn from all trials, where every step is a window of its own; 0 for whole
    /// trials by `minibatches`.
    #[serde(default)]
    pub minibatch_steps: usize,
    /// Learning rate at the start.
    pub learning_rate: f64,
    /// Factor that the learning rates have fallen to at the end.
    pub final_learning_rate: f64,
    /// The way to there.
    #[serde(default)]
    pub decay: Decay,
    /// Iteration at which it begins.
    #[serde(default)]
    pub decay_begin: u64,
    /// Iteration at which it ends; 0 for the last.
    #[serde(default)]
    pub decay_end: u64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Bound of the gradient's norm; 0 for none.
    pub max_gradient: f64,
    /// Least standard deviation of the exploration; 0 for none.
    #[serde(default)]
    pub min_std: f64,
    /// Discount per step.
    pub gamma: f64,
    /// Of the generalised advantage estimate.
    pub lambda: f64,
    /// Bound of the probability ratio's distance from 1.
    pub clip: f64,
    /// Weight of the entropy bonus.
    pub entropy: f64,
    /// Advantages are brought to mean 0 and deviation 1 over an iteration.
    pub normalize_advantages: bool,
    /// The critic's value stands for what would follow the last step.
    pub bootstrap: bool,
    /// Advantages and returns end where the robot falls; otherwise they run on into the next episode.
    #[serde(default = "yes")]
    pub cut_at_falls: bool,
    /// Parts of a minibatch that are computed in parallel.
    pub shards: usize,
    /// Training stops with an error where an iteration moves the policy by more than this divergence per step.
    #[serde(default = "default_max_kl")]
    pub max_kl: f64,
}

/// Runs of earlier versions say nothing of it. The run behind the shipped pendulum stayed below 0.05.
fn default_max_kl() -> f64 {
    10.0
}

/// The value function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Critic {
    /// Width of its two hidden layers.
    pub hidden: usize,
    /// Whether it sees the true state and the hidden task.
    pub sees_task: bool,
    /// Learning rate at the start.
    pub learning_rate: f64,
    /// Whether it falls as the policy's does.
    #[serde(default = "yes")]
    pub decays: bool,
    /// What it reads.
    #[serde(default)]
    pub input: CriticInput,
    /// What it minimises.
    #[serde(default)]
    pub loss: CriticLoss,
    /// What it should say.
    #[serde(default)]
    pub targets: CriticTargets,
}

/// `memory` or `encoder`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CriticInput {
    /// The current working memory.
    #[default]
    Memory,
    /// The output of the policy's encoder, which the critic then trains as well, in passes of its own.
    Encoder,
}

/// `squared` or `likelihood`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CriticLoss {
    /// Half the squared error.
    #[default]
    Squared,
    /// The negative logarithm of a normal density with one learned standard deviation.
    Likelihood,
}

/// `advantages` or `returns`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CriticTargets {
    /// Advantage and value before the update: the return as the lambda of the advantages sees it.
    #[default]
    Advantages,
    /// The discounted sum of the rewards to the trial's end.
    Returns,
}

const fn yes() -> bool {
    true
}

/// What is wrong with a run's settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The text is not what is expected; the message has line and key.
    #[error("{origin}: {message}")]
    Toml {
        /// Where the text came from.
        origin: String,
        /// Line, key and reason.
        message: String,
    },
    /// A value is out of its range.
    #[error("{place}: {key} is {value}; it must be {range}")]
    Range {
        /// Where it stands: file and line.
        place: String,
        /// The key with its section.
        key: &'static str,
        /// What it is.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
    /// The policy's dimensions are not ones that a controller can run.
    #[error("{place}: [model]: {reason}")]
    Model {
        /// Where the dimension stands: file and line.
        place: String,
        /// Which dimension, and its bound.
        reason: engram_image::ConfigError,
    },
    /// Two settings exclude each other.
    #[error("{place}: {key} {message}")]
    Contradiction {
        /// Where it stands: file and line; or the agent.
        place: String,
        /// One of the keys, with its section.
        key: &'static str,
        /// What it asks of the other.
        message: &'static str,
    },
    /// The plant is a robot's file, and the file is not right.
    #[error(transparent)]
    Robot(#[from] RobotError),
    /// There is no preset.
    #[error("plant '{plant}' has no preset '{kind}'; give --config FILE.toml")]
    NoPreset {
        /// The plant's name.
        plant: String,
        /// The preset's name.
        kind: &'static str,
    },
}

impl Settings {
    /// Reads and checks settings; `origin` is named in errors.
    ///
    /// # Errors
    /// Names line and key, or the value that is out of range.
    pub fn from_toml(text: &str, origin: &str) -> Result<Self, ConfigError> {
        let settings: Self = toml::from_str(text).map_err(|error| ConfigError::Toml {
            origin: origin.to_owned(),
            message: error.to_string(),
        })?;
        let place = Place { origin, text };
        settings.check(place)?;
        settings.check_model(place)?;
        if let Some((key, message)) = settings.contradiction() {
            let place = place.of(key);
            return Err(ConfigError::Contradiction {
                place,
                key,
                message,
            });
        }
        Ok(settings)
    }

    /// The settings as a table, for `run.toml`.
    ///
    /// # Errors
    /// When a number has no TOML form.
    pub fn to_table(&self) -> Result<toml::Table, ConfigError> {
        toml::Table::try_from(self).map_err(|error| ConfigError::Toml {
            origin: "settings".to_owned(),
            message: error.to_string(),
        })
    }

    /// Turns the settings into those of a policy with a window of one working memory.
    #[must_use]
    pub fn one_step(mut self) -> Self {
        self.model.window = 1;
        self.model.positions = PositionsName::Age;
        self
    }

    /// The policy's dimensions on a plant.
    #[must_use]
    pub fn model_config(&self, plant: &dyn Plant) -> ModelConfig {
        let contract = plant.contract();
        self.dimensions(contract.observations.len(), contract.actions.len())
    }

    fn dimensions(&self, observations: usize, actions: usize) -> ModelConfig {
        let model = &self.model;
        ModelConfig {
            observations,
            actions,
            layers: model.layers,
            heads: model.heads,
            model: model.model,
            ff: model.ff,
            window: model.window,
            hidden: model.hidden,
            positions: match model.positions {
                PositionsName::Slot => Positions::Slot,
                PositionsName::Age => Positions::Age,
            },
            head_input: match model.head_input {
                HeadInputName::Encoder => HeadInput::Encoder,
                HeadInputName::Mixed => HeadInput::Mixed,
            },
        }
    }

    /// The network of an agent on a plant.
    #[must_use]
    pub fn network_config(&self, plant: &dyn Plant, agent: &str) -> NetworkConfig {
        let config = self.model_config(plant);
        if agent == RL2 {
            return NetworkConfig::Gru(GruConfig {
                observations: config.observations,
                actions: config.actions,
                model: config.model,
                state: self.rl2.hidden,
                hidden: config.hidden,
                head_input: config.head_input,
            });
        }
        NetworkConfig::Transformer(config)
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

    /// Dimensions that no plant could make good.
    fn check_model(&self, place: Place) -> Result<(), ConfigError> {
        use engram_image::ConfigError as Reason;
        self.dimensions(1, 1).validate().map_err(|reason| {
            let name = match reason {
                // `hidden[0]` is a part of a key, `window * model` begins with one.
                Reason::Range { name, .. } => name.split(['[', ' ']).next().unwrap_or(name),
                Reason::Heads { .. } => "heads",
            };
            let place = place.of(&format!("model.{name}"));
            ConfigError::Model { place, reason }
        })
    }

    fn check(&self, place: Place) -> Result<(), ConfigError> {
        let Self {
            normalizer,
            initial,
            trial,
            ppo,
            critic,
            belief,
            rl2,
            ..
        } = self;
        let positive = "above 0";
        let share = "from 0 to 1";
        let count = "at least 1";
        let count_of = |key, value: usize| (key, value as f64, count, value >= 1);
        let share_of = |key, value: f64| (key, value, share, (0.0..=1.0).contains(&value));
        let positive_of =
            |key, value: f64| (key, value, positive, value > 0.0 && value.is_finite());
        let not_negative =
            |key, value: f64| (key, value, "0 or above", value >= 0.0 && value.is_finite());
        let every_of = |key, value: f64| {
            (
                key,
                value,
                "0 (never) or at least 1",
                value == 0.0 || value >= 1.0,
            )
        };
        let checks = [
            positive_of("normalizer.clip", f64::from(normalizer.clip)),
            (
                "initial.log_std",
                initial.log_std,
                "from -10 to 3",
                (-10.0..=3.0).contains(&initial.log_std),
            ),
            not_negative("initial.age_bias", initial.age_bias),
            positive_of("initial.embedding_gain", initial.embedding_gain),
            positive_of("initial.last_layer_gain", initial.last_layer_gain),
            count_of("trial.trials", trial.trials),
            (
                "trial.steps",
                trial.steps as f64,
                "at least 2",
                trial.steps >= 2,
            ),
            share_of("trial.anywhere", trial.anywhere),
            every_of("trial.redraw_every", trial.redraw_every),
            every_of("trial.change_every", trial.change_every),
            every_of("trial.restart_every", trial.restart_every),
            (
                "trial.change_every",
                trial.change_every,
                "0 where trial.changes is empty",
                trial.change_every == 0.0 || !trial.changes.is_empty(),
            ),
            ("ppo.steps", ppo.steps as f64, count, ppo.steps >= 1),
            count_of("ppo.epochs", ppo.epochs),
            count_of("ppo.minibatches", ppo.minibatches),
            positive_of("ppo.learning_rate", ppo.learning_rate),
            share_of("ppo.final_learning_rate", ppo.final_learning_rate),
            not_negative("ppo.weight_decay", ppo.weight_decay),
            not_negative("ppo.max_gradient", ppo.max_gradient),
            not_negative("ppo.min_std", ppo.min_std),
            share_of("ppo.gamma", ppo.gamma),
            share_of("ppo.lambda", ppo.lambda),
            positive_of("ppo.clip", ppo.clip),
            not_negative("ppo.entropy", ppo.entropy),
            count_of("ppo.shards", ppo.shards),
            positive_of("ppo.max_kl", ppo.max_kl),
            count_of("critic.hidden", critic.hidden),
            positive_of("critic.learning_rate", critic.learning_rate),
            not_negative("belief.weight", belief.weight),
            count_of("rl2.hidden", rl2.hidden),
            (
                "trial.trials",
                trial.trials as f64,
                "a multiple of ppo.minibatches",
                trial.trials.is_multiple_of(ppo.minibatches.max(1)),
            ),
        ];
        match checks.into_iter().find(|(.., good)| !good) {
            Some((key, value, range, _)) => Err(ConfigError::Range {
                place: place.of(key),
                key,
                value,
                range,
            }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plant::by_name;

    #[test]
    fn the_preset_is_good() {
        let settings = Settings::preset("pendulum").unwrap();
        settings
            .model_config(&*by_name("pendulum").unwrap())
            .validate()
            .unwrap();
        assert_eq!(settings.clone().one_step().model.window, 1);
        let text = toml::to_string(&settings.to_table().unwrap()).unwrap();
        assert_eq!(Settings::from_toml(&text, "again").unwrap(), settings);
        assert!(Settings::preset("unicycle").is_err());
    }

    /// What is said about a preset in which `from` is replaced by `to`, and the line where that is.
    fn said(from: &str, to: &str) -> (String, usize) {
        let text = include_str!("../../presets/engram/pendulum.toml");
        let line = 1 + text
            .lines()
            .position(|line| line.starts_with(from))
            .expect(from);
        let text = text.replacen(&format!("\n{from}"), &format!("\n{to}"), 1);
        let error = Settings::from_toml(&text, "my.toml").expect_err(to);
        (error.to_string(), line)
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        // Types and names are told by the TOML reader, in its own words.
        for (from, to, expected) in [
            ("epochs = 4", "epoch = 4", "unknown field `epoch`"),
            ("epochs = 4", "epochs = -4", "invalid value: integer `-4`"),
            (
                "epochs = 4",
                "epochs = 4.5",
                "invalid type: floating point `4.5`",
            ),
            (
                "gamma = 0.99",
                "gamma = \"high\"",
                "invalid type: string \"high\"",
            ),
            (
                "positions = \"age\"",
                "positions = \"old\"",
                "unknown variant `old`",
            ),
            ("[belief]", "[believe]", "unknown field `believe`"),
            ("gamma = 0.99", "gamma = 0.99 0.98", "line"),
        ] {
            let (said, line) = said(from, to);
            let found = said.contains("my.toml") && said.contains(&format!("line {line},"));
            assert!(found && said.contains(expected), "{said}");
        }
        for (from, to, expected) in [
            ("gamma = 0.99", "gamma = 1.97", "ppo.gamma is 1.97"),
            ("gamma = 0.99", "gamma = nan", "ppo.gamma is NaN"),
            ("steps = 6000000", "steps = 0", "ppo.steps is 0"),
            ("trials = 48", "trials = 47", "multiple of ppo.minibatches"),
            (
                "change_every = 330.0",
                "change_every = 0.5",
                "trial.change_every is 0.5",
            ),
            ("clip = 10.0", "clip = 0.0", "normalizer.clip is 0"),
            ("max_kl = 10.0", "max_kl = 0.0", "ppo.max_kl is 0"),
            ("heads = 4", "heads = 5", "not a multiple of the 5 heads"),
            ("hidden = [64, 64]", "hidden = [64, 0]", "hidden[1] is 0"),
            ("window = 16", "window = 100000", "window is 100000"),
        ] {
            let (said, line) = said(from, to);
            let found = said.starts_with(&format!("my.toml:{line}: "));
            assert!(found && said.contains(expected), "{said} (line {line})");
        }
        let (said, _) = said("changes = [\"polarity\"]", "changes = []");
        assert!(said.contains("trial.change"), "{said}");
    }

    #[test]
    fn a_missing_key_is_named_with_its_section() {
        let (said, _) = said("gamma = 0.99", "# ");
        assert!(
            said.contains("missing field `gamma`") && said.contains("[ppo]"),
            "{said}"
        );
    }

    #[test]
    fn a_run_of_an_earlier_version_has_a_bound_too() {
        let text =
            include_str!("../../presets/engram/pendulum.toml").replace("\nmax_kl", "\n# max_kl");
        assert_eq!(Settings::from_toml(&text, "old").unwrap().ppo.max_kl, 10.0);
    }
}
