//! Collecting trials: on all cores, each trial with a generator of its own, so that the result depends on
//! the seed and never on the number of threads.

use rand::RngExt;
use rayon::prelude::*;

use super::config::Trial as TrialSettings;
use super::init::normal;
use engram_export::network::Network;
use engram_plants::{
    Driven, PlantFactory, Random, Start, Stream, TaskSet, UnknownChange, random_stream,
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
    /// Whether an episode began with the step, `[steps]`.
    pub began: Vec<bool>,
    /// Whether the policy began the step with an empty memory, `[steps + 1]`.
    pub cleared: Vec<bool>,
    /// True state and task for the critic, `[steps + 1][features]`.
    pub privileged: Vec<f32>,
    /// Episodes that ended because the robot fell, and not because a goal was reached or the simulation diverged.
    pub falls: u64,
    /// Steps whose simulation diverged, which ended their episodes.
    pub diverged_steps: u64,
}

/// What stays the same for all trials of an iteration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rollout<'a> {
    /// Makes the plants.
    pub plant: &'a PlantFactory,
    /// The policy that acts.
    pub policy: &'a Network,
    /// What a trial is.
    pub settings: &'a TrialSettings,
    /// Seed of the run.
    pub seed: u64,
}

/// Most trials that step together on one thread: enough to share the weights, few enough that their memories stay in
/// the cache.
const TOGETHER: usize = 8;

impl Rollout<'_> {
    /// Collects the trials of an iteration.
    ///
    /// # Errors
    /// When the plant does not know one of the settings' changes.
    pub(crate) fn collect(&self, iteration: u64) -> Result<Vec<Trajectory>, UnknownChange> {
        let trials = self.settings.trials;
        let threads = rayon::current_num_threads().max(1);
        let together = trials.div_ceil(threads).clamp(1, TOGETHER);
        let groups: Vec<Vec<Trajectory>> = (0..trials.div_ceil(together))
            .into_par_iter()
            .map(|group| {
                let first = group * together;
                let group = first..trials.min(first + together);
                self.group(group.map(|trial| iteration * trials as u64 + trial as u64))
            })
            .collect::<Result<_, UnknownChange>>()?;
        Ok(groups.into_iter().flatten().collect())
    }

    /// Trials that step together: the policy reads a weight once for several of them.
    fn group(&self, streams: impl Iterator<Item = u64>) -> Result<Vec<Trajectory>, UnknownChange> {
        let begin = |stream| {
            let driven = Driven::new(self.plant.make());
            let random = random_stream(self.seed, Stream::Training, stream);
            Running::new(self, driven, random)
        };
        let mut trials: Vec<_> = streams.map(begin).collect();
        let config = self.policy.config();
        let (width, actions) = (config.inputs(), config.actions());
        let mut batch = self.policy.new_batch(trials.len());
        let mut memories = vec![0.0; trials.len() * width];
        let mut means = vec![0.0; trials.len() * actions];
        for step in 0..self.settings.steps {
            let rows = memories.chunks_exact_mut(width);
            for (number, (trial, memory)) in trials.iter_mut().zip(rows).enumerate() {
                if trial.look(self, step, memory)? {
                    batch.clear(number);
                }
            }
            self.policy.step_batch(&mut batch, &memories, &mut means);
            for (trial, mean) in trials.iter_mut().zip(means.chunks_exact(actions)) {
                trial.act(self, mean);
            }
        }
        let rows = memories.chunks_exact_mut(width);
        let finished = trials.into_iter().zip(rows);
        Ok(finished
            .map(|(trial, memory)| trial.finish(self, memory))
            .collect())
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

    /// What may happen between two steps: a new episode, a new task, a change of the task. Whether an episode began.
    fn disturb(&self, driven: &mut Driven, random: &mut Random) -> Result<bool, UnknownChange> {
        let settings = self.settings;
        let restarts = happens(settings.restart_every, random);
        if restarts {
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
        Ok(restarts)
    }

    fn start(&self, random: &mut Random) -> Start {
        if random.random_bool(self.settings.anywhere) {
            Start::Anywhere
        } else {
            Start::Usual
        }
    }
}

/// A trial in progress.
struct Running {
    driven: Driven,
    random: Random,
    action: Vec<f32>,
    episode_steps: usize,
    result: Trajectory,
}

impl Running {
    /// Draws the task and sets the plant up.
    fn new(rollout: &Rollout<'_>, mut driven: Driven, mut random: Random) -> Self {
        let steps = rollout.settings.steps;
        let config = rollout.policy.config();
        let task = driven.plant().sample_task(TaskSet::Training, &mut random);
        driven.begin_at(&task, random.random(), rollout.start(&mut random));
        Self {
            driven,
            random,
            action: vec![0.0; config.actions()],
            episode_steps: 0,
            result: Trajectory {
                memories: Vec::with_capacity((steps + 1) * config.inputs()),
                actions: Vec::with_capacity(steps * config.actions()),
                log_probabilities: Vec::with_capacity(steps),
                rewards: Vec::with_capacity(steps),
                ended: Vec::with_capacity(steps),
                began: Vec::with_capacity(steps),
                cleared: Vec::with_capacity(steps + 1),
                privileged: Vec::new(),
                falls: 0,
                diverged_steps: 0,
            },
        }
    }

    /// Writes the working memory of a step; whether the policy shall forget what was before.
    fn look(
        &mut self,
        rollout: &Rollout<'_>,
        step: usize,
        memory: &mut [f32],
    ) -> Result<bool, UnknownChange> {
        if step > 0 && rollout.disturb(&mut self.driven, &mut self.random)? {
            self.episode_steps = 0;
        }
        let cleared = rollout.remember(&self.driven, memory);
        self.result.memories.extend(&*memory);
        self.result.cleared.push(cleared || step == 0);
        self.result.began.push(self.driven.done() || step == 0);
        self.driven.plant().privileged(&mut self.result.privileged);
        Ok(cleared)
    }

    /// Acts around `mean`, and begins the next episode where this one is over.
    fn act(&mut self, rollout: &Rollout<'_>, mean: &[f32]) {
        let mut log_probability = 0.0;
        let deviations = mean.iter().zip(rollout.policy.log_std());
        for (action, (mean, log_std)) in self.action.iter_mut().zip(deviations) {
            let noise = normal(&mut self.random);
            *action = mean + log_std.exp() * noise;
            log_probability += log_density(noise, *log_std);
        }
        self.driven.act(&self.action);
        self.result.actions.extend(&self.action);
        self.result.log_probabilities.push(log_probability);
        self.result.rewards.push(self.driven.earned());
        let plant = self.driven.plant();
        let (ended, diverged) = (plant.ended(), plant.diverged());
        self.result.ended.push(ended);
        self.result.diverged_steps += u64::from(diverged);
        self.result.falls += u64::from(ended && !diverged && plant.judge().fallen);
        self.episode_steps += 1;
        if ended || self.episode_steps == rollout.settings.episode_steps {
            self.episode_steps = 0;
            let start = rollout.start(&mut self.random);
            self.driven.restart(start);
        }
    }

    /// What follows the last action.
    fn finish(mut self, rollout: &Rollout<'_>, memory: &mut [f32]) -> Trajectory {
        let cleared = rollout.remember(&self.driven, memory);
        self.result.cleared.push(cleared);
        self.result.memories.extend(&*memory);
        self.driven.plant().privileged(&mut self.result.privileged);
        self.result
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::policy::initial_policy;
    use engram_export::checkpoint::Agent;

    /// An episode that begins within a trial has its whole time before it.
    #[test]
    fn an_episodes_time_begins_with_it() {
        let mut settings = Settings::preset("pendulum").unwrap();
        let plant = PlantFactory::open("pendulum").unwrap();
        let config = settings.network_config(plant.spec(), Agent::Trmrl);
        let mut random = random_stream(0, Stream::Weights, 0);
        let mut tensors = initial_policy(&config, &settings.initial, &mut random);
        for name in ["normalizer.mean", "normalizer.std"] {
            let ones = vec![1.0; config.inputs()];
            tensors.get_mut(name).unwrap().values = ones;
        }
        let policy = Network::new(&config, 5.0, &tensors).unwrap();
        settings.trial.episode_steps = 100;
        for (restart_every, expected) in [(0.0, 3), (1.0, 1)] {
            settings.trial.restart_every = restart_every;
            let rollout = Rollout {
                plant: &plant,
                policy: &policy,
                settings: &settings.trial,
                seed: 0,
            };
            let driven = Driven::new(plant.make());
            let mut trial = Running::new(&rollout, driven, random_stream(0, Stream::Training, 0));
            let mut memory = vec![0.0; config.inputs()];
            for step in 0..3 {
                trial.look(&rollout, step, &mut memory).unwrap();
                trial.act(&rollout, &vec![0.0; config.actions()]);
            }
            assert_eq!(trial.episode_steps, expected);
        }
    }
}
