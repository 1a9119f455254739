//! MPU-6050 over I2C by crate `mpu6050-dmp`. It has no clock that can be read: a sample's time is that of its reading.

use embedded_hal::i2c::{Error as _, I2c};
use engram_firmware::DriverError;
use mpu6050_dmp::accel::AccelFullScale;
pub use mpu6050_dmp::address::Address;
use mpu6050_dmp::clock_source::ClockSource;
use mpu6050_dmp::error::Error;
use mpu6050_dmp::gyro::GyroFullScale;
use mpu6050_dmp::sensor::Mpu6050 as Device;

use crate::imu::{GRAVITY, Motion, Mounting, RADIANS_PER_DEGREE, Reading};

/// Full scale of the gyro, rad/s.
pub const RATE_RANGE: f32 = 2_000.0 * RADIANS_PER_DEGREE;
/// Full scale of the accelerometer, m/s^2.
pub const ACCELERATION_RANGE: f32 = 16.0 * GRAVITY;

/// Of the interrupt status: a sample came since it was read.
const DATA_READY: u8 = 1;

/// The part, awake.
pub struct Mpu6050<I: I2c> {
    device: Device<I>,
    mounting: Mounting,
    last_us: Option<u64>,
}

impl<I: I2c> Mpu6050<I> {
    /// Wakes the part and sets full scale [`RATE_RANGE`] and [`ACCELERATION_RANGE`]: the largest ones, since the driver crate only ever sets bits, and a part that
    /// was not reset with the processor may have others.
    ///
    /// # Errors
    /// [`DriverError::I2c`] if it does not answer.
    pub fn new(i2c: I, address: Address, mounting: Mounting) -> Result<Self, DriverError> {
        let mut device = Device::new(i2c, address).map_err(|failed| driver_error(failed.error))?;
        let set_up = |device: &mut Device<I>| {
            device.set_clock_source(ClockSource::Xgyro)?;
            device.set_gyro_full_scale(GyroFullScale::Deg2000)?;
            device.set_accel_full_scale(AccelFullScale::G16)
        };
        set_up(&mut device).map_err(driver_error)?;
        Ok(Self {
            device,
            mounting,
            last_us: None,
        })
    }

    /// The newest sample; `now_us`, the control clock, becomes its time.
    ///
    /// # Errors
    /// [`DriverError::NotReady`] if there is none since the last reading, [`DriverError::I2c`].
    pub fn read(&mut self, now_us: u64) -> Result<Reading, DriverError> {
        let status = self.device.interrupt_read_clear().map_err(driver_error)?;
        if status & DATA_READY == 0 {
            return Err(DriverError::NotReady);
        }
        let (acceleration, rate) = self.device.motion6().map_err(driver_error)?;
        let scaled = |raw: [i16; 3], range: f32| raw.map(|raw| f32::from(raw) * (range / 32_768.0));
        let last_us = self.last_us.replace(now_us).unwrap_or(now_us);
        Ok(Reading {
            time_us: now_us,
            motion: Motion {
                rate: self.mounting.body(scaled(rate.into(), RATE_RANGE)),
                acceleration: self.mounting.body(scaled(
                    [acceleration.x(), acceleration.y(), acceleration.z()],
                    ACCELERATION_RANGE,
                )),
                period_s: now_us.saturating_sub(last_us) as f32 * 1e-6,
            },
        })
    }
}

fn driver_error<I: I2c>(error: Error<I>) -> DriverError {
    match error {
        Error::WriteError(error) | Error::WriteReadError(error) => error.kind().into(),
        Error::WrongDevice => DriverError::Device,
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use embedded_hal::i2c::ErrorKind;
    use embedded_hal_mock::eh1::i2c::{Mock, Transaction};

    use super::*;
    use crate::imu::Axis;

    const ADDRESS: u8 = 0x68;

    fn register(number: u8, value: u8) -> Transaction {
        Transaction::write_read(ADDRESS, vec![number], vec![value])
    }

    /// What is said to the part at the start: read, set bits, write.
    fn start() -> Vec<Transaction> {
        let set = |number, before, after| {
            let write = Transaction::write(ADDRESS, vec![number, after]);
            [register(number, before), write]
        };
        [
            set(0x6B, 0x40, 0x00),
            set(0x6B, 0x00, 0x01),
            // Left over from before a reset: the largest ranges come out all the same.
            set(0x1B, 0x08, 0x18),
            set(0x1C, 0x00, 0x18),
        ]
        .concat()
    }

    /// What readings at these moments say, with what the part answers.
    fn readings(answers: &[Transaction], moments_us: &[u64]) -> Vec<Result<Reading, DriverError>> {
        let mut i2c = Mock::new(&[start(), answers.to_vec()].concat());
        let mounting = Mounting::new(Axis::MinusX, Axis::MinusY);
        let mut imu = Mpu6050::new(i2c.clone(), Address(ADDRESS), mounting).expect("answers");
        let readings = moments_us.iter().map(|now_us| imu.read(*now_us));
        let readings = readings.collect();
        i2c.done();
        readings
    }

    fn measured(acceleration: [i16; 3], rate: [i16; 3]) -> Transaction {
        let temperature = [0];
        let words = acceleration.iter().chain(&temperature).chain(&rate);
        let bytes = words.flat_map(|word| word.to_be_bytes()).collect();
        Transaction::write_read(ADDRESS, vec![0x3B], bytes)
    }

    #[test]
    fn what_is_measured_comes_in_si_units_and_body_axes() {
        let answers = [
            register(0x3A, 1),
            measured([2_048, 0, -2_048], [0, 1_638, -1_638]),
            register(0x3A, 0),
            register(0x3A, 1),
            measured([0, 2_048, 0], [16_384, 0, 0]),
        ];
        let found = readings(&answers, &[1_000, 21_000, 41_000]);
        let hundred = 1_638.0 / 32_768.0 * RATE_RANGE;
        let reading = |time_us, acceleration, rate, period_s| {
            let motion = Motion {
                rate,
                acceleration,
                period_s,
            };
            Ok(Reading { time_us, motion })
        };
        let expected = [
            reading(
                1_000,
                [-GRAVITY, 0.0, -GRAVITY],
                [0.0, -hundred, -hundred],
                0.0,
            ),
            Err(DriverError::NotReady),
            reading(
                41_000,
                [0.0, -GRAVITY, 0.0],
                [-RATE_RANGE / 2.0, 0.0, 0.0],
                0.04,
            ),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_bus_that_fails_says_how() {
        let fault = Err(DriverError::I2c(ErrorKind::ArbitrationLoss));
        let failed = register(0x3A, 1).with_error(ErrorKind::ArbitrationLoss);
        assert_eq!(readings(&[failed], &[1]), [fault]);
        let failed = register(0x6B, 0).with_error(ErrorKind::ArbitrationLoss);
        let mut i2c = Mock::new(&[failed]);
        let started = Mpu6050::new(i2c.clone(), Address(ADDRESS), Mounting::ALIGNED);
        assert_eq!(started.err(), fault.err());
        i2c.done();
    }
}
