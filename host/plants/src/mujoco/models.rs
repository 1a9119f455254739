//! Finds MuJoCo models and loads each once per process.
//!
//! The models are gymnasium's and not part of this repository; `scripts/set-up --mujoco` fetches them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

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

/// Gymnasium's model of this file name, from the cache if it was loaded before.
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

/// The model at `path`, from the cache if it was loaded before.
///
/// # Errors
/// [`ModelError`] says which file and why.
pub fn load(path: &Path) -> Result<Arc<MjModel>, ModelError> {
    static LOADED: Mutex<Option<HashMap<PathBuf, Arc<MjModel>>>> = Mutex::new(None);
    super::log::install();
    // A thread that panicked here left at worst a model out.
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    let loaded = loaded.get_or_insert_default();
    if let Some(model) = loaded.get(path) {
        return Ok(Arc::clone(model));
    }
    if !path.is_file() {
        return Err(ModelError::Missing(path.to_owned()));
    }
    let model = MjModel::from_xml(path).map_err(|error| ModelError::Refused {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    let model = Arc::new(model);
    loaded.insert(path.to_owned(), Arc::clone(&model));
    Ok(model)
}
