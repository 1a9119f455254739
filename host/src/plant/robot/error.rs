//! What can be wrong with a robot's file.

use crate::toml_place::Document;

/// Why there is no such robot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RobotError {
    /// The file cannot be read.
    #[error(
        "the robot's file {path} cannot be read: {reason}; paths begin at the current folder, and eval and export are told by --plant FILE.toml where a run's robot is now"
    )]
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
    #[error("{place}: {key} is {value}; it must be {must}")]
    Value {
        /// File and line.
        place: String,
        /// The key with its sections.
        key: String,
        /// The value as written.
        value: String,
        /// What it must be.
        must: String,
    },
    /// The robot is not what it was when a run began.
    #[error(
        "the robot is not the one of this run: {file} has changed since it began; put the file back as it was, or train the robot as it is now into another folder"
    )]
    Changed {
        /// The first file that differs, from the folder of the robot's own.
        file: String,
    },
    /// The model cannot be read, or the simulation refuses it.
    #[error("{path}: {message}")]
    Model {
        /// The file.
        path: String,
        /// What is wrong with the model.
        message: String,
    },
}

impl RobotError {
    pub(super) fn value(file: Document<'_>, key: &str, must: impl Into<String>) -> Self {
        let found = file.find(key);
        Self::Value {
            place: found.place,
            key: key.to_owned(),
            value: found.value.unwrap_or_else(|| "absent".to_owned()),
            must: must.into(),
        }
    }
}
