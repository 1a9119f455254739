//! `run.toml`: the text beside the tensors.

use std::path::Path;

use engram_image::OwnedContract;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Agent, Checkpoint, CheckpointError, FORMAT_VERSION, RobotFile};
use crate::network::NetworkConfig;

#[derive(Deserialize)]
struct Version {
    format_version: u32,
    agent: Option<toml::Value>,
}

/// What `run.toml` says; `M` are the dimensions of the agent's network.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Run<M> {
    format_version: u32,
    pub(super) plant: String,
    pub(super) agent: Agent,
    pub(super) version: String,
    pub(super) seed: u64,
    pub(super) steps: u64,
    pub(super) training_return: f32,
    pub(super) model: M,
    pub(super) normalizer: Normalizer,
    /// Runs of earlier versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) contract: Option<OwnedContract>,
    /// Runs on other plants, and of earlier versions, have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) robot: Vec<RobotFile>,
    #[serde(default)]
    pub(super) training: toml::Table,
}

/// The part that says what was asked for, without how far it came.
#[derive(Serialize)]
struct Settings<'a, M> {
    plant: &'a str,
    agent: Agent,
    seed: String,
    model: M,
    normalizer: Normalizer,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    robot: &'a [RobotFile],
    training: &'a toml::Table,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Normalizer {
    pub(super) clip: f32,
}

impl<M> Run<M> {
    fn map(self, model: impl FnOnce(M) -> NetworkConfig) -> Run<NetworkConfig> {
        Run {
            format_version: self.format_version,
            plant: self.plant,
            agent: self.agent,
            version: self.version,
            seed: self.seed,
            steps: self.steps,
            training_return: self.training_return,
            model: model(self.model),
            normalizer: self.normalizer,
            contract: self.contract,
            robot: self.robot,
            training: self.training,
        }
    }
}

pub(super) fn parse(text: &str, path: &Path) -> Result<Run<NetworkConfig>, CheckpointError> {
    fn read<M: DeserializeOwned>(text: &str, path: &Path) -> Result<M, CheckpointError> {
        toml::from_str(text).map_err(|error| CheckpointError::Toml {
            path: path.to_owned(),
            message: error.to_string().trim_end().to_owned(),
        })
    }
    // The version first: a later layout should be told by its version, not by its first unknown key. Then the
    // agent: another network has another `[model]`.
    let Version {
        format_version: found,
        agent,
    } = read(text, path)?;
    if found != FORMAT_VERSION {
        let supported = FORMAT_VERSION;
        return Err(CheckpointError::FormatVersion {
            path: path.to_owned(),
            found,
            supported,
        });
    }
    if agent.as_ref().and_then(toml::Value::as_str) == Some(Agent::Rl2.into()) {
        Ok(read::<Run<_>>(text, path)?.map(NetworkConfig::Gru))
    } else {
        Ok(read::<Run<_>>(text, path)?.map(NetworkConfig::Transformer))
    }
}

/// The text of `run.toml`. Fails on a seed or step count beyond TOML's 63 bits.
pub(super) fn render(checkpoint: &Checkpoint) -> Result<String, toml::ser::Error> {
    toml::to_string(&Run {
        format_version: FORMAT_VERSION,
        plant: checkpoint.plant.clone(),
        agent: checkpoint.agent,
        version: checkpoint.version.clone(),
        seed: checkpoint.seed,
        steps: checkpoint.steps,
        training_return: checkpoint.training_return,
        model: checkpoint.network.config(),
        normalizer: Normalizer {
            clip: checkpoint.network.normalizer().clip,
        },
        contract: checkpoint.contract.clone(),
        robot: checkpoint.robot.clone(),
        training: checkpoint.training.clone(),
    })
}

/// The text that `config_sha256` hashes. Every field has a TOML form, so that it cannot fail.
pub(super) fn settings(checkpoint: &Checkpoint) -> String {
    toml::to_string(&Settings {
        plant: &checkpoint.plant,
        agent: checkpoint.agent,
        seed: checkpoint.seed.to_string(),
        model: checkpoint.network.config(),
        normalizer: Normalizer {
            clip: checkpoint.network.normalizer().clip,
        },
        robot: &checkpoint.robot,
        training: &checkpoint.training,
    })
    .unwrap_or_default()
}
