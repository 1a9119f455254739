//! How the networks are trained: trials, optimisation, value function.

use serde::{Deserialize, Serialize};

use super::yes;
use crate::schedule::Decay;

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
    /// Where a minibatch shows the policy further than this divergence per step from the one that collected the trials, its last
    /// update is taken back and the iteration's updates end; 0 for never. What the settings of the learning rate make of a whole training does not
    /// have to suit each of its iterations.
    #[serde(default)]
    pub target_kl: f64,
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
