//! Hardware-in-the-loop cases, the same for every board.
//!
//! A [`Case`] says what must be true of any board; a [`Rig`] starts one board and talks to it over
//! its link, never past it. `tests/hil.rs` stamps every case for every board that
//! `ENGRAM_HIL_BOARDS` names, and beside those of qemu-f405 what must be true of a [`robot`] on that part. The images are made here with random weights, so that nothing
//! depends on training.
#![forbid(unsafe_code)]

pub mod cases;
pub mod robot;
pub mod sample_image;

mod rig;

pub use cases::Case;
pub use rig::{Flyer, Rig, Target, frame, good_sample, refusal};
