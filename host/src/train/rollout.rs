//! Collecting trials: on all cores, each trial with a generator of its own, so that the result depends on
//! the seed and never on the number of threads.

use rand::RngExt;
use rayon::prelude::*;

use super::config::Trial as TrialSettings;
use super::init::normal;
use crate::network::Network;
use crate::plant::{
    Driven, Random, Start, Stream, TaskSet, UnknownChange, UnknownPlant, for_agent, random_stream,
};

/// What one trial left for the learner. Rows are control steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Trajectory {
    /// Working memories, unscaled, `[steps + 1][inputs]`: the last one follows the last action.
    pub memories: Vec<f32>,
    /// Sampled actions before the envelope, `[steps][actions]`.
    pub actions: Vec<f32>,
    /// Their logarithmic probabilities, `[steps]`.
    pub log_probabilities: Vec<f32>,
    /// Reward that each action led to, `[steps]`.
    pub rewards: Vec<f32>,
    /// Whether the episode ended by itself with that action, `[steps]`.
    pub ended: Vec<bool>,
    /// Whether the policy began the step with an empty memory, `[steps + 1]`.
    pub cleared: Vec<bool>,
    /// True state and task for the critic, `[steps + 1][features]`.
    pub privileged: Vec<f32>,
}

/// Why trials cannot be collected.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
#[allow(
    missing_docs,
    reason = "each wraps the error of its name and adds nothing"
)]
pub enum RolloutError {
    Plant(#[from] UnknownPlant),
    Change(#[from] UnknownChange),
}

/// What stays the same for all trials of an iteration.
#[derive(Clone, Copy, Debug)]
pub struct Rollout<'a> {
    /// The plant's name.
    pub plant: &'a str,
    /// The agent's name.
    pub agent: &'a str,
    /// The policy that acts.
    pub policy: &'a Network,
    /// What a trial is.
    pub settings: &'a TrialSettings,
    /// Seed of the run.
    pub seed: u64,
}

impl Rollout<'_> {
    /// Collects the trials of an iteration.
    ///
    /// # Errors
    /// When there is no such plant, or it does not know one of the settings' changes.
    pub fn collect(&self, iteration: u64) -> Result<Vec<Trajectory>, RolloutError> {
        let trials = self.settings.trials as u64;
        (0..trials)
            .into_par_iter()
            .map(|trial| {
                let driven = Driven::new(for_agent(self.plant, self.agent)?);
                self.trial(
                    driven,
                    random_stream(self.seed, Stream::Training, iteration * trials + trial),
                )
            })
            .collect()
    }

    fn trial(&self, mut driven: Driven, mut random: Random) -> Result<Trajectory, RolloutError> {
        let TrialSettings { steps, .. } = *self.settings;
        let config = self.policy.config();
        let mut state = self.policy.new_state();
        let mut mean = vec![0.0; config.actions()];
        let mut action = vec![0.0; config.actions()];
        let mut memory = vec![0.0; config.inputs()];
        let mut result = Trajectory {
            memories: Vec::with_capacity((steps + 1) * config.inputs()),
            actions: Vec::with_capacity(steps * config.actions()),
            log_probabilities: Vec::with_capacity(steps),
            rewards: Vec::with_capacity(steps),
            ended: Vec::with_capacity(steps),
            cleared: Vec::with_capacity(steps + 1),
            privileged: Vec::new(),
        };
        let task = driven.plant().sample_task(TaskSet::Training, &mut random);
        driven.begin_at(&task, random.random(), self.start(&mut random));
        let mut episode_steps = 0;
        for step in 0..steps {
            if step > 0 {
                self.disturb(&mut driven, &mut random)?;
            }
            let cleared = self.remember(&driven, &mut memory);
            if cleared {
                self.policy.clear(&mut state);
            }
            result.memories.extend(&memory);
            result.cleared.push(cleared || step == 0);
            driven.plant().privileged(&mut result.privileged);
            self.policy.step(&mut state, &memory, &mut mean);
            let mut log_probability = 0.0;
            for ((action, mean), log_std) in action.iter_mut().zip(&mean).zip(self.policy.log_std())
            {
                let noise = normal(&mut random);
                *action = mean + log_std.exp() * noise;
                log_probability += log_density(noise, *log_std);
            }
            driven.act(&action);
            result.actions.extend(&action);
            result.log_probabilities.push(log_probability);
            result.rewards.push(driven.reward());
            let ended = driven.plant().ended();
            result.ended.push(ended);
            episode_steps += 1;
            if ended || episode_steps == self.settings.episode_steps {
                episode_steps = 0;
                driven.restart(self.start(&mut random));
            }
        }
        result.cleared.push(self.remember(&driven, &mut memory));
        result.memories.extend(&memory);
        driven.plant().privileged(&mut result.privileged);
        Ok(result)
    }

    /// This step's working memory; whether it is the first that the policy shall remember.
    fn remember(&self, driven: &Driven, memory: &mut [f32]) -> bool {
        memory.copy_from_slice(driven.working_memory());
        let cleared = self.settings.clear_memory && driven.done();
        if cleared {
            memory[self.policy.config().observations()..].fill(0.0);
        }
        cleared
    }

    /// What may happen between two steps: a new episode, a new task, a change of the task.
    fn disturb(&self, driven: &mut Driven, random: &mut Random) -> Result<(), UnknownChange> {
        let settings = self.settings;
        if happens(settings.restart_every, random) {
            driven.restart(self.start(random));
        }
        if happens(settings.redraw_every, random) {
            let task = driven.plant().sample_task(TaskSet::Training, random);
            driven.plant_mut().set_task(&task);
        }
        if happens(settings.change_every, random)
            && let Some(change) = settings
                .changes
                .get(random.random_range(0..settings.changes.len().max(1)))
        {
            driven.plant_mut().apply(change)?;
        }
        Ok(())
    }

    fn start(&self, random: &mut Random) -> Start {
        if random.random_bool(self.settings.anywhere) {
            Start::Anywhere
        } else {
            Start::Usual
        }
    }
}

/// Whether something comes now that comes every so many steps on average; 0 is never.
fn happens(every: f64, random: &mut Random) -> bool {
    every > 0.0 && random.random_bool((1.0 / every).min(1.0))
}

/// Logarithm of a normal density `noise` deviations from its mean.
fn log_density(noise: f32, log_std: f32) -> f32 {
    /// `ln(2 pi) / 2`.
    const HALF_LOG_TAU: f32 = 0.918_938_5;
    -0.5 * noise * noise - log_std - HALF_LOG_TAU
}
