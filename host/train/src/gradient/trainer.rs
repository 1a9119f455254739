//! The training loop: fly, follow the gradient, again; save; go on where it stopped.

use std::marker::PhantomData;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use engram_export::Normalizer;
use engram_export::checkpoint::{Agent, Checkpoint, RUN_FILE};
use engram_export::network::{Network, NetworkConfig};
use engram_export::tensors::Tensors;
use engram_image::Reward;
use engram_plants::quadrotor::{self, Quadrotor};
use engram_plants::{Differentiable, PlantSpec, Plants, Stream, random_stream};
use rayon::prelude::*;

use super::LANES;
use super::flights::{Block, Limits, Told, Workspace};
use super::gru::Gru;
use super::policy::{Encoder, LanePolicy};
use super::settings::GradientSettings;
use super::transformer::Transformer;
use crate::config::{ConfigError, reading};
use crate::curve::{self, CURVE_FILE, Point};
use crate::divergence::Divergence;
use crate::episodes::Episodes;
use crate::error::TrainError;
use crate::learner::Update;
use crate::optimizer::AdamW;
use crate::policy::initial_policy;
use crate::resume::{TRAINER_FILE, TrainerState};
use crate::statistics::Statistics;
use crate::timing::{self, Lap, TIMING_FILE};
use crate::trainer::{Run, UNSEEN};
use crate::training::Training;

/// The key of `run.toml` that says which learner a run is of, and what it says of this one.
const LEARNER: (&str, &str) = ("learner", "gradient");

/// Whether the settings that a run's folder holds are of this learner.
#[must_use]
pub fn is_gradient(training: &toml::Table) -> bool {
    training.get(LEARNER.0).and_then(toml::Value::as_str) == Some(LEARNER.1)
}

/// A run from scratch on a plant that can be differentiated.
///
/// # Errors
/// When plant, agent or settings are not usable.
pub fn begin(run: Run, settings: GradientSettings) -> Result<Box<dyn Training>, TrainError> {
    open(run, Start::Scratch(Box::new(settings)))
}

/// Goes on with the run whose checkpoint was loaded from `folder`. `steps`, if given, replaces the length of the whole
/// training (and with it the schedule of the learning rate).
///
/// # Errors
/// When the folder does not hold a whole run of this learner and version.
pub fn resume(
    plants: &Plants,
    plant: &str,
    checkpoint: Checkpoint,
    folder: &Path,
    steps: Option<u64>,
) -> Result<Box<dyn Training>, TrainError> {
    if checkpoint.plant != plant {
        return Err(TrainError::OtherPlant {
            folder: folder.display().to_string(),
            saved: checkpoint.plant,
            asked: plant.to_owned(),
        });
    }
    let run = Run::new(
        plants.open(&checkpoint.plant)?,
        checkpoint.agent,
        checkpoint.seed,
    );
    let contract = run.plant.spec().contract();
    if let Some(saved) = &checkpoint.contract
        && let Some(difference) = saved.contract().difference_in_words(&contract)
    {
        return Err(TrainError::Contract {
            folder: folder.display().to_string(),
            difference: difference.to_string(),
        });
    }
    open(run, Start::Saved(Box::new(checkpoint), folder, steps))
}

/// What a run begins with.
enum Start<'a> {
    Scratch(Box<GradientSettings>),
    Saved(Box<Checkpoint>, &'a Path, Option<u64>),
}

/// The trainer of a run's plant and network.
fn open(run: Run, start: Start<'_>) -> Result<Box<dyn Training>, TrainError> {
    match (run.plant.name(), run.agent) {
        (quadrotor::NAME, Agent::Rl2) => start.open::<Quadrotor, Gru>(run),
        (quadrotor::NAME, _) => start.open::<Quadrotor, Transformer>(run),
        (other, _) => Err(TrainError::NoGradient {
            plant: other.to_owned(),
        }),
    }
}

impl Start<'_> {
    fn open<P: Differentiable + 'static, E: Encoder + 'static>(
        self,
        run: Run,
    ) -> Result<Box<dyn Training>, TrainError> {
        let spec = Arc::clone(run.plant.spec());
        Ok(Box::new(match self {
            Self::Scratch(settings) => GradientTrainer::<P, E>::new(run, *settings, spec)?,
            Self::Saved(checkpoint, folder, steps) => {
                GradientTrainer::<P, E>::go_on(run, spec, *checkpoint, folder, steps)?
            }
        }))
    }
}

/// A training run between two iterations. One iteration is one trial of every craft, with an update after each segment.
pub(super) struct GradientTrainer<P: Differentiable, E: Encoder = Transformer> {
    run: Run,
    spec: Arc<PlantSpec>,
    settings: GradientSettings,
    config: NetworkConfig,
    normalizer: Normalizer,
    /// All tensors; the trained ones as they were when the run began or went on.
    tensors: Tensors,
    parameters: Vec<f32>,
    policy: LanePolicy<E>,
    adam: AdamW,
    iteration: u64,
    steps: u64,
    curve: Vec<Point>,
    laps: Vec<Lap>,
    training_return: f32,
    plant: PhantomData<fn() -> P>,
}

impl<P: Differentiable, E: Encoder> GradientTrainer<P, E> {
    /// A run from scratch on the plant that `spec` describes.
    ///
    /// # Errors
    /// When the plant's contract or the settings are not usable.
    pub(super) fn new(
        run: Run,
        mut settings: GradientSettings,
        spec: Arc<PlantSpec>,
    ) -> Result<Self, TrainError> {
        if matches!(run.agent, Agent::OneStep | Agent::Markov) {
            settings.model.window = 1;
        }
        let config = Self::checked(run.agent, &spec, &settings)?;
        let network: NetworkConfig = config.into();
        let mut random = random_stream(run.seed, Stream::Weights, 0);
        let mut tensors = initial_policy(&network, &settings.initial, &mut random);
        if let Some(std) = tensors.get_mut("normalizer.std") {
            // A task that is told is of size 1 already.
            std.values[..P::OBSERVATION].copy_from_slice(&P::scales());
            if run.agent == Agent::Markov {
                std.values[network.observations()..].fill(UNSEEN);
            }
        }
        if let Some(embed) = tensors.get_mut("embed.weight") {
            // Nothing is told of rewards, so that nothing could be learned of what this column does.
            let reward = network.inputs() - 2;
            for row in embed.values.chunks_exact_mut(network.inputs()) {
                row[reward] = 0.0;
            }
        }
        let count = LanePolicy::<E>::new(config).places().count;
        let adam = AdamW::new(count);
        Ok(Self::with(run, settings, config, tensors, adam, spec))
    }

    /// The policy's dimensions, of a run that can begin.
    fn checked(
        agent: Agent,
        spec: &PlantSpec,
        settings: &GradientSettings,
    ) -> Result<E::Config, TrainError> {
        let contract = spec.contract();
        let refused = |reason: &'static str| TrainError::GradientContract {
            plant: spec.name.to_string(),
            reason,
        };
        match &contract.reward {
            Reward::Formula(formula) if formula.is_zero() => {}
            _ => return Err(refused("tells the policy its reward")),
        }
        let period_s = contract.period_us as f32 * 1e-6;
        let limited = |range: f32, slew_per_s: f32| slew_per_s * period_s < range;
        if contract
            .actions
            .iter()
            .any(|a| limited(a.max - a.min, a.slew_per_s))
        {
            return Err(refused("limits how fast commands change"));
        }
        let told = if agent == Agent::Oracle { P::TASK } else { 0 };
        if agent == Agent::Oracle && told == 0 {
            return Err(refused("does not tell its task to who would be an oracle"));
        }
        let channels = [contract.observations.len(), contract.actions.len()];
        if channels != [P::OBSERVATION + told, P::ACTION] {
            return Err(refused("has other channels than its equations"));
        }
        let config = E::config(settings, channels[0], channels[1]);
        let network: NetworkConfig = config.into();
        network.validate().map_err(|reason| ConfigError::Model {
            place: spec.name.to_string(),
            reason,
        })?;
        Ok(config)
    }

    fn with(
        run: Run,
        settings: GradientSettings,
        config: E::Config,
        tensors: Tensors,
        adam: AdamW,
        spec: Arc<PlantSpec>,
    ) -> Self {
        let vector = |name: &str| {
            tensors
                .get(name)
                .map(|tensor| tensor.values.clone())
                .unwrap_or_default()
        };
        let policy = LanePolicy::new(config);
        Self {
            normalizer: Normalizer {
                mean: vector("normalizer.mean"),
                std: vector("normalizer.std"),
                clip: settings.gradient.clip,
            },
            parameters: policy.places().gather(&tensors),
            policy,
            run,
            spec,
            settings,
            config: config.into(),
            tensors,
            adam,
            iteration: 0,
            steps: 0,
            curve: Vec::new(),
            laps: Vec::new(),
            training_return: 0.0,
            plant: PhantomData,
        }
    }

    /// The run of a checkpoint that lies in `folder`.
    ///
    /// # Errors
    /// When the folder does not hold a whole run of this learner and version.
    pub(super) fn go_on(
        run: Run,
        spec: Arc<PlantSpec>,
        checkpoint: Checkpoint,
        folder: &Path,
        steps: Option<u64>,
    ) -> Result<Self, TrainError> {
        let origin = format!("{} [training]", folder.join(RUN_FILE).display());
        let mut table = checkpoint.training.clone();
        table.remove(LEARNER.0);
        let mut settings = GradientSettings::from_table(table, &origin)?;
        if let Some(steps) = steps {
            settings.gradient.steps = steps;
        }
        let config = Self::checked(run.agent, &spec, &settings)?;
        let state = TrainerState::load(folder)?;
        state.check(
            folder,
            &AdamW::new(LanePolicy::<E>::new(config).places().count),
            &AdamW::new(0),
            checkpoint.network.config().inputs(),
        )?;
        let tensors = checkpoint.network.tensors();
        let mut trainer = Self::with(run, settings, config, tensors, state.actor_optimizer, spec);
        trainer.iteration = state.iteration;
        trainer.steps = (0..state.iteration)
            .map(|iteration| trainer.iteration_steps(iteration))
            .sum();
        if trainer.steps != checkpoint.steps {
            return Err(TrainError::Torn {
                folder: folder.display().to_string(),
                policy: checkpoint.steps,
                trainer: trainer.steps,
            });
        }
        trainer.curve = curve::read(folder)?;
        trainer.laps = timing::read(folder)?;
        trainer.training_return = checkpoint.training_return;
        Ok(trainer)
    }

    /// Environment steps of an iteration, counted from 0.
    fn iteration_steps(&self, iteration: u64) -> u64 {
        (self.settings.trial.trials * self.settings.trial_steps(iteration)) as u64
    }

    /// The learning rate of the next update: a rise, then half a cosine.
    fn learning_rate(&self) -> f64 {
        let settings = &self.settings.gradient;
        let share = (self.steps as f64 / settings.steps as f64).min(1.0);
        let last = settings.final_learning_rate;
        let factor = last + (1.0 - last) * 0.5 * (1.0 + (std::f64::consts::PI * share).cos());
        let rise = (self.adam.updates + 1) as f64 / settings.warm_up.max(1) as f64;
        settings.learning_rate * factor * rise.min(1.0)
    }

    /// The parameters, in the order of [`Places`](super::places::Places).
    #[cfg(test)]
    pub(super) fn parameters(&self) -> &[f32] {
        &self.parameters
    }

    fn named_tensors(&self) -> Tensors {
        let mut tensors = self.tensors.clone();
        self.policy.places().scatter(&self.parameters, &mut tensors);
        tensors
    }
}

impl<P: Differentiable, E: Encoder> Training for GradientTrainer<P, E> {
    fn run(&self) -> &Run {
        &self.run
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn total_steps(&self) -> u64 {
        self.settings.gradient.steps
    }

    fn curve(&self) -> &[Point] {
        &self.curve
    }

    fn laps(&self) -> &[Lap] {
        &self.laps
    }

    fn iterate(&mut self) -> Result<Point, TrainError> {
        let begun = Instant::now();
        let settings = &self.settings.gradient;
        let limits = Limits {
            keep: settings.keep as f32,
            max_state_gradient: settings.max_state_gradient as f32,
            max_action_gradient: settings.max_action_gradient as f32,
            saturation: settings.saturation as f32,
            early_steps: settings.early_steps,
            early_weight: settings.early_weight as f32,
        };
        let trial = &self.settings.trial;
        let (blocks, length) = (
            trial.trials / LANES,
            self.settings.trial_steps(self.iteration),
        );
        let restarts = if trial.restart_every > 0.0 {
            1.0 / trial.restart_every
        } else {
            0.0
        };
        // Pieces of a length, so that the last update has seen as much as the others.
        let segment = length.div_ceil(length.div_ceil(trial.segment));
        let mut blocks: Vec<Block<P>> = (0..blocks as u64)
            .map(|block| {
                let index = self.iteration * blocks as u64 + block;
                Block::new(
                    random_stream(self.run.seed, Stream::Training, index),
                    length,
                    restarts,
                )
            })
            .collect();
        let idle = Mutex::new(Vec::new());
        let (mut told, mut norms, mut updates) = (Told::default(), 0.0, 0u64);
        let mut lost = 0;
        while blocks[0].left() > 0 {
            let steps = segment.min(blocks[0].left());
            self.policy.set(&self.parameters);
            let (policy, normalizer) = (&self.policy, &self.normalizer);
            let flown: Vec<(Told, Vec<f32>)> = blocks
                .par_iter_mut()
                .map(|block| {
                    let taken = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
                    let mut work = taken.unwrap_or_else(|| Workspace::new(policy, segment));
                    let told = block.fly(policy, normalizer, Some(&limits), &mut work, steps);
                    let gradient = work.gradient().to_vec();
                    idle.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(work);
                    (told, gradient)
                })
                .collect();
            let mut gradient = vec![0.0f32; self.parameters.len()];
            lost = 0;
            for (part, one) in &flown {
                told.cost += part.cost;
                told.steps += part.steps;
                lost += part.lost;
                let share = 1.0 / flown.len() as f32;
                gradient
                    .iter_mut()
                    .zip(one)
                    .for_each(|(sum, x)| *sum += share * x);
            }
            if gradient.iter().all(|x| x.is_finite()) {
                let (rate, settings) = (self.learning_rate(), &self.settings.gradient);
                let (decay, bound) = (settings.weight_decay, settings.max_gradient);
                norms += self
                    .adam
                    .update(&mut self.parameters, &gradient, rate, decay, bound);
                updates += 1;
            }
        }
        self.steps += self.iteration_steps(self.iteration);
        self.iteration += 1;
        if updates == 0 {
            return Err(TrainError::Diverged {
                iteration: self.iteration,
                steps: self.steps,
                cause: Divergence::Gradient,
            });
        }
        let reward = -told.cost / (told.steps as f64).max(1.0);
        let episode_return = reward * self.spec.protocol.episode_steps as f64;
        let point = Point {
            iteration: self.iteration,
            steps: self.steps,
            reward,
            episode_return,
            update: Update {
                gradient: norms / updates as f64,
                ..Update::default()
            },
            episodes: Some(Episodes {
                undisturbed_return: episode_return,
                falls: lost as f64 / self.settings.trial.trials as f64,
                diverged_steps: 0,
            }),
            ..Point::default()
        };
        self.curve.push(point);
        let total_s = begun.elapsed().as_secs_f64();
        self.laps.push(Lap {
            iteration: self.iteration,
            steps: self.iteration_steps(self.iteration - 1),
            unix_s: timing::unix_s(),
            rollout_s: total_s,
            learner_s: total_s,
            total_s,
        });
        Ok(point)
    }

    fn policy(&self) -> Result<Network, TrainError> {
        Ok(Network::new(
            &self.config,
            self.normalizer.clip,
            &self.named_tensors(),
        )?)
    }

    fn set_training_return(&mut self, value: f32) {
        self.training_return = value;
    }

    fn save(&self, folder: &Path) -> Result<(), TrainError> {
        let state = TrainerState {
            iteration: self.iteration,
            critic: Tensors::new(),
            actor_optimizer: self.adam.clone(),
            critic_optimizer: AdamW::new(0),
            memories: Statistics::new(self.config.inputs()),
            returns: Statistics::new(1),
        };
        let mut training = reading::to_table(&self.settings)?;
        training.insert(LEARNER.0.to_owned(), LEARNER.1.into());
        let checkpoint = Checkpoint {
            plant: self.run.plant.name().to_owned(),
            agent: self.run.agent,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            seed: self.run.seed,
            steps: self.steps,
            training_return: self.training_return,
            network: self.policy()?,
            contract: Some(self.spec.channels.clone()),
            robot: Vec::new(),
            training,
        };
        let (trainer, curve, timing) = (
            state.to_bytes()?,
            curve::render(&self.curve),
            timing::render(&self.laps),
        );
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
