//! Sources and conditions with the model's numbers in place of its names. Nothing here allocates while it reads.

use mujoco_rs::wrappers::MjModel;
use mujoco_rs::wrappers::mj_model::MjtStage;

use super::contacts::{Contacts, Since};
use super::names::{Kind, Names};
use super::place::{Place, View, matrix};
use crate::mujoco::Simulation;
use crate::robot::{
    ALL, Angle, Bound, Clock, Condition, Measure, Named, RobotError, Source, Target, Wave,
};

/// What a reading reads: the simulation at one moment, and what the episode has been so far.
#[derive(Clone, Copy)]
pub(super) struct Moment<'a> {
    pub(super) simulation: &'a Simulation,
    pub(super) task: &'a [f32],
    /// Since the episode began.
    pub(super) time_s: f64,
    /// One for each hidden parameter: how far clocks have gone whose period it is, in turns.
    pub(super) turns: &'a [f64],
    /// One for each of [`Maker::timed`].
    pub(super) since: &'a [Since],
}

/// Makes readings of sources, and gathers what has to be timed for them.
pub(super) struct Maker<'a> {
    pub(super) names: Names<'a>,
    pub(super) timed: Vec<Contacts>,
}

impl Maker<'_> {
    /// The number of what is to be timed.
    pub(super) fn timed(&mut self, contacts: Contacts) -> usize {
        let known = self.timed.iter().position(|known| *known == contacts);
        known.unwrap_or_else(|| {
            self.timed.push(contacts);
            self.timed.len() - 1
        })
    }
}

/// One number of the simulated state.
#[derive(Clone, Debug)]
pub(super) enum Reading {
    Position(usize),
    Velocity(usize),
    Torque(usize),
    Offset(usize, f64),
    /// The norm of these.
    Pose(Vec<(usize, f64)>),
    Place {
        view: View,
        axis: usize,
    },
    /// `entry` 0 to 2 is angular, 3 to 5 linear velocity.
    Motion {
        view: View,
        entry: usize,
    },
    /// Entry of a rotation matrix, row by row.
    Rotation {
        view: View,
        entry: usize,
    },
    Euler(View, Angle),
    Turn(View, Box<[f64; 9]>),
    Distance(Place, Place),
    Contact(Contacts),
    ContactForce(Contacts),
    AirTime(usize),
    ContactTime(usize),
    Force(usize),
    Power(usize),
    Clock(Clock, Wave),
    EpisodeTime,
    Sensor(usize),
    Parameter(usize),
}

impl Reading {
    pub(super) fn new(maker: &mut Maker<'_>, source: &Source) -> Result<Self, RobotError> {
        let names = maker.names;
        let velocity = |named: &Named, index: usize| {
            let entries = names.joint(names.find(Kind::Joint, named)?);
            names.entry(named, &entries.velocities, index)
        };
        let view = |seen| View::new(names, seen);
        Ok(match source {
            Source::JointPosition(named, index) => {
                let entries = names.joint(names.find(Kind::Joint, named)?);
                Self::Position(names.entry(named, &entries.positions, *index)?)
            }
            Source::JointVelocity(named, index) => Self::Velocity(velocity(named, *index)?),
            Source::JointTorque(named, index) => Self::Torque(velocity(named, *index)?),
            Source::JointOffset(named, keyframe) => {
                let (index, rest) = rest(names, named, keyframe.as_ref())?;
                Self::Offset(index, rest)
            }
            Source::PoseError(joints, keyframe) => {
                Self::Pose(pose(names, joints, keyframe.as_ref())?)
            }
            Source::BodyPosition(seen, axis) => Self::Place {
                view: view(seen)?,
                axis: axis.number(),
            },
            Source::BodyVelocity(seen, axis) => Self::Motion {
                view: view(seen)?,
                entry: 3 + axis.number(),
            },
            Source::BodyRate(seen, axis) => Self::Motion {
                view: view(seen)?,
                entry: axis.number(),
            },
            Source::BodyRotation(seen, row, column) => Self::Rotation {
                view: view(seen)?,
                entry: 3 * row + column,
            },
            Source::BodyEuler(seen, angle) => Self::Euler(view(seen)?, *angle),
            Source::OrientationError(seen, wanted) => {
                Self::Turn(view(seen)?, Box::new(matrix(*wanted)))
            }
            Source::Distance(one, other) => {
                Self::Distance(Place::new(names, one)?, Place::new(names, other)?)
            }
            Source::Contact(touch) => Self::Contact(Contacts::new(names, touch)?),
            Source::ContactForce(touch) => Self::ContactForce(Contacts::new(names, touch)?),
            Source::AirTime(touch) => Self::AirTime(maker.timed(Contacts::new(names, touch)?)),
            Source::ContactTime(touch) => {
                Self::ContactTime(maker.timed(Contacts::new(names, touch)?))
            }
            Source::ActuatorForce(named) => Self::Force(output(names, named)?),
            Source::Power(named) => Self::Power(output(names, named)?),
            Source::Clock(clock, wave) => Self::Clock(*clock, *wave),
            Source::EpisodeTime => Self::EpisodeTime,
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

    /// Whether it reads accelerations or forces, which depend on the command as well.
    pub(super) fn needs_forces(&self, model: &MjModel) -> bool {
        match self {
            Self::Torque(_) | Self::ContactForce(_) | Self::Force(_) | Self::Power(_) => true,
            Self::Sensor(address) => {
                let starts = model.sensor_adr().iter().zip(model.sensor_dim());
                let mut each = starts.zip(model.sensor_needstage());
                each.any(|((start, length), stage)| {
                    let of = |value: &i32| usize::try_from(*value).unwrap_or(0);
                    let own = of(start)..of(start) + of(length);
                    own.contains(address) && *stage == MjtStage::mjSTAGE_ACC
                })
            }
            _ => false,
        }
    }

    /// The number now; 0 where the simulation has none.
    #[inline]
    pub(super) fn read(&self, moment: &Moment<'_>) -> f64 {
        let simulation = moment.simulation;
        let data = simulation.data();
        let value = match self {
            Self::Position(index) => data.qpos().get(*index).copied(),
            Self::Velocity(index) => data.qvel().get(*index).copied(),
            Self::Torque(index) => data.qfrc_actuator().get(*index).copied(),
            Self::Offset(index, rest) => data.qpos().get(*index).map(|position| position - rest),
            Self::Pose(joints) => {
                let positions = data.qpos();
                let square = |(index, rest): &(usize, f64)| {
                    let offset = positions
                        .get(*index)
                        .map_or(0.0, |position| position - rest);
                    offset * offset
                };
                Some(libm::sqrt(joints.iter().map(square).sum()))
            }
            Self::Place { view, axis } => Some(view.position(simulation, *axis)),
            Self::Motion { view, entry } => Some(view.motion(simulation, *entry)),
            Self::Rotation { view, entry } => Some(view.turned(simulation, *entry)),
            Self::Euler(view, angle) => Some(view.angle(simulation, *angle)),
            Self::Turn(view, wanted) => Some(view.angle_to(simulation, wanted)),
            Self::Distance(one, other) => {
                let (one, other) = (one.position(simulation), other.position(simulation));
                let squares = one.iter().zip(other).map(|(a, b)| (a - b) * (a - b));
                Some(libm::sqrt(squares.sum()))
            }
            Self::Contact(contacts) => Some(f64::from(u8::from(contacts.touch(simulation)))),
            Self::ContactForce(contacts) => Some(contacts.force(simulation)),
            Self::AirTime(index) => moment.since.get(*index).map(Since::air_s),
            Self::ContactTime(index) => moment.since.get(*index).map(Since::contact_s),
            Self::Force(index) => data.actuator_force().get(*index).copied(),
            Self::Power(index) => Some(power(simulation, *index)),
            Self::Clock(clock, wave) => {
                let angle = std::f64::consts::TAU * turn(clock, moment);
                Some(match wave {
                    Wave::Sin => libm::sin(angle),
                    Wave::Cos => libm::cos(angle),
                })
            }
            Self::EpisodeTime => Some(moment.time_s),
            Self::Sensor(address) => data.sensordata().get(*address).copied(),
            Self::Parameter(index) => moment.task.get(*index).copied().map(f64::from),
        };
        value.unwrap_or(0.0)
    }
}

/// Where a clock stands, in turns from 0 to 1.
#[inline]
pub(super) fn turn(clock: &Clock, moment: &Moment<'_>) -> f64 {
    let gone = match clock.period_s {
        Target::Constant(period_s) => moment.time_s / period_s,
        // The period may change on the way, and the phase goes on from where it is.
        Target::Parameter(index) => moment.turns.get(index).copied().unwrap_or(0.0),
    };
    let turns = gone + clock.phase;
    turns - libm::floor(turns)
}

/// Mechanical power of an actuator's force output, in W.
#[inline]
pub(super) fn power(simulation: &Simulation, output: usize) -> f64 {
    let data = simulation.data();
    let of = |table: &[f64]| table.get(output).copied().unwrap_or(0.0);
    of(data.actuator_force()) * of(data.actuator_velocity())
}

/// The one force output of an actuator.
pub(super) fn output(names: Names<'_>, named: &Named) -> Result<usize, RobotError> {
    let outputs = names.outputs(names.find(Kind::Actuator, named)?);
    let must = "an actuator with one force";
    let only = (outputs.len() == 1).then_some(outputs.start);
    only.ok_or_else(|| names.robot.refuse(&named.key, must))
}

/// Address of a hinge's or slide's position, and where a keyframe has it; without one, where episodes start.
fn rest(
    names: Names<'_>,
    named: &Named,
    keyframe: Option<&Named>,
) -> Result<(usize, f64), RobotError> {
    let entries = names.joint(names.find(Kind::Joint, named)?);
    let must = "a hinge or a slide: other joints have more than one position (orientation_error compares orientations)";
    if entries.positions.len() != 1 {
        return Err(names.robot.refuse(&named.key, must));
    }
    let index = entries.positions.start;
    let model = names.model;
    let keyframe = keyframe.or(names.robot.start.keyframe.as_ref());
    let positions = match keyframe {
        None => model.qpos0(),
        Some(keyframe) => {
            let count = model.qpos0().len();
            let start = count * names.find(Kind::Keyframe, keyframe)?;
            let all = model.key_qpos();
            all.get(start..start + count).unwrap_or_default()
        }
    };
    Ok((index, positions.get(index).copied().unwrap_or(0.0)))
}

/// The same for a list of joints; `*` is every hinge and slide.
fn pose(
    names: Names<'_>,
    joints: &[Named],
    keyframe: Option<&Named>,
) -> Result<Vec<(usize, f64)>, RobotError> {
    let is_all = matches!(joints, [one] if one.name == ALL);
    let each = names.each(Kind::Joint, joints)?;
    let single = |id: usize| names.joint(id).positions.len() == 1;
    let called = |(id, named): (usize, &Named)| Named {
        name: if is_all {
            names.called(Kind::Joint, id)
        } else {
            named.name.clone()
        },
        key: named.key.clone(),
    };
    each.into_iter()
        .filter(|(id, _)| !is_all || single(*id))
        .map(|joint| rest(names, &called(joint), keyframe))
        .collect()
}

#[inline]
fn resolve(target: Target, task: &[f32]) -> f64 {
    match target {
        Target::Constant(value) => value,
        Target::Parameter(index) => task.get(index).copied().map_or(0.0, f64::from),
    }
}

/// One number with its target.
#[derive(Clone, Debug)]
struct Part {
    reading: Reading,
    target: Target,
    /// An angle of which a whole turn is nothing.
    wraps: bool,
}

impl Part {
    #[inline]
    fn difference(&self, moment: &Moment<'_>) -> f64 {
        let difference = self.reading.read(moment) - resolve(self.target, moment.task);
        if self.wraps {
            libm::remainder(difference, std::f64::consts::TAU)
        } else {
            difference
        }
    }
}

/// A number's difference from its target, or the norm of several.
#[derive(Clone, Debug)]
pub(super) struct Gauge(Vec<Part>);

impl Gauge {
    pub(super) fn new(maker: &mut Maker<'_>, measure: &Measure) -> Result<Self, RobotError> {
        let part = |(source, target): &(Source, Target)| {
            Ok(Part {
                reading: Reading::new(maker, source)?,
                target: *target,
                wraps: matches!(source, Source::BodyEuler(..)),
            })
        };
        Ok(Self(
            measure
                .0
                .iter()
                .map(part)
                .collect::<Result<_, RobotError>>()?,
        ))
    }

    #[inline]
    pub(super) fn difference(&self, moment: &Moment<'_>) -> f64 {
        if let [only] = self.0.as_slice() {
            return only.difference(moment);
        }
        let squares = self.0.iter().map(|part| {
            let difference = part.difference(moment);
            difference * difference
        });
        libm::sqrt(squares.sum())
    }

    /// What is read.
    pub(super) fn readings(&self) -> impl Iterator<Item = &Reading> {
        self.0.iter().map(|part| &part.reading)
    }
}

/// A condition on the state.
#[derive(Clone, Debug)]
pub(super) struct Test {
    gauge: Gauge,
    bound: Bound,
}

impl Test {
    pub(super) fn new(maker: &mut Maker<'_>, condition: &Condition) -> Result<Self, RobotError> {
        Ok(Self {
            gauge: Gauge::new(maker, &condition.measure)?,
            bound: condition.bound,
        })
    }

    /// What is read.
    pub(super) fn readings(&self) -> impl Iterator<Item = &Reading> {
        self.gauge.readings()
    }

    /// What the condition measures: the number, or its distance from the target.
    #[inline]
    pub(super) fn measure(&self, moment: &Moment<'_>) -> f64 {
        let difference = self.gauge.difference(moment);
        match self.bound {
            Bound::Below(_) | Bound::Above(_) => difference,
            Bound::Within(_) | Bound::Beyond(_) => difference.abs(),
        }
    }

    #[inline]
    pub(super) fn holds(&self, moment: &Moment<'_>) -> bool {
        let value = self.measure(moment);
        match self.bound {
            Bound::Below(bound) => value < bound,
            Bound::Above(bound) | Bound::Beyond(bound) => value > bound,
            Bound::Within(bound) => value <= bound,
        }
    }
}
