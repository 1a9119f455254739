//! One PWM output: a brushed motor on its transistor, a servo, or an ESC that takes pulses.

use embedded_hal::pwm::{Error as _, SetDutyCycle};
use engram_firmware::DriverError;
use engram_image::Channel;

use crate::ChannelError;
use crate::outputs::{Output, within_0_and_1};

/// Fewest steps of the duty cycle between both ends of a signal: one percent each.
pub const FEWEST_STEPS: u16 = 100;

/// [`ChannelError::Resolution`] of the output `name` where `steps` are less than [`FEWEST_STEPS`].
pub(crate) fn fine_enough(name: &'static str, steps: u16) -> Result<(), ChannelError<'static>> {
    if steps < FEWEST_STEPS {
        return Err(ChannelError::Resolution {
            name,
            steps,
            at_least: FEWEST_STEPS,
        });
    }
    Ok(())
}

/// What the ends of a channel's range mean on the wire: shares of the PWM's period during which it is high.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Signal {
    /// At the smallest command.
    at_min: f32,
    /// At the largest command.
    at_max: f32,
}

impl Signal {
    /// The duty cycle itself, 0 to 1: a brushed motor on its transistor. The second may be the smaller one.
    #[must_use]
    pub const fn duty([at_min, at_max]: [f32; 2]) -> Self {
        Self { at_min, at_max }
    }

    /// Pulses of these lengths in microseconds, `frequency_hz` times a second, which the PWM must be set to. The second may be the shorter one.
    #[must_use]
    pub const fn pulse_us([at_min, at_max]: [f32; 2], frequency_hz: f32) -> Self {
        let share = frequency_hz / 1e6;
        Self::duty([at_min * share, at_max * share])
    }

    /// Pulses of 1 to 2 ms: servos (50 Hz, digital ones up to 300) and most ESCs (50 to 400 Hz).
    #[must_use]
    pub const fn servo(frequency_hz: f32) -> Self {
        Self::pulse_us([1_000.0, 2_000.0], frequency_hz)
    }

    /// OneShot125: an ESC's pulses of 125 to 250 microseconds, up to 4000 times a second less the pause that the ESC asks for.
    #[must_use]
    pub const fn one_shot_125(frequency_hz: f32) -> Self {
        Self::pulse_us([125.0, 250.0], frequency_hz)
    }
}

/// A PWM output and what it drives. Set its frequency, and switch it on, before it comes here.
#[derive(Debug)]
pub struct PwmOutput<P> {
    pwm: P,
    channel: Channel<'static>,
    /// Duty at the smallest command, in steps of the PWM.
    first: f32,
    /// How much larger the duty is at the largest command.
    change: f32,
}

impl<P: SetDutyCycle> PwmOutput<P> {
    /// `channel` is the action that drives it: the ends of its range are the ends of `signal`, and in between it is linear.
    ///
    /// # Errors
    /// [`ChannelError::Signal`] and [`ChannelError::Resolution`]; nothing was set then.
    pub fn new(
        channel: Channel<'static>,
        signal: Signal,
        pwm: P,
    ) -> Result<Self, ChannelError<'static>> {
        let name = channel.name;
        let ends = [signal.at_min, signal.at_max];
        if let Some(share) = ends.into_iter().find(|share| !(0.0..=1.0).contains(share)) {
            return Err(ChannelError::Signal { name, share });
        }
        let max_duty = f32::from(pwm.max_duty_cycle());
        let change = (signal.at_max - signal.at_min) * max_duty;
        let steps = (change.abs() + 0.5) as u16;
        fine_enough(name, steps)?;
        Ok(Self {
            pwm,
            channel,
            first: signal.at_min * max_duty,
            change,
        })
    }
}

impl<P: SetDutyCycle> Output for PwmOutput<P> {
    fn channel(&self) -> Channel<'static> {
        self.channel
    }

    fn drive(&mut self, command: f32) -> Result<(), DriverError> {
        let Channel { min, max, .. } = self.channel;
        let share = within_0_and_1((command - min) / (max - min));
        let duty = (self.first + share * self.change + 0.5) as u16;
        let set = self.pwm.set_duty_cycle(duty);
        set.map_err(|error| error.kind().into())
    }
}

#[cfg(test)]
mod tests {
    use embedded_hal_mock::eh1::MockError;
    use embedded_hal_mock::eh1::pwm::{Mock, Transaction as Duty};
    use std::vec;

    use super::*;

    const THRUST: Channel<'static> = Channel::new("thrust", "1", [-1.0, 1.0]);

    #[test]
    fn commands_become_duties_between_the_ends_of_the_signal() {
        let cases = [
            (Signal::duty([0.0, 1.0]), 256, [0, 64, 128, 256]),
            (Signal::duty([1.0, 0.0]), 256, [256, 192, 128, 0]),
            // 50 Hz: 20 ms are 60,000 steps.
            (Signal::servo(50.0), 60_000, [3_000, 3_750, 4_500, 6_000]),
            // 2 kHz: 500 us are 42,000 steps of a timer with 84 MHz.
            (
                Signal::one_shot_125(2_000.0),
                42_000,
                [10_500, 13_125, 15_750, 21_000],
            ),
            (
                Signal::pulse_us([500.0, 2_500.0], 50.0),
                20_000,
                [500, 1_000, 1_500, 2_500],
            ),
        ];
        for (signal, max_duty, duties) in cases {
            let mut expected = vec![Duty::max_duty_cycle(max_duty)];
            expected.extend(duties.map(Duty::set_duty_cycle));
            // What the envelope never lets through stays within the ends.
            expected.extend([0, 3, 0].map(|at: usize| Duty::set_duty_cycle(duties[at])));
            let mut pwm = Mock::new(&expected);
            let mut output = PwmOutput::new(THRUST, signal, pwm.clone()).expect("fits");
            for command in [-1.0, -0.5, 0.0, 1.0, -1.5, 7.0, f32::NAN] {
                assert_eq!(Output::drive(&mut output, command), Ok(()));
            }
            pwm.done();
        }
    }

    #[test]
    fn signals_that_cannot_be_are_refused() {
        let name = "thrust";
        let cases = [
            (
                Signal::servo(1_000.0),
                60_000,
                ChannelError::Signal { name, share: 2.0 },
            ),
            (
                Signal::duty([-0.5, 1.0]),
                60_000,
                ChannelError::Signal { name, share: -0.5 },
            ),
            (
                Signal::servo(50.0),
                1_000,
                ChannelError::Resolution {
                    name,
                    steps: 50,
                    at_least: 100,
                },
            ),
        ];
        for (signal, max_duty, error) in cases {
            let at_most_once = [Duty::max_duty_cycle(max_duty)];
            let asked = matches!(error, ChannelError::Resolution { .. });
            let mut pwm = Mock::new(&at_most_once[..usize::from(asked)]);
            assert_eq!(
                PwmOutput::new(THRUST, signal, pwm.clone()).err(),
                Some(error)
            );
            pwm.done();
        }
        let mut pwm = Mock::new(&[]);
        let no_number = PwmOutput::new(THRUST, Signal::duty([f32::NAN, 1.0]), pwm.clone());
        assert!(matches!(no_number, Err(ChannelError::Signal { .. })));
        pwm.done();
    }

    #[test]
    fn an_output_that_fails_says_so() {
        let fault = MockError::Io(std::io::ErrorKind::NotConnected);
        let failed = Duty::set_duty_cycle(500).with_error(fault);
        let mut pwm = Mock::new(&[Duty::max_duty_cycle(1_000), failed]);
        let output = PwmOutput::new(THRUST, Signal::duty([0.0, 1.0]), pwm.clone());
        let other = embedded_hal::pwm::ErrorKind::Other;
        let driven = Output::drive(&mut output.expect("fits"), 0.0);
        assert_eq!(driven, Err(DriverError::Pwm(other)));
        pwm.done();
    }
}
