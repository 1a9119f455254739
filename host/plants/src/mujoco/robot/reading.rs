//! Sources, reward terms and conditions with the model's numbers in place of its names. Nothing here allocates.

use mujoco_rs::wrappers::mj_model::MjtObjBase;

use super::names::{Kind, Names};
use crate::mujoco::Simulation;
use crate::robot::{Axis, Condition, Frame, RobotError, Source, Target, Term};

/// One number of the simulated state.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reading {
    Position(usize),
    Velocity(usize),
    Place {
        body: usize,
        axis: usize,
    },
    /// Of a body: `entry` 0 to 2 is angular, 3 to 5 linear velocity.
    Motion {
        body: usize,
        entry: usize,
        local: bool,
    },
    /// Entry of a body's rotation matrix, row by row.
    Rotation {
        body: usize,
        entry: usize,
    },
    Sensor(usize),
    Parameter(usize),
}

const fn number(axis: Axis) -> usize {
    match axis {
        Axis::X => 0,
        Axis::Y => 1,
        Axis::Z => 2,
    }
}

impl Reading {
    pub(super) fn new(names: Names<'_>, source: &Source) -> Result<Self, RobotError> {
        let body = |named| names.find(Kind::Body, named);
        Ok(match source {
            Source::JointPosition(named, index) => {
                let entries = names.joint(names.find(Kind::Joint, named)?);
                Self::Position(names.entry(named, &entries.positions, *index)?)
            }
            Source::JointVelocity(named, index) => {
                let entries = names.joint(names.find(Kind::Joint, named)?);
                Self::Velocity(names.entry(named, &entries.velocities, *index)?)
            }
            Source::BodyPosition(named, axis) => Self::Place {
                body: body(named)?,
                axis: number(*axis),
            },
            Source::BodyVelocity(named, axis, frame) => Self::Motion {
                body: body(named)?,
                entry: 3 + number(*axis),
                local: *frame == Frame::Body,
            },
            Source::BodyRate(named, axis, frame) => Self::Motion {
                body: body(named)?,
                entry: number(*axis),
                local: *frame == Frame::Body,
            },
            Source::BodyRotation(named, row, column) => Self::Rotation {
                body: body(named)?,
                entry: 3 * row + column,
            },
            // The world's z axis in the body's frame is the last row of the matrix from body to world.
            Source::BodyUp(named, axis) => Self::Rotation {
                body: body(named)?,
                entry: 6 + number(*axis),
            },
            Source::Sensor(named, index) => {
                let id = names.find(Kind::Sensor, named)?;
                let of = |values: &[i32]| {
                    values
                        .get(id)
                        .and_then(|value| usize::try_from(*value).ok())
                };
                let start = of(names.model.sensor_adr()).unwrap_or(0);
                let length = of(names.model.sensor_dim()).unwrap_or(0);
                Self::Sensor(names.entry(named, &(start..start + length), *index)?)
            }
            Source::Parameter(index) => Self::Parameter(*index),
        })
    }

    /// The number now; 0 where the simulation has none.
    #[inline]
    pub(super) fn read(self, simulation: &Simulation, task: &[f32]) -> f64 {
        let data = simulation.data();
        let value = match self {
            Self::Position(index) => data.qpos().get(index).copied(),
            Self::Velocity(index) => data.qvel().get(index).copied(),
            Self::Place { body, axis } => data
                .xpos()
                .get(body)
                .and_then(|place| place.get(axis))
                .copied(),
            Self::Motion { body, entry, local } => data
                // The body's own frame, not that of its centre of mass.
                .try_object_velocity(MjtObjBase::mjOBJ_XBODY, body, local)
                .ok()
                .and_then(|motion| motion.get(entry).copied()),
            Self::Rotation { body, entry } => data
                .xmat()
                .get(body)
                .and_then(|matrix| matrix.get(entry))
                .copied(),
            Self::Sensor(address) => data.sensordata().get(address).copied(),
            Self::Parameter(index) => task.get(index).copied().map(f64::from),
        };
        value.unwrap_or(0.0)
    }
}

#[inline]
fn resolve(target: Target, task: &[f32]) -> f64 {
    match target {
        Target::Constant(value) => value,
        Target::Parameter(index) => task.get(index).copied().map_or(0.0, f64::from),
    }
}

/// What a reward term sees of one control step.
pub(super) struct Step<'a> {
    pub(super) simulation: &'a Simulation,
    pub(super) task: &'a [f32],
    /// The command on [-1, 1], and that of the step before.
    pub(super) command: &'a [f32],
    pub(super) before: &'a [f32],
    pub(super) ended: bool,
}

/// One term of the reward.
#[derive(Clone, Debug)]
pub(super) enum Worth {
    Value(Reading),
    Track {
        reading: Reading,
        target: Target,
        width: Option<f64>,
    },
    Control,
    ControlChange,
    Velocities(Vec<usize>),
    Alive,
}

impl Worth {
    pub(super) fn new(names: Names<'_>, term: &Term) -> Result<Self, RobotError> {
        Ok(match term {
            Term::Value(source) => Self::Value(Reading::new(names, source)?),
            Term::Track(source, target, width) => Self::Track {
                reading: Reading::new(names, source)?,
                target: *target,
                width: *width,
            },
            Term::Control => Self::Control,
            Term::ControlChange => Self::ControlChange,
            Term::JointVelocity(joints) => {
                let joints = names.list(Kind::Joint, joints)?;
                Self::Velocities(
                    joints
                        .into_iter()
                        .flat_map(|id| names.joint(id).velocities)
                        .collect(),
                )
            }
            Term::Alive => Self::Alive,
        })
    }

    /// The state that the term looks at, for a critic.
    pub(super) fn reading(&self) -> Option<Reading> {
        match self {
            Self::Value(reading) | Self::Track { reading, .. } => Some(*reading),
            _ => None,
        }
    }

    #[inline]
    pub(super) fn of(&self, step: &Step<'_>) -> f64 {
        let squares =
            |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum();
        match self {
            Self::Value(reading) => reading.read(step.simulation, step.task),
            Self::Track {
                reading,
                target,
                width,
            } => {
                let error = reading.read(step.simulation, step.task) - resolve(*target, step.task);
                match width {
                    None => -error.abs(),
                    Some(width) => libm::exp(-(error / width) * (error / width)),
                }
            }
            Self::Control => squares(&mut step.command.iter().map(|command| f64::from(*command))),
            Self::ControlChange => {
                let pairs = step.command.iter().zip(step.before);
                squares(&mut pairs.map(|(now, before)| f64::from(now - before)))
            }
            Self::Velocities(entries) => {
                let velocities = step.simulation.qvel();
                squares(
                    &mut entries
                        .iter()
                        .filter_map(|entry| velocities.get(*entry))
                        .copied(),
                )
            }
            Self::Alive => f64::from(u8::from(!step.ended)),
        }
    }
}

/// A condition on the state.
#[derive(Clone, Copy, Debug)]
pub(super) enum Test {
    Below(Reading, f64),
    Above(Reading, f64),
    Within(Reading, Target, f64),
}

impl Test {
    pub(super) fn new(names: Names<'_>, condition: &Condition) -> Result<Self, RobotError> {
        Ok(match condition {
            Condition::Below(source, bound) => Self::Below(Reading::new(names, source)?, *bound),
            Condition::Above(source, bound) => Self::Above(Reading::new(names, source)?, *bound),
            Condition::Within(source, target, bound) => {
                Self::Within(Reading::new(names, source)?, *target, *bound)
            }
        })
    }

    /// What the condition measures: the number, or its distance from the target.
    #[inline]
    pub(super) fn measure(self, simulation: &Simulation, task: &[f32]) -> f64 {
        match self {
            Self::Below(reading, _) | Self::Above(reading, _) => reading.read(simulation, task),
            Self::Within(reading, target, _) => {
                (reading.read(simulation, task) - resolve(target, task)).abs()
            }
        }
    }

    #[inline]
    pub(super) fn holds(self, simulation: &Simulation, task: &[f32]) -> bool {
        let value = self.measure(simulation, task);
        match self {
            Self::Below(_, bound) => value < bound,
            Self::Above(_, bound) => value > bound,
            Self::Within(_, _, bound) => value <= bound,
        }
    }
}
