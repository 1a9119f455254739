//! Quantities as a robot's file writes them: one inline table of the same kind and keys in observations, rewards, ends and goals.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{IntoDeserializer, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::check::Context;
use super::measured::{Clock, Seen, Source, Target, Touch};
use super::terms::{list, named};
use super::text::{self, Angle, Axis, Frame, Wave};
use super::{Named, RobotError};

/// A table with keys of its own and one quantity. The key of the quantity says its kind.
macro_rules! with_quantity {
    ($name:ident { $($own:tt)* }) => {
        $crate::robot::quantity::with_quantity! {
            @list (@table $name { $($own)* })
        }
    };
    (@list ($($then:tt)*)) => {
        $crate::robot::quantity::with_quantity! {
            $($then)*
            qpos Qpos Joint, qvel Qvel Joint, joint_torque JointTorque Joint, joint_offset JointOffset Offset, pose_error PoseError Pose,
            body_position BodyPosition Position, body_velocity BodyVelocity Moving, body_rate BodyRate Moving,
            body_rotation BodyRotation Rotation, body_up BodyUp Up, body_euler BodyEuler Euler,
            orientation_error OrientationError Orientation, distance Distance Distance,
            contact Contact Contact, contact_force ContactForce Contact, air_time AirTime Contact, contact_time ContactTime Contact,
            actuator_force ActuatorForce Actuator, power Power Actuator,
            clock Clock ClockOf, episode_time EpisodeTime Empty, sensor Sensor SensorOf, hidden Hidden HiddenName,
        }
    };
    (@table $name:ident { $($(#[$meta:meta])* $own:ident: $kind:ty,)* } $($key:ident $variant:ident $of:ident,)*) => {
        #[derive(Clone, Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name {
            $($(#[$meta])* pub(super) $own: $kind,)*
            $($key: Option<$crate::robot::quantity::$of>,)*
        }

        impl $name {
            /// Every kind of quantity by its key, and the ones that are given.
            pub(super) fn quantities(&self) -> Vec<(&'static str, Option<$crate::robot::quantity::Quantity>)> {
                vec![$((stringify!($key), self.$key.clone().map($crate::robot::quantity::Quantity::$variant)),)*]
            }
        }
    };
    (@kinds $($key:ident $variant:ident $of:ident,)*) => {
        /// One quantity, as written.
        #[derive(Clone, Debug)]
        pub(super) enum Quantity {
            $($variant($of),)*
        }
    };
}
pub(super) use with_quantity;

with_quantity! { @list (@kinds) }

/// The name of a hidden parameter.
pub(super) type HiddenName = String;

/// One value, or a list of them: several numbers at once.
#[derive(Clone, Debug, Default)]
pub(super) struct Several<T> {
    is_list: bool,
    entries: Vec<T>,
}

impl<T> Several<T> {
    fn one(entry: T) -> Self {
        Self {
            is_list: false,
            entries: vec![entry],
        }
    }

    /// The entries, each with its key.
    pub(super) fn each(&self, key: &str) -> impl Iterator<Item = (String, &T)> {
        let entries = self.entries.iter().enumerate();
        entries.map(move |(index, entry)| match self.is_list {
            true => (format!("{key}[{index}]"), entry),
            false => (key.to_owned(), entry),
        })
    }

    pub(super) fn is_list(&self) -> bool {
        self.is_list
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Several<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SeveralVisitor(PhantomData))
    }
}

struct SeveralVisitor<T>(PhantomData<T>);

/// A single value is read as `T` would be, so that the error is the same.
macro_rules! one {
    ($($visit:ident $type:ty,)*) => {
        $(fn $visit<E: serde::de::Error>(self, value: $type) -> Result<Self::Value, E> {
            T::deserialize(value.into_deserializer()).map(Several::one)
        })*
    };
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for SeveralVisitor<T> {
    type Value = Several<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("one value or a list of them")
    }

    one! { visit_str &str, visit_i64 i64, visit_u64 u64, visit_f64 f64, visit_bool bool, }

    fn visit_seq<A: SeqAccess<'de>>(self, entries: A) -> Result<Self::Value, A::Error> {
        Ok(Several {
            is_list: true,
            entries: Vec::deserialize(SeqAccessDeserializer::new(entries))?,
        })
    }
}

fn first() -> Several<usize> {
    Several::one(0)
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Joint {
    joint: Several<String>,
    #[serde(default = "first")]
    index: Several<usize>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Offset {
    joint: Several<String>,
    keyframe: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pose {
    joints: Vec<String>,
    keyframe: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Position {
    body: String,
    axis: Several<Axis>,
    relative_to: Option<String>,
    frame: Option<Frame>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Moving {
    body: String,
    axis: Several<Axis>,
    relative_to: Option<String>,
    frame: Option<Frame>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotation {
    body: String,
    row: usize,
    column: usize,
    relative_to: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Up {
    body: String,
    axis: Several<Axis>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Euler {
    body: String,
    angle: Several<Angle>,
    relative_to: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Orientation {
    body: String,
    quaternion: [f64; 4],
    relative_to: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Distance {
    body: String,
    to: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Contact {
    body: String,
    with: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Actuator {
    actuator: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClockOf {
    period_s: text::Target,
    #[serde(default)]
    phase: f64,
    wave: Wave,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Empty {}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SensorOf {
    sensor: String,
    #[serde(default = "first")]
    index: Several<usize>,
}

/// A quantity's key, with the context that its errors need.
struct At<'a> {
    context: &'a Context<'a>,
    key: &'a str,
}

impl At<'_> {
    fn named(&self, field: &str, name: &str) -> Named {
        named(name, format!("{}.{field}", self.key))
    }

    fn maybe(&self, field: &str, name: Option<&String>) -> Option<Named> {
        name.map(|name| self.named(field, name))
    }

    /// One number for each entry.
    fn each<T>(&self, field: &str, of: &Several<T>, source: impl Fn(&T) -> Source) -> Vec<Source> {
        of.each(field).map(|(_, entry)| source(entry)).collect()
    }

    fn joints(&self, of: &Joint, source: fn(Named, usize) -> Source) -> Vec<Source> {
        let indices = || of.index.entries.iter();
        let joints = of.joint.each("joint");
        joints
            .flat_map(|(field, name)| {
                indices().map(move |index| source(self.named(&field, name), *index))
            })
            .collect()
    }

    fn touch(&self, of: &Contact) -> Touch {
        Touch {
            body: self.named("body", &of.body),
            with: self.maybe("with", of.with.as_ref()),
        }
    }

    fn seen(&self, body: &str, relative_to: Option<&String>, frame: Frame) -> Seen {
        Seen {
            body: self.named("body", body),
            relative_to: self.maybe("relative_to", relative_to),
            frame,
        }
    }

    /// The axes along which something is seen.
    fn frame(
        &self,
        frame: Option<Frame>,
        relative_to: Option<&String>,
    ) -> Result<Frame, RobotError> {
        let frame = frame.unwrap_or_default();
        let good = frame != Frame::Reference || relative_to.is_some();
        let key = format!("{}.frame", self.key);
        let must = "\"world\" or \"body\" where no relative_to says whose axes are meant";
        self.context.must(good, &key, must)?;
        Ok(frame)
    }

    /// Refuses an empty list, and any list where one number is wanted.
    fn lists(&self, single: bool, lists: &[(&str, bool, usize)]) -> Result<(), RobotError> {
        for (field, is_list, count) in lists {
            let key = format!("{}.{field}", self.key);
            let must = "one alone, not a list: an observation is one number";
            self.context.must(!(single && *is_list), &key, must)?;
            let must = "one, or a list of at least one";
            self.context.must(*count > 0, &key, must)?;
        }
        Ok(())
    }
}

fn shape<'a, T>(field: &'a str, of: &Several<T>) -> (&'a str, bool, usize) {
    (field, of.is_list, of.entries.len())
}

/// The numbers of a quantity; `single` refuses lists.
pub(super) fn sources(
    context: &Context<'_>,
    key: &str,
    quantity: &Quantity,
    single: bool,
) -> Result<Vec<Source>, RobotError> {
    let at = At { context, key };
    let one = |source: Source| Ok(vec![source]);
    match quantity {
        Quantity::Qpos(of) | Quantity::Qvel(of) | Quantity::JointTorque(of) => {
            at.lists(
                single,
                &[shape("joint", &of.joint), shape("index", &of.index)],
            )?;
            let source = match quantity {
                Quantity::Qpos(_) => Source::JointPosition,
                Quantity::Qvel(_) => Source::JointVelocity,
                _ => Source::JointTorque,
            };
            Ok(at.joints(of, source))
        }
        Quantity::JointOffset(of) => {
            at.lists(single, &[shape("joint", &of.joint)])?;
            let joints = of.joint.each("joint");
            Ok(joints
                .map(|(field, name)| {
                    let keyframe = at.maybe("keyframe", of.keyframe.as_ref());
                    Source::JointOffset(at.named(&field, name), keyframe)
                })
                .collect())
        }
        Quantity::PoseError(of) => {
            let joints = format!("{key}.joints");
            context.must(!of.joints.is_empty(), &joints, "at least one joint")?;
            let keyframe = at.maybe("keyframe", of.keyframe.as_ref());
            one(Source::PoseError(list(&of.joints, &joints), keyframe))
        }
        Quantity::BodyPosition(of) => {
            at.lists(single, &[shape("axis", &of.axis)])?;
            let good = of.frame.is_none() || of.relative_to.is_some();
            let must = "absent where there is no relative_to: a place is then one in the world";
            context.must(good, &format!("{key}.frame"), must)?;
            let relative_to = of.relative_to.as_ref();
            let seen = at.seen(&of.body, relative_to, of.frame.unwrap_or_default());
            Ok(at.each("axis", &of.axis, |axis| {
                Source::BodyPosition(seen.clone(), *axis)
            }))
        }
        Quantity::BodyVelocity(of) | Quantity::BodyRate(of) => {
            at.lists(single, &[shape("axis", &of.axis)])?;
            let relative_to = of.relative_to.as_ref();
            let seen = at.seen(&of.body, relative_to, at.frame(of.frame, relative_to)?);
            let source = match quantity {
                Quantity::BodyVelocity(_) => Source::BodyVelocity,
                _ => Source::BodyRate,
            };
            Ok(at.each("axis", &of.axis, |axis| source(seen.clone(), *axis)))
        }
        Quantity::BodyRotation(of) => {
            for (field, value) in [("row", of.row), ("column", of.column)] {
                context.must(value < 3, &format!("{key}.{field}"), "0, 1 or 2")?;
            }
            let seen = at.seen(&of.body, of.relative_to.as_ref(), Frame::World);
            one(Source::BodyRotation(seen, of.row, of.column))
        }
        Quantity::BodyUp(of) => {
            at.lists(single, &[shape("axis", &of.axis)])?;
            let seen = at.seen(&of.body, None, Frame::World);
            // The world's z axis in the body's frame is the last row of the matrix from body to world.
            let source = |axis: &Axis| Source::BodyRotation(seen.clone(), 2, axis.number());
            Ok(at.each("axis", &of.axis, source))
        }
        Quantity::BodyEuler(of) => {
            at.lists(single, &[shape("angle", &of.angle)])?;
            let seen = at.seen(&of.body, of.relative_to.as_ref(), Frame::World);
            Ok(at.each("angle", &of.angle, |angle| {
                Source::BodyEuler(seen.clone(), *angle)
            }))
        }
        Quantity::OrientationError(of) => {
            let squares: f64 = of.quaternion.iter().map(|entry| entry * entry).sum();
            let length = libm::sqrt(squares);
            let must = "a unit quaternion, [w, x, y, z], to 1 %";
            let key = format!("{key}.quaternion");
            context.must((length - 1.0).abs() <= 0.01, &key, must)?;
            let seen = at.seen(&of.body, of.relative_to.as_ref(), Frame::World);
            let unit = of.quaternion.map(|entry| entry / length);
            one(Source::OrientationError(seen, unit))
        }
        Quantity::Distance(of) => one(Source::Distance(
            at.named("body", &of.body),
            at.named("to", &of.to),
        )),
        Quantity::Contact(of) => one(Source::Contact(at.touch(of))),
        Quantity::ContactForce(of) => one(Source::ContactForce(at.touch(of))),
        Quantity::AirTime(of) => one(Source::AirTime(at.touch(of))),
        Quantity::ContactTime(of) => one(Source::ContactTime(at.touch(of))),
        Quantity::ActuatorForce(of) => {
            one(Source::ActuatorForce(at.named("actuator", &of.actuator)))
        }
        Quantity::Power(of) => one(Source::Power(at.named("actuator", &of.actuator))),
        Quantity::Clock(of) => {
            let period_s = period(context, key, &of.period_s)?;
            context.must(of.phase.is_finite(), &format!("{key}.phase"), "finite")?;
            let clock = Clock {
                period_s,
                phase: of.phase,
            };
            one(Source::Clock(clock, of.wave))
        }
        Quantity::EpisodeTime(_) => one(Source::EpisodeTime),
        Quantity::Sensor(of) => {
            at.lists(single, &[shape("index", &of.index)])?;
            let sensor = at.named("sensor", &of.sensor);
            Ok(at.each("index", &of.index, |index| {
                Source::Sensor(sensor.clone(), *index)
            }))
        }
        Quantity::Hidden(name) => one(Source::Parameter(context.parameter(name, key)?)),
    }
}

/// The seconds of a clock's turn, at `key.period_s`. What a parameter may be is looked at when all parameters are known.
pub(super) fn period(
    context: &Context<'_>,
    key: &str,
    period_s: &text::Target,
) -> Result<Target, RobotError> {
    let key = format!("{key}.period_s");
    match period_s {
        text::Target::Constant(value) => {
            let good = value.is_finite() && *value > 0.0;
            context.must(good, &key, "finite and above 0, in s")?;
            Ok(Target::Constant(*value))
        }
        text::Target::Hidden(name) => Ok(Target::Parameter(context.parameter(name, &key)?)),
    }
}

impl Quantity {
    /// The end of the name of what is measured, where its unit is known.
    pub(super) const fn unit(&self) -> &'static str {
        match self {
            Self::BodyPosition(_) | Self::Distance(_) => "_m",
            Self::BodyVelocity(_) => "_m_per_s",
            Self::BodyRate(_) => "_rad_per_s",
            Self::BodyEuler(_) | Self::OrientationError(_) => "_rad",
            Self::ContactForce(_) => "_n",
            Self::Power(_) => "_w",
            Self::AirTime(_) | Self::ContactTime(_) | Self::EpisodeTime(_) => "_s",
            _ => "",
        }
    }
}

/// The sources of the observation channels.
pub(super) fn observed(
    context: &Context<'_>,
    observations: &[super::text::Observation],
) -> Result<Vec<Source>, RobotError> {
    let mut all = Vec::new();
    for (index, channel) in observations.iter().enumerate() {
        let section = format!("observation[{index}]");
        let (key, quantity) = context.one_of(&section, channel.quantities())?;
        all.extend(sources(
            context,
            &format!("{section}.{key}"),
            &quantity,
            true,
        )?);
    }
    Ok(all)
}
