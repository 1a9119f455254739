//! What is measured of a robot, and what rewards, ends and goals make of it, as values with the model's names in them.

use super::text::{Angle, Axis, Frame, Wave};

/// What names something in the model, and the key that it stands under. Two are equal if they name the same.
#[derive(Clone, Debug)]
pub struct Named {
    /// The name, or what stands for one: `#3`, `joint:hip`, `body:torso`, `site:hand`.
    pub name: String,
    /// Where it stands, such as `reward[0].velocity.body`.
    pub key: String,
}

impl PartialEq for Named {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// A body, site or geom, and from where it is looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// What is looked at.
    pub body: Named,
    /// From where, if not from the world.
    pub relative_to: Option<Named>,
    /// Along whose axes.
    pub frame: Frame,
}

/// The contact of a body or geom with anything, or with one other.
#[derive(Clone, Debug, PartialEq)]
pub struct Touch {
    /// Whose contact.
    pub body: Named,
    /// With what alone.
    pub with: Option<Named>,
}

/// One number of the simulation.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Position of a joint: rad, m, or an entry of a free or ball joint.
    JointPosition(Named, usize),
    /// Velocity of a joint, likewise.
    JointVelocity(Named, usize),
    /// What actuators apply at a joint, in Nm or N, likewise.
    JointTorque(Named, usize),
    /// Distance of a hinge or slide from where a keyframe (or the start) has it.
    JointOffset(Named, Option<Named>),
    /// The norm of these distances over joints.
    PoseError(Vec<Named>, Option<Named>),
    /// Place, in m.
    BodyPosition(Seen, Axis),
    /// Velocity of the origin, in m/s.
    BodyVelocity(Seen, Axis),
    /// Angular velocity, in rad/s.
    BodyRate(Seen, Axis),
    /// Entry (row, column) of the rotation matrix, body to world or to what it is looked at from. (2, axis) of the first
    /// is the world's upward direction along an axis of the body: what an accelerometer at rest tells.
    BodyRotation(Seen, usize, usize),
    /// Roll, pitch or yaw, in rad.
    BodyEuler(Seen, Angle),
    /// The angle to an orientation, a unit quaternion (w, x, y, z), in rad from 0 to pi.
    OrientationError(Seen, [f64; 4]),
    /// Distance of two origins, in m.
    Distance(Named, Named),
    /// 1 while they touch, else 0.
    Contact(Touch),
    /// Sum of the normal forces of their contacts, in N.
    ContactForce(Touch),
    /// Seconds since they touched last, 0 while they do.
    AirTime(Touch),
    /// Seconds since they did not touch, 0 while they do not.
    ContactTime(Touch),
    /// Force of an actuator before its gear.
    ActuatorForce(Named),
    /// Mechanical power of an actuator, in W; below 0 it brakes.
    Power(Named),
    /// Sine or cosine of a phase that begins with the episode.
    Clock(Clock, Wave),
    /// Seconds since the episode began.
    EpisodeTime,
    /// An entry of a sensor.
    Sensor(Named, usize),
    /// A hidden parameter, by its number: then it is not hidden, but commanded.
    Parameter(usize),
}

/// A phase that runs with the episode's time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clock {
    /// Seconds of one turn.
    pub period_s: Target,
    /// Where it begins, in turns.
    pub phase: f64,
}

/// What a term or a goal compares with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// Always the same.
    Constant(f64),
    /// A hidden parameter, by its number.
    Parameter(usize),
}

impl Source {
    /// The hidden parameter that it refers to.
    pub(super) fn parameter(&self) -> Option<usize> {
        match self {
            Self::Parameter(index) => Some(*index),
            Self::Clock(clock, _) => clock.period_s.parameter(),
            _ => None,
        }
    }
}

impl Target {
    /// The hidden parameter that it is.
    pub(super) fn parameter(self) -> Option<usize> {
        match self {
            Self::Parameter(index) => Some(index),
            Self::Constant(_) => None,
        }
    }
}

/// The difference of a number from its target; of several, the norm of their differences.
#[derive(Clone, Debug, PartialEq)]
pub struct Measure(pub Vec<(Source, Target)>);

impl Measure {
    /// A number itself.
    #[must_use]
    pub fn of(source: Source) -> Self {
        Self(vec![(source, Target::Constant(0.0))])
    }

    /// The hidden parameters that it refers to.
    pub fn parameters(&self) -> impl Iterator<Item = usize> {
        let parts = self.0.iter();
        parts.flat_map(|(source, target)| source.parameter().into_iter().chain(target.parameter()))
    }
}

/// What a tracking term makes of the distance from the target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// Minus the distance.
    Absolute,
    /// Minus its square.
    Square,
    /// `exp(-(distance / width)^2)`.
    Closeness(f64),
}

/// What a term adds up over joints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Squared velocities.
    Velocity,
    /// Squared accelerations.
    Acceleration,
    /// Squared torques of the actuators.
    Torque,
}

/// One term of the reward, before its weight.
#[derive(Clone, Debug, PartialEq)]
pub enum Term {
    /// The number itself.
    Value(Measure),
    /// Closeness to a target.
    Track(Measure, Shape),
    /// Sum of the squared commands, each on [-1, 1].
    Control,
    /// Sum of the squared changes of the commands since the step before, each on [-1, 1].
    ControlChange,
    /// Sum of squares over joints.
    Effort(Effort, Vec<Named>),
    /// Sum of the sizes of actuators' mechanical power.
    Power(Vec<Named>),
    /// Share of the feet whose contact agrees with the clock: a foot should stand for the first `duty` of its own turn.
    Gait {
        /// Each foot, and its phase in turns.
        feet: Vec<(Touch, f64)>,
        /// Seconds of one turn.
        period_s: Target,
        /// Share of it on the ground.
        duty: f64,
    },
    /// Sum over the feet that touch down in this step of the time that they were in the air, less `air_s`.
    Landing {
        /// The feet.
        feet: Vec<Touch>,
        /// Seconds.
        air_s: f64,
    },
    /// 1 in the step in which the goal is reached.
    Reached,
    /// 1 unless the episode has ended.
    Alive,
}

impl Term {
    /// The hidden parameters that it refers to.
    pub(super) fn parameters(&self) -> Vec<usize> {
        match self {
            Self::Gait { period_s, .. } => period_s.parameter().into_iter().collect(),
            term => term
                .measure()
                .into_iter()
                .flat_map(Measure::parameters)
                .collect(),
        }
    }

    /// What it measures and compares, for the terms that do.
    pub(super) fn measure(&self) -> Option<&Measure> {
        match self {
            Self::Value(measure) | Self::Track(measure, _) => Some(measure),
            _ => None,
        }
    }
}

/// What a condition asks of its measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// Less than this.
    Below(f64),
    /// More than this.
    Above(f64),
    /// At most this far from the target.
    Within(f64),
    /// Further than this from it.
    Beyond(f64),
}

/// A condition on the state.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// What is measured.
    pub measure: Measure,
    /// What it must be.
    pub bound: Bound,
}

/// When a goal counts as reached, and what then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Steps in a row for which it is held.
    pub steps: usize,
    /// Whether the episode ends with it. If not, it counts as held from then on.
    pub ends: bool,
}
