//! Where episodes start: keyframe, scatter, ranges of joints, and places of free bodies.

use mujoco_rs::wrappers::fun::utility::mju_mul_quat;
use mujoco_rs::wrappers::mj_model::MjtJoint;
use rand::RngExt;

use super::actuation::Control;
use super::names::{Kind, Names};
use crate::Random;
use crate::mujoco::Simulation;
use crate::robot::{Place, Robot, RobotError};

/// Entries of the state, and how they are drawn.
pub(super) struct Starts {
    keyframe: Option<usize>,
    /// Entries that scatter.
    positions: Vec<usize>,
    velocities: Vec<usize>,
    /// Entries with a range of their own.
    places: Vec<(usize, Place)>,
    speeds: Vec<(usize, [f64; 2])>,
    /// First entries of free bodies' quaternions, and how far these are turned.
    yaws: Vec<(usize, [f64; 2])>,
}

impl Starts {
    pub(super) fn new(names: Names<'_>) -> Result<Self, RobotError> {
        let start = &names.robot.start;
        let joints = names.list(Kind::Joint, &start.joints)?;
        let keyframe = start.keyframe.as_ref();
        let keyframe = keyframe.map(|named| names.find(Kind::Keyframe, named));
        let mut starts = Self {
            keyframe: keyframe.transpose()?,
            positions: Vec::new(),
            velocities: Vec::new(),
            places: Vec::new(),
            speeds: Vec::new(),
            yaws: Vec::new(),
        };
        starts.ranges(names)?;
        starts.bodies(names)?;
        let placed = |entry: &usize| starts.places.iter().any(|(other, _)| other == entry);
        let hurled = |entry: &usize| starts.speeds.iter().any(|(other, _)| other == entry);
        let of = |id: &usize| names.joint(*id);
        let positions = joints.iter().flat_map(|id| of(id).positions);
        let velocities = joints.iter().flat_map(|id| of(id).velocities);
        let (positions, velocities) = (
            positions.filter(|entry| !placed(entry)).collect(),
            velocities.filter(|entry| !hurled(entry)).collect(),
        );
        (starts.positions, starts.velocities) = (positions, velocities);
        Ok(starts)
    }

    fn ranges(&mut self, names: Names<'_>) -> Result<(), RobotError> {
        for range in &names.robot.start.ranges {
            for (joint, named) in names.each(Kind::Joint, &range.joints)? {
                let is_single = matches!(
                    names.model.jnt_type().get(joint),
                    Some(MjtJoint::mjJNT_HINGE | MjtJoint::mjJNT_SLIDE)
                );
                if !is_single {
                    let must = format!(
                        "a hinge or slide: '{}' has several positions; [[start.body]] places a free body",
                        names.called(Kind::Joint, joint)
                    );
                    return Err(names.robot.refuse(&named.key, must));
                }
                let entries = names.joint(joint);
                let (position, velocity) = (entries.positions.start, entries.velocities.start);
                let again = range.place.is_some()
                    && self.places.iter().any(|(other, _)| *other == position)
                    || range.velocity.is_some()
                        && self.speeds.iter().any(|(other, _)| *other == velocity);
                if again {
                    let must = "a joint that no other [[start.joint]] has drawn";
                    return Err(names.robot.refuse(&named.key, must));
                }
                self.places
                    .extend(range.place.map(|place| (position, place)));
                self.speeds
                    .extend(range.velocity.map(|range| (velocity, range)));
            }
        }
        Ok(())
    }

    fn bodies(&mut self, names: Names<'_>) -> Result<(), RobotError> {
        for start in &names.robot.start.bodies {
            let body = names.find(Kind::Body, &start.body)?;
            let is_free = |joint: &usize| {
                names.model.jnt_type().get(*joint) == Some(&MjtJoint::mjJNT_FREE)
                    && names
                        .model
                        .jnt_bodyid()
                        .get(*joint)
                        .is_some_and(|of| usize::try_from(*of) == Ok(body))
            };
            let Some(joint) = (0..Kind::Joint.count(names.model)).find(is_free) else {
                let must =
                    "a body with a free joint: this one has none; [[start.joint]] places joints";
                return Err(names.robot.refuse(&start.body.key, must));
            };
            let first = names.joint(joint).positions.start;
            if self
                .places
                .iter()
                .any(|(other, _)| (first..first + 7).contains(other))
                || self.yaws.iter().any(|(other, _)| *other == first + 3)
            {
                let must = "a body that no other [[start.body]] has placed";
                return Err(names.robot.refuse(&start.body.key, must));
            }
            for (axis, range) in start.place.iter().enumerate() {
                self.places
                    .extend(range.map(|range| (first + axis, Place::At(range))));
            }
            self.yaws.extend(start.yaw.map(|range| (first + 3, range)));
        }
        Ok(())
    }

    /// Begins an episode, scattered `wider` times as far as usual. Ranges stay as they are.
    pub(super) fn begin(
        &self,
        simulation: &mut Simulation,
        robot: &Robot,
        controls: &[Control],
        wider: f64,
        random: &mut Random,
    ) {
        let noise = &robot.start;
        simulation.reset_to(self.keyframe);
        for control in controls {
            if let Some(rest) = control.rest {
                simulation.set_control(control.address, rest);
            }
        }
        let positions = simulation.qpos_mut();
        for index in &self.positions {
            if let Some(value) = positions.get_mut(*index) {
                *value += noise.position * wider * random.random_range(-1.0..=1.0);
            }
        }
        for (index, place) in &self.places {
            if let Some(value) = positions.get_mut(*index) {
                match place {
                    Place::At([low, high]) => *value = random.random_range(*low..=*high),
                    Place::Off([low, high]) => *value += random.random_range(*low..=*high),
                }
            }
        }
        for (first, [low, high]) in &self.yaws {
            if let Some(Ok(quaternion)) = positions
                .get_mut(*first..first + 4)
                .map(<&mut [f64; 4]>::try_from)
            {
                let (sin, cos) = libm::sincos(0.5 * random.random_range(*low..=*high));
                let before = *quaternion;
                mju_mul_quat(quaternion, &[cos, 0.0, 0.0, sin], &before);
            }
        }
        let velocities = simulation.qvel_mut();
        for index in &self.velocities {
            if let Some(value) = velocities.get_mut(*index) {
                *value += noise.velocity * wider * random.random_range(-1.0..=1.0);
            }
        }
        for (index, [low, high]) in &self.speeds {
            if let Some(value) = velocities.get_mut(*index) {
                *value = random.random_range(*low..=*high);
            }
        }
        simulation.normalize();
        simulation.settle();
    }
}
