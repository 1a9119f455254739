//! A robot with its drivers: a pendulum with an AS5600 encoder, an MPU-6050 gyro and one DC motor, on an STM32F405.
//!
//! `engram new-robot` writes such a crate for yours, with places for the drivers. Here they are filled in: [`contract`] is what policy and robot
//! agree on, [`sensors`] and [`actuators`] are drivers over `embedded-hal`, and `main.rs` puts them on the board.
//!
//! What it does not contain is what every robot shares: policy, safety ladder, image slots, link and the board's main loop. No
//! `unsafe`, no heap, and no panic: use `get`, not `[]`.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod actuators;
pub mod contract;
pub mod sensors;

#[cfg(test)]
mod tests;
