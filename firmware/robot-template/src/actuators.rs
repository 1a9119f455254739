//! The robot's actuator: a DC motor behind a driver with one PWM and one direction input.

use embedded_hal::digital::OutputPin;
use embedded_hal::pwm::{Error as _, SetDutyCycle};
use engram_firmware::DriverError;
use engram_firmware::actuators::Actuators;

use crate::contract::MAX_TORQUE_NM;

/// Turns a torque into a duty cycle and a direction.
pub struct Motor<P, D> {
    pwm: P,
    /// High: positive torque.
    direction: D,
}

impl<P: SetDutyCycle, D: OutputPin> Motor<P, D> {
    /// The motor on its two outputs.
    pub const fn new(pwm: P, direction: D) -> Self {
        Self { pwm, direction }
    }
}

impl<P: SetDutyCycle, D: OutputPin> Actuators for Motor<P, D> {
    fn write(&mut self, command: &[f32]) -> Result<(), DriverError> {
        let [torque_nm] = command else {
            return Err(DriverError::Device);
        };
        self.direction
            .set_state((*torque_nm >= 0.0).into())
            .map_err(|_| DriverError::Device)?;
        let share = torque_nm.abs() / MAX_TORQUE_NM;
        // The cast saturates, and the envelope keeps the command within the contract's range.
        let duty = (share * f32::from(self.pwm.max_duty_cycle())) as u16;
        self.pwm
            .set_duty_cycle(duty)
            .map_err(|error| error.kind().into())
    }
}

#[cfg(test)]
mod tests {
    use embedded_hal_mock::eh1::digital::{Mock as Pin, State, Transaction as Set};
    use embedded_hal_mock::eh1::pwm::{Mock as Pwm, Transaction as Duty};

    use super::*;

    fn written(command: &[f32], pin: &[Set], pwm: &[Duty]) -> Result<(), DriverError> {
        let (mut pin, mut pwm) = (Pin::new(pin), Pwm::new(pwm));
        let result = Motor::new(pwm.clone(), pin.clone()).write(command);
        pin.done();
        pwm.done();
        result
    }

    #[test]
    fn torque_becomes_duty_and_direction() {
        let full_duty = 1_000;
        for (torque_nm, state, duty) in [
            (MAX_TORQUE_NM, State::High, 1_000),
            (-MAX_TORQUE_NM / 2.0, State::Low, 500),
            (0.0, State::High, 0),
        ] {
            let pin = [Set::set(state)];
            let pwm = [Duty::max_duty_cycle(full_duty), Duty::set_duty_cycle(duty)];
            assert_eq!(written(&[torque_nm], &pin, &pwm), Ok(()));
        }
    }

    #[test]
    fn a_command_of_the_wrong_width_moves_nothing() {
        assert_eq!(written(&[], &[], &[]), Err(DriverError::Device));
        assert_eq!(written(&[1.0, 1.0], &[], &[]), Err(DriverError::Device));
    }
}
