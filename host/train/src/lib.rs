//! Meta-training: TrMRL by PPO over whole trials.
//!
//! Trials are collected on all cores with the f32 streaming policy of `engram-export`, exactly as a
//! controller would run it; the learner computes each trial in one differentiable pass. Weights and
//! normalizers are frozen through a trial. A run is defined by plant, agent, seed and settings: the number
//! of cores changes its duration and nothing else. Nothing here knows how a policy is judged or exported.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

mod actor;
pub mod batch;
pub mod config;
pub mod critic;
pub mod curve;
pub mod device;
mod divergence;
mod episodes;
mod error;
mod events;
pub mod fused;
mod gae;
pub mod gradient;
pub mod init;
pub mod learner;
mod optimizer;
pub mod policy;
mod ppo;
mod progress;
mod recurrent;
mod resume;
pub mod robot_files;
mod rollout;
mod schedule;
mod statistics;
pub mod threads;
pub mod timing;
mod trainer;
mod training;
mod variables;

pub use config::{Preset, Settings};
pub use curve::{CURVE_FILE, Point};
pub use divergence::Divergence;
pub use episodes::Episodes;
pub use error::TrainError;
pub use events::EventLog;
pub use progress::{Progress, achieved};
pub use timing::Lap;
pub use trainer::{Run, Trainer};
pub use training::Training;

#[cfg(all(test, feature = "mujoco"))]
mod mujoco_tests;
#[cfg(test)]
mod paper_tests;
#[cfg(test)]
mod plain_tests;
#[cfg(test)]
mod tests;
