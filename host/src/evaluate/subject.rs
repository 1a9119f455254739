//! What `engram eval` is given: a training run's folder or an image file.

use std::path::{Path, PathBuf};

use engram_export::CheckpointError;
use engram_export::checkpoint::{POLICY_FILE, RobotFile, folder};
use engram_image::write::in_rows;
use engram_image::{Contract, ContractDifference, Image, ReadError};
use sha2::{Digest, Sha256};

use crate::hexadecimal::hexadecimal;
use crate::network::{Network, Saved};

use super::{Controller, Float, Integer, TrialPlan, fly};
use crate::plant::{Driven, UnknownChange};
use crate::report::FlightTrace;

/// A policy from disk, checked.
pub struct Subject {
    /// Where it came from.
    pub path: PathBuf,
    /// The plant it was trained on.
    pub plant: String,
    /// The agent by its name; an image that does not say is `trmrl`, or `one-step` if its window is one step.
    pub agent: String,
    /// Seed of its training run.
    pub seed: u64,
    /// Environment steps that a run was trained for; an image does not tell.
    pub trained_steps: Option<u64>,
    /// Hexadecimal hash of the weights: of the image's logical weights, or of the run's tensor file.
    pub weights_sha256: String,
    /// Of a run on a robot of the user's own, the files that it was made of.
    pub robot: Vec<RobotFile>,
    content: Content,
}

enum Content {
    Image(Vec<u8>),
    Run(Box<Network>, EpisodeMemory),
}

/// What becomes of a run's memory at the end of an episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpisodeMemory {
    /// It persists through the trial.
    Persists,
    /// It is emptied (`trial.clear_memory`).
    Cleared,
}

/// A subject ready to fly; borrows it.
pub enum Prepared<'a> {
    /// The integer policy.
    Image(Box<Image<'a>>),
    /// The f32 policy.
    Run(&'a Network, EpisodeMemory),
}

/// Why a subject cannot be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum SubjectError {
    /// The path cannot be read.
    #[error("cannot read {path}; give a run's folder or an image file")]
    Io {
        /// What was asked for.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The folder holds no valid checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The file is not a valid image.
    #[error("{path} is not a valid image")]
    Image {
        /// The file.
        path: PathBuf,
        /// The reader's reason.
        source: ReadError,
    },
    /// The image was made for another plant.
    #[error("{path} was not made for this plant: {difference}")]
    Contract {
        /// The file.
        path: PathBuf,
        /// The first difference.
        difference: ContractDifference,
    },
    /// The run's policy has other channels than the plant.
    #[error(
        "{path}: the policy has {policy_observations} observations and {policy_actions} actions, the plant has \
         {observations} and {actions}"
    )]
    Channels {
        /// The run.
        path: PathBuf,
        /// Observations of the policy.
        policy_observations: usize,
        /// Actions of the policy.
        policy_actions: usize,
        /// Observations of the plant.
        observations: usize,
        /// Actions of the plant.
        actions: usize,
    },
}

impl Subject {
    /// Reads a run's folder or an image file.
    ///
    /// # Errors
    /// [`SubjectError`] names the path and what is wrong with it.
    pub fn load(path: &Path) -> Result<Self, SubjectError> {
        let io = |source| SubjectError::Io {
            path: path.to_owned(),
            source,
        };
        if path.is_dir() {
            let checkpoint = Saved::load(path)?;
            let tensors = folder::read(path, POLICY_FILE).map_err(io)?;
            return Ok(Self {
                path: path.to_owned(),
                plant: checkpoint.plant,
                agent: checkpoint.agent,
                seed: checkpoint.seed,
                trained_steps: Some(checkpoint.steps),
                weights_sha256: hexadecimal(&Sha256::digest(tensors)),
                robot: checkpoint.robot,
                content: Content::Run(
                    Box::new(checkpoint.network),
                    EpisodeMemory::of(&checkpoint.training),
                ),
            });
        }
        let bytes = std::fs::read(path).map_err(io)?;
        // This machine computes in rows; the hash of the weights stays.
        let bytes = in_rows(bytes).map_err(|source| SubjectError::Image {
            path: path.to_owned(),
            source,
        })?;
        let image = Image::read(&bytes).map_err(|source| SubjectError::Image {
            path: path.to_owned(),
            source,
        })?;
        let agent = if image.config.window == 1 {
            "one-step"
        } else {
            "trmrl"
        };
        Ok(Self {
            path: path.to_owned(),
            plant: image.provenance.plant.to_owned(),
            agent: agent.to_owned(),
            seed: image.provenance.seed,
            trained_steps: None,
            weights_sha256: hexadecimal(&image.weights_sha256),
            robot: Vec::new(),
            content: Content::Image(bytes),
        })
    }

    /// Whether this is an image, that is the integer policy.
    #[must_use]
    pub fn is_image(&self) -> bool {
        matches!(self.content, Content::Image(_))
    }

    /// Checks the subject against a plant's contract and makes it ready to fly.
    ///
    /// # Errors
    /// [`SubjectError::Contract`] or [`SubjectError::Channels`] when it belongs to another plant.
    pub fn prepare(&self, contract: &Contract<'_>) -> Result<Prepared<'_>, SubjectError> {
        match &self.content {
            Content::Image(bytes) => {
                let image = Image::read(bytes).map_err(|source| SubjectError::Image {
                    path: self.path.clone(),
                    source,
                })?;
                match image.contract.difference(contract) {
                    None => Ok(Prepared::Image(Box::new(image))),
                    Some(difference) => Err(SubjectError::Contract {
                        path: self.path.clone(),
                        difference,
                    }),
                }
            }
            Content::Run(policy, memory) => {
                let config = policy.config();
                let (observations, actions) = (contract.observations.len(), contract.actions.len());
                if (config.observations(), config.actions()) == (observations, actions) {
                    return Ok(Prepared::Run(policy, *memory));
                }
                Err(SubjectError::Channels {
                    path: self.path.clone(),
                    policy_observations: config.observations(),
                    policy_actions: config.actions(),
                    observations,
                    actions,
                })
            }
        }
    }
}

impl EpisodeMemory {
    /// As a run's settings say.
    #[must_use]
    pub fn of(training: &toml::Table) -> Self {
        let trial = training.get("trial");
        match trial.and_then(|trial| trial.get("clear_memory")?.as_bool()) {
            Some(true) => Self::Cleared,
            _ => Self::Persists,
        }
    }
}

impl Prepared<'_> {
    /// A controller with an empty memory; `wiped` empties it again before every step.
    #[must_use]
    pub fn controller(&self, wiped: bool) -> Box<dyn Controller + '_> {
        match self {
            Self::Image(image) => Box::new(Integer::new(image, wiped)),
            Self::Run(policy, memory) => {
                Box::new(Float::new(policy, wiped).clearing(*memory == EpisodeMemory::Cleared))
            }
        }
    }

    /// Flies one trial and records it, with the policy's attention, under `name`.
    ///
    /// # Errors
    /// [`UnknownChange`] when the plant does not know the plan's change.
    pub fn fly_watched(
        &self,
        driven: &mut Driven,
        plan: &TrialPlan,
        name: &str,
    ) -> Result<FlightTrace, UnknownChange> {
        let (mut trace, attention) = match self {
            Self::Image(image) => {
                let mut policy = Integer::watched(image);
                (fly(driven, plan, &mut policy, name)?.0, policy.attention())
            }
            Self::Run(policy, memory) => {
                let mut policy = Float::watched(policy).clearing(*memory == EpisodeMemory::Cleared);
                (fly(driven, plan, &mut policy, name)?.0, policy.attention())
            }
        };
        trace.attention = attention.filter(|attention| attention.window > 1);
        Ok(trace)
    }
}
