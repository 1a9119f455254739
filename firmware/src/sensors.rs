//! Where samples come from: the trait that a robot's author implements over `embedded-hal` drivers.
//!
//! A driver knows nothing of policies and safety; it brings numbers in the contract's units with the
//! time at which they were true. Checking them is the control step's business.

use crate::DriverError;
use engram_link::limits::MAX_OBSERVATIONS;
use heapless::Vec;

/// One sample of the plant.
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sample {
    /// When the sample was taken, microseconds, on the clock of the control steps.
    pub time_us: u64,
    /// The contract's observation channels, in its order and units.
    pub observation: Vec<f32, MAX_OBSERVATIONS>,
    /// Reward of the last action; needed where the contract's reward is external, else ignored.
    pub reward: Option<f32>,
    /// Whether an episode ended between the last sample and this one. A robot in the field says `false`.
    pub done: bool,
}

impl Sample {
    /// A sample without channels, at time 0.
    pub const fn new() -> Self {
        Self {
            time_us: 0,
            observation: Vec::new(),
            reward: None,
            done: false,
        }
    }
}

/// These sensors are real: they take no samples from the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NotInjectable;

/// A robot's sensors.
pub trait Sensors {
    /// Samples come over the link alone ([`Sensors::inject`]). Only then may a host pace the board in lock-step.
    const INJECTED: bool = false;

    /// Reads the newest sample into `sample`; called once at the beginning of each control step.
    ///
    /// Must return in bounded time, well within the control period. `sample` holds what an earlier
    /// step left in it: set every field, `observation` in the contract's order and units. On an error
    /// `sample` is not used.
    ///
    /// # Errors
    /// [`DriverError::NotReady`] if there is nothing new (tolerated up to the sample age limit); any other is
    /// a fault, requirement ENG-SAFE-07.
    fn read(&mut self, sample: &mut Sample) -> Result<(), DriverError>;

    /// Takes a sample that came over the link, for hardware in the loop.
    ///
    /// # Errors
    /// [`NotInjectable`], unless an implementation is made for it: a host must not be able to feed
    /// a flying robot invented samples.
    fn inject(&mut self, sample: &engram_link::Sensors) -> Result<(), NotInjectable> {
        let _ = sample;
        Err(NotInjectable)
    }
}
