//! What a robot on Linux is built from.
#![forbid(unsafe_code)]

#[cfg(feature = "servo-bus")]
pub mod servo_bus;
