//! Sensors that are fed over the link and actuators that only report: hardware in the loop.
//!
//! They implement the same traits as real drivers, so that a real driver replaces them without
//! touching the control step.

use crate::actuators::{ActuatorError, Actuators};
use crate::sensors::{NotInjectable, Sample, SensorError, Sensors};

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

    fn read(&mut self, sample: &mut Sample) -> Result<(), SensorError> {
        if !core::mem::take(&mut self.fresh) {
            return Err(SensorError::NotReady);
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

    fn write(&mut self, _: &[f32]) -> Result<(), ActuatorError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heapless::Vec;

    #[test]
    fn a_sample_is_read_once() {
        let mut sensors = InjectedSensors::new();
        let mut sample = Sample::new();
        assert_eq!(sensors.read(&mut sample), Err(SensorError::NotReady));
        let injected = engram_link::Sensors {
            now_us: 7,
            sample_us: 5,
            observation: Vec::from_slice(&[1.0, 2.0]).expect("fits"),
            reward: Some(3.0),
            done: true,
        };
        assert_eq!(sensors.inject(&injected), Ok(()));
        assert_eq!(sensors.read(&mut sample), Ok(()));
        assert_eq!(
            (sample.time_us, sample.reward, sample.done),
            (5, Some(3.0), true)
        );
        assert_eq!(sample.observation.as_slice(), &[1.0, 2.0]);
        assert_eq!(sensors.read(&mut sample), Err(SensorError::NotReady));
    }
}
