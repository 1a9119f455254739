//! A mass on a line whose motor has a hidden gain: the smallest plant that asks for memory.

use std::sync::Arc;

use engram_export::checkpoint::{Agent, Checkpoint};
use engram_export::network::{Network, NetworkConfig};
use engram_image::{
    ActionChannel, Channel, Contract, List, OwnedContract, QuadraticReward, Reward,
};
use engram_plants::quadrotor::Quadrotor;
use engram_plants::{
    Differentiable, Flight, PlantFactory, PlantSpec, Plants, Random, Real, Stream, random_stream,
};
use rand::RngExt;
use strum::IntoEnumIterator;

use super::flights::{Block, Limits, Workspace};
use super::gru::Gru;
use super::policy::{Encoder, LanePolicy};
use super::trainer::GradientTrainer;
use super::transformer::Transformer;
use super::*;
use crate::curve::Point;
use crate::policy::initial_policy;
use crate::{Run, TrainError, Training};

const PERIOD_S: f32 = 0.1;

/// State: position, velocity.
struct Mass;

#[derive(Clone)]
struct Pushed {
    gain: f32,
    /// The gain turns over at this step.
    turns: usize,
    step: usize,
    random: Random,
}

impl Differentiable for Mass {
    const STATE: usize = 2;
    const ACTION: usize = 1;
    const OBSERVATION: usize = 2;
    type Parameters = f32;
    type Flight = Pushed;

    fn step<T: Real>(gain: &f32, state: &[T], action: &[T], next: &mut [T]) {
        next[1] = state[1] + action[0].scale(gain * PERIOD_S);
        next[0] = state[0] + next[1].scale(PERIOD_S);
    }

    fn observe<T: Real>(state: &[T], observation: &mut [T]) {
        observation.copy_from_slice(state);
    }

    fn cost<T: Real>(state: &[T], action: &[T]) -> T {
        state[0] * state[0] + (state[1] * state[1]).scale(0.1) + (action[0] * action[0]).scale(0.01)
    }

    fn scales() -> Vec<f32> {
        vec![0.5, 0.8]
    }

    fn lost(state: &[f32]) -> bool {
        !state.iter().all(|x| x.abs() < 20.0)
    }

    fn flight(random: &mut Random, steps: usize, state: &mut [f32]) -> Pushed {
        let mut flight = Pushed {
            gain: random.random_range(0.5..2.0),
            turns: random.random_range(steps / 2..=steps),
            step: 0,
            random: random.clone(),
        };
        flight.restart(state);
        flight
    }
}

impl Flight for Pushed {
    type Parameters = f32;

    fn parameters(&self) -> &f32 {
        &self.gain
    }

    fn measure(&mut self, observation: &mut [f32]) {
        observation[0] += self.random.random_range(-0.01..0.01f32);
    }

    fn advance(&mut self) {
        self.step += 1;
        if self.step == self.turns {
            self.gain = -self.gain;
        }
    }

    fn restart(&mut self, state: &mut [f32]) {
        state.fill_with(|| self.random.random_range(-1.0..1.0));
    }
}

const CONTRACT: Contract<'static> = Contract {
    period_us: 100_000,
    observations: List::from_slice(&[
        Channel::new("x", "m", [-20.0, 20.0]),
        Channel::new("v", "m/s", [-20.0, 20.0]),
    ]),
    actions: List::from_slice(&[ActionChannel::new("push", "1", [-1.0, 1.0])
        .with_slew_per_s(100.0)
        .with_safe(0.0)]),
    reward: Reward::Formula(QuadraticReward {
        constant: 0.0,
        linear: List::from_slice(&[0.0; 2]),
        quadratic: List::from_slice(&[0.0; 2]),
        action_quadratic: List::from_slice(&[0.0]),
    }),
};

/// The quadrotor's settings, made small. Eleven channels a head: more than the kernels take at once, and not a multiple.
fn settings() -> GradientSettings {
    let mut settings = GradientSettings::preset("quadrotor").unwrap();
    settings.model.model = 22;
    settings.model.heads = 2;
    settings.model.ff = 12;
    settings.model.window = 5;
    settings.model.hidden = [10, 9];
    settings.rl2.hidden = 14;
    settings.trial.trials = 2 * LANES;
    settings.trial.first_steps = 20;
    settings.trial.steps = 40;
    settings.trial.grow_iterations = 2;
    settings.trial.segment = 15;
    settings.trial.restart_every = 30.0;
    settings.gradient.steps = 6 * 2560;
    settings
}

const LIMITS: Limits = Limits {
    keep: 1.0,
    max_state_gradient: 1e6,
    max_action_gradient: 1e6,
    saturation: 0.0,
    early_steps: 3,
    early_weight: 1.0,
};

/// A packed policy, its parameters, and the same policy as it flies.
fn policy<E: Encoder>() -> (LanePolicy<E>, Vec<f32>, Network) {
    let settings = settings();
    let config = E::config(&settings, 2, 1);
    let network: NetworkConfig = config.into();
    let mut initial = settings.initial;
    (initial.last_layer_gain, initial.age_bias) = (0.5, 0.1);
    let mut random = random_stream(4, Stream::Weights, 0);
    let mut tensors = initial_policy(&network, &initial, &mut random);
    for tensor in tensors.values_mut() {
        // No bias at 0: an error that such a start hides would not show.
        tensor
            .values
            .iter_mut()
            .filter(|x| **x == 0.0)
            .for_each(|x| *x = random.random_range(-0.1..0.1));
    }
    tensors.get_mut("normalizer.std").unwrap().values[0] = 0.5;
    let flown = Network::new(&network, 6.0, &tensors).unwrap();
    let mut policy = LanePolicy::new(config);
    let parameters = policy.places().gather(&tensors);
    policy.set(&parameters);
    (policy, parameters, flown)
}

fn block() -> Block<Mass> {
    Block::new(random_stream(2, Stream::Training, 0), 40, 0.03)
}

fn a_block_flies_what_the_streaming_policy_would<E: Encoder>() {
    let (policy, _, flown) = policy::<E>();
    let normalizer = flown.normalizer();
    let mut work = Workspace::<Mass, E>::new(&policy, 20);
    let (mut block, mut states) = (block(), vec![flown.new_state(); LANES]);
    for _ in 0..2 {
        block.fly(&policy, normalizer, None, &mut work, 20);
        let tape = work.tape();
        for step in 0..20 {
            for (lane, state) in states.iter_mut().enumerate() {
                let column = tape.column(step) + lane;
                let scaling = normalizer.std.iter().zip(&normalizer.mean);
                let raw: Vec<f32> = (0..normalizer.std.len())
                    .zip(scaling)
                    .map(|(row, (std, mean))| tape.input.row(row)[column] * std + mean)
                    .collect();
                let mut mean = [0.0];
                flown.step(state, &raw, &mut mean);
                let found = tape.mean.row(0)[column];
                assert!(
                    (found - mean[0]).abs() < 1e-5,
                    "{step}, {lane}: {found} not {}",
                    mean[0]
                );
            }
        }
    }
}

fn gradients_are_those_of_finite_differences<E: Encoder>() {
    let (mut policy, parameters, flown) = policy::<E>();
    const STEPS: usize = 14;
    let mut work = Workspace::<Mass, E>::new(&policy, STEPS + 3);
    // From the middle of a trial: the memory of the steps before is given.
    let mut fly = |changed: Option<&[f32]>, limits: Option<&Limits>| {
        let mut block = block();
        policy.set(&parameters);
        block.fly(&policy, flown.normalizer(), None, &mut work, 7);
        if let Some(changed) = changed {
            policy.set(changed);
        }
        let told = block.fly(&policy, flown.normalizer(), limits, &mut work, STEPS);
        assert_eq!((told.steps as usize, told.lost), (STEPS * LANES, 0));
        (told.cost / (STEPS * LANES) as f64, work.gradient().to_vec())
    };
    let (_, gradient) = fly(None, Some(&LIMITS));
    let largest = gradient
        .iter()
        .fold(0.0f32, |largest, x| largest.max(x.abs()));
    let mut checked = 0;
    for index in (0..parameters.len()).step_by(13) {
        let mut moved = parameters.clone();
        let mut at = |step: f32| {
            moved[index] = parameters[index] + step;
            fly(Some(&moved), None).0
        };
        let step = 2e-3;
        let expected = (at(step) - at(-step)) / f64::from(2.0 * step);
        let error = (f64::from(gradient[index]) - expected).abs();
        assert!(
            error < 0.02 * expected.abs() + 2e-3 * f64::from(largest),
            "{index}: {} not {expected}",
            gradient[index]
        );
        checked += usize::from(expected.abs() > 0.01 * f64::from(largest));
    }
    assert!(checked > 50, "{checked} of the checked gradients count");
}

#[test]
fn the_transformer_computes_what_flies_and_its_gradient() {
    a_block_flies_what_the_streaming_policy_would::<Transformer>();
    gradients_are_those_of_finite_differences::<Transformer>();
}

#[test]
fn the_recurrent_network_computes_what_flies_and_its_gradient() {
    a_block_flies_what_the_streaming_policy_would::<Gru>();
    gradients_are_those_of_finite_differences::<Gru>();
}

#[test]
fn bounded_gradients_are_bounded_and_finite() {
    let (policy, _, flown) = policy::<Transformer>();
    let mut work = Workspace::<Mass>::new(&policy, 15);
    let limits = Limits {
        max_action_gradient: 1e-3,
        ..LIMITS
    };
    block().fly(&policy, flown.normalizer(), Some(&limits), &mut work, 15);
    let tape = work.tape();
    let share = 1.0 / (15 * LANES) as f32;
    let row = &tape.mean_gradient.row(0)[tape.column(0)..tape.column(15)];
    assert!(row.iter().all(|x| x.abs() <= 1.001e-3 * share));
    assert!(row.iter().any(|x| *x != 0.0));
}

fn trainer() -> GradientTrainer<Mass> {
    GradientTrainer::new(run(), settings(), spec(&CONTRACT)).unwrap()
}

/// A run wants a plant by name; what is trained here is [`Mass`].
fn run() -> Run {
    Run::new(PlantFactory::open("pendulum").unwrap(), Agent::Trmrl, 3)
}

/// The mass under this contract.
fn spec(contract: &Contract<'_>) -> Arc<PlantSpec> {
    let mut spec = PlantSpec::clone(run().plant.spec());
    spec.channels = OwnedContract::from(contract);
    spec.protocol.episode_steps = 40;
    Arc::new(spec)
}

fn curve(trainer: &mut impl Training) -> Vec<Point> {
    while !trainer.finished() {
        trainer.iterate().unwrap();
    }
    trainer.curve().to_vec()
}

#[test]
fn a_run_that_stopped_goes_on_to_the_same_weights() {
    let folder = tempfile::tempdir().unwrap();
    let mut whole = trainer();
    let expected = curve(&mut whole);
    let mut first = trainer();
    for _ in 0..3 {
        first.iterate().unwrap();
    }
    first.save(folder.path()).unwrap();
    let checkpoint = Checkpoint::load(folder.path()).unwrap();
    assert!(is_gradient(&checkpoint.training));
    let mut second =
        GradientTrainer::<Mass>::go_on(run(), spec(&CONTRACT), checkpoint, folder.path(), None)
            .unwrap();
    assert_eq!(curve(&mut second).len(), expected.len());
    assert_eq!(second.parameters(), whole.parameters());
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let mut trainer = trainer();
            curve(&mut trainer);
            trainer.parameters().to_vec()
        })
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn it_learns() {
    let mut settings = settings();
    settings.gradient.steps = 200 * 2560;
    settings.gradient.max_gradient = 1.0;
    let mut trainer = GradientTrainer::<Mass>::new(run(), settings, spec(&CONTRACT)).unwrap();
    let curve = curve(&mut trainer);
    let mean = |points: &[Point]| {
        points.iter().map(|point| point.reward).sum::<f64>() / points.len() as f64
    };
    let (first, last) = (mean(&curve[2..12]), mean(&curve[curve.len() - 10..]));
    assert!(last > 0.5 * first, "{first} became {last}");
}

#[test]
fn what_it_cannot_do_is_refused() {
    let new = |contract: &Contract<'_>| {
        GradientTrainer::<Mass>::new(run(), settings(), spec(contract))
            .err()
            .unwrap()
            .to_string()
    };
    let told = Contract {
        reward: Reward::External,
        ..CONTRACT
    };
    assert!(new(&told).contains("tells the policy its reward"));
    let slow = [ActionChannel::new("push", "1", [-1.0, 1.0])
        .with_slew_per_s(1.0)
        .with_safe(0.0)];
    let slow = Contract {
        actions: List::from_slice(&slow),
        ..CONTRACT
    };
    assert!(new(&slow).contains("limits how fast commands change"));
    let settings = settings();
    assert!(matches!(
        begin(run(), settings.clone()),
        Err(TrainError::NoGradient { .. })
    ));
    // A mass tells no task.
    let mut oracle = run();
    oracle.agent = Agent::Oracle;
    let error = GradientTrainer::<Mass>::new(oracle, settings, spec(&CONTRACT)).err();
    assert!(error.unwrap().to_string().contains("tell its task"));
}

/// Every agent trains on the quadrotor, in the network that it is said to have, and can be evaluated and gone on with.
#[test]
fn every_agent_trains() {
    let mut settings = settings();
    settings.trial.trials = LANES;
    settings.gradient.steps = 2 * 20 * 32;
    for agent in Agent::iter() {
        let quadrotor = PlantFactory::open("quadrotor").unwrap();
        let mut trainer = begin(Run::new(quadrotor, agent, 1), settings.clone()).unwrap();
        let before = trainer.policy().unwrap();
        trainer.iterate().unwrap();
        let folder = tempfile::tempdir().unwrap();
        trainer.save(folder.path()).unwrap();
        let saved = Checkpoint::load(folder.path()).unwrap();
        assert_eq!(saved.agent, agent);
        let observations = saved.network.config().observations();
        assert_eq!(observations == 22, agent != Agent::Oracle, "{agent}");
        match saved.network.config() {
            NetworkConfig::Gru(_) => assert_eq!(agent, Agent::Rl2),
            NetworkConfig::Transformer(config) => {
                let memoryless = matches!(agent, Agent::OneStep | Agent::Markov);
                assert_eq!(config.window == 1, memoryless, "{agent}");
            }
        }
        let std = &saved.network.normalizer().std;
        assert_eq!(
            *std.last().unwrap() > 1e20,
            agent == Agent::Markov,
            "{agent}"
        );
        assert_ne!(before, saved.network, "{agent}");
        let mut second =
            resume(&Plants::built_in(), "quadrotor", saved, folder.path(), None).unwrap();
        let (expected, found) = (trainer.iterate().unwrap(), second.iterate().unwrap());
        assert_eq!(expected.reward, found.reward, "{agent}");
        assert_eq!(
            trainer.policy().unwrap(),
            second.policy().unwrap(),
            "{agent}"
        );
    }
}

/// The oracle's inputs are what the plant that tells its task shows.
#[test]
fn the_task_is_told_as_the_plant_tells_it() {
    let told = PlantFactory::open("quadrotor").unwrap().told();
    let mut random = random_stream(5, Stream::Training, 0);
    let mut state = vec![0.0; Quadrotor::STATE];
    let flight = Quadrotor::flight(&mut random, 100, &mut state);
    let mut task = vec![0.0; Quadrotor::TASK];
    flight.tell(&mut task);
    let mut plant = told.make();
    plant.set_task(&(*flight.hidden()).into());
    assert_eq!(plant.observe()[Quadrotor::OBSERVATION..], task);
}
