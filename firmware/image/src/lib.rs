//! The policy image: what a trained policy looks like as a file, and the only code that reads it.
//!
//! An image is a 128-byte [header] and one map in canonical CBOR: the model's
//! configuration, the contract with the plant, the scales, the int8 weights, a golden trace,
//! the bounds report and the provenance. [`Image::read`] checks all of it and returns borrowed
//! slices: nothing is copied but names and numbers, so that the runtime works in place from flash.
//!
//! What may not happen here: allocation (outside the feature `write`), a panic on any input,
//! `unsafe`, and trust in anything the file says about itself. The hash protects against a damaged
//! file, not against a wrong one; therefore everything is checked after it as well.
//!
//! - `limits`: every capacity. - `config`, `contract`, `weights`, `image`: plain types.
//! - `walk`: every key of the body, for reader, writer and hashes; `codec`: what they do with it. - `header`, `read`: the reader.
//! - `write`, `random` (feature `write`): owned images, the writer, and random images; hosts only.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "write")]
extern crate alloc;

mod bounds;
mod codec;
mod config;
mod contract;
mod error;
pub mod header;
mod image;
mod layout;
pub mod limits;
mod list;
mod number;
#[cfg(feature = "write")]
mod owned;
mod packing;
#[cfg(feature = "write")]
pub mod random;
mod read;
pub mod shapes;
mod walk;
mod weights;
#[cfg(feature = "write")]
pub mod write;

pub use bounds::Bounds;
pub use config::{ConfigError, HeadInput, ModelConfig, Positions};
pub use contract::{
    ActionChannel, Channel, ChannelKind, Contract, ContractDifference, ContractError,
    DifferenceInWords, QuadraticReward, Reward,
};
pub use error::{CborProblem, ReadError};
pub use image::{Golden, GoldenStep, Image, InputScales, Parameters, Provenance};
pub use layout::Layout;
pub use list::{Fill, Full, List};
pub use number::Number;
#[cfg(feature = "write")]
pub use owned::{OwnedAction, OwnedChannel, OwnedContract, OwnedReward};
pub use packing::Packing;
pub use weights::{Head, InPlace, Layer, Matrix, MatrixName, MatrixRow, Weights};
