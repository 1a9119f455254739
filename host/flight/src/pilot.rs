//! Who decides in a flight: a board with a policy, or a controller on the host.

use engram_link::{CommandSource, Log, State};

use super::plan::FlightError;
use super::record::{Order, SampleRecord};
use super::recorder::Ending;

/// What a pilot decided in one control step.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// What was ordered right before the step.
    pub orders: Vec<Order>,
    /// The controller's command words; empty where it did not run.
    pub words: Vec<i16>,
    /// The host's own words for the same step; empty where nothing is compared.
    pub expected: Vec<i16>,
    /// What left the envelope, as command words.
    pub issued: Vec<i16>,
    /// Who computed the issued command.
    pub source: CommandSource,
    /// The reward that entered the working memory.
    pub reward: f32,
    /// Where the pilot stands after the step.
    pub state: State,
    /// Latched faults, one bit each.
    pub faults: u32,
    /// For each layer the share of attention on each age; empty without a policy.
    pub attention: Vec<Vec<f32>>,
}

/// A pilot in lock-step: one sample in, one decision out.
pub trait Pilot {
    /// Decides on `sample` at `now_us`. The first call begins a trial.
    ///
    /// # Errors
    /// [`FlightError`] when the flight cannot go on.
    fn decide(&mut self, now_us: u64, sample: &SampleRecord) -> Result<Decision, FlightError>;

    /// Empties the policy's memory before every step from here on, or no longer; a pilot without one has nothing to do.
    fn wipe_memory(&mut self, _every_step: bool) {}

    /// Lines that the board logged since the last call.
    fn drain_logs(&mut self) -> Vec<Log> {
        Vec::new()
    }

    /// Ends the flight and asks for the numbers that only the pilot knows. Never fails: what a dead
    /// board cannot tell stays at its default.
    fn end(&mut self) -> Ending;
}
