//! Copy this folder to put Engram on your own robot.
//!
//! Here: a pendulum with an AS5600 encoder, an MPU-6050 gyro and one DC motor. Yours replaces
//! - [`contract`]: channels, units, ranges, period and reward that policy and robot agree on,
//! - [`sensors`] and [`actuators`]: drivers over `embedded-hal`,
//! - [`Robot`]: which peripherals there are; `main` calls [`start`] once and [`Node::turn`] for ever,
//! - and turns the feature of its processor's kernels on (`Cargo.toml`).
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

use embedded_hal::digital::OutputPin;
use embedded_hal::i2c::I2c;
use embedded_hal::pwm::SetDutyCycle;
use engram_firmware::fallback::NoFallback;
use engram_firmware::node::{ContractSource, Node, Parts};
use engram_firmware::platform::{Clock, Platform};
use engram_firmware::policy::Memory;
use engram_firmware::safety::Settings;
use engram_firmware::sensors::SensorError;
use engram_firmware::store::RamStore;
use engram_link::Pace;

use crate::actuators::Motor;
use crate::sensors::PendulumSensors;

/// The robot's peripherals, from any HAL that implements `embedded-hal` 1.0.
pub struct Robot<E, G, C, W, D, P> {
    /// I2C to the encoder.
    pub encoder: E,
    /// I2C to the gyro.
    pub gyro: G,
    /// Time stamps of the samples; the same clock as `platform`'s.
    pub clock: C,
    /// Duty cycle of the motor.
    pub pwm: W,
    /// Direction of the motor.
    pub direction: D,
    /// Name and clock of the board.
    pub platform: P,
    /// Two places for an image, in RAM; see `engram_firmware::store` for flash.
    pub slots: [&'static mut [u8]; 2],
    /// A `static` of the board, a `Memory<[i8; N]>` of as many bytes of cache as it lends (`engram inspect IMAGE --board B`).
    pub memory: &'static mut Memory,
}

/// The controller of this robot.
pub type RobotNode<E, G, C, W, D, P> = Node<
    PendulumSensors<E, G, C>,
    Motor<W, D>,
    NoFallback,
    RamStore<&'static mut [u8]>,
    &'static mut Memory,
    P,
>;

/// Wakes the sensors. Nothing moves until a host has sent an image and armed it; until then and after, the serial line is what
/// [`Node::turn`] is given.
///
/// # Errors
/// [`SensorError::I2c`] where a sensor does not answer.
pub fn start<E: I2c, G: I2c, C: Clock, W: SetDutyCycle, D: OutputPin, P: Platform>(
    robot: Robot<E, G, C, W, D, P>,
) -> Result<RobotNode<E, G, C, W, D, P>, SensorError> {
    let [slot_a, slot_b] = robot.slots;
    Ok(Node::new(Parts {
        contract: ContractSource::Board {
            contract: &CONTRACT,
            settings: Settings::for_period(CONTRACT.period_us),
        },
        pace: Pace::RealTime,
        sensors: PendulumSensors::new(robot.encoder, robot.gyro, robot.clock, UPRIGHT_RADIANS)?,
        actuators: Motor::new(robot.pwm, robot.direction),
        fallback: NoFallback,
        store: RamStore::new(slot_a, slot_b),
        memory: robot.memory,
        platform: robot.platform,
    }))
}

/// What the encoder reads when the pendulum stands upright.
const UPRIGHT_RADIANS: f32 = 0.0;

#[cfg(test)]
mod tests;
