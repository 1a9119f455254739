//! A user's own robot, as its TOML file describes it: channels, reward, what is hidden, and how it is judged.
//!
//! This module reads and checks files; it knows nothing of MuJoCo, and what the model's names mean is found out by
//! [`mujoco`](crate::PlantFactory). Whoever flies a robot reads its file once, so that every plant of a run is the same robot even when
//! the file is edited meanwhile.

mod check;
mod error;
mod judged;
mod measured;
mod quantity;
mod reward_input;
mod tasks;
mod terms;
mod text;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::PlantSpec;
use crate::bounded_file::{self, BoundedError};
use crate::toml_place::Document;

pub use error::RobotError;
pub use measured::{
    Bound, Clock, Condition, Effort, Measure, Named, Reached, Seen, Shape, Source, Target, Term,
    Touch,
};
pub use text::{Angle, Axis, Draw, Frame, Wave};

/// How the name of a robot's file ends.
pub const EXTENSION: &str = ".toml";
/// In a list of names: all that the model has.
pub const ALL: &str = "*";

/// What a hidden parameter does to the model.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Multiplies mass and inertia of bodies.
    Mass(Vec<Named>),
    /// Multiplies the damping of joints.
    Damping(Vec<Named>),
    /// Multiplies the friction of geoms.
    Friction(Vec<Named>),
    /// Multiplies the gear of motors; below 0 they work the other way round.
    Gear(Vec<Named>),
    /// Multiplies all forces of motors, servos and muscles, and their limits.
    Strength(Vec<Named>),
    /// Below 0, motors push and servos move the other way round.
    Polarity(Vec<Named>),
    /// Turns gravity about an axis of the world, in rad.
    GravityTilt(Axis),
    /// Nothing: rewards, goals or observations refer to it.
    Goal,
}

/// Where episodes start.
#[derive(Clone, Debug, PartialEq)]
pub struct StartNoise {
    /// The keyframe, or the model's own initial state.
    pub keyframe: Option<Named>,
    /// Positions are uniform within this.
    pub position: f64,
    /// Velocities are uniform within this.
    pub velocity: f64,
    /// A start from anywhere scatters so many times wider.
    pub anywhere: f64,
    /// The joints that scatter.
    pub joints: Vec<Named>,
}

/// A robot, checked as far as that is possible without its model.
#[derive(Debug)]
pub struct Robot {
    file: PathBuf,
    text: String,
    /// The file of its MuJoCo model.
    pub model: PathBuf,
    /// Name, channels, parameters and changes; a state name per observation channel.
    pub spec: Arc<PlantSpec>,
    /// Source of every observation channel.
    pub sources: Vec<Source>,
    /// Standard deviation of every observation channel's noise.
    pub noise_std: Vec<f32>,
    /// Actuator of every action channel.
    pub actuators: Vec<Named>,
    /// Weight and term.
    pub rewards: Vec<(f64, Term)>,
    /// An episode ends when all conditions of any of these hold.
    pub ended: Vec<Vec<Condition>>,
    /// Where episodes start.
    pub start: StartNoise,
    /// What each hidden parameter does.
    pub effects: Vec<Effect>,
    /// How each hidden parameter is drawn.
    pub draws: Vec<Draw>,
    /// For every change its factors: number of the parameter, and what it is multiplied by.
    pub factors: Vec<Vec<(usize, f32)>>,
    /// Names of the changes that come in training too.
    pub training_changes: Vec<String>,
    /// The goal is held when all of these hold and the episode has not ended.
    pub goal: Vec<Condition>,
    /// When the goal counts as reached, if it can be.
    pub reached: Option<Reached>,
}

/// Whether a plant's name is the path of a robot's file.
#[must_use]
pub fn is_file(plant: &str) -> bool {
    plant.ends_with(EXTENSION)
}

/// Reads the robot of a file.
///
/// # Errors
/// [`RobotError`] names file, line, key, value and what it must be.
pub fn load(path: &str) -> Result<Robot, RobotError> {
    let unreadable = |error: BoundedError| RobotError::Read {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let file = Path::new(path).canonicalize();
    let file = file.map_err(|error| unreadable(error.into()))?;
    let text = bounded_file::text(&file).map_err(unreadable)?;
    Robot::from_toml(&text, Path::new(path))
}

impl Robot {
    /// The file that it was read from, as it was named.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The text of that file.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Reads and checks a robot. `file` is named in errors, and the model's path is relative to it.
    ///
    /// # Errors
    /// [`RobotError`] names file, line, key, value and what it must be.
    pub fn from_toml(text: &str, file: &Path) -> Result<Self, RobotError> {
        check::robot(text, file)
    }

    /// The error for the value of a key.
    #[must_use]
    pub fn refuse(&self, key: &str, must: impl Into<String>) -> RobotError {
        let file = Document {
            origin: &self.file.display().to_string(),
            text: &self.text,
        };
        RobotError::value(file, key, must)
    }

    /// The error for a hidden parameter that does nothing.
    #[must_use]
    pub fn without_effect(&self, index: usize, why: String) -> RobotError {
        let file = Document {
            origin: &self.file.display().to_string(),
            text: &self.text,
        };
        RobotError::no_effect(file, index, &self.spec.parameters[index].name, why)
    }
}

#[cfg(test)]
mod tests;
