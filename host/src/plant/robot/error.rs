//! What can be wrong with a robot's file.

use std::path::Path;

use super::place;

/// Why there is no such robot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RobotError {
    /// The file cannot be read.
    #[error("the robot's file {path} cannot be read: {reason}")]
    Read {
        /// The file.
        path: String,
        /// The system's reason.
        reason: String,
    },
    /// The text is not TOML of the expected shape; the message has line and key.
    #[error("{path}: {message}")]
    Toml {
        /// The file.
        path: String,
        /// Line, key and reason.
        message: String,
    },
    /// A value is not what it must be.
    #[error("{path}:{line}: {key} is {value}; it must be {must}")]
    Value {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// The key with its sections.
        key: String,
        /// The value as written.
        value: String,
        /// What it must be.
        must: String,
    },
    /// The simulation refuses the model.
    #[error("{path}: {message}")]
    Model {
        /// The file.
        path: String,
        /// What is wrong with the model.
        message: String,
    },
}

impl RobotError {
    pub(super) fn value(path: &Path, text: &str, key: &str, must: impl Into<String>) -> Self {
        let (line, written) = place::find(text, key);
        Self::Value {
            path: path.display().to_string(),
            line,
            key: key.to_owned(),
            value: written.unwrap_or_else(|| "absent".to_owned()),
            must: must.into(),
        }
    }
}
