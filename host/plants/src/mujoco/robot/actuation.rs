//! From an action channel's command to an actuator's control: which actuator, around what, how late and how smooth;
//! motors that follow joint positions, and actuators that a file gives a model.

use std::sync::Arc;

use mujoco_rs::wrappers::MjModel;
use mujoco_rs::wrappers::mj_editing::{MjSpec, MjtLimited, PositionConfig, SpecItem};
use mujoco_rs::wrappers::mj_model::{MjtBias, MjtDyn, MjtGain, MjtJoint, MjtObjBase, MjtTrn};

use super::alteration::{Drive, drive};
use super::names::{Entries, Kind, Names};
use crate::mujoco::task_model::{gain_parameters, set_affine_bias};
use crate::robot::{Action, Around, Robot, RobotError, Servo};

/// What counts as the same number of a command's units, relative to its range.
const SAME: f64 = 1e-6;

/// What becomes of an action channel's command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Control {
    /// The address of the control.
    pub(super) address: usize,
    /// Added to the command.
    base: f64,
    /// Time constant of the filter; 0 without one.
    pub(super) filter_s: f64,
    /// The control before the first command, where the model has none for it.
    pub(super) rest: Option<f64>,
}

impl Control {
    /// The control that a command asks for.
    #[inline]
    pub(super) fn of(&self, command: f32) -> f64 {
        if self.base == 0.0 {
            f64::from(command)
        } else {
            self.base + f64::from(command)
        }
    }
}

/// The controls of all action channels. `model` is the one that simulates.
pub(super) fn controls(
    names: Names<'_>,
    model: &mut Arc<MjModel>,
) -> Result<Vec<Control>, RobotError> {
    let mut controls: Vec<Control> = Vec::new();
    let channels = names.robot.spec.channels.actions.iter();
    for (index, (action, channel)) in names.robot.actions.iter().zip(channels).enumerate() {
        let actuator = names.find(Kind::Actuator, &action.actuator)?;
        let address = names.control(actuator);
        if controls.iter().any(|control| control.address == address) {
            let must = "an actuator that no other action drives";
            return Err(names.robot.refuse(&action.actuator.key, must));
        }
        let base = base(names, index, actuator, action)?;
        let ends = [channel.min, channel.max].map(|end| base + f64::from(end));
        match action.position {
            Some(gains) => {
                let motor = Motor::new(names, index, actuator)?;
                motor.follow(Arc::make_mut(model), gains, ends);
            }
            None => within_range(names, index, address, base, ends)?,
        }
        controls.push(Control {
            address,
            base,
            filter_s: action.filter_s.unwrap_or(0.0),
            rest: action.position.map(|_| base + f64::from(channel.safe)),
        });
    }
    Ok(controls)
}

fn within_range(
    names: Names<'_>,
    index: usize,
    address: usize,
    base: f64,
    ends: [f64; 2],
) -> Result<(), RobotError> {
    let model = names.model;
    if model.actuator_ctrllimited().get(address) != Some(&true) {
        return Ok(());
    }
    let range = model.actuator_ctrlrange().get(address).copied();
    let [low, high] = range.unwrap_or_default();
    let slack = SAME * (high - low).abs();
    for (field, end) in ["min", "max"].into_iter().zip(ends) {
        if end < low - slack || end > high + slack {
            let mut must = format!("within the actuator's ctrlrange, {low} to {high}");
            if base != 0.0 {
                must.push_str(&format!(
                    "; around {base} that is {} to {}",
                    low - base,
                    high - base
                ));
            }
            return Err(names
                .robot
                .refuse(&format!("action[{index}].{field}"), must));
        }
    }
    Ok(())
}

/// What an action's command is added to.
fn base(
    names: Names<'_>,
    index: usize,
    actuator: usize,
    action: &Action,
) -> Result<f64, RobotError> {
    let key = format!("action[{index}].around");
    let start = &names.robot.start.keyframe;
    let keyframe = start
        .as_ref()
        .map(|named| names.find(Kind::Keyframe, named))
        .transpose()?;
    let model = names.model;
    match action.around {
        Around::Nothing => Ok(0.0),
        Around::Value(value) => Ok(value),
        Around::Pose => {
            let Some((entries, gear)) = hinge_or_slide(names, actuator) else {
                let must =
                    "a number, or \"control\": this actuator does not move one hinge or slide";
                return Err(names.robot.refuse(&key, must));
            };
            let position = match keyframe {
                Some(keyframe) => model
                    .key_qpos()
                    .get(keyframe * model.qpos0().len() + entries.positions.start),
                None => model.qpos0().get(entries.positions.start),
            };
            let position = position.copied().unwrap_or_default();
            // A servo's target counts what its gear makes of the joint's position.
            Ok(if action.position.is_some() {
                position
            } else {
                gear * position
            })
        }
        Around::Control => {
            let control = keyframe.and_then(|keyframe| {
                let width = model.actuator_ctrlrange().len();
                model
                    .key_ctrl()
                    .get(keyframe * width + names.control(actuator))
            });
            control.copied().ok_or_else(|| {
                let must = "\"pose\" or a number: [start] names no keyframe, and it is the keyframe that has controls";
                names.robot.refuse(&key, must)
            })
        }
    }
}

/// The joint that an actuator moves, if that has one position, and the gear between them.
fn hinge_or_slide(names: Names<'_>, actuator: usize) -> Option<(Entries, f64)> {
    let model = names.model;
    let is_joint = matches!(
        model.actuator_trntype().get(actuator),
        Some(MjtTrn::mjTRN_JOINT | MjtTrn::mjTRN_JOINTINPARENT)
    );
    let joint = usize::try_from(model.actuator_trnid().get(actuator)?[0]).ok()?;
    let kind = model.jnt_type().get(joint)?;
    let is_single = matches!(kind, MjtJoint::mjJNT_HINGE | MjtJoint::mjJNT_SLIDE);
    let gear = model.actuator_gear().get(names.outputs(actuator).start)?[0];
    (is_joint && is_single).then(|| (names.joint(joint), gear))
}

/// A motor on a joint, which can be made to follow positions.
struct Motor {
    actuator: usize,
    address: usize,
    gear: f64,
    /// Smallest and largest force, before the gear.
    limits: Option<[f64; 2]>,
}

impl Motor {
    fn new(names: Names<'_>, index: usize, actuator: usize) -> Result<Self, RobotError> {
        let model = names.model;
        let refuse = |why: &str| {
            let key = format!("action[{index}].position");
            let must = format!(
                "left out, or the action's actuator a torque motor: '{}' {why}",
                names.called(Kind::Actuator, actuator)
            );
            Err(names.robot.refuse(&key, must))
        };
        match drive(model, actuator) {
            Drive::Motor => {}
            Drive::Servo => return refuse("is a servo, and has gains of its own"),
            _ => return refuse("is none"),
        }
        if model.actuator_dyntype().get(actuator) != Some(&MjtDyn::mjDYN_NONE) {
            return refuse("has dynamics between its control and its force");
        }
        if model.actuator_gaintype().get(actuator) != Some(&MjtGain::mjGAIN_FIXED) {
            return refuse("has a gain that is no number");
        }
        let bias = model.actuator_biasprm().get(actuator).map(|bias| bias[0]);
        if model.actuator_biastype().get(actuator) == Some(&MjtBias::mjBIAS_AFFINE)
            && bias != Some(0.0)
        {
            return refuse("has a constant force");
        }
        let Some((_, gear)) = hinge_or_slide(names, actuator) else {
            return refuse("does not move one hinge or slide");
        };
        let gain = model
            .actuator_gainprm()
            .get(actuator)
            .map_or(0.0, |gain| gain[0]);
        if gear == 0.0 || gain == 0.0 {
            return refuse("has a gear or a gain of 0");
        }
        let address = names.control(actuator);
        let limit = |limited: Option<&bool>, range: Option<&[f64; 2]>, factor: f64| {
            let [low, high] = *range.filter(|_| limited == Some(&true))?;
            let (a, b) = (low * factor, high * factor);
            Some([a.min(b), a.max(b)])
        };
        let by_control = limit(
            model.actuator_ctrllimited().get(address),
            model.actuator_ctrlrange().get(address),
            gain,
        );
        let by_force = limit(
            model.actuator_forcelimited().get(actuator),
            model.actuator_forcerange().get(actuator),
            1.0,
        );
        let limits = match (by_control, by_force) {
            (Some(one), Some(other)) => Some([one[0].max(other[0]), one[1].min(other[1])]),
            (one, other) => one.or(other),
        };
        Ok(Self {
            actuator,
            address,
            gear,
            limits,
        })
    }

    /// Makes it MuJoCo's own servo: its control is a joint position between `ends`, and the joint feels
    /// `kp (control - position) - kd velocity`, computed in every physics step, within the motor's limits.
    fn follow(&self, model: &mut MjModel, [kp, kd]: [f64; 2], ends: [f64; 2]) {
        // Length and velocity of the actuator are the joint's times the gear, and so is the joint's force.
        if let Some(gain) = gain_parameters(model, self.actuator).first_mut() {
            *gain = kp / self.gear;
        }
        set_affine_bias(model, self.actuator);
        let square = self.gear * self.gear;
        if let Some(bias) = model.actuator_biasprm_mut().get_mut(self.actuator) {
            bias[..3].copy_from_slice(&[0.0, -kp / square, -kd / square]);
        }
        if let Some(limits) = self.limits {
            model.actuator_forcelimited_mut()[self.actuator] = true;
            model.actuator_forcerange_mut()[self.actuator] = limits;
        }
        model.actuator_ctrllimited_mut()[self.address] = true;
        model.actuator_ctrlrange_mut()[self.address] = ends;
    }
}

/// The robot's model with the actuators that its file adds. `names` is of the model as it is.
pub(super) fn with_added(names: Names<'_>) -> Result<MjModel, RobotError> {
    let robot: &Robot = names.robot;
    let refused = |reason: String| RobotError::Model {
        path: robot.model.display().to_string(),
        message: reason,
    };
    let mut spec = MjSpec::from_xml(&robot.model).map_err(|error| refused(error.to_string()))?;
    for (index, added) in robot.added.iter().enumerate() {
        let key = |field: &str| format!("actuator[{index}].{field}");
        let known = names
            .model
            .name_to_id(MjtObjBase::mjOBJ_ACTUATOR, &added.name);
        if known.is_some() {
            let must = "unlike the name of every actuator of the model";
            return Err(robot.refuse(&key("name"), must));
        }
        let joint = names.find(Kind::Joint, &added.joint)?;
        let called = names.called(Kind::Joint, joint);
        let is_single = matches!(
            names.model.jnt_type().get(joint),
            Some(MjtJoint::mjJNT_HINGE | MjtJoint::mjJNT_SLIDE)
        );
        let has_name = names
            .model
            .id_to_name(MjtObjBase::mjOBJ_JOINT, joint)
            .is_some_and(|name| !name.is_empty());
        if !is_single || !has_name {
            let must = "a hinge or slide with a name";
            return Err(robot.refuse(&key("joint"), must));
        }
        let actuator = spec.add_actuator();
        actuator
            .set_name(&added.name)
            .map_err(|error| refused(error.to_string()))?;
        actuator.set_trntype(MjtTrn::mjTRN_JOINT);
        actuator.set_target(&called);
        match added.servo {
            Servo::Motor => actuator.set_to_motor(),
            Servo::Position { kp, kv } => actuator
                .set_to_position(PositionConfig::default().with_kp(kp).with_kv(kv))
                .map_err(|error| refused(error.to_string()))?,
            Servo::Velocity { kv } => actuator.set_to_velocity(kv),
        }
        actuator.gear_mut()[0] = added.gear;
        actuator.set_ctrllimited(MjtLimited::mjLIMITED_TRUE);
        *actuator.ctrlrange_mut() = added.ctrlrange;
        if let Some(forcerange) = added.forcerange {
            *actuator.forcerange_mut() = forcerange;
        }
    }
    spec.compile().map_err(|error| refused(error.to_string()))
}
