//! Finds MuJoCo models and loads them, and MuJoCo's own plugins for them.
//!
//! The models are gymnasium's and not part of this repository; `scripts/set-up --mujoco` fetches them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

use mujoco_rs::wrappers::MjModel;
use mujoco_rs::wrappers::mj_plugin::load_all_plugin_libraries;

/// The environment variable that names another folder of models.
pub const MODELS_VARIABLE: &str = "ENGRAM_MODELS";

/// The environment variable that names another folder of plugins.
const PLUGINS_VARIABLE: &str = "ENGRAM_PLUGINS";

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
    load_plugins();
    if !path.is_file() {
        return Err(ModelError::Missing(path.to_owned()));
    }
    let model = MjModel::from_xml(path).map_err(|error| ModelError::Refused {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    Ok(Arc::new(model))
}

/// Loads the plugins that come with MuJoCo (`mujoco.pid`, touch grids, cables, shapes), as its Python package does.
fn load_plugins() {
    static LOADED: Once = Once::new();
    LOADED.call_once(|| {
        let folder = std::env::var_os(PLUGINS_VARIABLE).map_or_else(
            || PathBuf::from(env!("ENGRAM_PLUGINS_DEFAULT")),
            PathBuf::from,
        );
        // Without the folder there are none, and MuJoCo says of a model that needs one which it is.
        if folder.is_dir()
            && let Err(error) = load_all_plugin_libraries(&folder, None)
        {
            tracing::warn!("no plugins of MuJoCo from {}: {error}", folder.display());
        }
    });
}
