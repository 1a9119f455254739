//! The robot's sensors: an AS5600 magnetic encoder on the joint and an MPU-6050 gyro on the arm, its z along the joint.

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

/// Reads angle and rate of a pendulum; upright is angle 0. Both devices are on one bus, of which `B` is a handle.
pub struct PendulumSensors<B: I2c, C> {
    bus: B,
    encoder: As5600<B>,
    /// Awake; none before it answered, and after it failed.
    gyro: Option<Mpu6050<B>>,
    clock: C,
    channels: Channels<3>,
}

impl<B: I2c + Clone, C: Clock> PendulumSensors<B, C> {
    /// Asks no device for anything: those that are silent are a fault of each step, and no reason not to start. `upright_radians` is what the encoder reads
    /// when the pendulum stands upright.
    ///
    /// # Errors
    /// [`ChannelError`] if the sensors do not fit the contract.
    pub fn new(bus: B, clock: C, upright_radians: f32) -> Result<Self, ChannelError<'static>> {
        Ok(Self {
            encoder: As5600::new(bus.clone(), upright_radians),
            gyro: None,
            bus,
            clock,
            channels: Channels::new(&CONTRACT, &MEASURED)?,
        })
    }
}

impl<B: I2c + Clone, C: Clock> Sensors for PendulumSensors<B, C> {
    fn read(&mut self, sample: &mut Sample) -> Result<(), DriverError> {
        let mut gyro = match self.gyro.take() {
            Some(gyro) => gyro,
            None => Mpu6050::new(self.bus.clone(), Address(0x68), Mounting::ALIGNED)?,
        };
        let reading = gyro.read(self.clock.now_us());
        if matches!(reading, Ok(_) | Err(DriverError::NotReady)) {
            self.gyro = Some(gyro);
        }
        let (reading, angle) = (reading?, self.encoder.read()?);
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
    use std::vec::Vec;

    use super::*;
    use crate::tests::{GYRO_ADDRESS, encoder_reading, gyro_reading, gyro_start};

    struct At(u64);

    impl Clock for At {
        fn now_us(&mut self) -> u64 {
            self.0
        }
    }

    /// What the sensors say in each of so many steps, on a bus on which exactly this happens.
    fn read(steps: usize, bus: &[Vec<Transaction>]) -> Vec<Result<Sample, DriverError>> {
        let mut bus = Mock::new(&bus.concat());
        let sensors = PendulumSensors::new(bus.clone(), At(70), TAU / 4.0);
        let mut sensors = sensors.expect("they fit the contract");
        let mut step = || {
            let mut sample = Sample::new();
            sensors.read(&mut sample).map(|()| sample)
        };
        let said = (0..steps).map(|_| step()).collect();
        bus.done();
        said
    }

    #[test]
    fn reads_angle_and_rate_in_the_units_of_the_contract() {
        // A quarter turn from upright, a tenth of the gyro's range.
        let reading = [gyro_start(), gyro_reading(-3_277), encoder_reading(0x800)];
        let said = read(1, &reading);
        let sample = said[0].as_ref().expect("they answer");
        assert_eq!(
            (sample.time_us, sample.reward, sample.done),
            (70, None, false)
        );
        let expected = [0.0, 1.0, -200.0_f32.to_radians()];
        assert_eq!(sample.observation.len(), expected.len());
        for (got, expected) in sample.observation.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-3, "{got} instead of {expected}");
        }
    }

    #[test]
    fn a_gyro_that_fell_silent_is_woken_anew() {
        let error = embedded_hal::i2c::ErrorKind::Bus;
        let fails = |register| {
            let asked = Transaction::write_read(GYRO_ADDRESS, vec![register], vec![0]);
            vec![asked.with_error(error)]
        };
        let said = read(
            4,
            &[
                fails(0x6B),
                gyro_start(),
                gyro_reading(0),
                encoder_reading(0),
                fails(0x3A),
                gyro_start(),
                gyro_reading(0),
                encoder_reading(0),
            ],
        );
        let silent = Some(DriverError::I2c(error));
        let errors: Vec<_> = said.into_iter().map(Result::err).collect();
        assert_eq!(errors, [silent, None, silent, None]);
    }
}
