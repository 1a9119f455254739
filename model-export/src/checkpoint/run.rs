//! `run.toml`: the text beside the tensors.

use std::path::Path;

use engram_image::{HeadInput, ModelConfig, Positions};
use serde::{Deserialize, Serialize};

use super::{Checkpoint, CheckpointError, FORMAT_VERSION, RL2, RobotFile, SavedContract};

/// What `run.toml` says, sorted into the checkpoint's types.
pub(super) struct Run {
    pub(super) plant: String,
    pub(super) agent: String,
    pub(super) version: String,
    pub(super) seed: u64,
    pub(super) steps: u64,
    pub(super) training_return: f32,
    pub(super) clip: f32,
    pub(super) model: ModelConfig,
    pub(super) contract: Option<SavedContract>,
    pub(super) robot: Vec<RobotFile>,
    pub(super) training: toml::Table,
}

#[derive(Serialize, Deserialize)]
struct Version {
    format_version: u32,
    #[serde(default)]
    agent: String,
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
    /// Runs of earlier versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    contract: Option<SavedContract>,
    /// Runs on other plants, and of earlier versions, have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    robot: Vec<RobotFile>,
    #[serde(default)]
    training: toml::Table,
}

/// The part that says what was asked for, without how far it came.
#[derive(Serialize)]
struct Settings<'a> {
    plant: &'a str,
    agent: &'a str,
    seed: String,
    model: Model,
    normalizer: Normalizer,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    robot: &'a [RobotFile],
    training: &'a toml::Table,
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
    layers: usize,
    heads: usize,
    model: usize,
    ff: usize,
    window: usize,
    hidden: [usize; 2],
    positions: PositionsName,
    head_input: HeadInputName,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum PositionsName {
    Slot,
    Age,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum HeadInputName {
    Encoder,
    Mixed,
}

impl From<&ModelConfig> for Model {
    fn from(c: &ModelConfig) -> Self {
        Self {
            observations: c.observations,
            actions: c.actions,
            layers: c.layers,
            heads: c.heads,
            model: c.model,
            ff: c.ff,
            window: c.window,
            hidden: c.hidden,
            positions: match c.positions {
                Positions::Slot => PositionsName::Slot,
                Positions::Age => PositionsName::Age,
            },
            head_input: match c.head_input {
                HeadInput::Encoder => HeadInputName::Encoder,
                HeadInput::Mixed => HeadInputName::Mixed,
            },
        }
    }
}

impl From<Model> for ModelConfig {
    fn from(m: Model) -> Self {
        Self {
            observations: m.observations,
            actions: m.actions,
            layers: m.layers,
            heads: m.heads,
            model: m.model,
            ff: m.ff,
            window: m.window,
            hidden: m.hidden,
            positions: match m.positions {
                PositionsName::Slot => Positions::Slot,
                PositionsName::Age => Positions::Age,
            },
            head_input: match m.head_input {
                HeadInputName::Encoder => HeadInput::Encoder,
                HeadInputName::Mixed => HeadInput::Mixed,
            },
        }
    }
}

pub(super) fn parse(text: &str, path: &Path) -> Result<Run, CheckpointError> {
    let broken = |error: toml::de::Error| CheckpointError::Toml {
        path: path.to_owned(),
        message: error.to_string().trim_end().to_owned(),
    };
    // The version first: a later layout should be told by its version, not by its first unknown key. Then the
    // agent: another network has another `[model]`.
    let Version {
        format_version: found,
        agent,
    } = toml::from_str(text).map_err(broken)?;
    if found != FORMAT_VERSION {
        let supported = FORMAT_VERSION;
        return Err(CheckpointError::FormatVersion {
            path: path.to_owned(),
            found,
            supported,
        });
    }
    if agent == RL2 {
        let path = path.to_owned();
        return Err(CheckpointError::Reference { path, agent });
    }
    let file: File = toml::from_str(text).map_err(broken)?;
    Ok(Run {
        plant: file.plant,
        agent: file.agent,
        version: file.version,
        seed: file.seed,
        steps: file.steps,
        training_return: file.training_return,
        clip: file.normalizer.clip,
        model: file.model.into(),
        contract: file.contract,
        robot: file.robot,
        training: file.training,
    })
}

/// The text of `run.toml`. Fails on a seed or step count beyond TOML's 63 bits.
pub(super) fn render(checkpoint: &Checkpoint) -> Result<String, toml::ser::Error> {
    toml::to_string(&File {
        format_version: FORMAT_VERSION,
        plant: checkpoint.plant.clone(),
        agent: checkpoint.agent.clone(),
        version: checkpoint.version.clone(),
        seed: checkpoint.seed,
        steps: checkpoint.steps,
        training_return: checkpoint.training_return,
        model: checkpoint.config().into(),
        normalizer: Normalizer {
            clip: checkpoint.parameters.normalizer.clip,
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
        agent: &checkpoint.agent,
        seed: checkpoint.seed.to_string(),
        model: checkpoint.config().into(),
        normalizer: Normalizer {
            clip: checkpoint.parameters.normalizer.clip,
        },
        robot: &checkpoint.robot,
        training: &checkpoint.training,
    })
    .unwrap_or_default()
}
