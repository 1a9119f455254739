//! ICM-42688-P over SPI by crate `icm426xx`: every sample out of its FIFO, with the time by its own counter.

pub use ::icm426xx::OutputDataRate;
use ::icm426xx::{Config, Error, ICM42688, Ready, Sample, Timestamp};
use embedded_hal::delay::DelayNs;
use embedded_hal::spi::{Error as _, SpiDevice};
use engram_firmware::DriverError;

use crate::imu::{GRAVITY, Motion, Mounting, RADIANS_PER_DEGREE, Reading};
use crate::sensor_clock::{Counter, SensorClock};

/// Full scale of the gyro as the driver crate sets it, rad/s.
pub const RATE_RANGE: f32 = 2_000.0 * RADIANS_PER_DEGREE;
/// Full scale of the accelerometer as the driver crate sets it, m/s^2.
pub const ACCELERATION_RANGE: f32 = 16.0 * GRAVITY;

/// 16 bits from the part's own oscillator. Without an external clock a count of "16 us" is 16 us * 32 / 30, by the data sheet (`TMST_RES`).
const COUNTER: Counter = Counter {
    bits: 16,
    tick_ns: 17_067,
    drift_ppm: 20_000,
    longest_delay_us: 100_000,
};
const TICK_S: f32 = 16e-6 * 32.0 / 30.0;
/// Samples that the FIFO holds, 20 bytes each.
const FIFO_SAMPLES: u32 = 2_048 / 20;
/// `SIGNAL_PATH_RESET` with `FIFO_FLUSH`, in bank 0, where the driver crate leaves the part. Its own function for this can panic.
const FLUSH: [u8; 2] = [0x4B, 0x02];

/// The part, set up.
pub struct Icm426xx<SPI> {
    device: ICM42688<SPI, Ready>,
    mounting: Mounting,
    clock: SensorClock,
    period_s: f32,
    /// Most samples that one reading takes.
    most: u32,
    last_count: Option<u16>,
}

impl<SPI: SpiDevice> Icm426xx<SPI> {
    /// Resets the part and sets it up: gyro and accelerometer at `rate`, full scale [`RATE_RANGE`] and [`ACCELERATION_RANGE`]. Waits a few milliseconds, which is why
    /// it belongs before the control loop. `control_period_us` is how often it is read.
    ///
    /// # Errors
    /// [`DriverError::Spi`], or [`DriverError::Device`] if it is another part.
    pub fn new(
        spi: SPI,
        delay: impl DelayNs,
        mounting: Mounting,
        rate: OutputDataRate,
        control_period_us: u32,
    ) -> Result<Self, DriverError> {
        let config = Config {
            rate,
            timestamps_are_absolute: true,
            ..Config::default()
        };
        let device = ICM42688::new(spi).initialize(delay, config);
        let period_us = period_us(rate);
        // Twice what is due, so that it catches up after a late step.
        let due = control_period_us.saturating_mul(2).checked_div(period_us);
        Ok(Self {
            device: device.map_err(driver_error)?,
            mounting,
            clock: SensorClock::new(COUNTER),
            period_s: period_us as f32 * 1e-6,
            most: due.unwrap_or(0).saturating_add(2).min(FIFO_SAMPLES),
            last_count: None,
        })
    }

    /// Takes all samples out of the FIFO, in their order, each through `each` (an attitude needs them all; a bias may be taken off), and returns the newest. `now_us` is the control clock.
    ///
    /// # Errors
    /// [`DriverError::NotReady`] if there is none; also if there are more than twice as many as a control period brings, as after a long pause: the FIFO is then
    /// emptied, and what comes next is new. [`DriverError::Spi`].
    pub fn read(
        &mut self,
        now_us: u64,
        mut each: impl FnMut(&mut Motion),
    ) -> Result<Reading, DriverError> {
        let mut newest = None;
        for _ in 0..self.most {
            let (sample, more) = match self.device.read_sample() {
                Ok(Some(next)) => next,
                Ok(None) => return self.newest(newest, now_us),
                Err(Error::FifoOverflow) => return self.start_anew(),
                Err(error) => return Err(driver_error(error)),
            };
            if let Some((count, mut motion)) = self.motion(&sample) {
                each(&mut motion);
                newest = Some((count, motion));
            }
            if !more {
                return self.newest(newest, now_us);
            }
        }
        self.start_anew()
    }

    fn newest(
        &mut self,
        newest: Option<(u16, Motion)>,
        now_us: u64,
    ) -> Result<Reading, DriverError> {
        let (count, motion) = newest.ok_or(DriverError::NotReady)?;
        let time_us = self.clock.time_us(count.into(), now_us);
        Ok(Reading { time_us, motion })
    }

    fn start_anew(&mut self) -> Result<Reading, DriverError> {
        self.last_count = None;
        let flushed = self.device.ll().bus().write(&FLUSH);
        flushed.map_err(|error| error.kind())?;
        Err(DriverError::NotReady)
    }

    /// In the body's axes, with the counter at the sample; `None` while the part has not settled.
    fn motion(&mut self, sample: &Sample) -> Option<(u16, Motion)> {
        let (Some(rate), Some(acceleration), Timestamp::OdrTimestamp(count)) =
            (sample.gyro, sample.accel, &sample.timestamp)
        else {
            return None;
        };
        let (rate, acceleration) = (<[f32; 3]>::from(rate), <[f32; 3]>::from(acceleration));
        // The smallest number of the FIFO is the part's word for "not measured".
        let is_measured =
            |values: [f32; 3], range: f32| values.iter().all(|value| *value > -range * 0.999_99);
        if !is_measured(rate, RATE_RANGE) || !is_measured(acceleration, ACCELERATION_RANGE) {
            return None;
        }
        let last_count = self.last_count.replace(*count);
        let ticks = last_count.map(|last_count| f32::from(count.wrapping_sub(last_count)));
        let motion = Motion {
            rate: self.mounting.body(rate),
            acceleration: self.mounting.body(acceleration),
            period_s: ticks.map_or(self.period_s, |ticks| ticks * TICK_S),
        };
        Some((*count, motion))
    }
}

fn driver_error<E: embedded_hal::spi::Error>(error: Error<E>) -> DriverError {
    match error {
        Error::Bus(error) => error.kind().into(),
        Error::WhoAmIMismatch(_) | Error::FifoOverflow => DriverError::Device,
    }
}

const fn period_us(rate: OutputDataRate) -> u32 {
    match rate {
        OutputDataRate::Hz32000 => 31,
        OutputDataRate::Hz16000 => 62,
        OutputDataRate::Hz8000 => 125,
        OutputDataRate::Hz4000 => 250,
        OutputDataRate::Hz2000 => 500,
        OutputDataRate::Hz1000 => 1_000,
        OutputDataRate::Hz500 => 2_000,
        OutputDataRate::Hz200 => 5_000,
        OutputDataRate::Hz100 => 10_000,
        OutputDataRate::Hz50 => 20_000,
        OutputDataRate::Hz25 => 40_000,
        OutputDataRate::Hz12_5 => 80_000,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::vec::Vec;

    use embedded_hal::spi::{ErrorKind, ErrorType, Operation};
    use embedded_hal_mock::eh1::delay::NoopDelay;

    use super::*;
    use crate::imu::Axis;

    const WHO_AM_I: u8 = 0x75;
    const BANK_SELECT: u8 = 0x76;
    const INT_STATUS: u8 = 0x2D;

    /// The part as its data sheet tells it: banks of registers, and a FIFO behind the status.
    struct Part {
        banks: [[u8; 128]; 5],
        fifo: VecDeque<[u8; 20]>,
        is_full: bool,
        broken: bool,
    }

    impl Part {
        fn new() -> Self {
            let mut banks = [[0; 128]; 5];
            banks[0][usize::from(WHO_AM_I)] = 0x47;
            Self {
                banks,
                fifo: VecDeque::new(),
                is_full: false,
                broken: false,
            }
        }

        /// Raw 20-bit numbers, scaled by full scale over 2^19.
        fn measures(&mut self, acceleration: [i32; 3], rate: [i32; 3], count: u16) {
            let mut packet = [0; 20];
            packet[0] = 0b0111_1000; // both sensors, 20 bits, a time stamp
            for (index, raw) in acceleration.iter().chain(&rate).enumerate() {
                packet[1 + 2 * index] = (raw >> 12) as u8;
                packet[2 + 2 * index] = (raw >> 4) as u8;
            }
            for (index, (a, r)) in acceleration.iter().zip(&rate).enumerate() {
                packet[17 + index] = ((a & 0xF) << 4 | r & 0xF) as u8;
            }
            packet[15..17].copy_from_slice(&count.to_be_bytes());
            self.fifo.push_back(packet);
        }

        fn bank(&mut self) -> &mut [u8; 128] {
            let bank = self.banks[0][usize::from(BANK_SELECT)];
            &mut self.banks[usize::from(bank)]
        }

        fn exchange(&mut self, bytes: &mut [u8]) {
            let register = bytes[0] & 0x7F;
            if bytes[0] & 0x80 == 0 {
                if register == BANK_SELECT {
                    self.banks[0][usize::from(BANK_SELECT)] = bytes[1];
                } else {
                    self.bank()[usize::from(register)] = bytes[1];
                }
                if register == FLUSH[0] && bytes[1] & FLUSH[1] != 0 {
                    self.fifo.clear();
                    self.is_full = false;
                }
            } else if register == INT_STATUS {
                let count = self.fifo.len() as u16 * 20;
                let packet = self.fifo.pop_front().unwrap_or([0xFF; 20]);
                bytes[1] = if self.is_full { 0b10 } else { 0 };
                bytes[2..4].copy_from_slice(&count.to_be_bytes());
                bytes[4..24].copy_from_slice(&packet);
            } else {
                bytes[1] = self.bank()[usize::from(register)];
            }
        }
    }

    impl ErrorType for Part {
        type Error = ErrorKind;
    }

    impl SpiDevice for Part {
        fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), ErrorKind> {
            if self.broken {
                return Err(ErrorKind::ModeFault);
            }
            for operation in operations {
                match operation {
                    Operation::TransferInPlace(bytes) => self.exchange(bytes),
                    Operation::Write(bytes) => self.exchange(&mut bytes.to_vec()),
                    _ => panic!("{operation:?}"),
                }
            }
            Ok(())
        }
    }

    /// At 1 kHz, read every 4 ms, its y to the robot's front and its x to the right.
    fn started() -> Icm426xx<Part> {
        let mounting = Mounting::new(Axis::Y, Axis::MinusX);
        let rate = OutputDataRate::Hz1000;
        let started = Icm426xx::new(Part::new(), NoopDelay::new(), mounting, rate, 4_000);
        started.unwrap_or_else(|error| panic!("{error}"))
    }

    impl Icm426xx<Part> {
        fn part(&mut self) -> &mut Part {
            self.device.ll().bus()
        }
    }

    /// 1 g and 100 degrees per second in the part's numbers.
    const ONE_G: i32 = (1 << 19) / 16;
    const HUNDRED_DEGREES: i32 = (1 << 19) / 20;

    #[test]
    fn the_part_is_set_up_as_the_constants_say() {
        let mut imu = started();
        let bank = imu.part().banks[0];
        // GYRO_CONFIG0, ACCEL_CONFIG0: the largest full scale, 1 kHz. PWR_MGMT0: both on, low noise.
        assert_eq!((bank[0x4F], bank[0x50], bank[0x4E]), (0x06, 0x06, 0x0F));
        // TMST_CONFIG: on, absolute, 16 us. FIFO_CONFIG1: gyro, accelerometer, 20 bits.
        assert_eq!(bank[0x54] & 0b1_1101, 0b1_1001);
        assert_eq!(bank[0x5F] & 0b1_0011, 0b1_0011);
        // FIFO_CONFIG: on. INTF_CONFIG0: its length in bytes, big endian as all numbers, I2C off.
        assert_eq!((bank[0x16], bank[0x4C]), (0xC0, 0x33));
        // REG_BANK_SEL: where FLUSH is understood.
        assert_eq!(bank[usize::from(BANK_SELECT)], 0);
    }

    #[test]
    fn every_sample_is_given_on_in_si_units_and_body_axes_the_newest_with_its_time() {
        let mut imu = started();
        let part = imu.part();
        part.measures([0, 0, ONE_G], [0; 3], 65_450);
        part.measures([0, ONE_G, 0], [0, 0, HUNDRED_DEGREES], 65_450 + 58);
        // The counter wraps.
        part.measures([-ONE_G, 0, 1], [-HUNDRED_DEGREES, 0, 0], 31);
        let mut seen = Vec::new();
        let reading = imu.read(10_000, |motion| seen.push(*motion));
        let hundred = 100.0 * RADIANS_PER_DEGREE;
        let expected = [
            ([0.0, 0.0, 0.0], [0.0, 0.0, GRAVITY], 0.001),
            ([0.0, 0.0, hundred], [GRAVITY, 0.0, 0.0], 58.0 * TICK_S),
            ([0.0, hundred, 0.0], [0.0, GRAVITY, 0.0], 59.0 * TICK_S),
        ];
        assert_eq!(seen.len(), expected.len());
        for (motion, (rate, acceleration, period_s)) in seen.iter().zip(expected) {
            let found = motion.rate.iter().chain(&motion.acceleration);
            for (found, expected) in found.zip(rate.iter().chain(&acceleration)) {
                assert!((found - expected).abs() < 1e-3, "{motion:?}");
            }
            assert!((motion.period_s - period_s).abs() < 1e-7, "{motion:?}");
        }
        let newest = seen[2];
        let time_us = 10_000;
        let motion = newest;
        assert_eq!(reading, Ok(Reading { time_us, motion }));
        assert_eq!(imu.read(10_100, |_| ()), Err(DriverError::NotReady));
        // 4 ms later by its counter, read 4.5 ms later: placed by the first reading and the allowance for drift, not by this one.
        imu.part().measures([0; 3], [0; 3], 31 + 234);
        let next = imu.read(14_500, |motion| motion.rate = [7.0; 3]);
        let next = next.expect("a sample");
        assert!((13_980..=14_100).contains(&next.time_us), "{next:?}");
        assert_eq!(next.motion.rate, [7.0; 3]);
    }

    /// Counts of 16 us * 32 / 30 by the data sheet: 58.6 in a millisecond.
    #[test]
    fn a_samples_age_stays_that_of_its_way_however_long_the_part_runs() {
        let mut imu = started();
        let mut worst_us = 0;
        for step in 1..=20_000_u64 {
            let count = (step * 1_000_000 * 30 / (16_000 * 32)) as u16;
            imu.part().measures([0; 3], [0; 3], count);
            if step % 4 == 0 {
                let now_us = step * 1_000 + 100;
                let reading = imu.read(now_us, |_| ()).expect("a sample");
                worst_us = worst_us.max(now_us - reading.time_us);
            }
        }
        assert!(worst_us < 1_000, "{worst_us} us");
    }

    #[test]
    fn what_is_not_measured_yet_is_left_out() {
        let mut imu = started();
        let not_measured = [-(1 << 19); 3];
        imu.part().measures([0; 3], not_measured, 1);
        imu.part().measures(not_measured, [0; 3], 2);
        assert_eq!(
            imu.read(1, |_| panic!("given on")),
            Err(DriverError::NotReady)
        );
    }

    #[test]
    fn after_a_long_pause_the_fifo_is_emptied_once() {
        for (samples, is_full) in [(11, false), (102, true)] {
            let mut imu = started();
            for count in 0..samples {
                imu.part().measures([0; 3], [0; 3], count * 62);
            }
            imu.part().is_full = is_full;
            assert_eq!(imu.read(500_000, |_| ()), Err(DriverError::NotReady));
            assert_eq!(imu.part().fifo.len(), 0);
            imu.part().measures([0; 3], [0; 3], 7_000);
            let reading = imu.read(501_000, |_| ()).expect("a new sample");
            assert!((reading.motion.period_s - 0.001).abs() < 1e-9);
        }
    }

    #[test]
    fn another_part_and_a_broken_bus_are_errors() {
        let start = |part| {
            let rate = OutputDataRate::Hz1000;
            let part = Icm426xx::new(part, NoopDelay::new(), Mounting::ALIGNED, rate, 4_000);
            part.map(|_| ())
        };
        let mut other = Part::new();
        other.banks[0][usize::from(WHO_AM_I)] = 0x68;
        assert_eq!(start(other), Err(DriverError::Device));
        let mut broken = Part::new();
        broken.broken = true;
        let fault = DriverError::Spi(ErrorKind::ModeFault);
        assert_eq!(start(broken), Err(fault));
        let mut imu = started();
        imu.part().broken = true;
        assert_eq!(imu.read(1, |_| ()), Err(fault));
    }
}
