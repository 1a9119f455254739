//! The host side of Engram: plants, meta-training, evaluation, hardware in the loop and reports.
//!
//! Nothing here runs on a robot: what the robot runs is `engram-firmware`, and the host calls it
//! for the integer policy, so that there is one definition of the arithmetic.
// With MuJoCo, one module may: plant/mujoco/log.rs, which says why. The workspace's lints deny it everywhere else.
#![cfg_attr(not(feature = "mujoco"), forbid(unsafe_code))]
// They panic where nobody reads: everything is printed through `output`.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

pub mod batch;
pub mod board;
pub mod bounded_file;
pub mod calibration;
pub mod classical;
pub mod commands;
pub mod evaluate;
pub mod fly;
pub mod footprint;
mod hexadecimal;
pub mod image_file;
pub mod interrupt;
pub mod measure;
pub mod network;
pub mod output;
pub mod plant;
pub mod report;
pub mod signer;
mod toml_place;
pub mod train;
