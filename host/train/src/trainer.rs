//! The training loop: collect, value, update, again; save; go on where it stopped.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use candle_core::Device;
use engram_export::checkpoint::{Agent, RUN_FILE, RobotFile};
use engram_export::{Checkpoint, Normalizer};

use super::batch::{Batch, add_returns, critic_features};
use super::config::{ConfigError, Settings};
use super::critic::{Critic, initial_critic};
use super::curve::{self, CURVE_FILE, Point};
use super::divergence::{self, Divergence};
use super::episodes::Episodes;
use super::error::TrainError;
use super::learner::{Learner, LearnerError};
use super::policy::{Policy, initial_policy};
use super::resume::{TRAINER_FILE, TrainerState};
use super::rollout::{Rollout, Trajectory};
use super::statistics::Statistics;
use super::timing::{self, Lap, TIMING_FILE};
use super::training::Training;
use crate::robot_files;
use engram_export::checkpoint::channels_apart;
use engram_export::network::{Network, NetworkConfig};
use engram_image::OwnedContract;
use engram_image::limits::MAX_OBSERVATIONS;
use engram_plants::{PlantFactory, Plants, Stream, random_stream, robot};

/// Index of the trials that fill the statistics before the first iteration; no iteration gets so far.
const PILOT: u64 = u64::MAX >> 32;

/// Deviation of the entries that a policy must not see: they become 0.
pub(crate) const UNSEEN: f32 = 1e30;

/// What a run is, apart from its settings.
#[derive(Clone, Debug)]
pub struct Run {
    /// What it is trained on; for the oracle, plants that tell their task.
    pub plant: PlantFactory,
    /// Which policy.
    pub agent: Agent,
    /// Seed of everything random.
    pub seed: u64,
}

impl Run {
    /// A run of `agent` on `plant`.
    #[must_use]
    pub fn new(plant: PlantFactory, agent: Agent, seed: u64) -> Self {
        let plant = if agent == Agent::Oracle {
            plant.told()
        } else {
            plant
        };
        Self { plant, agent, seed }
    }
}

/// The network's dimensions of a run that can begin.
fn checked(run: &Run, settings: &Settings) -> Result<NetworkConfig, TrainError> {
    let spec = run.plant.spec();
    let channels = spec.channels.observations.len();
    if run.agent == Agent::Oracle && channels > MAX_OBSERVATIONS {
        return Err(TrainError::ToldTooMuch {
            plant: run.plant.name().to_owned(),
            hidden: spec.parameters.len(),
            measured: channels - spec.parameters.len(),
        });
    }
    let config = settings.network_config(spec, run.agent);
    config.validate().map_err(|reason| ConfigError::Model {
        place: run.plant.name().to_owned(),
        reason,
    })?;
    settings.check_together(run.agent)?;
    // A rollout would notice an unknown change when it first draws it: late, or never.
    let known = |name: &&String| spec.changes.iter().any(|change| change.name == **name);
    if let Some(name) = settings.trial.changes.iter().find(|name| !known(name)) {
        return Err(spec.unknown_change(name).into());
    }
    Ok(config)
}

/// A training run between two iterations.
pub struct Trainer {
    run: Run,
    settings: Settings,
    config: NetworkConfig,
    learner: Learner,
    memories: Statistics,
    returns: Statistics,
    iteration: u64,
    curve: Vec<Point>,
    laps: Vec<Lap>,
    episode_steps: usize,
    training_return: f32,
    /// What boards, images and other plants are compared with.
    contract: OwnedContract,
    /// For a robot of the user's own, its files.
    robot: Vec<RobotFile>,
}

impl Trainer {
    /// Whether a run from scratch can begin: all that [`Trainer::new`] refuses, and nothing is computed.
    ///
    /// # Errors
    /// When plant or settings are not usable.
    pub fn check(run: &Run, settings: &Settings) -> Result<(), TrainError> {
        checked(run, settings).map(|_| ())
    }

    /// A run from scratch.
    ///
    /// # Errors
    /// When plant, settings or device are not usable.
    pub fn new(run: Run, settings: Settings, device: &Device) -> Result<Self, TrainError> {
        let config = checked(&run, &settings)?;
        let robot = robot_files::files_of(&run.plant);
        let spec = Arc::clone(run.plant.spec());
        let mut privileged = Vec::new();
        run.plant.make().privileged(&mut privileged);
        let mut random = random_stream(run.seed, Stream::Weights, 0);
        let actor = Policy::new(
            &config,
            &initial_policy(&config, &settings.initial, &mut random),
            device,
        )?;
        let features = critic_features(&settings, &config, privileged.len());
        let belief = (settings.belief.weight > 0.0).then_some((privileged.len(), config.encoded()));
        let critic = Critic::new(
            &initial_critic(features, &settings.critic, belief, &mut random),
            device,
        )?;
        let learner = Learner::new(actor, critic, &settings, device)?;
        let mut trainer = Self {
            config,
            learner,
            memories: Statistics::new(config.inputs()),
            returns: Statistics::new(1),
            iteration: 0,
            curve: Vec::new(),
            laps: Vec::new(),
            episode_steps: spec.protocol.episode_steps,
            training_return: 0.0,
            contract: spec.channels.clone(),
            robot,
            run,
            settings,
        };
        let trajectories = trainer.collect(PILOT)?;
        trainer.observe(&trajectories);
        Ok(trainer)
    }

    /// Goes on with the run on a built-in plant that was saved in `folder`.
    ///
    /// # Errors
    /// As [`Trainer::resume_on`].
    pub fn resume(folder: &Path, steps: Option<u64>, device: &Device) -> Result<Self, TrainError> {
        let checkpoint = Checkpoint::load(folder)?;
        let plant = PlantFactory::open(&checkpoint.plant)?;
        Self::go_on(checkpoint, plant, folder, steps, device)
    }

    /// Goes on with the run that was saved in `folder` and is expected to be on `plant`, one of `plants`. A robot's file may
    /// have moved: where its hash was noted, the run goes on with the file at its new place. `steps`, if given, replaces the
    /// length of the whole training (and with it the schedule of the learning rate).
    ///
    /// # Errors
    /// When the folder does not hold a whole run of this version, or one on another plant ([`TrainError::OtherPlant`]).
    pub fn resume_on(
        plants: &Plants,
        plant: &str,
        folder: &Path,
        steps: Option<u64>,
        device: &Device,
    ) -> Result<Self, TrainError> {
        let checkpoint = Checkpoint::load(folder)?;
        let moved = robot::is_file(plant) && !checkpoint.robot.is_empty();
        if checkpoint.plant != plant && !moved {
            return Err(TrainError::OtherPlant {
                folder: folder.display().to_string(),
                saved: checkpoint.plant,
                asked: plant.to_owned(),
            });
        }
        let plant = plants.open(plant)?;
        Self::go_on(checkpoint, plant, folder, steps, device)
    }

    fn go_on(
        checkpoint: Checkpoint,
        plant: PlantFactory,
        folder: &Path,
        steps: Option<u64>,
        device: &Device,
    ) -> Result<Self, TrainError> {
        let origin = format!("{} [training]", folder.join(RUN_FILE).display());
        let mut settings = Settings::from_table(checkpoint.training.clone(), &origin)?;
        if let Some(steps) = steps {
            settings.ppo.steps = steps;
        }
        let state = TrainerState::load(folder)?;
        let trainer_steps = state
            .iteration
            .saturating_mul(settings.steps_per_iteration());
        if trainer_steps != checkpoint.steps {
            let (folder, policy) = (folder.display().to_string(), checkpoint.steps);
            return Err(TrainError::Torn {
                folder,
                policy,
                trainer: trainer_steps,
            });
        }
        let run = Run::new(plant, checkpoint.agent, checkpoint.seed);
        let spec = Arc::clone(run.plant.spec());
        let config = checkpoint.network.config();
        let contract = spec.contract();
        let channels = (contract.observations.len(), contract.actions.len());
        if channels != (config.observations(), config.actions()) {
            let saved = checkpoint.contract.as_ref().map(OwnedContract::contract);
            return Err(TrainError::Channels {
                folder: folder.display().to_string(),
                policy: (config.observations(), config.actions()),
                plant: channels,
                difference: channels_apart(saved.as_ref(), &contract),
            });
        }
        if let Some(saved) = &checkpoint.contract
            && let Some(difference) = saved.contract().difference_in_words(&contract)
        {
            return Err(TrainError::Contract {
                folder: folder.display().to_string(),
                difference: difference.to_string(),
            });
        }
        // A channel says more of what changed than a file does.
        robot_files::check_unchanged(&run.plant, &checkpoint.robot)?;
        // Runs of versions that did not note the files have them noted from now on.
        let robot = robot_files::files_of(&run.plant);
        let actor = Policy::new(&config, &checkpoint.network.tensors(), device)?;
        let mut learner = Learner::new(
            actor,
            Critic::new(&state.critic, device)?,
            &settings,
            device,
        )?;
        let (actor, critic) = (&learner.actor_optimizer, &learner.critic_optimizer);
        state.check(folder, actor, critic, config.inputs())?;
        learner.actor_optimizer = state.actor_optimizer;
        learner.critic_optimizer = state.critic_optimizer;
        let curve = curve::read(folder)?;
        let laps = timing::read(folder)?;
        Ok(Self {
            episode_steps: spec.protocol.episode_steps,
            run,
            settings,
            config,
            learner,
            memories: state.memories,
            returns: state.returns,
            iteration: state.iteration,
            curve,
            laps,
            training_return: checkpoint.training_return,
            contract: spec.channels.clone(),
            robot,
        })
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Actor, critic and optimisers.
    #[cfg(test)]
    pub(super) fn learner(&self) -> &Learner {
        &self.learner
    }

    fn diverged(&self, cause: Divergence) -> TrainError {
        let iteration = self.iteration + 1;
        TrainError::Diverged {
            iteration,
            steps: iteration * self.settings.steps_per_iteration(),
            cause,
        }
    }

    /// What rollout and learner see of a working memory.
    fn normalizer(&self) -> Normalizer {
        let observations = self.config.observations();
        let settings = &self.settings.normalizer;
        let mut normalizer = self.memories.normalizer(observations, settings);
        if self.run.agent == Agent::Markov {
            normalizer.std[observations..].fill(UNSEEN);
        }
        normalizer
    }

    fn collect(&self, iteration: u64) -> Result<Vec<Trajectory>, TrainError> {
        let policy = self.policy()?;
        let rollout = Rollout {
            plant: &self.run.plant,
            policy: &policy,
            settings: &self.settings.trial,
            seed: self.run.seed,
        };
        Ok(rollout.collect(iteration)?)
    }

    fn observe(&mut self, trajectories: &[Trajectory]) {
        for trajectory in trajectories {
            self.memories.add(&trajectory.memories);
        }
        add_returns(
            trajectories,
            self.settings.ppo.gamma as f32,
            &mut self.returns,
        );
    }
}

impl Training for Trainer {
    fn clears_memory(&self) -> bool {
        self.settings.trial.clear_memory
    }

    fn finished(&self) -> bool {
        self.iteration >= self.settings.iterations()
    }

    fn steps(&self) -> u64 {
        self.iteration * self.settings.steps_per_iteration()
    }

    fn total_steps(&self) -> u64 {
        self.settings.iterations() * self.settings.steps_per_iteration()
    }

    fn run(&self) -> &Run {
        &self.run
    }

    fn curve(&self) -> &[Point] {
        &self.curve
    }

    fn laps(&self) -> &[Lap] {
        &self.laps
    }

    fn iterate(&mut self) -> Result<Point, TrainError> {
        let begun = Instant::now();
        let trajectories = self.collect(self.iteration)?;
        let spec = self.run.plant.spec();
        let cause = divergence::in_simulation(&trajectories, self.run.plant.name())
            .or_else(|| divergence::in_trials(&trajectories, spec));
        if let Some(cause) = cause {
            return Err(self.diverged(cause));
        }
        let collected = Instant::now();
        let normalizer = self.normalizer();
        let scale = if self.settings.normalizer.rewards {
            self.returns.std(1e-3)[0]
        } else {
            1.0
        };
        let mut batch = Batch::new(&trajectories, &self.settings, &self.config, &normalizer);
        let values = self.learner.values(&batch)?;
        batch.judge(&trajectories, &self.settings, &values, scale);
        let mut random = random_stream(self.run.seed, Stream::Shuffle, self.iteration);
        let updating = Instant::now();
        let update = match self.learner.update(&batch, self.iteration, &mut random) {
            Ok(update) => update,
            Err(LearnerError::Candle(error)) => return Err(error.into()),
            Err(LearnerError::Diverged(cause)) => return Err(self.diverged(cause)),
        };
        let updated = Instant::now();
        self.observe(&trajectories);
        self.iteration += 1;
        let rewards = || {
            trajectories
                .iter()
                .flat_map(|trajectory| &trajectory.rewards)
        };
        let reward =
            rewards().map(|reward| f64::from(*reward)).sum::<f64>() / rewards().count() as f64;
        let point = Point {
            iteration: self.iteration,
            steps: self.steps(),
            reward,
            episode_return: reward * self.episode_steps as f64,
            explained: f64::from(batch.explained),
            update,
            episodes: Some(Episodes::of(&trajectories, self.episode_steps)),
            signal: self
                .settings
                .ppo
                .normalize_advantages
                .then_some(batch.signal),
        };
        self.curve.push(point);
        self.laps.push(Lap {
            iteration: self.iteration,
            steps: self.settings.steps_per_iteration(),
            unix_s: timing::unix_s(),
            rollout_s: (collected - begun).as_secs_f64(),
            learner_s: (updated - updating).as_secs_f64(),
            total_s: begun.elapsed().as_secs_f64(),
        });
        Ok(point)
    }

    fn policy(&self) -> Result<Network, TrainError> {
        let mut tensors = self.learner.actor.variables().tensors()?;
        let clip = self.settings.normalizer.clip;
        let normalizer = self.normalizer();
        let vector = |values: Vec<f32>| engram_export::Tensor {
            shape: vec![values.len()],
            values,
        };
        tensors.insert("normalizer.mean".to_owned(), vector(normalizer.mean));
        tensors.insert("normalizer.std".to_owned(), vector(normalizer.std));
        Ok(Network::new(&self.config, clip, &tensors)?)
    }

    fn set_training_return(&mut self, value: f32) {
        self.training_return = value;
    }

    fn save(&self, folder: &Path) -> Result<(), TrainError> {
        let state = TrainerState {
            iteration: self.iteration,
            critic: self.learner.critic.variables().tensors()?,
            actor_optimizer: self.learner.actor_optimizer.clone(),
            critic_optimizer: self.learner.critic_optimizer.clone(),
            memories: self.memories.clone(),
            returns: self.returns.clone(),
        };
        let trainer = state.to_bytes()?;
        let curve = curve::render(&self.curve);
        let timing = timing::render(&self.laps);
        let checkpoint = Checkpoint {
            plant: self.run.plant.name().to_owned(),
            agent: self.run.agent,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            seed: self.run.seed,
            steps: self.steps(),
            training_return: self.training_return,
            network: self.policy()?,
            contract: Some(self.contract.clone()),
            robot: self.robot.clone(),
            training: self.settings.to_table()?,
        };
        checkpoint.save_with(
            folder,
            &[
                (TRAINER_FILE, &trainer),
                (CURVE_FILE, curve.as_bytes()),
                (TIMING_FILE, timing.as_bytes()),
            ],
        )?;
        Ok(())
    }
}
