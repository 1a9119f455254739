//! The robot's sensors: an AS5600 magnetic encoder on the joint and an MPU-6050 gyro on the arm.
//!
//! Each stands on its own I2C handle; where both share one bus, use the devices of `embedded-hal-bus`.

use core::f32::consts::TAU;

use embedded_hal::i2c::{Error as _, I2c};
use engram_firmware::DriverError;
use engram_firmware::platform::Clock;
use engram_firmware::sensors::{Sample, Sensors};

const ENCODER_ADDRESS: u8 = 0x36;
/// Two bytes, big endian: the raw angle in 12 bits.
const ENCODER_RAW_ANGLE: u8 = 0x0C;
const ENCODER_RADIANS: f32 = TAU / 4_096.0;

const GYRO_ADDRESS: u8 = 0x68;
/// Two bytes, big endian: the rate about z.
const GYRO_RATE_Z: u8 = 0x47;
/// The device powers up with a range of 250 degrees per second; `new` selects 2000.
const GYRO_CONFIGURATION: [u8; 2] = [0x1B, 0x18];
const GYRO_WAKE_UP: [u8; 2] = [0x6B, 0x00];
const GYRO_RADIANS_PER_S: f32 = 2_000.0 / 32_768.0 * (TAU / 360.0);

/// Reads angle and rate of a pendulum; upright is angle 0.
pub struct PendulumSensors<E, G, C> {
    encoder: E,
    gyro: G,
    clock: C,
    upright_radians: f32,
}

impl<E: I2c, G: I2c, C: Clock> PendulumSensors<E, G, C> {
    /// Wakes the gyro. `upright_radians` is what the encoder reads when the pendulum stands upright.
    ///
    /// # Errors
    /// [`DriverError::I2c`] if the gyro does not answer.
    pub fn new(
        encoder: E,
        mut gyro: G,
        clock: C,
        upright_radians: f32,
    ) -> Result<Self, DriverError> {
        for setting in [GYRO_WAKE_UP, GYRO_CONFIGURATION] {
            gyro.write(GYRO_ADDRESS, &setting)
                .map_err(|error| error.kind())?;
        }
        Ok(Self {
            encoder,
            gyro,
            clock,
            upright_radians,
        })
    }
}

impl<E: I2c, G: I2c, C: Clock> Sensors for PendulumSensors<E, G, C> {
    fn read(&mut self, sample: &mut Sample) -> Result<(), DriverError> {
        let time_us = self.clock.now_us();
        let raw = u16::from_be_bytes(register(
            &mut self.encoder,
            ENCODER_ADDRESS,
            ENCODER_RAW_ANGLE,
        )?);
        if raw >= 4_096 {
            return Err(DriverError::Device); // 12 bits: the rest reads as zero
        }
        let rate = i16::from_be_bytes(register(&mut self.gyro, GYRO_ADDRESS, GYRO_RATE_Z)?);
        let angle = f32::from(raw) * ENCODER_RADIANS - self.upright_radians;
        let observation = [
            libm::cosf(angle),
            libm::sinf(angle),
            f32::from(rate) * GYRO_RADIANS_PER_S,
        ];

        sample.time_us = time_us;
        sample.observation.clear();
        sample
            .observation
            .extend_from_slice(&observation)
            .map_err(|_| DriverError::Device)?;
        sample.reward = None; // the contract computes it
        sample.done = false; // a robot in the field has no episodes
        Ok(())
    }
}

/// Two bytes of a device, from `first` on.
fn register<B: I2c>(bus: &mut B, address: u8, first: u8) -> Result<[u8; 2], DriverError> {
    let mut bytes = [0; 2];
    bus.write_read(address, &[first], &mut bytes)
        .map_err(|error| error.kind())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use embedded_hal::i2c::ErrorKind;
    use embedded_hal_mock::eh1::i2c::{Mock, Transaction};
    use std::vec;

    use super::*;

    struct At(u64);

    impl Clock for At {
        fn now_us(&mut self) -> u64 {
            self.0
        }
    }

    /// What comes of an encoder that answers so, or with an error, and a gyro with these readings.
    fn read(
        encoder: Result<[u8; 2], ErrorKind>,
        readings: &[i16],
    ) -> (Result<(), DriverError>, Sample) {
        let raw_angle = Transaction::write_read(
            ENCODER_ADDRESS,
            vec![0x0C],
            encoder.unwrap_or_default().into(),
        );
        let mut encoder = Mock::new(&[match encoder {
            Ok(_) => raw_angle,
            Err(kind) => raw_angle.with_error(kind),
        }]);
        let mut expected = vec![
            Transaction::write(GYRO_ADDRESS, vec![0x6B, 0x00]),
            Transaction::write(GYRO_ADDRESS, vec![0x1B, 0x18]),
        ];
        expected.extend(readings.iter().map(|reading| {
            Transaction::write_read(GYRO_ADDRESS, vec![0x47], reading.to_be_bytes().into())
        }));
        let mut gyro = Mock::new(&expected);
        let upright_radians = TAU / 4.0;
        let sensors = PendulumSensors::new(encoder.clone(), gyro.clone(), At(70), upright_radians);
        let mut sample = Sample::new();
        let result = sensors.expect("answers").read(&mut sample);
        encoder.done();
        gyro.done();
        (result, sample)
    }

    #[test]
    fn reads_angle_and_rate_in_the_units_of_the_contract() {
        // A quarter turn from upright, a tenth of the gyro's range.
        let (result, sample) = read(Ok([0x08, 0x00]), &[-3_277]);
        assert_eq!(result, Ok(()));
        assert_eq!(
            (sample.time_us, sample.reward, sample.done),
            (70, None, false)
        );
        let expected = [0.0, 1.0, -200.0_f32.to_radians()];
        assert_eq!(sample.observation.len(), crate::CONTRACT.observations.len());
        for (got, expected) in sample.observation.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-3, "{got} instead of {expected}");
        }
    }

    #[test]
    fn a_silent_encoder_and_an_impossible_angle_are_errors() {
        let silent = Err(ErrorKind::Bus);
        let i2c = DriverError::I2c(ErrorKind::Bus);
        for (encoder, error) in [(silent, i2c), (Ok([0xFF, 0xFF]), DriverError::Device)] {
            assert_eq!(read(encoder, &[]).0, Err(error));
        }
    }
}
