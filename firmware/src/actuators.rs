//! Where commands go: the trait that a robot's author implements over `embedded-hal` drivers.

use embedded_hal::{i2c, pwm, spi};
use thiserror::Error;

/// Why a command could not be handed to the actuators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ActuatorError {
    /// A PWM output failed.
    #[error("PWM output failed: {0}")]
    Pwm(pwm::ErrorKind),
    /// An SPI transfer failed.
    #[error("SPI transfer failed: {0}")]
    Spi(spi::ErrorKind),
    /// An I2C transfer failed.
    #[error("I2C transfer failed: {0}")]
    I2c(i2c::ErrorKind),
    /// A serial device failed.
    #[error("serial device failed: {0:?}")]
    Io(embedded_io::ErrorKind),
    /// The device answered, but not what it should.
    #[error("the actuator gave an impossible answer")]
    Device,
}

impl From<pwm::ErrorKind> for ActuatorError {
    fn from(kind: pwm::ErrorKind) -> Self {
        ActuatorError::Pwm(kind)
    }
}

impl From<spi::ErrorKind> for ActuatorError {
    fn from(kind: spi::ErrorKind) -> Self {
        ActuatorError::Spi(kind)
    }
}

impl From<i2c::ErrorKind> for ActuatorError {
    fn from(kind: i2c::ErrorKind) -> Self {
        ActuatorError::I2c(kind)
    }
}

impl From<embedded_io::ErrorKind> for ActuatorError {
    fn from(kind: embedded_io::ErrorKind) -> Self {
        ActuatorError::Io(kind)
    }
}

/// A robot's actuators.
pub trait Actuators {
    /// Commands are only reported over the link and move nothing. Only then may a host pace the board in lock-step.
    const REPORTED: bool = false;

    /// Hands one command to the actuators; called once in every control step, armed or not.
    ///
    /// `command` has one number per action channel of the contract, in its order and units, already
    /// inside range and slew limits. Must return in bounded time, well within the control period.
    ///
    /// # Errors
    /// Any error is a fault, requirement ENG-SAFE-09.
    fn write(&mut self, command: &[f32]) -> Result<(), ActuatorError>;
}
