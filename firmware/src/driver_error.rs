//! Why a robot's driver failed: one error for sensors and actuators, whatever bus is between.

use embedded_hal::{i2c, pwm, spi};
use thiserror::Error;

/// Why no sample could be read, or a command not be handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum DriverError {
    /// Nothing new since the last read. From sensors it is no fault until the last sample is too old.
    #[error("no new sample")]
    NotReady,
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
    /// The device answered, but not what it should (wrong identity, broken checksum, self-test).
    #[error("the device gave an impossible answer")]
    Device,
}

impl From<pwm::ErrorKind> for DriverError {
    fn from(kind: pwm::ErrorKind) -> Self {
        Self::Pwm(kind)
    }
}

impl From<spi::ErrorKind> for DriverError {
    fn from(kind: spi::ErrorKind) -> Self {
        Self::Spi(kind)
    }
}

impl From<i2c::ErrorKind> for DriverError {
    fn from(kind: i2c::ErrorKind) -> Self {
        Self::I2c(kind)
    }
}

impl From<embedded_io::ErrorKind> for DriverError {
    fn from(kind: embedded_io::ErrorKind) -> Self {
        Self::Io(kind)
    }
}
