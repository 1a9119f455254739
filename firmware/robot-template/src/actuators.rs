//! The robot's actuator: a DC motor behind a driver with one PWM and one direction input.

use embedded_hal::digital::OutputPin;
use embedded_hal::pwm::SetDutyCycle;
use engram_drivers::ChannelError;
use engram_drivers::dc_motor::DcMotor;
use engram_drivers::outputs::Outputs;

use crate::contract::{CONTRACT, MAX_TORQUE_NM};

/// The motor on its two outputs; a high direction is a positive torque.
///
/// # Errors
/// [`ChannelError`] if the motor does not fit the contract, or does not take the safe command.
pub fn motor<P: SetDutyCycle, D: OutputPin>(
    pwm: P,
    direction: D,
) -> Result<Outputs<DcMotor<P, D>>, ChannelError<'static>> {
    let motor = DcMotor::new("torque", "Nm", MAX_TORQUE_NM, pwm, direction)?;
    Outputs::new(&CONTRACT, motor)
}
