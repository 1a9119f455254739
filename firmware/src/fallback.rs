//! The robot author's own controller, for the time between hold and safe stop.

use crate::sensors::Sample;

/// A simple controller that may fly the robot for a while after the policy was stopped.
pub trait Fallback {
    /// Whether there is one. Without, hold is followed by safe stop.
    const AVAILABLE: bool;

    /// Computes a command from the newest sample that passed all checks.
    ///
    /// `issued` is the last issued command and `command` receives the new one, both in the contract's
    /// order and units. Range and slew limits are applied afterwards. Returns whether there is a
    /// command; `false`, or a number that is not finite, ends the fallback and begins the safe stop.
    fn command(&mut self, sample: &Sample, issued: &[f32], command: &mut [f32]) -> bool;
}

/// No fallback controller.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFallback;

impl Fallback for NoFallback {
    const AVAILABLE: bool = false;

    fn command(&mut self, _: &Sample, _: &[f32], _: &mut [f32]) -> bool {
        false
    }
}
