//! AS5600 magnetic encoder over I2C by crate `as5600`. It has no clock: an angle's time is that of its reading.

use core::f32::consts::TAU;

use ::as5600::As5600 as Device;
use ::as5600::error::Error;
use ::as5600::status::Status;
use embedded_hal::i2c::I2c;
use engram_firmware::DriverError;

/// The angle has 12 bits.
const RADIANS: f32 = TAU / 4_096.0;

/// The encoder, at the one address that it has.
#[derive(Debug)]
pub struct As5600<I> {
    device: Device<I>,
    zero: f32,
}

impl<I: I2c> As5600<I> {
    /// `zero` is the angle, radians, that [`As5600::read`] takes off: what it says, with a `zero` of 0, where 0 shall be.
    pub fn new(i2c: I, zero: f32) -> Self {
        Self {
            device: Device::new(i2c),
            zero,
        }
    }

    /// The angle, radians: `-zero` to one turn more. It grows clockwise, looking at the part from above, where its pin DIR is low.
    ///
    /// # Errors
    /// [`DriverError::I2c`], or [`DriverError::Device`] if the part sees no magnet: its angle then says nothing.
    pub fn read(&mut self) -> Result<f32, DriverError> {
        match self.device.magnet_status().map_err(driver_error)? {
            Status::MagnetDetected | Status::MagnetDetectedHigh | Status::MagnetDetectedLow => {}
            Status::MagnetHigh | Status::MagnetLow => return Err(DriverError::Device),
        }
        let raw = self.device.raw_angle().map_err(driver_error)?;
        Ok(f32::from(raw) * RADIANS - self.zero)
    }
}

fn driver_error<E: embedded_hal::i2c::Error>(error: Error<E>) -> DriverError {
    match error {
        Error::Communication(error) => error.kind().into(),
        _ => DriverError::Device,
    }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use embedded_hal::i2c::ErrorKind;
    use embedded_hal_mock::eh1::i2c::{Mock, Transaction};

    use super::*;

    const ADDRESS: u8 = 0x36;

    /// What comes of these answers: the status, and the angle if it is asked for.
    fn read(
        status: u8,
        angle: Option<[u8; 2]>,
        error: Option<ErrorKind>,
    ) -> Result<f32, DriverError> {
        let mut expected = vec![Transaction::write_read(ADDRESS, vec![0x0B], vec![status])];
        if let Some(angle) = angle {
            expected.push(Transaction::write_read(ADDRESS, vec![0x0C], angle.into()));
        }
        if let Some(error) = error {
            let last = expected.pop().expect("at least the status");
            expected.push(last.with_error(error));
        }
        let mut i2c = Mock::new(&expected);
        let read = As5600::new(i2c.clone(), 1.0).read();
        i2c.done();
        read
    }

    #[test]
    fn the_angle_is_in_radians_from_the_zero() {
        for (status, raw, turns) in [
            (0x20, 0x0000, 0.0),
            (0x28, 0x0400, 0.25),
            (0x30, 0x0FFF, 4_095.0 / 4_096.0),
        ] {
            let angle = read(status, Some(u16::to_be_bytes(raw)), None).expect("an angle");
            assert!((angle - (TAU * turns - 1.0)).abs() < 1e-5, "{angle}");
        }
    }

    #[test]
    fn no_magnet_and_a_bus_that_fails_or_is_stuck_are_errors() {
        for status in [0x00, 0x08, 0x10, 0xFF] {
            assert_eq!(read(status, None, None), Err(DriverError::Device));
        }
        let error = ErrorKind::Bus;
        let bus = Err(DriverError::I2c(error));
        assert_eq!(read(0x20, None, Some(error)), bus);
        assert_eq!(read(0x20, Some([0, 0]), Some(error)), bus);
    }
}
