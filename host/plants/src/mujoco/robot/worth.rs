//! Reward terms with the model's numbers in place of its names. Nothing here allocates while it counts.

use mujoco_rs::wrappers::MjModel;

use super::contacts::Contacts;
use super::names::{Kind, Names};
use super::reading::{Gauge, Maker, Moment, Reading, output, power, turn};
use crate::mujoco::Simulation;
use crate::robot::{ALL, Clock, Effort, Named, RobotError, Shape, Term};

/// What a reward term sees of one control step.
pub(super) struct Step<'a> {
    pub(super) moment: Moment<'a>,
    /// The command on [-1, 1], and that of the step before.
    pub(super) command: &'a [f32],
    pub(super) before: &'a [f32],
    /// The goal was reached in this step.
    pub(super) reached: bool,
    pub(super) ended: bool,
}

/// One term of the reward.
#[derive(Clone, Debug)]
pub(super) enum Worth {
    Value(Gauge),
    Track {
        gauge: Gauge,
        shape: Shape,
    },
    Control,
    ControlChange,
    Squares(Effort, Vec<usize>),
    Power(Vec<usize>),
    Gait {
        feet: Vec<(Contacts, Clock)>,
        duty: f64,
    },
    /// Numbers of what is timed.
    Landing(Vec<usize>, f64),
    Reached,
    Alive,
}

impl Worth {
    pub(super) fn new(maker: &mut Maker<'_>, term: &Term) -> Result<Self, RobotError> {
        let names = maker.names;
        Ok(match term {
            Term::Value(measure) => Self::Value(Gauge::new(maker, measure)?),
            Term::Track(measure, shape) => Self::Track {
                gauge: Gauge::new(maker, measure)?,
                shape: *shape,
            },
            Term::Control => Self::Control,
            Term::ControlChange => Self::ControlChange,
            Term::Effort(effort, joints) => {
                let joints = names.list(Kind::Joint, joints)?;
                let entries = joints.into_iter().flat_map(|id| names.joint(id).velocities);
                Self::Squares(*effort, entries.collect())
            }
            Term::Power(actuators) => Self::Power(outputs(names, actuators)?),
            Term::Gait {
                feet,
                period_s,
                duty,
            } => {
                let foot = |(touch, phase): &(_, f64)| {
                    let clock = Clock {
                        period_s: *period_s,
                        phase: *phase,
                    };
                    Ok((Contacts::new(names, touch)?, clock))
                };
                Self::Gait {
                    feet: feet.iter().map(foot).collect::<Result<_, RobotError>>()?,
                    duty: *duty,
                }
            }
            Term::Landing { feet, air_s } => {
                let foot = |touch| Ok(maker.timed(Contacts::new(names, touch)?));
                let feet = feet.iter().map(foot).collect::<Result<_, RobotError>>()?;
                Self::Landing(feet, *air_s)
            }
            Term::Reached => Self::Reached,
            Term::Alive => Self::Alive,
        })
    }

    /// [`Reading::needs_forces`].
    pub(super) fn needs_forces(&self, model: &MjModel) -> bool {
        match self {
            Self::Value(gauge) | Self::Track { gauge, .. } => {
                gauge.readings().any(|reading| reading.needs_forces(model))
            }
            Self::Squares(effort, _) => *effort != Effort::Velocity,
            Self::Power(_) => true,
            _ => false,
        }
    }

    /// Passes on the state that the term looks at, for a critic.
    pub(super) fn features(&self, moment: &Moment<'_>, mut feature: impl FnMut(f64)) {
        match self {
            Self::Value(gauge) | Self::Track { gauge, .. } => gauge
                .readings()
                .for_each(|reading| feature(reading.read(moment))),
            Self::Gait { feet, .. } => {
                for (contacts, _) in feet {
                    feature(f64::from(u8::from(contacts.touch(moment.simulation))));
                }
                if let Some((_, clock)) = feet.first() {
                    let angle = std::f64::consts::TAU * turn(clock, moment);
                    feature(libm::sin(angle));
                    feature(libm::cos(angle));
                }
            }
            Self::Landing(feet, _) => {
                for foot in feet {
                    feature(Reading::AirTime(*foot).read(moment));
                }
            }
            _ => {}
        }
    }

    #[inline]
    pub(super) fn of(&self, step: &Step<'_>) -> f64 {
        let moment = &step.moment;
        let squares =
            |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum();
        match self {
            Self::Value(gauge) => gauge.difference(moment),
            Self::Track { gauge, shape } => {
                let error = gauge.difference(moment);
                match shape {
                    Shape::Absolute => -error.abs(),
                    Shape::Square => -(error * error),
                    Shape::Closeness(width) => libm::exp(-(error / width) * (error / width)),
                }
            }
            Self::Control => squares(&mut step.command.iter().map(|command| f64::from(*command))),
            Self::ControlChange => {
                let pairs = step.command.iter().zip(step.before);
                squares(&mut pairs.map(|(now, before)| f64::from(now - before)))
            }
            Self::Squares(effort, entries) => {
                let table = effort_of(moment.simulation, *effort);
                squares(
                    &mut entries
                        .iter()
                        .filter_map(|entry| table.get(*entry))
                        .copied(),
                )
            }
            Self::Power(outputs) => {
                let size = |output: &usize| power(moment.simulation, *output).abs();
                outputs.iter().map(size).sum()
            }
            Self::Gait { feet, duty } => {
                let agrees = |(contacts, clock): &&(Contacts, Clock)| {
                    let stands = turn(clock, moment) < *duty;
                    contacts.touch(moment.simulation) == stands
                };
                feet.iter().filter(agrees).count() as f64 / feet.len() as f64
            }
            Self::Landing(feet, air_s) => {
                let landed = feet.iter().filter_map(|foot| moment.since.get(*foot));
                landed
                    .filter_map(|since| Some(since.landed_after_s()? - air_s))
                    .sum()
            }
            Self::Reached => f64::from(u8::from(step.reached)),
            Self::Alive => f64::from(u8::from(!step.ended)),
        }
    }
}

#[inline]
fn effort_of(simulation: &Simulation, effort: Effort) -> &[f64] {
    let data = simulation.data();
    match effort {
        Effort::Velocity => data.qvel(),
        Effort::Acceleration => data.qacc(),
        Effort::Torque => data.qfrc_actuator(),
    }
}

/// The force outputs of actuators; `*` is all that there are.
fn outputs(names: Names<'_>, actuators: &[Named]) -> Result<Vec<usize>, RobotError> {
    if let [one] = actuators
        && one.name == ALL
    {
        let all = 0..Kind::Actuator.count(names.model);
        return Ok(all.flat_map(|id| names.outputs(id)).collect());
    }
    let each = names.each(Kind::Actuator, actuators)?;
    each.into_iter()
        .map(|(_, named)| output(names, named))
        .collect()
}
