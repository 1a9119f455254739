//! What a command needs of a run, whichever learner is at work.

use std::path::Path;

use engram_export::network::Network;

use crate::{Lap, Point, Run, TrainError};

/// A training run between two iterations.
pub trait Training {
    /// What is trained.
    fn run(&self) -> &Run;
    /// Environment steps done.
    fn steps(&self) -> u64;
    /// Environment steps when all iterations are done.
    fn total_steps(&self) -> u64;
    /// Whether all iterations are done.
    fn finished(&self) -> bool {
        self.steps() >= self.total_steps()
    }
    /// Whether every episode begins with an empty memory.
    fn clears_memory(&self) -> bool {
        false
    }
    /// The training curve so far.
    fn curve(&self) -> &[Point];
    /// How long each iteration took.
    fn laps(&self) -> &[Lap];
    /// One iteration.
    ///
    /// # Errors
    /// When the learner fails or a number is none any more. The trainer is in between then, and cannot go on.
    fn iterate(&mut self) -> Result<Point, TrainError>;
    /// The policy as it is now.
    ///
    /// # Errors
    /// When a weight is not finite.
    fn policy(&self) -> Result<Network, TrainError>;
    /// Notes the return of an episode under the deterministic policy, for the image's provenance.
    fn set_training_return(&mut self, value: f32);
    /// Saves everything into `folder` in one moment.
    ///
    /// # Errors
    /// Names the file that could not be written.
    fn save(&self, folder: &Path) -> Result<(), TrainError>;
}
