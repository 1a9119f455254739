//! Copy this folder to put Engram on your own robot.
//!
//! Here: a pendulum with an AS5600 encoder, an MPU-6050 gyro and one DC motor. Yours replaces
//! - [`contract`]: channels, units, ranges, period and reward that policy and robot agree on,
//! - [`sensors`] and [`actuators`]: drivers over `embedded-hal`,
//! - and turns the feature of its processor's kernels on (`Cargo.toml`).
//!
//! `main` makes the drivers, calls [`start`] once and [`Node::turn`] for ever.
//!
//! What it does not contain is what every robot shares: policy, safety ladder, image slots and link
//! come from `engram-firmware`. No `unsafe`, no heap, and no panic: use `get`, not `[]`.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod actuators;
pub mod contract;
pub mod sensors;

pub use contract::CONTRACT;

use engram_firmware::actuators::Actuators;
use engram_firmware::fallback::NoFallback;
use engram_firmware::node::{ContractSource, Node, Parts};
use engram_firmware::platform::Platform;
use engram_firmware::policy::Memory;
use engram_firmware::safety::Settings;
use engram_firmware::sensors::Sensors;
use engram_firmware::signature::PublicKey;
use engram_firmware::store::RamStore;
use engram_link::Pace;

/// The controller of this robot.
pub type RobotNode<S, A, P> =
    Node<S, A, NoFallback, RamStore<&'static mut [u8]>, &'static mut Memory, P>;

/// Nothing moves until a host has sent an image and armed it, over the line that [`Node::turn`] is given. `sensors` are
/// [`sensors::PendulumSensors`] and `actuators` an [`actuators::Motor`], over any HAL that implements `embedded-hal` 1.0. `slots` are two
/// places for an image, in RAM (see `engram_firmware::store` for flash); `memory` is a `static` of the board, a `Memory<[i8; N]>` of as
/// many bytes of cache as it lends (`engram inspect IMAGE --board B`).
pub fn start<S: Sensors, A: Actuators, P: Platform>(
    sensors: S,
    actuators: A,
    platform: P,
    [slot_a, slot_b]: [&'static mut [u8]; 2],
    memory: &'static mut Memory,
) -> RobotNode<S, A, P> {
    Node::new(Parts {
        contract: ContractSource::Board {
            contract: &CONTRACT,
            settings: Settings::for_period(CONTRACT.period_us),
        },
        key: const { PublicKey::of_build(option_env!("ENGRAM_PUBLIC_KEY")) },
        pace: Pace::RealTime,
        sensors,
        actuators,
        fallback: NoFallback,
        store: RamStore::new(slot_a, slot_b),
        memory,
        platform,
    })
}

#[cfg(test)]
mod tests;
