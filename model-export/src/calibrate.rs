//! Ranges and moments of every activation, measured in f32 over recorded working memories.
//!
//! Quantization rests on these alone: it never sees a plant. What the trials do not show, the
//! integers do not expect; therefore they should be closed-loop trials of the policy itself,
//! over as many tasks as the training set has kinds of.

use std::collections::BTreeMap;

use engram_image::Contract;
use thiserror::Error;

use crate::float::{FloatObserver, FloatPolicy, Site};

/// The raw working memories of one trial, in order; memory is empty before the first.
pub type Trial = Vec<Vec<f32>>;

/// Samples of a trial that [`with_outliers`] moves to an end of their range.
const OUTLIERS: usize = 3;

/// The same trials with a few samples each at an end of the contract's range: the worst that a board lets through to the policy.
///
/// They are far outside of what the policy was trained on, and so is what it makes of them. Ranges taken from these trials
/// as well keep the integers with the f32 policy then; without them it is the integers' saturation that the memory keeps.
#[must_use]
pub fn with_outliers(trials: &[Trial], contract: &Contract<'_>) -> Vec<Trial> {
    let mut number = 0;
    let mut moved = trials.to_vec();
    for trial in &mut moved {
        let apart = trial.len() / (OUTLIERS + 1);
        for step in (1..=OUTLIERS).map(|outlier| outlier * apart) {
            let observations = contract.observations.as_slice();
            // All channels in turn, at their upper ends first.
            let (turn, place) = (number / observations.len(), number % observations.len());
            let channel = observations[place];
            if let Some(sample) = trial.get_mut(step).and_then(|memory| memory.get_mut(place)) {
                *sample = if turn % 2 == 0 {
                    channel.max
                } else {
                    channel.min
                };
            }
            number += 1;
        }
    }
    moved
}

/// What one activation did over all trials, in its real units.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Activation {
    /// Largest magnitude.
    pub max_abs: f64,
    /// Mean.
    pub mean: f64,
    /// Mean of the square.
    pub mean_square: f64,
}

/// What every activation did over all trials.
#[derive(Clone, Debug, Default)]
pub struct Calibration {
    sites: BTreeMap<Site, Vec<Sums>>,
    steps: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    max_abs: f32,
    sum: f64,
    squares: f64,
    count: u64,
}

/// Why trials cannot be calibrated on.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum CalibrationError {
    /// No working memory was given.
    #[error("calibration needs at least one working memory; none was given")]
    Empty,
    /// A working memory has the wrong number of entries.
    #[error(
        "trial {trial}, step {step}: a working memory of {found} entries; the policy takes {expected}"
    )]
    Length {
        /// Number of the trial.
        trial: usize,
        /// Step of the trial.
        step: usize,
        /// Entries that the policy takes.
        expected: usize,
        /// Entries found.
        found: usize,
    },
    /// A working memory, or what the policy makes of it, is not finite.
    #[error("trial {trial}, step {step}: {what} is not finite")]
    NotFinite {
        /// Number of the trial.
        trial: usize,
        /// Step of the trial.
        step: usize,
        /// `the working memory` or `the action mean`.
        what: &'static str,
    },
}

impl Calibration {
    /// Runs `policy` over `trials` and records every activation.
    ///
    /// # Errors
    /// The first working memory that cannot be used, by trial and step.
    pub fn measure(policy: &FloatPolicy, trials: &[Trial]) -> Result<Self, CalibrationError> {
        let mut calibration = Self::default();
        let mut state = policy.new_state();
        let mut mean = vec![0.0; policy.config().actions];
        for (number, trial) in trials.iter().enumerate() {
            policy.clear(&mut state);
            for (step, input) in trial.iter().enumerate() {
                let (expected, found) = (policy.config().inputs(), input.len());
                if found != expected {
                    return Err(CalibrationError::Length {
                        trial: number,
                        step,
                        expected,
                        found,
                    });
                }
                let finite = |what: &'static str, values: &[f32]| {
                    if values.iter().all(|value| value.is_finite()) {
                        return Ok(());
                    }
                    Err(CalibrationError::NotFinite {
                        trial: number,
                        step,
                        what,
                    })
                };
                finite("the working memory", input)?;
                policy.step_observed(&mut state, input, &mut mean, &mut calibration);
                finite("the action mean", &mean)?;
                calibration.steps += 1;
            }
        }
        if calibration.steps == 0 {
            Err(CalibrationError::Empty)
        } else {
            Ok(calibration)
        }
    }

    /// Working memories seen.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// What the activations at `site` did, one entry per channel; empty for a site the policy does not have.
    #[must_use]
    pub fn activations(&self, site: Site) -> Vec<Activation> {
        let sums = self.sites.get(&site).map_or(&[][..], Vec::as_slice);
        sums.iter()
            .map(|sums| Activation {
                max_abs: f64::from(sums.max_abs),
                mean: sums.sum / sums.count.max(1) as f64,
                mean_square: sums.squares / sums.count.max(1) as f64,
            })
            .collect()
    }
}

impl FloatObserver for Calibration {
    fn values(&mut self, site: Site, values: &[f32]) {
        let channels = self
            .sites
            .entry(site)
            .or_insert_with(|| vec![Sums::default(); values.len()]);
        for (sums, value) in channels.iter_mut().zip(values) {
            sums.max_abs = sums.max_abs.max(value.abs());
            sums.sum += f64::from(*value);
            sums.squares += f64::from(*value) * f64::from(*value);
            sums.count += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use engram_image::{Channel, List, Reward};

    use super::*;

    #[test]
    fn outliers_take_the_channels_in_turn() {
        let channel = |min, max| Channel::new("a", "1", [min, max]);
        let contract = Contract {
            period_us: 1000,
            observations: List::from_slice(&[channel(-9.0, 8.0), channel(-7.0, 6.0)]),
            actions: List::from_slice(&[]),
            reward: Reward::External,
        };
        let trials = vec![vec![vec![0.0; 4]; 8]; 2];
        let found: Vec<(usize, usize, f32)> = with_outliers(&trials, &contract)
            .iter()
            .flat_map(|trial| trial.iter().enumerate())
            .flat_map(|(step, memory)| memory.iter().enumerate().map(move |(i, x)| (step, i, *x)))
            .filter(|(.., x)| *x != 0.0)
            .collect();
        let expected = [
            (2, 0, 8.0),
            (4, 1, 6.0),
            (6, 0, -9.0),
            (2, 1, -7.0),
            (4, 0, 8.0),
            (6, 1, 6.0),
        ];
        assert_eq!(found, expected);
        assert_eq!(with_outliers(&[vec![]], &contract), [Trial::new()]);
    }

    #[test]
    fn range_and_moments_of_a_known_sequence() {
        let mut calibration = Calibration::default();
        for values in [[1.0, -3.0], [2.0, 1.0]] {
            calibration.values(Site::Encoder, &values);
        }
        let [first, second] = calibration.activations(Site::Encoder)[..] else {
            panic!("two channels")
        };
        assert_eq!(
            first,
            Activation {
                max_abs: 2.0,
                mean: 1.5,
                mean_square: 2.5
            }
        );
        assert_eq!(
            second,
            Activation {
                max_abs: 3.0,
                mean: -1.0,
                mean_square: 5.0
            }
        );
        assert!(calibration.activations(Site::Input).is_empty());
    }
}
