//! The robot's file as it is written: one type per section, and nothing is checked here but its shape.
//!
//! Every kind of source, term or condition is an optional inline table of its own, so that a misspelt kind or key
//! is an error that names its line and what there is.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::quantity::{Several, with_quantity};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) model: PathBuf,
    pub(super) period_us: u32,
    pub(super) episode_steps: usize,
    #[serde(default = "two")]
    pub(super) episodes: usize,
    pub(super) observation: Vec<Observation>,
    pub(super) action: Vec<Action>,
    #[serde(default)]
    pub(super) actuator: Vec<Actuator>,
    pub(super) reward: Vec<Reward>,
    #[serde(default)]
    pub(super) reward_input: RewardInput,
    #[serde(default)]
    pub(super) ended: Vec<Ended>,
    #[serde(default)]
    pub(super) start: Start,
    #[serde(default)]
    pub(super) hidden: Vec<Hidden>,
    #[serde(default)]
    pub(super) change: Vec<Change>,
    #[serde(default = "once")]
    pub(super) changes_per_trial: f64,
    #[serde(default)]
    pub(super) goal: Goal,
}

fn two() -> usize {
    2
}

fn once() -> f64 {
    1.0
}

/// What the policy is told of the reward.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum RewardInput {
    /// Whoever sends the samples sends it, too.
    #[default]
    External,
    /// The board computes it.
    Formula,
    /// Nothing: its entry in the working memory is 0.
    None,
}

/// `x`, `y` or `z`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Axis {
    /// The first axis.
    X,
    /// The second axis.
    Y,
    /// The third axis.
    Z,
}

/// Whose axes are meant.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Frame {
    /// The world's.
    #[default]
    World,
    /// Those of the body itself.
    Body,
    /// Those of what it is looked at from.
    Reference,
}

impl Axis {
    /// From 0.
    pub(crate) const fn number(self) -> usize {
        match self {
            Self::X => 0,
            Self::Y => 1,
            Self::Z => 2,
        }
    }
}

/// The angles of an orientation: about z, then the new y, then the new x.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Angle {
    /// About x.
    Roll,
    /// About y.
    Pitch,
    /// About z.
    Yaw,
}

/// What is told of a phase.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Wave {
    /// Its sine.
    Sin,
    /// Its cosine.
    Cos,
}

with_quantity! { Observation {
    name: String,
    unit: String,
    min: f32,
    max: f32,
    #[serde(default)]
    noise_std: f32,
    #[serde(default)]
    delay_steps: usize,
} }

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BodyAxis {
    pub(super) body: String,
    pub(super) axis: Axis,
    #[serde(default)]
    pub(super) frame: Frame,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Action {
    pub(super) name: String,
    pub(super) actuator: String,
    pub(super) unit: String,
    pub(super) min: f32,
    pub(super) max: f32,
    pub(super) slew_per_s: f32,
    pub(super) safe: f32,
    pub(super) around: Option<Around>,
    pub(super) position: Option<Gains>,
    pub(super) filter_s: Option<f64>,
    #[serde(default)]
    pub(super) noise_std: f32,
    #[serde(default)]
    pub(super) delay_steps: usize,
}

/// What a command is an offset from: a number, or `"pose"` or `"control"` of the start.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "around is a number, \"pose\" or \"control\"")]
pub(super) enum Around {
    Value(f64),
    Start(AroundStart),
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum AroundStart {
    Pose,
    Control,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Gains {
    pub(super) kp: f64,
    #[serde(default)]
    pub(super) kd: f64,
}

/// An actuator that the model lacks.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Actuator {
    pub(super) name: String,
    pub(super) joint: String,
    pub(super) ctrlrange: [f64; 2],
    #[serde(default = "once")]
    pub(super) gear: f64,
    pub(super) kp: Option<f64>,
    pub(super) kv: Option<f64>,
    pub(super) forcerange: Option<[f64; 2]>,
}

/// A table of which one key is given, and an enum of what may stand there.
macro_rules! one_of {
    ($table:ident ($($own:ident: $type:ty),*) $kinds:ident { $($key:ident $variant:ident $of:ty,)* }) => {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $table {
            $(pub(super) $own: $type,)*
            $($key: Option<$of>,)*
        }

        #[derive(Clone, Debug)]
        pub(super) enum $kinds {
            $($variant($of),)*
        }

        impl $table {
            /// Every kind by its key, and the ones that are given.
            pub(super) fn kinds(&self) -> Vec<(&'static str, Option<$kinds>)> {
                vec![$((stringify!($key), self.$key.clone().map($kinds::$variant)),)*]
            }
        }
    };
}

one_of! { Reward (weight: f64) Term {
    velocity Velocity BodyAxis,
    track_velocity TrackVelocity Track,
    track_rate TrackRate Track,
    track_position TrackPosition Track,
    height Height Body,
    upright Upright Body,
    value Value OneQuantity,
    track Track TrackQuantity,
    control Control Nothing,
    control_change ControlChange Nothing,
    joint_velocity JointVelocity Joints,
    joint_acceleration JointAcceleration Joints,
    torque Torque Joints,
    power Power Actuators,
    gait Gait Gait,
    landing Landing Landing,
    reached Reached Nothing,
    alive Alive Nothing,
} }

with_quantity! { OneQuantity {} }

with_quantity! { TrackQuantity {
    target: Option<Several<Target>>,
    width: Option<f64>,
    #[serde(default)]
    square: bool,
} }

with_quantity! { Condition {
    below: Option<f64>,
    above: Option<f64>,
    within: Option<f64>,
    beyond: Option<f64>,
    target: Option<Several<Target>>,
} }

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Gait {
    pub(super) bodies: Vec<String>,
    pub(super) phases: Vec<f64>,
    pub(super) period_s: Target,
    #[serde(default = "half")]
    pub(super) duty: f64,
    pub(super) with: Option<String>,
}

fn half() -> f64 {
    0.5
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Landing {
    pub(super) bodies: Vec<String>,
    pub(super) air_s: f64,
    pub(super) with: Option<String>,
}

/// `{}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    pub(super) body: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Joints {
    pub(super) joints: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Track {
    pub(super) body: String,
    pub(super) axis: Several<Axis>,
    #[serde(default)]
    pub(super) frame: Frame,
    pub(super) target: Several<Target>,
    pub(super) width: Option<f64>,
    #[serde(default)]
    pub(super) square: bool,
}

/// A number, or the name of a hidden parameter.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "this is a number or the name of a hidden parameter"
)]
pub(super) enum Target {
    Constant(f64),
    Hidden(String),
}

one_of! { Ended () End {
    height_below HeightBelow Height,
    height_above HeightAbove Height,
    tilt_beyond TiltBeyond Tilt,
    all All Vec<Condition>,
} }

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Height {
    pub(super) body: String,
    pub(super) height_m: f64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tilt {
    pub(super) body: String,
    pub(super) angle_rad: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Start {
    pub(super) keyframe: Option<String>,
    pub(super) position: f64,
    pub(super) velocity: f64,
    pub(super) anywhere: f64,
    pub(super) joints: Vec<String>,
    pub(super) joint: Vec<StartJoints>,
    pub(super) body: Vec<StartBody>,
}

/// Joints with ranges of their own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StartJoints {
    pub(super) joints: Vec<String>,
    pub(super) position: Option<[f64; 2]>,
    pub(super) offset: Option<[f64; 2]>,
    pub(super) velocity: Option<[f64; 2]>,
}

/// A free body with a place of its own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StartBody {
    pub(super) body: String,
    pub(super) x: Option<[f64; 2]>,
    pub(super) y: Option<[f64; 2]>,
    pub(super) z: Option<[f64; 2]>,
    pub(super) yaw: Option<[f64; 2]>,
}

impl Default for Start {
    fn default() -> Self {
        Self {
            keyframe: None,
            position: 0.0,
            velocity: 0.0,
            anywhere: 3.0,
            joints: vec![super::ALL.to_owned()],
            joint: Vec::new(),
            body: Vec::new(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hidden {
    pub(super) name: String,
    #[serde(default = "one")]
    pub(super) unit: String,
    pub(super) training: [f32; 2],
    pub(super) wide: Option<[f32; 2]>,
    pub(super) draw: Option<Draw>,
    pub(super) mass_scale: Option<Bodies>,
    pub(super) damping_scale: Option<Joints>,
    pub(super) friction_scale: Option<Geoms>,
    pub(super) gear_scale: Option<Actuators>,
    pub(super) strength_scale: Option<Actuators>,
    pub(super) polarity: Option<Actuators>,
    pub(super) gain_scale: Option<Actuators>,
    pub(super) gravity_tilt: Option<AxisOnly>,
    pub(super) gravity_scale: Option<Nothing>,
    pub(super) payload: Option<Payload>,
    pub(super) center_of_mass: Option<BodyAlong>,
    pub(super) armature: Option<Joints>,
    pub(super) friction_loss: Option<Joints>,
    pub(super) observation_bias: Option<Observations>,
    pub(super) observation_noise: Option<Observations>,
    pub(super) observation_delay: Option<Observations>,
    pub(super) action_noise: Option<Actions>,
    pub(super) action_delay: Option<Actions>,
    pub(super) action_filter: Option<Actions>,
    pub(super) push: Option<Push>,
    pub(super) goal: Option<Nothing>,
}

impl Hidden {
    /// How it is drawn; a polarity is one of two.
    pub(super) fn drawn(&self) -> Draw {
        let usual = if self.polarity.is_some() {
            Draw::Either
        } else {
            Draw::Uniform
        };
        self.draw.unwrap_or(usual)
    }
}

fn one() -> String {
    "1".to_owned()
}

/// How a hidden value is drawn from its range.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Draw {
    /// Every value is as likely.
    Uniform,
    /// Every ratio is as likely.
    LogUniform,
    /// One of the two ends, each as likely.
    Either,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bodies {
    pub(super) bodies: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Geoms {
    pub(super) geoms: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Actuators {
    pub(super) actuators: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Observations {
    pub(super) observations: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Actions {
    pub(super) actions: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BodyAlong {
    pub(super) body: String,
    pub(super) axis: Axis,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Payload {
    pub(super) body: String,
    pub(super) at: Option<[f64; 3]>,
    #[serde(default)]
    pub(super) radius_m: f64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Push {
    pub(super) body: String,
    pub(super) axis: Option<Axis>,
    pub(super) every_s: f64,
    pub(super) for_s: f64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AxisOnly {
    pub(super) axis: Axis,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    pub(super) name: String,
    pub(super) summary: String,
    pub(super) multiply: BTreeMap<String, f32>,
    #[serde(default)]
    pub(super) in_training: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Goal {
    pub(super) hold_steps: Option<usize>,
    pub(super) recovery_steps: Option<usize>,
    pub(super) change_steps: Option<[usize; 2]>,
    pub(super) default_change: Option<String>,
    pub(super) velocity: Option<GoalVelocity>,
    pub(super) height: Option<Height>,
    pub(super) tilt: Option<Tilt>,
    pub(super) all: Option<Vec<Condition>>,
    pub(super) reached: Option<Reached>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reached {
    pub(super) steps: usize,
    #[serde(default)]
    pub(super) then: Then,
}

/// What a goal that was reached does to its episode.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Then {
    /// It ends.
    #[default]
    End,
    /// The goal counts as held from then on.
    Count,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GoalVelocity {
    pub(super) body: String,
    pub(super) axis: Several<Axis>,
    #[serde(default)]
    pub(super) frame: Frame,
    pub(super) target: Several<Target>,
    pub(super) within_m_per_s: f64,
}
