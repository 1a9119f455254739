//! The robot's sensors: an AS5600 magnetic encoder on the joint and an MPU-6050 gyro on the arm, its z along the joint.
//!
//! Each stands on its own I2C handle; where both share one bus, use the devices of `embedded-hal-bus`.

use embedded_hal::i2c::I2c;
use engram_drivers::ChannelError;
use engram_drivers::as5600::As5600;
use engram_drivers::channels::Channels;
use engram_drivers::imu::Mounting;
use engram_drivers::mpu6050::{Address, Mpu6050, RATE_RANGE};
use engram_firmware::DriverError;
use engram_firmware::platform::Clock;
use engram_firmware::sensors::{Sample, Sensors};
use engram_image::Channel;

use crate::contract::CONTRACT;

/// What is measured, in the order in which `read` gives it.
const MEASURED: [Channel<'static>; 3] = [
    Channel::new("cos_angle", "1", [-1.0, 1.0]),
    Channel::new("sin_angle", "1", [-1.0, 1.0]),
    Channel::new("rate", "rad/s", [-RATE_RANGE, RATE_RANGE]),
];

/// Reads angle and rate of a pendulum; upright is angle 0.
pub struct PendulumSensors<E, G: I2c, C> {
    encoder: As5600<E>,
    gyro: Mpu6050<G>,
    clock: C,
    channels: Channels<3>,
}

impl<E: I2c, G: I2c, C: Clock> PendulumSensors<E, G, C> {
    /// Wakes the gyro. `upright_radians` is what the encoder reads when the pendulum stands upright.
    ///
    /// # Errors
    /// [`ChannelError`] if the sensors do not fit the contract, or the gyro does not answer.
    pub fn new(
        encoder: E,
        gyro: G,
        clock: C,
        upright_radians: f32,
    ) -> Result<Self, ChannelError<'static>> {
        let gyro = Mpu6050::new(gyro, Address(0x68), Mounting::ALIGNED);
        Ok(Self {
            encoder: As5600::new(encoder, upright_radians),
            gyro: gyro.map_err(|error| ChannelError::device("rate", error))?,
            clock,
            channels: Channels::new(&CONTRACT, &MEASURED)?,
        })
    }
}

impl<E: I2c, G: I2c, C: Clock> Sensors for PendulumSensors<E, G, C> {
    fn read(&mut self, sample: &mut Sample) -> Result<(), DriverError> {
        let reading = self.gyro.read(self.clock.now_us())?;
        let angle = self.encoder.read()?;
        let [_, _, rate] = reading.motion.rate;
        let values = [libm::cosf(angle), libm::sinf(angle), rate];
        self.channels.write(sample, reading.time_us, &values)
    }
}

#[cfg(test)]
mod tests {
    use embedded_hal_mock::eh1::i2c::{Mock, Transaction};
    use std::f32::consts::TAU;
    use std::vec;

    use super::*;
    use crate::tests::{GYRO_ADDRESS, gyro_reading, gyro_start};

    struct At(u64);

    impl Clock for At {
        fn now_us(&mut self) -> u64 {
            self.0
        }
    }

    #[test]
    fn reads_angle_and_rate_in_the_units_of_the_contract() {
        // A quarter turn from upright, a tenth of the gyro's range.
        let mut encoder = Mock::new(&[
            Transaction::write_read(0x36, vec![0x0B], vec![0x20]),
            Transaction::write_read(0x36, vec![0x0C], vec![0x08, 0x00]),
        ]);
        let mut expected = gyro_start();
        expected.extend(gyro_reading(-3_277));
        let mut gyro = Mock::new(&expected);
        let sensors = PendulumSensors::new(encoder.clone(), gyro.clone(), At(70), TAU / 4.0);
        let mut sample = Sample::new();
        assert_eq!(sensors.expect("answers").read(&mut sample), Ok(()));
        assert_eq!(
            (sample.time_us, sample.reward, sample.done),
            (70, None, false)
        );
        let expected = [0.0, 1.0, -200.0_f32.to_radians()];
        assert_eq!(sample.observation.len(), expected.len());
        for (got, expected) in sample.observation.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-3, "{got} instead of {expected}");
        }
        encoder.done();
        gyro.done();
    }

    #[test]
    fn without_its_gyro_it_does_not_start() {
        let failed = Transaction::write_read(GYRO_ADDRESS, vec![0x6B], vec![0]);
        let error = embedded_hal::i2c::ErrorKind::Bus;
        let mut gyro = Mock::new(&[failed.with_error(error)]);
        let mut encoder = Mock::new(&[]);
        let started = PendulumSensors::new(encoder.clone(), gyro.clone(), At(0), 0.0);
        let expected = ChannelError::device("rate", DriverError::I2c(error));
        assert_eq!(started.err(), Some(expected));
        encoder.done();
        gyro.done();
    }
}
