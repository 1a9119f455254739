//! What a hidden parameter does to the numbers of a model.

use mujoco_rs::wrappers::MjModel;
use mujoco_rs::wrappers::mj_model::{MjtBias, MjtDyn, MjtGain, MjtJoint, MjtTrn};

use super::inertia::Payload;
use super::names::{Kind, Names};
use crate::mujoco::task_model::gain_parameters;
use crate::robot::{ALL, Axis, Effect, Named, RobotError};

/// What a hidden parameter does, by the model's numbers.
pub(super) enum Alteration {
    /// Multiplies mass and inertia of bodies.
    Mass(Vec<usize>),
    /// Multiplies the damping of entries of the velocity.
    Damping(Vec<usize>),
    /// Multiplies the friction of geoms.
    Friction(Vec<usize>),
    /// Multiplies the gear of force outputs.
    Gear(Vec<usize>),
    /// Multiplies all forces of actuators.
    Strength(Strength),
    /// Below 0, turns actuators the other way round.
    Polarity(Vec<Reversal>),
    /// Multiplies gains and biases of actuators, and not their limits.
    Gain(Strength),
    /// Turns gravity.
    GravityTilt(Axis),
    /// Multiplies gravity.
    GravityScale,
    /// Adds a mass.
    Payload(Payload),
    /// Moves the centre of mass of a body along an axis.
    CenterOfMass(usize, Axis),
    /// Adds to the armature of entries of the velocity.
    Armature(Vec<usize>),
    /// Adds to the friction loss of entries of the velocity.
    FrictionLoss(Vec<usize>),
    /// Nothing.
    Nothing,
}

/// Actuators, and the joints and tendons that they alone drive: their limits are those of the motors.
pub(super) struct Strength {
    pub(super) actuators: Vec<usize>,
    joints: Vec<usize>,
    tendons: Vec<usize>,
}

/// An actuator that may work the other way round.
pub(super) struct Reversal {
    pub(super) actuator: usize,
    /// A servo's command is mirrored: the sum of a command and its mirror image. None for a motor, whose force is.
    mirror: Option<f64>,
}

/// How an actuator's force comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drive {
    /// From its control alone.
    Motor,
    /// Also from where it stands, so that it settles at its control.
    Servo,
    /// Also from how fast it moves.
    Velocity,
    Muscle,
    /// By a law whose parameters mean something else: of a DC motor, of a controller, of a plug-in.
    Other,
}

pub(super) fn drive(model: &MjModel, actuator: usize) -> Drive {
    let (Some(gain_type), Some(bias_type), Some(gain), Some(bias)) = (
        model.actuator_gaintype().get(actuator),
        model.actuator_biastype().get(actuator),
        model.actuator_gainprm().get(actuator),
        model.actuator_biasprm().get(actuator),
    ) else {
        return Drive::Other;
    };
    let is_plugin = model
        .actuator_plugin()
        .get(actuator)
        .is_some_and(|plugin| *plugin >= 0);
    let gain = match gain_type {
        MjtGain::mjGAIN_FIXED => [0.0; 2],
        MjtGain::mjGAIN_AFFINE => [gain[1], gain[2]],
        MjtGain::mjGAIN_MUSCLE => return Drive::Muscle,
        _ => return Drive::Other,
    };
    let bias = match bias_type {
        MjtBias::mjBIAS_NONE => [0.0; 2],
        MjtBias::mjBIAS_AFFINE => [bias[1], bias[2]],
        MjtBias::mjBIAS_MUSCLE => return Drive::Muscle,
        _ => return Drive::Other,
    };
    match [
        gain[0] != 0.0 || bias[0] != 0.0,
        gain[1] != 0.0 || bias[1] != 0.0,
    ] {
        _ if is_plugin => Drive::Other,
        [true, _] => Drive::Servo,
        [_, true] => Drive::Velocity,
        _ => Drive::Motor,
    }
}

impl Alteration {
    pub(super) fn new(names: Names<'_>, effect: &Effect) -> Result<Self, RobotError> {
        Ok(match effect {
            Effect::Mass(bodies) => Self::Mass(names.list(Kind::Body, bodies)?),
            Effect::Damping(joints) => Self::Damping(velocities(names, joints)?),
            Effect::Armature(joints) => Self::Armature(jointed(names, joints)?),
            Effect::FrictionLoss(joints) => Self::FrictionLoss(jointed(names, joints)?),
            Effect::Payload(payload) => Self::Payload(Payload {
                body: names.find(Kind::Body, &payload.body)?,
                at: payload.at,
                radius_m: payload.radius_m,
            }),
            Effect::CenterOfMass(body, axis) => {
                Self::CenterOfMass(names.find(Kind::Body, body)?, *axis)
            }
            Effect::Friction(geoms) => Self::Friction(names.list(Kind::Geom, geoms)?),
            Effect::Gear(actuators) => {
                let actuators = names.each(Kind::Actuator, actuators)?;
                for (id, named) in &actuators {
                    has_free_gear(names, *id, named)?;
                }
                let outputs = actuators.iter().flat_map(|(id, _)| names.outputs(*id));
                Self::Gear(outputs.collect())
            }
            Effect::Strength(actuators) | Effect::Gain(actuators) => {
                let actuators = names.each(Kind::Actuator, actuators)?;
                for (id, named) in &actuators {
                    if drive(names.model, *id) == Drive::Other {
                        let must = format!(
                            "a motor, a servo or a muscle: actuator '{}' has a law of its own, whose strength is no single number; name the others one by one",
                            names.called(Kind::Actuator, *id)
                        );
                        return Err(names.robot.refuse(&named.key, must));
                    }
                }
                let ids = actuators.into_iter().map(|(id, _)| id).collect();
                match effect {
                    Effect::Gain(_) => Self::Gain(Strength::unlimited(ids)),
                    _ => Self::Strength(Strength::new(names.model, ids)),
                }
            }
            Effect::Polarity(actuators) => {
                let actuators = names.each(Kind::Actuator, actuators)?;
                let reversals = actuators
                    .into_iter()
                    .map(|(id, named)| Reversal::new(names, id, named));
                Self::Polarity(reversals.collect::<Result<_, _>>()?)
            }
            Effect::GravityTilt(axis) => Self::GravityTilt(*axis),
            Effect::GravityScale => Self::GravityScale,
            Effect::ObservationBias(_)
            | Effect::ObservationNoise(_)
            | Effect::ObservationDelay(_)
            | Effect::ActionNoise(_)
            | Effect::ActionDelay(_)
            | Effect::ActionFilter(_)
            | Effect::Push(_)
            | Effect::Goal => Self::Nothing,
        })
    }

    /// Whether it does anything to a model.
    pub(super) fn changes_the_model(&self) -> bool {
        !matches!(self, Self::Nothing)
    }

    pub(super) fn apply(&self, model: &mut MjModel, value: f64) {
        match self {
            Self::Mass(bodies) => {
                for body in bodies {
                    if let Some(mass) = model.body_mass_mut().get_mut(*body) {
                        *mass *= value;
                    }
                }
                multiply(model.body_inertia_mut(), bodies, value);
            }
            Self::Damping(entries) => {
                for entry in entries {
                    if let Some(damping) = model.dof_damping_mut().get_mut(*entry) {
                        *damping *= value;
                    }
                }
                multiply(model.dof_dampingpoly_mut(), entries, value);
            }
            Self::Friction(geoms) => multiply(model.geom_friction_mut(), geoms, value),
            Self::Gear(outputs) => multiply(model.actuator_gear_mut(), outputs, value),
            Self::Strength(strength) => strength.apply(model, value, true),
            Self::Gain(strength) => strength.apply(model, value, false),
            Self::GravityScale => {
                let gravity = &mut model.opt_mut().gravity;
                *gravity = gravity.map(|entry| entry * value);
            }
            Self::Payload(payload) => payload.apply(model, value),
            Self::CenterOfMass(body, axis) => {
                if let Some(place) = model.body_ipos_mut().get_mut(*body) {
                    place[axis.number()] += value;
                }
            }
            Self::Armature(entries) => add(model.dof_armature_mut(), entries, value),
            Self::FrictionLoss(entries) => add(model.dof_frictionloss_mut(), entries, value),
            Self::Polarity(reversals) => {
                for reversal in reversals.iter().filter(|_| value < 0.0) {
                    reversal.apply(model);
                }
            }
            Self::GravityTilt(axis) => {
                let gravity = &mut model.opt_mut().gravity;
                *gravity = turned(*gravity, *axis, value);
            }
            Self::Nothing => {}
        }
    }
}

/// Refuses a gear that would do something else than make a motor stronger or turn it round.
fn has_free_gear(names: Names<'_>, actuator: usize, named: &Named) -> Result<(), RobotError> {
    let drive = drive(names.model, actuator);
    let has_controller = matches!(
        names.model.actuator_gaintype().get(actuator),
        Some(MjtGain::mjGAIN_PID | MjtGain::mjGAIN_SO3)
    );
    let what = match drive {
        Drive::Other if has_controller => "a controller, and its gear would move where it stands",
        Drive::Servo => "a servo, and its gear would move where it stands",
        Drive::Velocity => {
            "a servo of velocities, and its gear would change the velocity that it holds"
        }
        Drive::Muscle => "a muscle, and its gear would change its length and not its torque",
        Drive::Motor | Drive::Other => return Ok(()),
    };
    let name = names.called(Kind::Actuator, actuator);
    let instead = if drive == Drive::Other {
        "name the motors one by one".to_owned()
    } else {
        let mut instead = format!(
            "write strength_scale = {{ actuators = [\"{name}\"] }} for a weaker or stronger one"
        );
        if Reversal::new(names, actuator, named).is_ok() {
            instead.push_str(&format!(
                ", or polarity = {{ actuators = [\"{name}\"] }} for one that works the other way round"
            ));
        }
        instead
    };
    let must = format!("a motor: actuator '{name}' is {what}; {instead}");
    Err(names.robot.refuse(&named.key, must))
}

impl Strength {
    fn new(model: &MjModel, actuators: Vec<usize>) -> Self {
        let drives = |kinds: &[MjtTrn], id: usize, actuator: usize| {
            let kind = model.actuator_trntype().get(actuator);
            let target = model.actuator_trnid().get(actuator);
            kind.is_some_and(|kind| kinds.contains(kind))
                && target.is_some_and(|target| usize::try_from(target[0]) == Ok(id))
        };
        // A joint that another motor drives too has a limit of its own.
        let alone = |kinds: &[MjtTrn], count: usize| {
            (0..count)
                .filter(|id| {
                    let all = 0..model.actuator_trntype().len();
                    let mut drivers = all
                        .filter(|actuator| drives(kinds, *id, *actuator))
                        .peekable();
                    drivers.peek().is_some() && drivers.all(|driver| actuators.contains(&driver))
                })
                .collect()
        };
        Self {
            joints: alone(
                &[MjtTrn::mjTRN_JOINT, MjtTrn::mjTRN_JOINTINPARENT],
                model.jnt_type().len(),
            ),
            tendons: alone(&[MjtTrn::mjTRN_TENDON], model.tendon_actfrcrange().len()),
            actuators,
        }
    }

    /// Actuators whose limits stay.
    const fn unlimited(actuators: Vec<usize>) -> Self {
        Self {
            actuators,
            joints: Vec::new(),
            tendons: Vec::new(),
        }
    }

    fn apply(&self, model: &mut MjModel, value: f64, limits: bool) {
        for actuator in &self.actuators {
            let (gain, bias) = if drive(model, *actuator) == Drive::Muscle {
                // The peak force, or where that is not given the scale that MuJoCo derives it with.
                let at = |parameters: Option<f64>| {
                    let entry = if parameters.is_some_and(|force| force < 0.0) {
                        3
                    } else {
                        2
                    };
                    entry..entry + 1
                };
                let gain = model.actuator_gainprm().get(*actuator).map(|all| all[2]);
                let bias = model.actuator_biasprm().get(*actuator).map(|all| all[2]);
                (at(gain), at(bias))
            } else {
                (0..3, 0..3)
            };
            if let Some(parameters) = gain_parameters(model, *actuator).get_mut(gain) {
                parameters.iter_mut().for_each(|entry| *entry *= value);
            }
            if let Some(parameters) = model.actuator_biasprm_mut().get_mut(*actuator) {
                parameters[bias]
                    .iter_mut()
                    .for_each(|entry| *entry *= value);
            }
        }
        if limits {
            multiply(model.actuator_forcerange_mut(), &self.actuators, value);
        }
        multiply(model.jnt_actfrcrange_mut(), &self.joints, value);
        multiply(model.tendon_actfrcrange_mut(), &self.tendons, value);
    }
}

impl Reversal {
    fn new(names: Names<'_>, actuator: usize, named: &Named) -> Result<Self, RobotError> {
        let model = names.model;
        let refuse = |why: &str| {
            let must = format!(
                "a motor or a servo: actuator '{}' {why}",
                names.called(Kind::Actuator, actuator)
            );
            Err(names.robot.refuse(&named.key, must))
        };
        let drive = drive(model, actuator);
        match drive {
            Drive::Muscle => return refuse("is a muscle, which only pulls"),
            Drive::Other => {
                return refuse("has a law of its own, in which nothing stands for the direction");
            }
            Drive::Motor | Drive::Servo | Drive::Velocity => {}
        }
        let is_fixed = model.actuator_gaintype().get(actuator) == Some(&MjtGain::mjGAIN_FIXED);
        match drive {
            Drive::Servo if !is_fixed => {
                return refuse("has a gain that depends on where it stands");
            }
            Drive::Velocity if !is_fixed => {
                return refuse("brakes rather than drives, and a brake has no direction");
            }
            _ => {}
        }
        let dynamics = model.actuator_dyntype().get(actuator);
        if !matches!(
            dynamics,
            Some(MjtDyn::mjDYN_NONE | MjtDyn::mjDYN_FILTER | MjtDyn::mjDYN_FILTEREXACT)
        ) {
            return refuse(
                "sums its control up, so that turning it round would move it at once; drive it by position or velocity",
            );
        }
        let control = names.control(actuator);
        let is_limited = model.actuator_ctrllimited().get(control).copied();
        let mirror = match (drive, model.actuator_ctrlrange().get(control)) {
            (Drive::Servo, Some([low, high])) if is_limited == Some(true) => Some(low + high),
            (Drive::Servo | Drive::Velocity, _) => Some(0.0),
            _ => None,
        };
        Ok(Self { actuator, mirror })
    }

    fn apply(&self, model: &mut MjModel) {
        let Some(first) = gain_parameters(model, self.actuator).first_mut() else {
            return;
        };
        let gain = *first;
        *first = -gain;
        match self.mirror {
            // gain * (mirror - control), and what the servo subtracts from it stays as it is.
            Some(mirror) => {
                if let Some(parameters) = model.actuator_biasprm_mut().get_mut(self.actuator) {
                    parameters[0] += gain * mirror;
                }
            }
            None => {
                // A constant force comes from the motor, too.
                if model.actuator_biastype().get(self.actuator) == Some(&MjtBias::mjBIAS_AFFINE)
                    && let Some(parameters) = model.actuator_biasprm_mut().get_mut(self.actuator)
                {
                    parameters[0] = -parameters[0];
                }
                if let Some(limits) = model.actuator_forcerange_mut().get_mut(self.actuator) {
                    *limits = [-limits[1], -limits[0]];
                }
            }
        }
    }
}

/// The entries of the velocity of joints.
fn velocities(names: Names<'_>, joints: &[Named]) -> Result<Vec<usize>, RobotError> {
    let joints = names.list(Kind::Joint, joints)?;
    let entries = joints.into_iter().flat_map(|id| names.joint(id).velocities);
    Ok(entries.collect())
}

/// The same for what sits in joints: all of them are those between bodies, and not what lets a body fly.
fn jointed(names: Names<'_>, joints: &[Named]) -> Result<Vec<usize>, RobotError> {
    if !matches!(joints, [one] if one.name == ALL) {
        return velocities(names, joints);
    }
    let kinds = names.model.jnt_type().iter().enumerate();
    let between = kinds.filter(|(_, kind)| **kind != MjtJoint::mjJNT_FREE);
    Ok(between
        .flat_map(|(id, _)| names.joint(id).velocities)
        .collect())
}

/// Adds to chosen entries of a table.
fn add(table: &mut [f64], chosen: &[usize], value: f64) {
    for index in chosen {
        if let Some(entry) = table.get_mut(*index) {
            *entry += value;
        }
    }
}

/// Multiplies the chosen rows of a table.
fn multiply<const N: usize>(rows: &mut [[f64; N]], chosen: &[usize], factor: f64) {
    for index in chosen {
        for value in rows.get_mut(*index).into_iter().flatten() {
            *value *= factor;
        }
    }
}

/// A vector turned about an axis by an angle in rad.
fn turned([x, y, z]: [f64; 3], axis: Axis, angle: f64) -> [f64; 3] {
    let (sin, cos) = libm::sincos(angle);
    match axis {
        Axis::X => [x, cos * y - sin * z, sin * y + cos * z],
        Axis::Y => [cos * x + sin * z, y, cos * z - sin * x],
        Axis::Z => [cos * x - sin * y, sin * x + cos * y, z],
    }
}
