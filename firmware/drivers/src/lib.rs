//! What stands between `embedded-hal` drivers and the `Sensors` and `Actuators` of a robot, whatever its processor.
//!
//! - [`channels`]: observations by the names and units of the contract, checked once at the start.
//! - [`outputs`]: actuators by the contract's actions: [`pwm`] (brushed motors, servos, ESCs) and [`dc_motor`].
//!
//! No heap, no panic, nothing that waits. What a device measures is given on in SI units; whether it can be true is the safety ladder's business.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod attitude;
mod channel_error;
pub mod channels;
pub mod dc_motor;
pub mod imu;
mod order;
pub mod outputs;
pub mod pwm;
pub mod sensor_clock;

pub use channel_error::ChannelError;
