//! A training run's folder, whichever network was trained.
//!
//! The transformer's is `engram-export`'s checkpoint. A recurrent policy lies in files of the same names and the
//! same form, with the dimensions of its own in `[model]`; who wants to make an image of it is told that there is none.

use std::path::Path;

use crate::checkpoint::{
    FORMAT_VERSION, POLICY_FILE, RUN_FILE, RobotFile, SavedContract, folder, tensor_bytes,
    tensors_of,
};
use crate::{Checkpoint, CheckpointError};
use engram_image::HeadInput;
use serde::{Deserialize, Serialize};

use super::{GruConfig, GruPolicy, Network};

/// The agent's name whose policy is recurrent.
pub const RL2: &str = crate::checkpoint::RL2;

/// A policy and where it comes from.
#[derive(Clone, Debug)]
pub struct Saved {
    /// Name of the plant it was trained on.
    pub plant: String,
    /// Name of the agent.
    pub agent: String,
    /// Version of the project that trained it.
    pub version: String,
    /// Seed of the run.
    pub seed: u64,
    /// Environment steps done.
    pub steps: u64,
    /// Mean return of an episode at the end of training, deterministic policy; 0 before the first evaluation.
    pub training_return: f32,
    /// The policy.
    pub network: Network,
    /// Channels, period and reward that it was trained with; runs of earlier versions do not tell.
    pub contract: Option<SavedContract>,
    /// For a robot of the user's own, the files that it is made of.
    pub robot: Vec<RobotFile>,
    /// The trainer's own settings.
    pub training: toml::Table,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format_version: u32,
    plant: String,
    agent: String,
    version: String,
    seed: u64,
    steps: u64,
    training_return: f32,
    model: Model,
    normalizer: Normalizer,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    contract: Option<SavedContract>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    robot: Vec<RobotFile>,
    #[serde(default)]
    training: toml::Table,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Normalizer {
    clip: f32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Model {
    observations: usize,
    actions: usize,
    model: usize,
    state: usize,
    hidden: [usize; 2],
    head_input: HeadInputName,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum HeadInputName {
    Encoder,
    Mixed,
}

impl From<&GruConfig> for Model {
    fn from(config: &GruConfig) -> Self {
        Self {
            observations: config.observations,
            actions: config.actions,
            model: config.model,
            state: config.state,
            hidden: config.hidden,
            head_input: match config.head_input {
                HeadInput::Encoder => HeadInputName::Encoder,
                HeadInput::Mixed => HeadInputName::Mixed,
            },
        }
    }
}

impl From<Model> for GruConfig {
    fn from(model: Model) -> Self {
        Self {
            observations: model.observations,
            actions: model.actions,
            model: model.model,
            state: model.state,
            hidden: model.hidden,
            head_input: match model.head_input {
                HeadInputName::Encoder => HeadInput::Encoder,
                HeadInputName::Mixed => HeadInput::Mixed,
            },
        }
    }
}

impl Saved {
    /// Reads a run's folder.
    ///
    /// # Errors
    /// Names the file and, where one is at fault, the tensor.
    pub fn load(folder: &Path) -> Result<Self, CheckpointError> {
        let checkpoint = match Checkpoint::load(folder) {
            Ok(checkpoint) => checkpoint,
            Err(CheckpointError::Reference { agent, .. }) if agent == RL2 => {
                return Self::load_gru(folder);
            }
            Err(error) => return Err(error),
        };
        Ok(Self {
            network: checkpoint.policy().into(),
            plant: checkpoint.plant,
            agent: checkpoint.agent,
            version: checkpoint.version,
            seed: checkpoint.seed,
            steps: checkpoint.steps,
            training_return: checkpoint.training_return,
            contract: checkpoint.contract,
            robot: checkpoint.robot,
            training: checkpoint.training,
        })
    }

    fn load_gru(dir: &Path) -> Result<Self, CheckpointError> {
        let path = dir.join(RUN_FILE);
        let broken = |message: String| CheckpointError::Toml {
            path: path.clone(),
            message,
        };
        let [run, policy] = folder::read_together(dir, [RUN_FILE, POLICY_FILE])?;
        let text = str::from_utf8(&run).map_err(|error| broken(error.to_string()))?;
        let file: File = toml::from_str(text)
            .map_err(|error| broken(error.to_string().trim_end().to_owned()))?;
        let path = dir.join(POLICY_FILE);
        let tensors = tensors_of(&policy, &path)?;
        let policy = GruPolicy::new(file.model.into(), file.normalizer.clip, tensors)
            .map_err(|reason| CheckpointError::Parameters { path, reason })?;
        Ok(Self {
            plant: file.plant,
            agent: file.agent,
            version: file.version,
            seed: file.seed,
            steps: file.steps,
            training_return: file.training_return,
            network: Network::Gru(Box::new(policy)),
            contract: file.contract,
            robot: file.robot,
            training: file.training,
        })
    }

    /// Writes the folder together with other files of the trainer's (name, content).
    ///
    /// # Errors
    /// The file that could not be written.
    pub fn save_with(self, dir: &Path, others: &[(&str, &[u8])]) -> Result<(), CheckpointError> {
        match &self.network {
            Network::Transformer(policy) => Checkpoint {
                parameters: policy.parameters().clone(),
                plant: self.plant,
                agent: self.agent,
                version: self.version,
                seed: self.seed,
                steps: self.steps,
                training_return: self.training_return,
                contract: self.contract,
                robot: self.robot,
                training: self.training,
            }
            .save_with(dir, others),
            Network::Gru(policy) => {
                let tensors = tensor_bytes(policy.tensors(), &dir.join(POLICY_FILE))?;
                let text = toml::to_string(&File {
                    format_version: FORMAT_VERSION,
                    model: policy.config().into(),
                    normalizer: Normalizer {
                        clip: policy.normalizer().clip,
                    },
                    plant: self.plant,
                    agent: self.agent,
                    version: self.version,
                    seed: self.seed,
                    steps: self.steps,
                    training_return: self.training_return,
                    contract: self.contract,
                    robot: self.robot,
                    training: self.training,
                })
                .map_err(|error| CheckpointError::Toml {
                    path: dir.join(RUN_FILE),
                    message: error.to_string(),
                })?;
                let mut files = vec![
                    (POLICY_FILE, tensors.as_slice()),
                    (RUN_FILE, text.as_bytes()),
                ];
                files.extend_from_slice(others);
                folder::write_together(dir, &files)
            }
        }
    }
}
