//! A DC motor behind a driver with one PWM and one direction input.

use embedded_hal::digital::OutputPin;
use embedded_hal::pwm::{Error as _, SetDutyCycle};
use engram_firmware::DriverError;
use engram_image::Channel;

use crate::ChannelError;
use crate::outputs::{Output, within_0_and_1};
use crate::pwm::fine_enough;

/// Turns a command to both sides of 0 into a duty cycle and a direction.
#[derive(Debug)]
pub struct DcMotor<P, D> {
    pwm: P,
    /// High: positive commands.
    direction: D,
    channel: Channel<'static>,
    max_duty: f32,
}

impl<P: SetDutyCycle, D: OutputPin> DcMotor<P, D> {
    /// `full` is the command at a duty of 100 %, in `unit`: the action `name` may go from `-full` to `full`. Set the PWM's frequency, and switch it on, before
    /// it comes here.
    ///
    /// # Errors
    /// [`ChannelError::Resolution`]; nothing was set then.
    pub fn new(
        name: &'static str,
        unit: &'static str,
        full: f32,
        pwm: P,
        direction: D,
    ) -> Result<Self, ChannelError<'static>> {
        let steps = pwm.max_duty_cycle();
        fine_enough(name, steps)?;
        Ok(Self {
            pwm,
            direction,
            channel: Channel::new(name, unit, [-full, full]),
            max_duty: f32::from(steps),
        })
    }
}

impl<P: SetDutyCycle, D: OutputPin> Output for DcMotor<P, D> {
    fn channel(&self) -> Channel<'static> {
        self.channel
    }

    fn drive(&mut self, command: f32) -> Result<(), DriverError> {
        self.direction
            .set_state((command >= 0.0).into())
            .map_err(|_| DriverError::Device)?;
        let share = within_0_and_1(command.abs() / self.channel.max);
        let duty = (share * self.max_duty + 0.5) as u16;
        let set = self.pwm.set_duty_cycle(duty);
        set.map_err(|error| error.kind().into())
    }
}

#[cfg(test)]
mod tests {
    use embedded_hal_mock::eh1::digital::{Mock as Pin, State, Transaction as Set};
    use embedded_hal_mock::eh1::pwm::{Mock as Pwm, Transaction as Duty};
    use std::vec;

    use super::*;

    #[test]
    fn torque_becomes_duty_and_direction() {
        let cases = [
            (12.0, State::High, 1_000),
            (-6.0, State::Low, 500),
            (0.0, State::High, 0),
            (-13.0, State::Low, 1_000),
            (f32::NAN, State::Low, 0),
        ];
        let mut duties = vec![Duty::max_duty_cycle(1_000)];
        duties.extend(cases.map(|(_, _, duty)| Duty::set_duty_cycle(duty)));
        let mut pwm = Pwm::new(&duties);
        let mut pin = Pin::new(&cases.map(|(_, state, _)| Set::set(state)));
        let motor = DcMotor::new("torque", "Nm", 12.0, pwm.clone(), pin.clone());
        let mut motor = motor.expect("fine enough");
        let channel = Channel::new("torque", "Nm", [-12.0, 12.0]);
        assert_eq!(Output::channel(&motor), channel);
        for (torque_nm, ..) in cases {
            assert_eq!(Output::drive(&mut motor, torque_nm), Ok(()));
        }
        pin.done();
        pwm.done();
    }

    #[test]
    fn a_pwm_that_is_too_coarse_is_refused() {
        let mut pwm = Pwm::new(&[Duty::max_duty_cycle(99)]);
        let mut pin = Pin::new(&[]);
        let refused = DcMotor::new("torque", "Nm", 12.0, pwm.clone(), pin.clone());
        let error = ChannelError::Resolution {
            name: "torque",
            steps: 99,
            at_least: 100,
        };
        assert_eq!(refused.err(), Some(error));
        pin.done();
        pwm.done();
    }
}
