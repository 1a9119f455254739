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
    /// A hidden parameter does nothing.
    #[error(
        "{place}: hidden[{index}], '{name}', does nothing: {why}. A task is told apart only by what differs; mend this or take the parameter out"
    )]
    NoEffect {
        /// File and line.
        place: String,
        /// The parameter's number.
        index: usize,
        /// Its name.
        name: String,
        /// Why, and what would make it do something.
        why: String,
    },
    /// Too many or too few of something.
    #[error(
        "{place}: there are {count} [[{key}]] sections, and there must be from 1 to {most}; {advice}"
    )]
    Count {
        /// File, and line of the first.
        place: String,
        /// What they are called.
        key: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be: what the boards' memory is laid out for.
        most: usize,
        /// What to do.
        advice: &'static str,
    },
    /// The robot's file means something else than when a run began, or its model is another one once it is compiled.
    #[error(
        "the robot is not the one of this run: either {file} has changed since it began (or a file that it names), or this is another robot; give the robot as it was, or train it as it is into another folder. (Comments, spaces and how numbers are spelled do not count, except in runs begun by earlier versions, which noted every byte)"
    )]
    Changed {
        /// The robot's own file, or its model's (whichever of its files differs); in runs of earlier versions the very file.
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
    pub(super) fn no_effect(file: Document<'_>, index: usize, name: &str, why: String) -> Self {
        Self::NoEffect {
            place: file.find(&format!("hidden[{index}]")).place,
            index,
            name: name.to_owned(),
            why,
        }
    }

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
