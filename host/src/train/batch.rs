//! An iteration's trials, laid out for the learner, with advantages and targets.

use candle_core::{Device, Result, Tensor};
use engram_export::Normalizer;

use super::config::Settings;
use super::critic::Critic;
use super::gae;
use super::rollout::Trajectory;
use super::statistics::Statistics;
use crate::network::NetworkConfig;

/// Rows are control steps, trial after trial.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Control steps of every trial.
    pub steps: usize,
    /// Entries of a working memory.
    pub inputs: usize,
    /// Action channels.
    pub actions: usize,
    /// Entries of the critic's input.
    pub features: usize,
    /// Normalised working memories `[rows][inputs]`.
    pub memories: Vec<f32>,
    /// Sampled actions `[rows][actions]`.
    pub sampled: Vec<f32>,
    /// Their logarithmic probabilities when they were sampled `[rows]`.
    pub log_probabilities: Vec<f32>,
    /// What the critic sees `[rows][features]`.
    pub critic: Vec<f32>,
    /// Entries of true state and hidden task.
    pub privileged: usize,
    /// True state and hidden task `[rows][privileged]`.
    pub truth: Vec<f32>,
    /// Advantages `[rows]`.
    pub advantages: Vec<f32>,
    /// What the critic should say `[rows]`.
    pub targets: Vec<f32>,
    /// Share of the targets' variance that the critic explained before the update.
    pub explained: f32,
}

/// Entries of the critic's input.
#[must_use]
pub fn critic_features(settings: &Settings, config: &NetworkConfig, privileged: usize) -> usize {
    config.inputs()
        + if settings.critic.sees_task {
            privileged
        } else {
            0
        }
}

/// Takes the trials' discounted returns into `returns`, whose deviation scales the rewards.
pub fn add_returns(trajectories: &[Trajectory], gamma: f32, returns: &mut Statistics) {
    for trajectory in trajectories {
        let mut sum = 0.0;
        let discounted: Vec<f32> = trajectory
            .rewards
            .iter()
            .zip(&trajectory.ended)
            .rev()
            .map(|(reward, ended)| {
                sum = reward + if *ended { 0.0 } else { gamma * sum };
                sum
            })
            .collect();
        returns.add(&discounted);
    }
}

impl Batch {
    /// Normalises, values and lays out the trials. Rewards are divided by `reward_scale`.
    ///
    /// # Errors
    /// When the critic's input has other dimensions.
    pub fn new(
        trajectories: &[Trajectory],
        settings: &Settings,
        config: &NetworkConfig,
        normalizer: &Normalizer,
        critic: &Critic,
        reward_scale: f32,
    ) -> Result<Self> {
        let (inputs, steps) = (config.inputs(), settings.trial.steps);
        let privileged = trajectories
            .first()
            .map_or(0, |t| t.privileged.len() / (steps + 1));
        let features = critic_features(settings, config, privileged);
        let mut batch = Self {
            steps,
            inputs,
            actions: config.actions(),
            features,
            memories: Vec::with_capacity(trajectories.len() * steps * inputs),
            sampled: Vec::new(),
            log_probabilities: Vec::new(),
            critic: Vec::with_capacity(trajectories.len() * steps * features),
            privileged,
            truth: Vec::new(),
            advantages: Vec::new(),
            targets: Vec::new(),
            explained: 0.0,
        };
        // With the row after the last step, which only the critic needs.
        let mut rows = Vec::with_capacity(trajectories.len() * (steps + 1) * features);
        let mut memory = vec![0.0; inputs];
        for trajectory in trajectories {
            let start = rows.len();
            let seen = trajectory.privileged.chunks_exact(privileged.max(1));
            for (step, (raw, privileged)) in trajectory
                .memories
                .chunks_exact(inputs)
                .zip(seen)
                .enumerate()
            {
                normalizer.apply(raw, &mut memory);
                rows.extend(&memory);
                if settings.critic.sees_task {
                    rows.extend(privileged);
                }
                if step < steps {
                    batch.memories.extend(&memory);
                    batch.truth.extend(privileged);
                }
            }
            batch.critic.extend(&rows[start..start + steps * features]);
            batch.sampled.extend(&trajectory.actions);
            batch
                .log_probabilities
                .extend(&trajectory.log_probabilities);
        }
        let count = rows.len() / features;
        let values = critic
            .values(&Tensor::from_vec(rows, (count, features), critic.device())?)?
            .to_vec1::<f32>()?;
        for (trajectory, values) in trajectories.iter().zip(values.chunks_exact(steps + 1)) {
            let rewards: Vec<f32> = trajectory
                .rewards
                .iter()
                .map(|reward| reward / reward_scale)
                .collect();
            let mut values = values.to_vec();
            if !settings.ppo.bootstrap {
                values[steps] = 0.0;
            }
            let advantages = gae::advantages(
                &rewards,
                &values,
                &trajectory.ended,
                settings.ppo.gamma as f32,
                settings.ppo.lambda as f32,
            );
            batch.targets.extend(
                advantages
                    .iter()
                    .zip(&values)
                    .map(|(advantage, value)| advantage + value),
            );
            batch.advantages.extend(advantages);
        }
        batch.explained = explained(&batch.targets, &batch.advantages);
        if settings.ppo.normalize_advantages {
            normalize(&mut batch.advantages);
        }
        Ok(batch)
    }

    /// The rows of `trials` of one of the batch's vectors that has `width` entries per row, as a tensor.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn gather(
        &self,
        values: &[f32],
        width: usize,
        trials: &[usize],
        device: &Device,
    ) -> Result<Tensor> {
        let length = self.steps * width;
        let mut rows = Vec::with_capacity(trials.len() * length);
        for trial in trials {
            rows.extend_from_slice(&values[trial * length..(trial + 1) * length]);
        }
        Tensor::from_vec(rows, (trials.len() * self.steps, width), device)
    }

    /// Trials in the batch.
    #[must_use]
    pub fn trials(&self) -> usize {
        self.log_probabilities.len() / self.steps
    }
}

/// `1 - var(errors) / var(targets)`.
fn explained(targets: &[f32], errors: &[f32]) -> f32 {
    let variance = |values: &[f32]| {
        let (mean, std) = moments(values);
        if mean.is_finite() {
            std * std
        } else {
            f64::NAN
        }
    };
    (1.0 - variance(errors) / variance(targets).max(1e-12)) as f32
}

fn normalize(values: &mut [f32]) {
    let (mean, std) = moments(values);
    for value in values {
        *value = ((f64::from(*value) - mean) / (std + 1e-8)) as f32;
    }
}

/// Mean and standard deviation.
fn moments(values: &[f32]) -> (f64, f64) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
    let square = values
        .iter()
        .map(|v| (f64::from(*v) - mean).powi(2))
        .sum::<f64>()
        / count;
    (mean, square.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advantages_are_normalised() {
        let mut values = [1.0, 2.0, 3.0, 6.0];
        normalize(&mut values);
        let (mean, std) = moments(&values);
        assert!(mean.abs() < 1e-6 && (std - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_perfect_critic_explains_everything() {
        assert!((explained(&[1.0, 2.0, 3.0], &[0.1, 0.1, 0.1]) - 1.0).abs() < 1e-6);
        assert!(explained(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]).abs() < 1e-6);
    }
}
