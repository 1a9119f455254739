//! What `engram eval` is given: a training run's folder or an image file.

use std::path::{Path, PathBuf};

use engram_export::checkpoint::{Agent, POLICY_FILE, RobotFile, channels_apart, folder};
use engram_export::{Checkpoint, CheckpointError};
use engram_image::write::in_rows;
use engram_image::{Contract, Image, OwnedContract, ReadError};
use sha2::{Digest, Sha256};

use engram_export::network::Network;
use engram_flight::image_file::{self, ImageFileError};

use super::{Controller, FlightTrace, Float, Integer, TrialPlan, fly};
use engram_plants::{Driven, PlantFactory, UnknownChange};
use engram_train::{Run, robot_files};

/// A policy from disk, checked.
pub struct Subject {
    /// Where it came from.
    pub path: PathBuf,
    /// The plant it was trained on.
    pub plant: String,
    /// Whose policy it is; an image does not say: `trmrl`, or `one-step` if its window is one step.
    pub agent: Agent,
    /// Seed of its training run.
    pub seed: u64,
    /// Environment steps that a run was trained for; an image does not tell.
    pub trained_steps: Option<u64>,
    /// Hexadecimal hash of the weights: of the image's logical weights, or of the run's tensor file.
    pub weights_sha256: String,
    /// Of a run on a robot of the user's own, the files that it was made of.
    pub robot: Vec<RobotFile>,
    /// What a run was trained with; `None` for an image, which tells itself, and where nobody knows any more.
    contract: Option<OwnedContract>,
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
    /// The file is longer than any image.
    #[error(transparent)]
    File(ImageFileError),
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
    /// The policy was made for another robot.
    #[error("{path} was not made for this plant (policy against plant): {difference}")]
    Contract {
        /// The file or folder.
        path: PathBuf,
        /// The first difference, in words.
        difference: String,
    },
    /// The policy has other numbers of channels than the plant.
    #[error(
        "{path}: the policy has {policy_observations} observations and {policy_actions} actions, the plant has \
         {observations} and {actions}{difference}"
    )]
    Channels {
        /// The file or folder.
        path: PathBuf,
        /// Observations of the policy.
        policy_observations: usize,
        /// Actions of the policy.
        policy_actions: usize,
        /// Observations of the plant.
        observations: usize,
        /// Actions of the plant.
        actions: usize,
        /// [`channels_apart`].
        difference: String,
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
            let checkpoint = Checkpoint::load(path)?;
            let tensors = folder::read(path, POLICY_FILE).map_err(io)?;
            return Ok(Self {
                path: path.to_owned(),
                contract: contract_of(
                    checkpoint.contract,
                    &checkpoint.plant,
                    checkpoint.agent,
                    &checkpoint.robot,
                ),
                plant: checkpoint.plant,
                agent: checkpoint.agent,
                seed: checkpoint.seed,
                trained_steps: Some(checkpoint.steps),
                weights_sha256: hex::encode(Sha256::digest(tensors)),
                robot: checkpoint.robot,
                content: Content::Run(
                    Box::new(checkpoint.network),
                    EpisodeMemory::of(&checkpoint.training),
                ),
            });
        }
        let bytes = image_file::read(path).map_err(|error| match error {
            ImageFileError::Io { cause, .. } => io(cause),
            too_long @ ImageFileError::TooLong { .. } => SubjectError::File(too_long),
        })?;
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
            Agent::OneStep
        } else {
            Agent::Trmrl
        };
        Ok(Self {
            path: path.to_owned(),
            plant: image.provenance.plant.to_owned(),
            agent,
            seed: image.provenance.seed,
            trained_steps: None,
            weights_sha256: hex::encode(image.weights_sha256),
            robot: Vec::new(),
            contract: None,
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
    /// [`SubjectError::Channels`] when the plant has other numbers of channels, and [`SubjectError::Contract`] when the two
    /// contracts differ in anything else and must agree.
    pub fn prepare(
        &self,
        contract: &Contract<'_>,
        agreement: Agreement,
    ) -> Result<Prepared<'_>, SubjectError> {
        let prepared = match &self.content {
            Content::Image(bytes) => {
                let image = Image::read(bytes).map_err(|source| SubjectError::Image {
                    path: self.path.clone(),
                    source,
                })?;
                Prepared::Image(Box::new(image))
            }
            Content::Run(policy, memory) => Prepared::Run(policy, *memory),
        };
        let own = match (&prepared, &self.contract) {
            (Prepared::Image(image), _) => Some(image.contract),
            (_, saved) => saved.as_ref().map(OwnedContract::contract),
        };
        let (policy_observations, policy_actions) = prepared.channels();
        let (observations, actions) = (contract.observations.len(), contract.actions.len());
        if (policy_observations, policy_actions) != (observations, actions) {
            return Err(SubjectError::Channels {
                path: self.path.clone(),
                policy_observations,
                policy_actions,
                observations,
                actions,
                difference: channels_apart(own.as_ref(), contract),
            });
        }
        let Some(own) = own else {
            tracing::warn!(
                "{} does not say which channels it was trained with; whether they are this plant's cannot be checked",
                self.path.display()
            );
            return Ok(prepared);
        };
        match (own.difference_in_words(contract), agreement) {
            (None, _) => {}
            (Some(difference), Agreement::NotNeeded) => tracing::warn!(
                "{} was not made for this plant (policy against plant): {difference}",
                self.path.display()
            ),
            (Some(difference), Agreement::Needed) => {
                return Err(SubjectError::Contract {
                    path: self.path.clone(),
                    difference: difference.to_string(),
                });
            }
        }
        Ok(prepared)
    }
}

/// Whether a policy's contract must be the plant's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// In everything, as on a board.
    Needed,
    /// Only in the numbers of channels; what else differs is told.
    NotNeeded,
}

/// The contract that a run was trained with: as it says, or, where an earlier version saved it, that of its plant if it
/// is still the same.
#[must_use]
pub fn contract_of(
    saved: Option<OwnedContract>,
    plant: &str,
    agent: Agent,
    robot: &[RobotFile],
) -> Option<OwnedContract> {
    saved.or_else(|| {
        let run = Run::new(PlantFactory::open(plant).ok()?, agent, 0);
        robot_files::check_unchanged(&run.plant, robot).ok()?;
        Some(run.plant.spec().channels.clone())
    })
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
    /// Observations and actions.
    fn channels(&self) -> (usize, usize) {
        match self {
            Self::Image(image) => (image.config.observations, image.config.actions),
            Self::Run(policy, _) => (policy.config().observations(), policy.config().actions()),
        }
    }

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

    /// Flies one trial and records it, with the policy's attention and, of an f32 transformer, what its memory holds, under
    /// `name`.
    ///
    /// # Errors
    /// [`UnknownChange`] when the plant does not know the plan's change.
    pub fn fly_watched(
        &self,
        driven: &mut Driven,
        plan: &TrialPlan,
        name: &str,
    ) -> Result<FlightTrace, UnknownChange> {
        let mut trace;
        match self {
            Self::Image(image) => {
                let mut policy = Integer::watched(image);
                trace = fly(driven, plan, &mut policy, name)?.0;
                trace.attention = policy.attention();
            }
            Self::Run(policy, memory) => {
                let mut policy = Float::watched(policy).clearing(*memory == EpisodeMemory::Cleared);
                trace = fly(driven, plan, &mut policy, name)?.0;
                (trace.attention, trace.memory) = policy.seen().unzip();
            }
        }
        // What never looks back has nothing to show.
        if trace.attention.as_ref().is_some_and(|seen| seen.window < 2) {
            (trace.attention, trace.memory) = (None, None);
        }
        Ok(trace)
    }
}
