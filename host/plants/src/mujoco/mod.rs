//! Locomotion on MuJoCo: half-cheetah, ant, walker and hopper with hidden goals or bodies (feature `mujoco`).
//!
//! Physics is MuJoCo's own, stepped as gymnasium steps it, so that observations and rewards are those of the Python
//! environments. Nothing here may depend on the thread or the order of plants, and a step may not allocate.

mod ant;
mod cheetah;
mod contracts;
mod design;
mod locomotion;
mod log;
mod models;
pub mod robot;
mod runner;
mod simulation;
mod task_model;

pub use locomotion::{Locomotion, LocomotionModel};
pub use models::{MODELS_VARIABLE, ModelError, gymnasium, load};
pub use simulation::Simulation;

use super::MUJOCO_NAMES;
use design::Design;

/// Version of the MuJoCo that simulates.
#[must_use]
pub fn version() -> &'static str {
    mujoco_rs::mujoco_version()
}

/// Loads a locomotion plant; nothing if none has this name.
///
/// # Errors
/// [`ModelError`] says why its model cannot be had.
pub fn by_name(name: &str) -> Result<Option<LocomotionModel>, ModelError> {
    let designs: [&'static Design; MUJOCO_NAMES.len()] = [
        &cheetah::VELOCITY,
        &cheetah::DIRECTION,
        &ant::RADIANS,
        &ant::FORWARD_OR_BACKWARD,
        &runner::WALKER,
        &runner::HOPPER,
    ];
    designs
        .into_iter()
        .find(|design| design.name == name)
        .map(LocomotionModel::new)
        .transpose()
}

#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod tests;
