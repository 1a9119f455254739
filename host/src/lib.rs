//! The host side of Engram: plants, meta-training, evaluation, hardware in the loop and reports.
//!
//! Nothing here runs on a robot: what the robot runs is `engram-firmware`, and the host calls it
//! for the integer policy, so that there is one definition of the arithmetic.
#![forbid(unsafe_code)]
// They panic where nobody reads: everything is printed through `output`.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

mod batch;
mod classical;
pub mod commands;
pub mod evaluate;
pub mod export;
pub mod interrupt;
mod live;
pub mod measure;
mod output;
mod report;
