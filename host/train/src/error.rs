//! Why training cannot begin or go on. Messages are complete: a cause that is told is not named as a source as well,
//! which would tell it again.

use engram_export::checkpoint::CheckpointError;
use engram_export::parameters::ParametersError;

use super::config::ConfigError;
use super::curve::CurveError;
use super::divergence::Divergence;
use super::resume::ResumeError;
use engram_image::limits::MAX_OBSERVATIONS;
use engram_plants::robot::RobotError;
use engram_plants::{UnknownChange, UnknownPlant};

/// Why training cannot begin or go on.
#[derive(Debug, thiserror::Error)]
#[allow(
    missing_docs,
    reason = "each wraps the error of its name and adds nothing"
)]
pub enum TrainError {
    #[error(transparent)]
    Plant(#[from] UnknownPlant),
    #[error(transparent)]
    Robot(#[from] RobotError),
    #[error("[trial]: {0}")]
    Change(UnknownChange),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Resume(#[from] ResumeError),
    #[error(transparent)]
    Curve(#[from] CurveError),
    #[error(transparent)]
    Parameters(#[from] ParametersError),
    #[error("the learner failed: {0}")]
    Learner(candle_core::Error),
    /// The files of a folder are not of one moment.
    #[error(
        "{folder}: policy and trainer state are from different moments ({policy} and {trainer} steps); \
         start anew, or copy both from one save"
    )]
    Torn {
        /// The folder.
        folder: String,
        /// Steps by `run.toml`.
        policy: u64,
        /// Steps by `trainer.safetensors`.
        trainer: u64,
    },
    /// More of the task is hidden than a policy can be told.
    #[error(
        "plant '{plant}': agent oracle is told each of the {hidden} hidden parameters by a channel of its own, beside {measured} \
         observations; a policy takes at most {MAX_OBSERVATIONS} in all. Train another agent, or hide less"
    )]
    ToldTooMuch {
        /// The plant.
        plant: String,
        /// How many parameters it hides.
        hidden: usize,
        /// Its own observations.
        measured: usize,
    },
    /// The folder's run is on another plant.
    #[error(
        "{folder} holds a run on plant '{saved}', not '{asked}'; go on with: engram train {saved} --out {folder} --resume"
    )]
    OtherPlant {
        /// The folder.
        folder: String,
        /// The run's plant.
        saved: String,
        /// The plant that was asked for.
        asked: String,
    },
    /// The plant has other channels than it had when the run began.
    #[error(
        "{folder}: the policy has {} observations and {} actions, the plant has {} and {} now{difference}; train it into another folder",
        policy.0, policy.1, plant.0, plant.1
    )]
    Channels {
        /// The folder.
        folder: String,
        /// Observations and actions of the policy.
        policy: (usize, usize),
        /// Those of the plant.
        plant: (usize, usize),
        /// [`channels_apart`](engram_export::checkpoint::channels_apart).
        difference: String,
    },
    /// The plant's contract is not the one that the run began with.
    #[error(
        "{folder}: the run began with another contract than the plant has now (policy against plant): {difference}; \
         train it into another folder"
    )]
    Contract {
        /// The folder.
        folder: String,
        /// The first difference, in words.
        difference: String,
    },
    /// The plant's equations cannot be differentiated.
    #[error(
        "plant '{plant}' has no equations that can be differentiated; leave out --learner gradient"
    )]
    NoGradient {
        /// The plant.
        plant: String,
    },
    /// The plant's contract asks for what the learner of gradients does not do.
    #[error(
        "plant '{plant}' {reason}, which the learner 'gradient' does not know; leave out --learner gradient"
    )]
    GradientContract {
        /// The plant.
        plant: String,
        /// What it does.
        reason: &'static str,
    },
    /// The iteration cannot be used; the trainer cannot be used any more.
    #[error("training diverged in iteration {iteration}, at step {steps}: {cause}")]
    Diverged {
        /// The iteration, counted from 1.
        iteration: u64,
        /// Environment steps with this iteration's.
        steps: u64,
        /// What went wrong.
        cause: Divergence,
    },
}

impl From<UnknownChange> for TrainError {
    fn from(error: UnknownChange) -> Self {
        Self::Change(error)
    }
}

impl From<candle_core::Error> for TrainError {
    fn from(error: candle_core::Error) -> Self {
        Self::Learner(error)
    }
}
