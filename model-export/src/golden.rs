//! The golden trace: a closed-loop trial of the integer policy, recorded step by step.
//!
//! The words come from the policy that boards run and from nowhere else. What answers them is the
//! caller's: a simulated plant behind its envelope, or a recording.

use engram_firmware::policy::{Recorder, WorkingMemory};
use engram_image::limits::MAX_GOLDEN_STEPS;
use engram_image::write::GoldenSpec;
use engram_image::{Image, ModelConfig};
use thiserror::Error;

/// What the policy is told at one step of the trace.
#[derive(Clone, Debug, PartialEq)]
pub struct GoldenInput {
    /// One value per observation channel, contract units.
    pub observation: Vec<f32>,
    /// Reward of the step before.
    pub reward: f32,
    /// Whether an episode ended before this step.
    pub done: bool,
    /// The command words issued at the step before, one per action channel.
    pub issued: Vec<i16>,
}

/// A closed loop that a policy can be put into.
pub trait GoldenSource {
    /// The next input. `words` is what the policy answered to the last one, `None` at the first step of
    /// the trial.
    fn next(&mut self, words: Option<&[i16]>) -> GoldenInput;
}

impl<F: FnMut(Option<&[i16]>) -> GoldenInput> GoldenSource for F {
    fn next(&mut self, words: Option<&[i16]>) -> GoldenInput {
        self(words)
    }
}

/// Why no golden trace could be recorded.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum GoldenError {
    /// The source gave an input of the wrong size.
    #[error("step {step}: {found} {what}; the policy takes {expected}")]
    Length {
        /// Step of the trace.
        step: usize,
        /// `observations` or `issued words`.
        what: &'static str,
        /// Entries that the policy takes.
        expected: usize,
        /// Entries found.
        found: usize,
    },
    /// The source gave a number that is not finite.
    #[error("step {step}: an observation or the reward is not finite")]
    NotFinite {
        /// Step of the trace.
        step: usize,
    },
    /// No episode ended between the first and the last step.
    #[error(
        "no episode ended within the {steps} steps of the trace; one must, so that boards replay it"
    )]
    NoEnd {
        /// Length of the trace.
        steps: usize,
    },
    /// The policy refused an input.
    #[error("step {step}: the policy refused its input: {reason}")]
    Policy {
        /// Step of the trace.
        step: usize,
        /// Its words.
        reason: String,
    },
}

/// Steps of the trace for a configuration: three windows and at least 64, so that every ring wraps
/// twice, with memories of both episodes in it.
#[must_use]
pub fn golden_steps(config: &ModelConfig) -> usize {
    (3 * config.window + 2).clamp(64, MAX_GOLDEN_STEPS)
}

/// Runs the integer policy of `image` in closed loop with `source` from an empty memory.
///
/// # Errors
/// The first step whose input cannot be used, or a trace in which no episode ends.
pub fn record(
    image: &Image<'_>,
    source: &mut dyn GoldenSource,
    steps: usize,
) -> Result<GoldenSpec, GoldenError> {
    let config = &image.config;
    let mut recorder = Recorder::new(image);
    let mut words = None;
    for step in 0..steps {
        let input = source.next(words.as_deref());
        for (what, found, expected) in [
            ("observations", input.observation.len(), config.observations),
            ("issued words", input.issued.len(), config.actions),
        ] {
            if found != expected {
                return Err(GoldenError::Length {
                    step,
                    what,
                    expected,
                    found,
                });
            }
        }
        if !input.reward.is_finite() || input.observation.iter().any(|value| !value.is_finite()) {
            return Err(GoldenError::NotFinite { step });
        }
        let GoldenInput {
            observation,
            reward,
            done,
            issued,
        } = &input;
        let moment = WorkingMemory {
            observation,
            issued,
            reward: *reward,
            done: *done,
        };
        let answer = recorder
            .step(&moment)
            .map_err(|error| GoldenError::Policy {
                step,
                reason: format!("{error:?}"),
            })?;
        words = Some(answer);
    }
    let trace = recorder.finish();
    if trace.done.iter().skip(1).any(|done| *done) {
        Ok(trace)
    } else {
        Err(GoldenError::NoEnd { steps })
    }
}
