//! What makes one locomotion plant out of a model: everything that differs between them, as data and plain functions.

use engram_image::Contract;
use mujoco_rs::wrappers::MjModel;

use super::simulation::{After, Simulation};
use crate::{Change, Parameter, Random, TaskSet};

/// One locomotion plant.
pub(super) struct Design {
    /// Its name, as `engram train` takes it.
    pub(super) name: &'static str,
    /// The file of its model.
    pub(super) model: &'static str,
    /// Physics steps per control step.
    pub(super) frame_skip: usize,
    /// What the reward reads beside the state.
    pub(super) after: After,
    /// Channels and period.
    pub(super) contract: Contract<'static>,
    /// Hidden parameters.
    pub(super) parameters: &'static [Parameter],
    /// Changes that may come within an episode.
    pub(super) changes: &'static [Change],
    /// What the one of this name does to the task.
    pub(super) change: fn(&str, &mut [f32]),
    /// The first episode succeeds if the goal is held throughout its last steps, this many.
    pub(super) hold_steps: usize,
    /// Noise of the initial state.
    pub(super) start: StartNoise,
    /// What the robot is to do.
    pub(super) goal: Goal,
    /// Draws the hidden parameters.
    pub(super) draw: fn(TaskSet, &mut Random) -> Vec<f32>,
    /// Changes the model to a task's body, for tasks that hide the body.
    pub(super) alter: Option<fn(&mut MjModel, &[f32])>,
    /// Writes the observation.
    pub(super) observe: fn(&Simulation, &mut [f64]),
    /// The place whose change per control step is the velocity, in m.
    pub(super) place: fn(&Simulation) -> [f64; 2],
    /// What a control step was worth.
    pub(super) reward: fn(&Step<'_>) -> f64,
    /// Whether the robot still stands.
    pub(super) healthy: fn(&Simulation) -> bool,
}

/// How the initial state scatters about the model's.
#[derive(Clone, Copy)]
pub(super) struct StartNoise {
    /// Positions are uniform within this.
    pub(super) position: f64,
    /// Velocities are normal with this standard deviation, or uniform within it.
    pub(super) velocity: f64,
    /// Normal rather than uniform velocities.
    pub(super) normal: bool,
}

/// One control step, as rewards see it.
pub(super) struct Step<'a> {
    /// The simulation after the step.
    pub(super) simulation: &'a Simulation,
    /// Mean velocity during the step along x and y, in m/s.
    pub(super) velocity: [f64; 2],
    /// Speed along the goal's direction, in m/s.
    pub(super) goal_speed: f64,
    /// The hidden task.
    pub(super) task: &'a [f32],
    /// The command, each on [-1, 1].
    pub(super) command: &'a [f32],
    /// The robot still stands.
    pub(super) healthy: bool,
}

impl Step<'_> {
    /// Sum of the squared commands.
    #[inline]
    pub(super) fn effort(&self) -> f64 {
        self.command
            .iter()
            .map(|command| f64::from(*command) * f64::from(*command))
            .sum()
    }
}

/// What a task asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// The first parameter is a velocity along x, in m/s.
    Velocity,
    /// The first parameter is +1 (along x) or -1 (against it).
    Direction,
    /// The first parameter is the angle of the direction from x, in rad.
    Angle,
    /// Along x, whatever the task.
    Forward,
}

/// A velocity is held while it is within this of the goal's, in m/s.
pub(super) const VELOCITY_TOLERANCE_M_PER_S: f64 = 0.25;

impl Goal {
    /// Speed along the goal's direction, in m/s.
    #[inline]
    pub(super) fn speed(self, velocity: [f64; 2], task: &[f32]) -> f64 {
        let [x, y] = velocity;
        let first = f64::from(task.first().copied().unwrap_or_default());
        match self {
            Self::Velocity | Self::Forward => x,
            Self::Direction => first * x,
            Self::Angle => {
                let (sin, cos) = libm::sincos(first);
                x * cos + y * sin
            }
        }
    }

    /// By what a step is judged: the distance from the velocity asked for, or the speed the right way.
    #[inline]
    pub(super) fn metric(self, velocity: [f64; 2], task: &[f32]) -> f64 {
        let speed = self.speed(velocity, task);
        match self {
            Self::Velocity => (speed - f64::from(task.first().copied().unwrap_or_default())).abs(),
            _ => speed,
        }
    }

    /// What [`metric`](Self::metric) is, with its unit.
    pub(super) fn metric_name(self) -> &'static str {
        match self {
            Self::Velocity => "velocity_error_m_per_s",
            _ => "speed_m_per_s",
        }
    }

    /// Whether a step with this metric holds the goal.
    pub(super) fn holds(self, metric: f64) -> bool {
        match self {
            Self::Velocity => metric <= VELOCITY_TOLERANCE_M_PER_S,
            _ => metric > 0.0,
        }
    }
}
