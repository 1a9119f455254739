//! A user's own robot, as its TOML file describes it: channels, reward, what is hidden, and how it is judged.
//!
//! This module reads and checks files; it knows nothing of MuJoCo, and what the model's names mean is found out by
//! [`mujoco`](crate::PlantFactory). Whoever flies a robot reads its file once, so that every plant of a run is the same robot even when
//! the file is edited meanwhile.

mod actions;
mod check;
mod effects;
mod error;
mod judged;
mod measured;
mod quantity;
mod reward_input;
mod starts;
mod tasks;
mod terms;
mod text;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::PlantSpec;
use crate::bounded_file::{self, BoundedError};
use crate::toml_place::Document;

pub use actions::MAX_DELAY_STEPS;
pub(crate) use check::is_plain;
pub use error::RobotError;
pub use measured::{
    Bound, Clock, Condition, Effort, Measure, Named, Reached, Seen, Shape, Source, Target, Term,
    Touch,
};
pub use text::{Angle, Axis, Draw, Frame, Wave};

/// How the name of a robot's file ends.
pub const EXTENSION: &str = ".toml";
/// In a list of names: all that the model has.
pub const ALL: &str = "*";

/// What a hidden parameter does to the model.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Multiplies mass and inertia of bodies.
    Mass(Vec<Named>),
    /// Multiplies the damping of joints.
    Damping(Vec<Named>),
    /// Multiplies the friction of geoms.
    Friction(Vec<Named>),
    /// Multiplies the gear of motors; below 0 they work the other way round.
    Gear(Vec<Named>),
    /// Multiplies all forces of motors, servos and muscles, and their limits.
    Strength(Vec<Named>),
    /// Below 0, motors push and servos move the other way round.
    Polarity(Vec<Named>),
    /// Multiplies the forces of actuators, and not their limits.
    Gain(Vec<Named>),
    /// Turns gravity about an axis of the world, in rad.
    GravityTilt(Axis),
    /// Multiplies gravity.
    GravityScale,
    /// Adds a mass, in kg.
    Payload(Payload),
    /// Moves a body's centre of mass along an axis of the body, in m.
    CenterOfMass(Named, Axis),
    /// Adds to the armature of joints, in kg or kg m^2.
    Armature(Vec<Named>),
    /// Adds to the friction loss of joints, in N or Nm.
    FrictionLoss(Vec<Named>),
    /// Pushes a body now and then, in N.
    Push(Push),
    /// Adds to observation channels, by their numbers, in their units.
    ObservationBias(Vec<usize>),
    /// Adds to the noise of observation channels, in their units.
    ObservationNoise(Vec<usize>),
    /// Adds to the noise of action channels, in their units.
    ActionNoise(Vec<usize>),
    /// Lets observation channels lag, in control steps.
    ObservationDelay(Vec<usize>),
    /// Lets action channels lag, in control steps.
    ActionDelay(Vec<usize>),
    /// Adds to the time constants of action channels' filters, in s.
    ActionFilter(Vec<usize>),
    /// Nothing: rewards, goals or observations refer to it.
    Goal,
}

/// A mass that is added to a body: a ball, or a point.
#[derive(Clone, Debug, PartialEq)]
pub struct Payload {
    /// The body.
    pub body: Named,
    /// Where, in m, in the body's frame; without it at the body's centre of mass.
    pub at: Option<[f64; 3]>,
    /// Radius of the ball; 0 is a point.
    pub radius_m: f64,
}

/// When a body is pushed, and which way.
#[derive(Clone, Debug, PartialEq)]
pub struct Push {
    /// The body, at its centre of mass.
    pub body: Named,
    /// Along this axis of the world, either way; without it in any horizontal direction.
    pub axis: Option<Axis>,
    /// The chance that a push begins in a control step without one.
    pub chance: f64,
    /// Control steps of one push.
    pub steps: u32,
}

/// What a command is an offset from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Around {
    /// Nothing: it is the control itself.
    Nothing,
    /// A number, in units of the control.
    Value(f64),
    /// Where the actuator's joint is at the start.
    Pose,
    /// The actuator's control in the start keyframe.
    Control,
}

/// How an action channel's command becomes an actuator's control.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// The actuator.
    pub actuator: Named,
    /// What the command is an offset from.
    pub around: Around,
    /// A motor follows joint positions with these gains, proportional and derivative.
    pub position: Option<[f64; 2]>,
    /// Time constant of a low-pass filter.
    pub filter_s: Option<f64>,
    /// Standard deviation of noise, in the command's unit.
    pub noise_std: f32,
    /// The command acts so many control steps late.
    pub delay_steps: usize,
}

/// How an actuator that the file adds makes its force.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Servo {
    /// From its control alone.
    Motor,
    /// From the distance to a position.
    Position {
        /// Force per distance.
        kp: f64,
        /// Force per velocity.
        kv: f64,
    },
    /// From the distance to a velocity.
    Velocity {
        /// Force per velocity.
        kv: f64,
    },
}

/// An actuator that the file adds to the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Added {
    /// Its name.
    pub name: String,
    /// The joint that it drives.
    pub joint: Named,
    /// Smallest and largest control.
    pub ctrlrange: [f64; 2],
    /// Smallest and largest force, before the gear.
    pub forcerange: Option<[f64; 2]>,
    /// Joint force per force.
    pub gear: f64,
    /// How its force comes about.
    pub servo: Servo,
}

/// A joint's position at the start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Place {
    /// Within this.
    At([f64; 2]),
    /// So far from the start's pose.
    Off([f64; 2]),
}

/// Joints with ranges of their own.
#[derive(Clone, Debug, PartialEq)]
pub struct JointStart {
    /// The joints.
    pub joints: Vec<Named>,
    /// Where they are.
    pub place: Option<Place>,
    /// Their velocities.
    pub velocity: Option<[f64; 2]>,
}

/// A free body with a place of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct BodyStart {
    /// The body.
    pub body: Named,
    /// Ranges along x, y and z of the world, in m; without one, where the start has it.
    pub place: [Option<[f64; 2]>; 3],
    /// Turned about the world's z axis, from how the start has it, in rad.
    pub yaw: Option<[f64; 2]>,
}

/// Where episodes start.
#[derive(Clone, Debug, PartialEq)]
pub struct StartNoise {
    /// The keyframe, or the model's own initial state.
    pub keyframe: Option<Named>,
    /// Positions are uniform within this.
    pub position: f64,
    /// Velocities are uniform within this.
    pub velocity: f64,
    /// A start from anywhere scatters so many times wider.
    pub anywhere: f64,
    /// The joints that scatter.
    pub joints: Vec<Named>,
    /// Joints with ranges of their own, which do not scatter.
    pub ranges: Vec<JointStart>,
    /// Free bodies with places of their own.
    pub bodies: Vec<BodyStart>,
}

/// A robot, checked as far as that is possible without its model.
#[derive(Debug)]
pub struct Robot {
    file: PathBuf,
    text: String,
    /// The file of its MuJoCo model.
    pub model: PathBuf,
    /// Name, channels, parameters and changes; a state name per observation channel.
    pub spec: Arc<PlantSpec>,
    /// Source of every observation channel.
    pub sources: Vec<Source>,
    /// Standard deviation of every observation channel's noise.
    pub noise_std: Vec<f32>,
    /// Control steps by which every observation channel lags.
    pub observation_delays: Vec<usize>,
    /// What becomes of every action channel's command.
    pub actions: Vec<Action>,
    /// Actuators that the model lacks.
    pub added: Vec<Added>,
    /// Weight and term.
    pub rewards: Vec<(f64, Term)>,
    /// An episode ends when all conditions of any of these hold.
    pub ended: Vec<Vec<Condition>>,
    /// Where episodes start.
    pub start: StartNoise,
    /// What each hidden parameter does.
    pub effects: Vec<Effect>,
    /// How each hidden parameter is drawn.
    pub draws: Vec<Draw>,
    /// For every change its factors: number of the parameter, and what it is multiplied by.
    pub factors: Vec<Vec<(usize, f32)>>,
    /// Changes in one trial of training, on average.
    pub changes_per_trial: f64,
    /// Names of the changes that come in training too.
    pub training_changes: Vec<String>,
    /// The goal is held when all of these hold and the episode has not ended.
    pub goal: Vec<Condition>,
    /// When the goal counts as reached, if it can be.
    pub reached: Option<Reached>,
}

/// Whether a plant's name is the path of a robot's file.
#[must_use]
pub fn is_file(plant: &str) -> bool {
    plant.ends_with(EXTENSION)
}

/// Reads the robot of a file.
///
/// # Errors
/// [`RobotError`] names file, line, key, value and what it must be.
pub fn load(path: &str) -> Result<Robot, RobotError> {
    let unreadable = |error: BoundedError| RobotError::Read {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let file = Path::new(path).canonicalize();
    let file = file.map_err(|error| unreadable(error.into()))?;
    let text = bounded_file::text(&file).map_err(unreadable)?;
    Robot::from_toml(&text, Path::new(path))
}

impl Robot {
    /// The file that it was read from, as it was named.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The text of that file.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Reads and checks a robot. `file` is named in errors, and the model's path is relative to it.
    ///
    /// # Errors
    /// [`RobotError`] names file, line, key, value and what it must be.
    pub fn from_toml(text: &str, file: &Path) -> Result<Self, RobotError> {
        check::robot(text, file)
    }

    /// The hidden parameters that are periods of clocks.
    #[must_use]
    pub fn clocks(&self) -> Vec<usize> {
        let conditions = self.goal.iter().chain(self.ended.iter().flatten());
        let measures = conditions.map(|condition| &condition.measure);
        let terms = self.rewards.iter().map(|(_, term)| term);
        let rewarded = terms.clone().filter_map(Term::measure);
        let sources = measures.chain(rewarded).flat_map(|measure| &measure.0);
        let sources = sources.map(|(source, _)| source).chain(&self.sources);
        let clocks = sources.filter_map(|source| match source {
            Source::Clock(clock, _) => clock.period_s.parameter(),
            _ => None,
        });
        let gaits = terms.filter_map(|term| match term {
            Term::Gait { period_s, .. } => period_s.parameter(),
            _ => None,
        });
        let mut all: Vec<usize> = clocks.chain(gaits).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The error for the value of a key.
    #[must_use]
    pub fn refuse(&self, key: &str, must: impl Into<String>) -> RobotError {
        let file = Document {
            origin: &self.file.display().to_string(),
            text: &self.text,
        };
        RobotError::value(file, key, must)
    }

    /// The error for a hidden parameter that does nothing.
    #[must_use]
    pub fn without_effect(&self, index: usize, why: String) -> RobotError {
        let file = Document {
            origin: &self.file.display().to_string(),
            text: &self.text,
        };
        RobotError::no_effect(file, index, &self.spec.parameters[index].name, why)
    }
}

#[cfg(test)]
mod tests;
