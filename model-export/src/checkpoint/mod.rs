//! A training run's folder: `policy.safetensors` (what is exported) and `run.toml` (what it means).
//!
//! A save replaces all files in one moment ([`folder`]): whenever it is interrupted, one checkpoint is whole.
//! What only the trainer needs to resume lives in files of its own, which it saves in the same breath through
//! [`Checkpoint::save_with`].

mod agent;
mod error;
pub mod folder;
mod run;

use std::path::Path;

use engram_image::{Contract, OwnedContract};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use agent::Agent;
pub use error::CheckpointError;

use crate::float::FloatPolicy;
use crate::network::Network;
use crate::tensors::{Tensor, Tensors};

/// Version of the folder's layout that this version writes, and the only one it reads.
pub const FORMAT_VERSION: u32 = 1;
/// Name of the file that holds the tensors.
pub const POLICY_FILE: &str = "policy.safetensors";
/// Name of the file that holds everything else.
pub const RUN_FILE: &str = "run.toml";

/// A part of the user's robot as it was when the run began: its own file, or its model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RobotFile {
    /// Its path from the folder of the robot's own file.
    pub file: String,
    /// SHA-256 of what it means, hexadecimal; of versions that listed every file of the model, of its bytes.
    pub sha256: String,
    /// For the model, the version of MuJoCo that compiled it: what is hashed is the compiled model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mujoco: Option<String>,
}

/// A policy and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Name of the plant it was trained on, for example `pendulum`.
    pub plant: String,
    /// Whose policy it is.
    pub agent: Agent,
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
    pub contract: Option<OwnedContract>,
    /// For a robot of the user's own, what is noted of it: its own file, and its model.
    pub robot: Vec<RobotFile>,
    /// The trainer's own settings, as it wants to find them again.
    pub training: toml::Table,
}

impl Checkpoint {
    /// Reads `dir`.
    ///
    /// # Errors
    /// Names the file and, where one is at fault, the tensor with the expected and the found shape.
    pub fn load(dir: &Path) -> Result<Self, CheckpointError> {
        let [run, policy] = folder::read_together(dir, [RUN_FILE, POLICY_FILE])?;
        let run_path = dir.join(RUN_FILE);
        let text = str::from_utf8(&run).map_err(|error| CheckpointError::Toml {
            path: run_path.clone(),
            message: error.to_string(),
        })?;
        let run = run::parse(text, &run_path)?;
        let path = dir.join(POLICY_FILE);
        let tensors = tensors_of(&policy, &path)?;
        let network = Network::new(&run.model, run.normalizer.clip, &tensors)
            .map_err(|reason| CheckpointError::Parameters { path, reason })?;
        Ok(Self {
            plant: run.plant,
            agent: run.agent,
            version: run.version,
            seed: run.seed,
            steps: run.steps,
            training_return: run.training_return,
            network,
            contract: run.contract,
            robot: run.robot,
            training: run.training,
        })
    }

    /// Writes `dir`, which is made when it does not exist.
    ///
    /// # Errors
    /// The file that could not be written.
    pub fn save(&self, dir: &Path) -> Result<(), CheckpointError> {
        self.save_with(dir, &[])
    }

    /// Writes `dir` together with other files of the trainer's (name, content), all in one moment.
    ///
    /// # Errors
    /// The file that could not be written.
    pub fn save_with(&self, dir: &Path, others: &[(&str, &[u8])]) -> Result<(), CheckpointError> {
        let tensors = tensor_bytes(&self.network.tensors(), &dir.join(POLICY_FILE))?;
        let text = run::render(self).map_err(|error| CheckpointError::Toml {
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

    /// The policy that images are made of.
    ///
    /// # Errors
    /// [`CheckpointError::Reference`]: it is a recurrent network, which has none.
    pub fn transformer(&self) -> Result<&FloatPolicy, CheckpointError> {
        match &self.network {
            Network::Transformer(policy) => Ok(policy),
            Network::Gru(_) => Err(CheckpointError::Reference { agent: self.agent }),
        }
    }

    /// SHA-256 over the run's settings (not its progress): equal for two runs that differ in nothing
    /// but how far they came.
    #[must_use]
    pub fn config_sha256(&self) -> [u8; 32] {
        Sha256::digest(run::settings(self).as_bytes()).into()
    }
}

/// The named f32 tensors in a file's bytes; `path` is named in errors only.
///
/// # Errors
/// Names the file, and the tensor when one is not f32.
pub fn tensors_of(bytes: &[u8], path: &Path) -> Result<Tensors, CheckpointError> {
    let broken = |reason| CheckpointError::Safetensors {
        path: path.to_owned(),
        reason,
    };
    let file = SafeTensors::deserialize(bytes).map_err(broken)?;
    let mut tensors = Tensors::new();
    for (name, view) in file.iter() {
        if view.dtype() != Dtype::F32 {
            let found = format!("{:?}", view.dtype());
            return Err(CheckpointError::Dtype {
                path: path.to_owned(),
                name: name.to_owned(),
                found,
            });
        }
        let values = view
            .data()
            .as_chunks::<4>()
            .0
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect();
        tensors.insert(
            name.to_owned(),
            Tensor {
                shape: view.shape().to_vec(),
                values,
            },
        );
    }
    Ok(tensors)
}

/// The bytes of a safetensors file of `tensors`; `path` is named in errors only.
///
/// # Errors
/// When a tensor's values do not fit its shape.
pub fn tensor_bytes(tensors: &Tensors, path: &Path) -> Result<Vec<u8>, CheckpointError> {
    let broken = |reason| CheckpointError::Safetensors {
        path: path.to_owned(),
        reason,
    };
    let data: Vec<(&String, &[usize], Vec<u8>)> = tensors
        .iter()
        .map(|(name, t)| {
            (
                name,
                t.shape.as_slice(),
                t.values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            )
        })
        .collect();
    let mut views = Vec::with_capacity(data.len());
    for (name, shape, bytes) in &data {
        views.push((
            *name,
            TensorView::new(Dtype::F32, shape.to_vec(), bytes).map_err(broken)?,
        ));
    }
    serialize(views, None).map_err(broken)
}

/// Which channels a policy and a plant have alone, to be said behind their numbers; empty where the policy does not tell.
#[must_use]
pub fn channels_apart(own: Option<&Contract<'_>>, plant: &Contract<'_>) -> String {
    own.and_then(|own| own.channels_in_words(plant))
        .map_or_else(String::new, |words| {
            format!(" (policy against plant: {words})")
        })
}
