//! Sensors that are fed over the link and actuators that only report: hardware in the loop.
//!
//! They implement the same traits as real drivers, so that a real driver replaces them without
//! touching the control step.

use crate::DriverError;
use crate::actuators::Actuators;
use crate::sensors::{NotInjectable, Sample, Sensors};

/// Holds the newest sample that came over the link until a control step reads it.
#[derive(Debug, Clone, Default)]
pub struct InjectedSensors {
    newest: Sample,
    fresh: bool,
}

impl InjectedSensors {
    /// No sample yet.
    pub const fn new() -> Self {
        Self {
            newest: Sample::new(),
            fresh: false,
        }
    }
}

impl Sensors for InjectedSensors {
    const INJECTED: bool = true;

    fn read(&mut self, sample: &mut Sample) -> Result<(), DriverError> {
        if !core::mem::take(&mut self.fresh) {
            return Err(DriverError::NotReady);
        }
        sample.clone_from(&self.newest);
        Ok(())
    }

    fn inject(&mut self, sample: &engram_link::Sensors) -> Result<(), NotInjectable> {
        self.newest.time_us = sample.sample_us;
        self.newest.observation.clone_from(&sample.observation);
        self.newest.reward = sample.reward;
        self.newest.done = sample.done;
        self.fresh = true;
        Ok(())
    }
}

/// Takes every command and moves nothing: the host reads the issued command from the action frame.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReportedActuators;

impl Actuators for ReportedActuators {
    const REPORTED: bool = true;

    fn write(&mut self, _: &[f32]) -> Result<(), DriverError> {
        Ok(())
    }
}
