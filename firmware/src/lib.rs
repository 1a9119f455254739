//! The portable Engram controller: everything that may run on the robot, for any board.
//!
//! - [`policy`]: one integer step of a policy image.
//! - [`sensors`], [`actuators`], [`fallback`]: traits that a robot's author implements; [`injected`] implements
//!   them over the link, for hardware in the loop.
//! - [`safety`]: checks, envelope and state machine. [`terms`]: the numbers of a contract that they work with. [`control`]: the control
//!   step that calls them.
//! - [`store`], [`slots`]: two image slots, upload, verification, activation. [`flash`]: slots that outlast a reset, on NOR flash.
//! - [`node`]: all of it behind a serial link, and what a board's main loop calls; [`transmit`]: what waits for the line; [`platform`]:
//!   what it must know of the board; [`schedule`]: when a board that keeps its own time makes a step;
//!   [`watchdog`]: what feeds the board's watchdog.
//! - `process` (a feature): a process of an operating system as a board.
//!
//! What may not happen here: allocation (outside the features `record` and `process`), a panic, `unsafe`, waiting, and anything that depends on a
//! particular board. Weights never change; only the policy's memory does.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "record")]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod actuators;
pub mod control;
mod driver_error;
pub mod fallback;
pub mod flash;
pub mod injected;
pub mod node;
pub mod platform;
pub mod policy;
#[cfg(feature = "process")]
pub mod process;
pub mod safety;
pub mod schedule;
pub mod sensors;
pub mod signature;
pub mod slots;
pub mod store;
pub mod terms;
mod text;
pub mod transmit;
pub mod watchdog;

pub use driver_error::DriverError;

#[cfg(test)]
mod tests_support;
