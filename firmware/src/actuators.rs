//! Where commands go: the trait that a robot's author implements over `embedded-hal` drivers.

use crate::DriverError;

/// A robot's actuators.
pub trait Actuators {
    /// Commands are only reported over the link and move nothing. Only then may a host pace the board in lock-step.
    const REPORTED: bool = false;

    /// Hands one command to the actuators; called once in every control step, armed or not.
    ///
    /// `command` has one number per action channel of the contract, in its order and units, already
    /// inside range and slew limits. Must return in bounded time, well within the control period.
    ///
    /// # Errors
    /// Any error is a fault, requirement ENG-SAFE-09.
    fn write(&mut self, command: &[f32]) -> Result<(), DriverError>;
}
