//! Engram on Linux: the same node as on a microcontroller, as a process behind a serial device or a pseudo-terminal.
//!
//! A robot's own program makes its drivers (linux-embedded-hal has I2C, SPI and pins behind embedded-hal), puts them into a [`Robot`], and calls
//! [`node`] and [`run()`]; `examples/robot.rs` is one, and `engram-board-linux` another, for which the host is the plant.
//!
//! - [`mod@line`]: the serial line, and the one wait of the main loop. [`linux`]: clock and name.
//! - [`real_time`], [`watchdog`], [`allocator`]: what makes a process fit to fly. Each does what was asked or says why it cannot.
//! - `servo_bus` (feature `servo-bus`): arms on buses of Feetech or Dynamixel servos.
//! - [`options`]: the command line. [`run`](mod@run): the main loop.
//!
//! `unsafe` stands in `system.rs`, three calls to the kernel, and `allocator.rs`, and nowhere else.

pub mod allocator;
pub mod line;
pub mod linux;
mod news;
pub mod options;
pub mod real_time;
pub mod run;
#[cfg(feature = "servo-bus")]
pub mod servo_bus;
mod system;
pub mod watchdog;

use std::boxed::Box;
use std::fmt::Display;
use std::process::ExitCode;

use engram_firmware::actuators::Actuators;
use engram_firmware::fallback::Fallback;
use engram_firmware::node::{ContractSource, Node, Parts};
use engram_firmware::policy::Memory;
use engram_firmware::process::{HeapStore, heap_memory, heap_store};
use engram_firmware::sensors::Sensors;
use engram_firmware::signature::PublicKey;
use engram_link::Pace;

pub use allocator::{Allocating, StartUpOnly};
pub use line::Line;
pub use linux::Linux;
use news::say;
pub use options::Options;
pub use run::{End, Failure, run};

/// What makes one robot another than the next.
#[derive(Debug)]
pub struct Robot<S, A, F> {
    /// What an image must have been made for.
    pub contract: ContractSource,
    /// Drivers, or [`InjectedSensors`](engram_firmware::injected::InjectedSensors).
    pub sensors: S,
    /// Drivers, or [`ReportedActuators`](engram_firmware::injected::ReportedActuators).
    pub actuators: A,
    /// The robot's own controller, or [`NoFallback`](engram_firmware::fallback::NoFallback).
    pub fallback: F,
}

/// A node of Linux; images and memory lie on the heap, with room for any.
pub type LinuxNode<S, A, F> = Node<S, A, F, HeapStore, Box<Memory>, Linux>;

/// The node of `robot` on `platform`: disarmed and without an image. It keeps its own time, but for a robot whose sensors are injected and
/// whose actuators only report: that begins in lock-step. With `key` it takes images signed by that key alone.
pub fn node<S: Sensors, A: Actuators, F: Fallback>(
    robot: Robot<S, A, F>,
    platform: Linux,
    key: Option<PublicKey>,
) -> LinuxNode<S, A, F> {
    Node::new(Parts {
        contract: robot.contract,
        key,
        pace: Pace::LockStep,
        sensors: robot.sensors,
        actuators: robot.actuators,
        fallback: robot.fallback,
        store: heap_store(),
        memory: heap_memory(),
        platform,
    })
}

/// Says how `ended`, and makes the exit code of it: the last line of a `main`.
pub fn exit<E: Display>(ended: Result<End, E>) -> ExitCode {
    match ended {
        Ok(end) => {
            say(format_args!("{end}"));
            ExitCode::SUCCESS
        }
        Err(failure) => {
            say(format_args!("{failure}"));
            ExitCode::FAILURE
        }
    }
}
