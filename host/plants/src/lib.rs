//! Plants: the simulated robots that policies are trained on, judged on and flown against.
//!
//! A plant owns its physics, its hidden task, its sensors' noise and its judgement. It knows nothing
//! of policies, training or boards, and it never limits a command's rate: range and slew are the
//! envelope's, which stands between policy and plant both in training and on the robot.
//! Everything random comes from seeds, and no result depends on the machine or its threads.
// With MuJoCo two modules may, mujoco/log.rs and mujoco/task_model.rs, which say why. The workspace's lints deny it everywhere else.
#![cfg_attr(not(feature = "mujoco"), forbid(unsafe_code))]
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

pub mod bounded_file;
mod differentiable;
mod driven;
mod dual;
mod factory;
#[cfg(feature = "mujoco")]
pub mod mujoco;
pub mod pendulum;
pub mod quadrotor;
mod random;
pub mod robot;
mod spec;
pub mod speed;
mod told;
pub mod toml_place;

use std::sync::Arc;

pub use differentiable::{Differentiable, Flight, PullBack};
pub use driven::Driven;
pub use dual::{Dual, Real};
pub use factory::{
    MUJOCO_NAMES, NAMES, PlantFactory, PlantKind, Plants, UnfitPlant, UnknownPlant, by_name,
};
pub use random::{Random, Stream, bell, random_stream};
pub use spec::{Change, Parameter, PlantSpec, Protocol, Text, UnfitSpec, UnknownChange};
pub use told::Told;

/// Which distribution a task is drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskSet {
    /// The ranges that training draws from.
    Training,
    /// The same ranges, drawn from a seed stream that training never uses.
    HeldOut,
    /// At least one parameter outside its training range.
    OutOfDistribution,
}

impl TaskSet {
    /// The seed stream that belongs to this set.
    #[must_use]
    pub const fn stream(self) -> Stream {
        match self {
            Self::Training => Stream::Training,
            Self::HeldOut => Stream::HeldOut,
            Self::OutOfDistribution => Stream::OutOfDistribution,
        }
    }
}

/// One hidden setting of the dynamics: a value for each of [`PlantSpec::parameters`], in their order and units.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// One value per parameter.
    pub values: Vec<f32>,
}

/// Where an episode starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// As in every evaluation and flight.
    Usual,
    /// Any reasonable state; training uses it to see more of the state space.
    Anywhere,
}

/// What the true state says about the goal, at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The goal is held (the pendulum: upright).
    pub holds: bool,
    /// The goal is lost altogether (the pendulum: below the horizontal).
    pub fallen: bool,
}

/// One environment: a robot with one hidden task, stepped at the contract's control period.
///
/// The order within a control step is: [`observe`](Plant::observe), decide, [`step`](Plant::step)
/// with the issued command, which holds for one period.
pub trait Plant: Send {
    /// What all plants of this kind have in common.
    fn spec(&self) -> &Arc<PlantSpec>;
    /// Draws a task. The generator should come from the set's own stream ([`TaskSet::stream`]). By default all parameters are
    /// uniform and independent ([`PlantSpec::sample`]).
    fn sample_task(&self, set: TaskSet, random: &mut Random) -> Task {
        self.spec().sample(set, random)
    }

    /// Begins a trial on `task`: time 0, a usual start. `seed` decides start states and sensor noise.
    fn reset(&mut self, task: &Task, seed: u64);
    /// Begins the next episode of the trial: a new start state, same task, time and noise run on.
    fn restart(&mut self, start: Start);
    /// Replaces the task in mid-motion; the state stays.
    fn set_task(&mut self, task: &Task);
    /// The task now in force, changes included.
    fn task(&self) -> Task;
    /// [`task`](Self::task), each value moved and scaled so that its training range becomes [-1, 1].
    fn centred_task(&self) -> Vec<f32> {
        let values = self.task().values;
        let centred = values
            .iter()
            .zip(&self.spec().parameters)
            .map(|(value, parameter)| {
                let (low, high) = parameter.training;
                (2.0 * value - low - high) / (high - low)
            });
        centred.collect()
    }
    /// Applies a named change to the task now in force; the state stays.
    ///
    /// # Errors
    /// [`UnknownChange`] names what there is.
    fn apply(&mut self, change: &str) -> Result<(), UnknownChange>;

    /// The measured observation (with noise) of this moment, in the contract's order and units.
    fn observe(&self) -> &[f32];
    /// Holds `command` (contract units, one value per action channel) for one control period.
    fn step(&mut self, command: &[f32]);

    /// What the last step was worth, for a plant whose contract has an external reward; others have none.
    fn external_reward(&self) -> Option<f32> {
        None
    }

    /// The episode has ended by itself, for example because the robot fell; time-outs are not the plant's.
    /// Whoever steps the plant starts the next episode.
    fn ended(&self) -> bool {
        false
    }
    /// The simulation of the last step left the numbers that it can compute with and was set back: nothing that the
    /// plant says of this step is physics. Implies [`ended`](Self::ended) and, where rewards are external, a reward of 0.
    fn diverged(&self) -> bool {
        false
    }
    /// The quantity by which the last step is judged in tables, in the unit that [`PlantSpec::metric_name`] ends with.
    fn metric(&self) -> Option<f32> {
        None
    }

    /// Seconds since the trial began.
    fn time_s(&self) -> f64;
    /// The true state, for logs and pictures; named by [`PlantSpec::state_names`].
    fn state(&self) -> &[f32];
    /// Judges the true state. An episode that has ended with the goal held has reached it, and is no fall.
    fn judge(&self) -> Judgement;
    /// Appends what only a critic may see (true state and hidden task), each entry of order one.
    fn privileged(&self, features: &mut Vec<f32>);
}
