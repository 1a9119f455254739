//! Finds MuJoCo models and loads them.
//!
//! The models are gymnasium's and not part of this repository; `scripts/set-up --mujoco` fetches them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mujoco_rs::wrappers::MjModel;

/// The environment variable that names another folder of models.
pub const MODELS_VARIABLE: &str = "ENGRAM_MODELS";

/// A model that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// There is no such file.
    #[error(
        "there is no MuJoCo model {}: run 'scripts/set-up --mujoco' in the repository, or name the models' folder in {MODELS_VARIABLE}",
        .0.display()
    )]
    Missing(PathBuf),
    /// MuJoCo refuses the file.
    #[error("MuJoCo cannot load {}: {reason}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What MuJoCo says.
        reason: String,
    },
}

/// Loads gymnasium's model of this file name.
///
/// # Errors
/// [`ModelError`] says which file, and which command fetches it.
pub fn gymnasium(file: &str) -> Result<Arc<MjModel>, ModelError> {
    let folder = std::env::var_os(MODELS_VARIABLE).map_or_else(
        || PathBuf::from(env!("ENGRAM_MODELS_DEFAULT")),
        PathBuf::from,
    );
    load(&folder.join(file))
}

/// Loads the model at `path`.
///
/// # Errors
/// [`ModelError`] says which file and why.
pub fn load(path: &Path) -> Result<Arc<MjModel>, ModelError> {
    super::log::install();
    if !path.is_file() {
        return Err(ModelError::Missing(path.to_owned()));
    }
    let model = MjModel::from_xml(path).map_err(|error| ModelError::Refused {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    Ok(Arc::new(model))
}
