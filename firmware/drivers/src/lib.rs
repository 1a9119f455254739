//! What stands between `embedded-hal` drivers and the `Sensors` and `Actuators` of a robot, whatever its processor.
//!
//! - [`channels`]: observations by the names and units of the contract, checked once at the start; one time stamp for several sensors.
//! - [`outputs`]: actuators by the contract's actions: [`pwm`] (brushed motors, servos, ESCs) and [`dc_motor`].
//! - [`imu`]: rates and accelerations in the body's axes. [`rate_bias`]: the rates at rest. [`attitude`]: which way is up. [`sensor_clock`]: when
//!   it was measured.
//! - [`bmi088`], and `icm426xx`, `mpu6050`, `as5600` (features, each with a driver crate): devices.
//!
//! No heap, no panic, nothing that waits. What a device measures is given on in SI units; whether it can be true is the safety ladder's business.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

#[cfg(feature = "as5600")]
pub mod as5600;
pub mod attitude;
pub mod bmi088;
mod channel_error;
pub mod channels;
pub mod dc_motor;
#[cfg(feature = "icm426xx")]
pub mod icm426xx;
pub mod imu;
#[cfg(feature = "mpu6050")]
pub mod mpu6050;
mod order;
pub mod outputs;
pub mod pwm;
pub mod rate_bias;
pub mod sensor_clock;

pub use channel_error::ChannelError;
