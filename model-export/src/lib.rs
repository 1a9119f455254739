//! From a trained policy to an image: checkpoint, f32 policy, calibration, quantization, golden trace.
//!
//! [`FloatPolicy`] is the policy in f32, one control step at a time: the trainer collects its
//! rollouts with it, and the quantizer measures it. The integers that fly are defined in
//! `engram-firmware`, never here: this crate only chooses their scales, and refuses to write an
//! image that the firmware's own policy does not reproduce.
#![forbid(unsafe_code)]

pub mod calibrate;
pub mod checkpoint;
pub mod compare;
pub mod elementary;
pub mod export;
pub mod float;
pub mod golden;
pub mod network;
pub mod normalizer;
pub mod packed;
pub mod parameters;
pub mod places;
pub mod quantize;
pub mod tensors;

pub use calibrate::{Calibration, CalibrationError, Trial};
pub use checkpoint::{Checkpoint, CheckpointError};
pub use export::{ExportError, Exported, Report, export, verify};
pub use float::{FloatBatch, FloatObserver, FloatPolicy, FloatState, Site};
pub use golden::{GoldenInput, GoldenSource, golden_steps};
pub use normalizer::Normalizer;
pub use packed::PackedWeights;
pub use parameters::{Parameters, slot_positions};
pub use quantize::Options;
pub use tensors::{Tensor, TensorError, Tensors};
