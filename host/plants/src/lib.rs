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
#[cfg(feature = "mujoco")]
pub mod mujoco;
pub mod pendulum;
pub mod quadrotor;
mod random;
pub mod robot;
mod told;
pub mod toml_place;

use engram_image::Contract;

pub use differentiable::{Differentiable, Flight, PullBack};
pub use driven::Driven;
pub use dual::{Dual, Real};
pub use random::{Random, Stream, random_stream};
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

/// One hidden setting of the dynamics: a value for each of [`Plant::parameters`], in their order and units.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// One value per parameter.
    pub values: Vec<f32>,
}

/// One hidden parameter of a plant's tasks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter {
    /// What it is called in flight logs and reports.
    pub name: &'static str,
    /// Its unit; "1" for none.
    pub unit: &'static str,
    /// Smallest and largest value in training and in the held-out set.
    pub training: (f32, f32),
    /// Smallest and largest value in the out-of-distribution set.
    pub wide: (f32, f32),
}

/// A named change of the dynamics that may be applied in the middle of an episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The name that `--change` takes.
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
}

/// How a plant's policies are judged; times count control steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Protocol {
    /// Steps of one episode.
    pub episode_steps: usize,
    /// Episodes of one trial; the memory persists between them.
    pub episodes: usize,
    /// The first episode succeeds if the goal is held throughout its last `hold_steps` steps.
    pub hold_steps: usize,
    /// The change comes in the last episode at a uniformly drawn step of this inclusive range.
    pub change_steps: (usize, usize),
    /// Recovered: the goal is held at every step from this many after the change to the end.
    pub recovery_steps: usize,
    /// The change that is applied when none is named.
    pub default_change: &'static str,
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

/// A change's name that the plant does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("plant '{plant}' knows no change '{name}'; it knows: {known}")]
pub struct UnknownChange {
    plant: &'static str,
    name: String,
    known: String,
}

/// A plant that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownPlant {
    /// A name that nobody knows.
    #[error("there is no plant '{name}'; there is: {}, {}, and your own robot by its file, FILE.toml", NAMES.join(", "), MUJOCO_NAMES.join(", "))]
    Name {
        /// The name.
        name: String,
    },
    /// A plant that this program was built without.
    #[error(
        "plant '{name}' needs MuJoCo: run 'scripts/set-up --mujoco' in the repository and build with '--features mujoco'"
    )]
    NotBuilt {
        /// The name.
        name: String,
    },
    /// A robot's file that is not right.
    #[error(transparent)]
    Robot(#[from] robot::RobotError),
    /// A plant whose model cannot be had.
    #[cfg(feature = "mujoco")]
    #[error(transparent)]
    Model(#[from] mujoco::ModelError),
}

/// One environment: a robot with one hidden task, stepped at the contract's control period.
///
/// The order within a control step is: [`observe`](Plant::observe), decide, [`step`](Plant::step)
/// with the issued command, which holds for one period.
pub trait Plant: Send {
    /// The plant's name, as `engram train` takes it.
    fn name(&self) -> &'static str;
    /// Channels, period and reward, as the boards know them.
    fn contract(&self) -> Contract<'static>;
    /// How policies are judged on this plant.
    fn protocol(&self) -> Protocol;
    /// The hidden parameters, in the order of [`Task::values`].
    fn parameters(&self) -> &'static [Parameter];
    /// The changes that [`apply`](Plant::apply) knows.
    fn changes(&self) -> &'static [Change];
    /// Draws a task. The generator should come from the set's own stream ([`TaskSet::stream`]).
    fn sample_task(&self, set: TaskSet, random: &mut Random) -> Task;

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
            .zip(self.parameters())
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
    /// Whether there is a goal to hold. Without one [`judge`](Self::judge) knows falls alone, and no share of steps in
    /// which the goal was held means anything.
    fn has_goal(&self) -> bool {
        true
    }
    /// The quantity by which the last step is judged in tables, in the unit that
    /// [`metric_name`](Self::metric_name) ends with.
    fn metric(&self) -> Option<f32> {
        None
    }
    /// What [`metric`](Self::metric) is, with its unit, for plants that have one.
    fn metric_name(&self) -> Option<&'static str> {
        None
    }

    /// Seconds since the trial began.
    fn time_s(&self) -> f64;
    /// The true state, for logs and pictures; named by [`state_names`](Plant::state_names).
    fn state(&self) -> &[f32];
    /// Names with units of [`state`](Plant::state).
    fn state_names(&self) -> &'static [&'static str];
    /// Judges the true state.
    fn judge(&self) -> Judgement;
    /// Appends what only a critic may see (true state and hidden task), each entry of order one.
    fn privileged(&self, features: &mut Vec<f32>);
}

/// The plants that every build has.
pub const NAMES: [&str; 2] = [pendulum::NAME, quadrotor::NAME];

/// The plants of the feature `mujoco`.
pub const MUJOCO_NAMES: [&str; 6] = [
    "half-cheetah-vel",
    "half-cheetah-dir",
    "ant-dir",
    "ant-dir-xy",
    "walker-params",
    "hopper-params",
];

/// Makes a plant by its name.
/// A name that ends in `.toml` is the path of a robot's file.
///
/// # Errors
/// [`UnknownPlant`] names what there is.
pub fn by_name(name: &str) -> Result<Box<dyn Plant>, UnknownPlant> {
    match name {
        pendulum::NAME => Ok(Box::new(pendulum::Pendulum::new())),
        quadrotor::NAME => Ok(Box::new(quadrotor::Craft::new())),
        _ if robot::is_file(name) => from_file(name),
        _ if MUJOCO_NAMES.contains(&name) => on_mujoco(name),
        _ => Err(UnknownPlant::Name {
            name: name.to_owned(),
        }),
    }
}

/// Makes the plant that an agent trains and is judged on: for the `oracle`, one that tells its hidden task.
///
/// # Errors
/// [`UnknownPlant`] names what there is.
pub fn for_agent(name: &str, agent: &str) -> Result<Box<dyn Plant>, UnknownPlant> {
    let plant = by_name(name)?;
    Ok(if agent == ORACLE {
        Box::new(Told::new(plant))
    } else {
        plant
    })
}

/// The agent that is told the task.
pub const ORACLE: &str = "oracle";

/// The robot of a file. Its mistakes are told in every build.
#[cfg(feature = "mujoco")]
fn from_file(path: &str) -> Result<Box<dyn Plant>, UnknownPlant> {
    Ok(Box::new(mujoco::robot::from_file(path)?))
}

#[cfg(not(feature = "mujoco"))]
fn from_file(path: &str) -> Result<Box<dyn Plant>, UnknownPlant> {
    robot::load(path)?;
    Err(UnknownPlant::NotBuilt {
        name: path.to_owned(),
    })
}

#[cfg(feature = "mujoco")]
fn on_mujoco(name: &str) -> Result<Box<dyn Plant>, UnknownPlant> {
    let plant = mujoco::by_name(name)?.ok_or_else(|| UnknownPlant::Name {
        name: name.to_owned(),
    })?;
    Ok(Box::new(plant))
}

#[cfg(not(feature = "mujoco"))]
fn on_mujoco(name: &str) -> Result<Box<dyn Plant>, UnknownPlant> {
    Err(UnknownPlant::NotBuilt {
        name: name.to_owned(),
    })
}

/// The error for a change that `plant` does not know.
pub fn unknown_change(plant: &dyn Plant, name: &str) -> UnknownChange {
    let known: Vec<_> = plant.changes().iter().map(|change| change.name).collect();
    UnknownChange {
        plant: plant.name(),
        name: name.to_owned(),
        known: known.join(", "),
    }
}
