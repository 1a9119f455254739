//! What can be wrong with a checkpoint, named so that the reader knows which file to look at.
//!
//! Each message is complete: reasons are part of it, and not sources that a chain would print again.

use std::path::PathBuf;

use thiserror::Error;

use super::Agent;
use crate::parameters::ParametersError;

/// Why a checkpoint cannot be read or written.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// A file cannot be read or written.
    #[error("{}: {reason}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: std::io::Error,
    },
    /// `run.toml` is not what this version expects.
    #[error("{}: {message}", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// Line, key and reason.
        message: String,
    },
    /// The folder was written in another layout.
    #[error("{}: format_version is {found}; this version reads {supported}", path.display())]
    FormatVersion {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: u32,
        /// The version that can be read.
        supported: u32,
    },
    /// The policy is of a kind that images cannot hold.
    #[error("{agent} is a reference agent; only policies like trmrl's have an image")]
    Reference {
        /// The agent.
        agent: Agent,
    },
    /// The tensor file is damaged.
    #[error("{}: {reason}", path.display())]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: safetensors::SafeTensorError,
    },
    /// A tensor is not f32.
    #[error("{}: tensor `{name}` is {found}; expected F32", path.display())]
    Dtype {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its type.
        found: String,
    },
    /// The tensors and the model configuration do not fit each other.
    #[error("{}: {reason}", path.display())]
    Parameters {
        /// The file.
        path: PathBuf,
        /// The first thing that does not fit.
        reason: ParametersError,
    },
}
