//! BMI088 over I2C, as on the Crazyflie: registers of its data sheet, since crate `bmi088` 0.2 has no I2C, no ranges and no time.

use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::{Error as _, I2c};
use engram_firmware::DriverError;

use crate::imu::{GRAVITY, Motion, Mounting, RADIANS_PER_DEGREE, Reading};
use crate::sensor_clock::{Counter, SensorClock};

/// Full scale of the gyro, rad/s.
pub const RATE_RANGE: f32 = 2_000.0 * RADIANS_PER_DEGREE;
/// Full scale of the accelerometer, m/s^2.
pub const ACCELERATION_RANGE: f32 = 24.0 * GRAVITY;

/// Identity, number of the register and its value, reset, and what is written afterwards.
struct Half {
    identity: u8,
    reset: [u8; 2],
    /// In this order, after the reset.
    settings: &'static [[u8; 2]],
}

/// Active, on, 800 Hz with the usual filter, 24 g.
const ACCELEROMETER: Half = Half {
    identity: 0x1E,
    reset: [0x7E, 0xB6],
    settings: &[[0x7C, 0x00], [0x7D, 0x04], [0x40, 0xAB], [0x41, 0x03]],
};
/// 2000 degrees per second, 1000 Hz with a filter of 116 Hz, on.
const GYRO: Half = Half {
    identity: 0x0F,
    reset: [0x14, 0xB6],
    settings: &[[0x0F, 0x00], [0x10, 0x02], [0x11, 0x00]],
};
const IDENTITY: u8 = 0x00;
/// Of the accelerometer: three numbers, and three bytes of time.
const ACCELERATION_AND_TIME: u8 = 0x12;
/// Of the gyro: three numbers.
const RATE: u8 = 0x02;

/// 24 bits of 39.0625 us. A sample is taken whenever the lowest five of them are 0: 800 Hz.
const COUNTER: Counter = Counter {
    bits: 24,
    tick_ns: 39_062,
    drift_ppm: 20_000,
    longest_delay_us: 100_000,
};
const SAMPLE_TICKS: u32 = 32;
const TICK_S: f32 = 39.0625e-6;

/// The part, set up.
#[derive(Debug)]
pub struct Bmi088<I> {
    i2c: I,
    accelerometer: u8,
    gyro: u8,
    mounting: Mounting,
    clock: SensorClock,
    last_count: Option<u32>,
}

impl<I: I2c> Bmi088<I> {
    /// Resets both halves and sets them up, at the addresses of accelerometer (0x18 or 0x19) and gyro (0x68 or 0x69). Waits for some 100 ms, which is why it belongs
    /// before the control loop.
    ///
    /// # Errors
    /// [`DriverError::I2c`], or [`DriverError::Device`] if it is another part.
    pub fn new(
        i2c: I,
        mut delay: impl DelayNs,
        [accelerometer, gyro]: [u8; 2],
        mounting: Mounting,
    ) -> Result<Self, DriverError> {
        let mut part = Self {
            i2c,
            accelerometer,
            gyro,
            mounting,
            clock: SensorClock::new(COUNTER),
            last_count: None,
        };
        for (address, half) in [(accelerometer, ACCELEROMETER), (gyro, GYRO)] {
            let [identity] = part.read_from(address, IDENTITY)?;
            if identity != half.identity {
                return Err(DriverError::Device);
            }
            part.write(address, half.reset)?;
            delay.delay_ms(30);
            for setting in half.settings {
                part.write(address, *setting)?;
                delay.delay_ms(5);
            }
        }
        Ok(part)
    }

    /// The newest sample, with the accelerometer's time; the gyro's rate is at most 1 ms older than its reading. `now_us` is the control clock.
    ///
    /// # Errors
    /// [`DriverError::NotReady`] if there is none since the last reading, [`DriverError::I2c`].
    pub fn read(&mut self, now_us: u64) -> Result<Reading, DriverError> {
        let [a, b, c, d, e, f, time_0, time_1, time_2] =
            self.read_from(self.accelerometer, ACCELERATION_AND_TIME)?;
        let count = u32::from_le_bytes([time_0, time_1, time_2, 0]) & !(SAMPLE_TICKS - 1);
        if self.last_count == Some(count) {
            return Err(DriverError::NotReady);
        }
        let rate = self.read_from(self.gyro, RATE)?;
        let last_count = self.last_count.replace(count);
        let ticks = last_count.map_or(SAMPLE_TICKS, |last_count| {
            count.wrapping_sub(last_count) & 0x00FF_FFFF
        });
        let scaled = |[a, b, c, d, e, f]: [u8; 6], range: f32| {
            let raw = [[a, b], [c, d], [e, f]].map(i16::from_le_bytes);
            raw.map(|raw| f32::from(raw) * (range / 32_768.0))
        };
        Ok(Reading {
            time_us: self.clock.time_us(count, now_us),
            motion: Motion {
                rate: self.mounting.body(scaled(rate, RATE_RANGE)),
                acceleration: self
                    .mounting
                    .body(scaled([a, b, c, d, e, f], ACCELERATION_RANGE)),
                period_s: ticks as f32 * TICK_S,
            },
        })
    }

    fn read_from<const N: usize>(
        &mut self,
        address: u8,
        register: u8,
    ) -> Result<[u8; N], DriverError> {
        let mut bytes = [0; N];
        let read = self.i2c.write_read(address, &[register], &mut bytes);
        read.map_err(|error| error.kind())?;
        Ok(bytes)
    }

    fn write(&mut self, address: u8, bytes: [u8; 2]) -> Result<(), DriverError> {
        let written = self.i2c.write(address, &bytes);
        Ok(written.map_err(|error| error.kind())?)
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use embedded_hal::i2c::ErrorKind;
    use embedded_hal_mock::eh1::delay::NoopDelay;
    use embedded_hal_mock::eh1::i2c::{Mock, Transaction};

    use super::*;
    use crate::imu::Axis;

    const ADDRESSES: [u8; 2] = [0x18, 0x69];

    /// What is said at the start to both halves.
    fn start() -> Vec<Transaction> {
        let mut said = Vec::new();
        let halves: [(u8, u8, &[[u8; 2]]); 2] = [
            (
                0x18,
                0x1E,
                &[[0x7E, 0xB6], [0x7C, 0], [0x7D, 4], [0x40, 0xAB], [0x41, 3]],
            ),
            (0x69, 0x0F, &[[0x14, 0xB6], [0x0F, 0], [0x10, 2], [0x11, 0]]),
        ];
        for (address, identity, written) in halves {
            said.push(Transaction::write_read(address, vec![0x00], vec![identity]));
            said.extend(
                written
                    .iter()
                    .map(|bytes| Transaction::write(address, bytes.to_vec())),
            );
        }
        said
    }

    fn accelerometer(acceleration: [i16; 3], count: u32) -> Transaction {
        let mut bytes: Vec<u8> = acceleration
            .iter()
            .flat_map(|raw| raw.to_le_bytes())
            .collect();
        bytes.extend(&count.to_le_bytes()[..3]);
        Transaction::write_read(0x18, vec![0x12], bytes)
    }

    fn gyro(rate: [i16; 3]) -> Transaction {
        let bytes = rate.iter().flat_map(|raw| raw.to_le_bytes()).collect();
        Transaction::write_read(0x69, vec![0x02], bytes)
    }

    #[test]
    fn what_is_measured_comes_in_si_units_and_body_axes_with_the_parts_own_time() {
        let answers = [
            // 24 bits wrap between the first and the third.
            accelerometer([0, 0, 1_365], 0xFF_FFE3),
            gyro([16_384, 0, 0]),
            accelerometer([0, 0, 1_365], 0xFF_FFFF),
            accelerometer([-16_384, 0, 0], 0x00_01E5),
            gyro([0, -1, 8_192]),
        ];
        let mut i2c = Mock::new(&[start(), answers.to_vec()].concat());
        let mounting = Mounting::new(Axis::MinusY, Axis::X);
        let imu = Bmi088::new(i2c.clone(), NoopDelay::new(), ADDRESSES, mounting);
        let mut imu = imu.expect("answers");

        let first = imu.read(10_000).expect("a sample");
        assert_eq!(first.time_us, 10_000);
        assert_eq!(first.motion.rate, [0.0, RATE_RANGE / 2.0, 0.0]);
        let [x, y, z] = first.motion.acceleration;
        assert!(x == 0.0 && y == 0.0 && (z - GRAVITY).abs() < 0.01);
        assert_eq!(imu.read(11_000), Err(DriverError::NotReady));

        // 512 ticks of 39.0625 us, 20 ms, whenever it is read.
        let next = imu.read(30_700).expect("a sample");
        assert!((30_000..=30_420).contains(&next.time_us), "{next:?}");
        assert!((next.motion.period_s - 0.02).abs() < 1e-6);
        assert_eq!(
            next.motion.acceleration,
            [0.0, -ACCELERATION_RANGE / 2.0, 0.0]
        );
        let [x, y, z] = next.motion.rate;
        assert!((x - RATE_RANGE / 32_768.0).abs() < 1e-6 && y == 0.0);
        assert_eq!(z, RATE_RANGE / 4.0);
        i2c.done();
    }

    #[test]
    fn another_part_and_a_bus_that_fails_are_errors() {
        let identity = Transaction::write_read(0x18, vec![0x00], vec![0x1F]);
        let failed = identity.clone().with_error(ErrorKind::Bus);
        for (answer, error) in [
            (identity, DriverError::Device),
            (failed, DriverError::I2c(ErrorKind::Bus)),
        ] {
            let mut i2c = Mock::new(&[answer]);
            let started = Bmi088::new(i2c.clone(), NoopDelay::new(), ADDRESSES, Mounting::ALIGNED);
            assert_eq!(started.err(), Some(error));
            i2c.done();
        }
    }
}
