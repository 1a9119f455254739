//! What can be wrong with settings. A message is complete: file, line, key, value, and what it must be.

use engram_plants::robot::RobotError;

/// What is wrong with a run's settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The text is not what is expected; the message has line and key.
    #[error("{origin}: {message}")]
    Toml {
        /// Where the text came from.
        origin: String,
        /// Line, key and reason.
        message: String,
    },
    /// A value is out of its range.
    #[error("{place}: {key} is {value}; it must be {range}")]
    Range {
        /// Where it stands: file and line.
        place: String,
        /// The key with its section.
        key: &'static str,
        /// What it is.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
    /// The policy's dimensions are not ones that a controller can run.
    #[error("{place}: [model]: {reason}")]
    Model {
        /// Where the dimension stands: file and line.
        place: String,
        /// Which dimension, and its bound.
        reason: engram_image::ConfigError,
    },
    /// Two settings exclude each other.
    #[error("{place}: {key} {message}")]
    Contradiction {
        /// Where it stands: file and line; or the agent.
        place: String,
        /// One of the keys, with its section.
        key: &'static str,
        /// What it asks of the other.
        message: &'static str,
    },
    /// The plant is a robot's file, and the file is not right.
    #[error(transparent)]
    Robot(#[from] RobotError),
    /// There is no preset.
    #[error("plant '{plant}' has no preset '{kind}'; give --config FILE.toml")]
    NoPreset {
        /// The plant's name.
        plant: String,
        /// The preset's name.
        kind: &'static str,
    },
}
