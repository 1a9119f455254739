//! Whether every hidden parameter does something: two values of its range give models that differ, and motions that do.
//!
//! A parameter that does nothing looks like any other in tables, and the policy is praised for coping with it.

use mujoco_rs::mujoco_c::mjtDisableBit;
use mujoco_rs::wrappers::MjModel;
use mujoco_rs::wrappers::mj_model::{MjtBias, MjtGain, MjtTrn};
use rand::RngExt;

use super::alteration::{Alteration, Drive, drive};
use super::body::Body;
use super::friction::{self, Scaling};
use super::inertia::Payload;
use super::names::{Kind, Names};
use crate::mujoco::Simulation;
use crate::robot::RobotError;
use crate::{Parameter, Random, Stream, random_stream};

/// Control steps of a motion, at most.
const STEPS: usize = 100;
/// Physics steps of a motion, at most; but never less than a few control steps.
const PHYSICS_STEPS: usize = 2000;
const FEWEST_STEPS: usize = 10;
/// A command and a push hold for so many control steps.
const HOLD: usize = 5;
/// Pushes accelerate each joint by this, in its units per second squared.
const PUSH: f64 = 10.0;
/// Motions differ when an entry of the state does by more than this, relative to its size.
const SAME: f64 = 1e-9;

/// Refuses a robot with a hidden parameter that does nothing.
///
/// # Errors
/// [`RobotError::NoEffect`] names the parameter and says why.
pub(super) fn check(names: Names<'_>, body: &Body) -> Result<(), RobotError> {
    if !body.alters() {
        return Ok(());
    }
    let mut pair = [body.simulation(), body.simulation()];
    for (index, alteration) in body.alterations.iter().enumerate() {
        if !alteration.changes_the_model() {
            continue;
        }
        let parameters = &names.robot.spec.parameters;
        let Some(parameter) = parameters.get(index) else {
            continue;
        };
        let (low, high) = parameter.training;
        for (simulation, value) in pair.iter_mut().zip([low, high]) {
            let mut task: Vec<f32> = parameters.iter().map(inside).collect();
            task[index] = value;
            simulation.take_task(|model| body.alter(model, &task));
        }
        if let Some(why) = why_without_effect(names, body, alteration, parameter, &mut pair) {
            return Err(names.robot.without_effect(index, why));
        }
    }
    Ok(())
}

/// A value within the range that is not 0 by symmetry: a gear of 0 would hide what others do.
fn inside(parameter: &Parameter) -> f32 {
    let (low, high) = parameter.training;
    0.25 * low + 0.75 * high
}

/// Why a parameter does nothing, if so. `pair` has the models of the two ends of its range.
fn why_without_effect(
    names: Names<'_>,
    body: &Body,
    alteration: &Alteration,
    parameter: &Parameter,
    pair: &mut [Simulation; 2],
) -> Option<String> {
    let model = names.model;
    if let Some(why) = moves_nothing(names, alteration) {
        return Some(why.to_owned());
    }
    let [low, high] = pair;
    if low.task().is_same_physics(high.task()) {
        return Some(same_model(alteration));
    }
    match alteration {
        Alteration::Mass(_)
        | Alteration::Payload(_)
        | Alteration::CenterOfMass(..)
        | Alteration::Armature(_) => {
            if let Some(muscle) = rescaled_muscle(model, low, high) {
                let name = names.called(Kind::Actuator, muscle);
                let force = force_of_muscle(model, muscle);
                return Some(format!(
                    "muscle '{name}' has no force of its own, so that MuJoCo derives it from the mass that it moves, and it moves heavier bodies as easily as light ones; give it one in the model (force=\"{force:.4}\" is what it has now)"
                ));
            }
        }
        // What rules a contact is known without one, and a motion may end before the first.
        Alteration::Friction(geoms) => {
            let scales = |parameter: &Parameter| {
                let (low, high) = parameter.training;
                [f64::from(low), f64::from(high)]
            };
            let all = body.alterations.iter().zip(&names.robot.spec.parameters);
            // Parameters of the same geom multiply, and those of others decide whose friction is the larger.
            let others: Vec<friction::Parameter<'_>> = all
                .filter(|(other, _)| !std::ptr::eq(*other, alteration))
                .filter_map(|(other, parameter)| match other {
                    Alteration::Friction(geoms) => Some((geoms.as_slice(), scales(parameter))),
                    _ => None,
                })
                .collect();
            return match friction::scaling(model, (geoms, scales(parameter)), &others) {
                Scaling::Rules => None,
                Scaling::RulesBesidePairs(why) => {
                    (moves_apart(names, body, pair, true) == Motions::Same).then_some(why)
                }
                Scaling::Nothing(why) => Some(why),
            };
        }
        _ => {}
    }
    let actuators = actuators_of(names, alteration);
    let is_idle = |id: &usize| {
        let address = names.control(*id);
        !body
            .controls
            .iter()
            .any(|control| control.address == address)
    };
    // A hand that sticks may touch its object late, as above.
    let sticks = |id: &usize| model.actuator_trntype().get(*id) == Some(&MjtTrn::mjTRN_BODY);
    if actuators.iter().any(|id| sticks(id) && !is_idle(id)) {
        return None;
    }
    let is_idle = !actuators.is_empty() && actuators.iter().all(is_idle);
    let motions = match moves_apart(names, body, pair, true) {
        // Other actuators may be what ran away.
        Motions::RanAway if is_idle => moves_apart(names, body, pair, false),
        motions => motions,
    };
    (motions == Motions::Same).then(|| same_motion(model, alteration, &actuators, is_idle))
}

/// Why a parameter does nothing whatever moves.
fn moves_nothing(names: Names<'_>, alteration: &Alteration) -> Option<&'static str> {
    let model = names.model;
    let is_fixed = |body: &usize| model.body_weldid().get(*body) == Some(&0);
    match alteration {
        Alteration::Payload(Payload { body, .. }) | Alteration::CenterOfMass(body, _) => {
            is_fixed(body).then_some("this body hangs on nothing that moves")
        }
        Alteration::Mass(bodies) => (bodies.iter().all(is_fixed)
            && bodies.iter().any(|body| *body > 0))
        .then_some("these bodies hang on nothing that moves"),
        Alteration::GravityTilt(_) | Alteration::GravityScale => {
            let off = mjtDisableBit::mjDSBL_GRAVITY as i32;
            (model.opt().disableflags & off != 0).then_some("the model's options turn gravity off")
        }
        _ => None,
    }
}

/// Why the models of two values are the same.
fn same_model(alteration: &Alteration) -> String {
    match alteration {
        Alteration::Mass(_) => "these bodies have no mass that moves, and it multiplies zeros; name the bodies that move, with their geoms",
        Alteration::Damping(_) => "these joints have no damping, and it multiplies zeros; give them some in the model (a servo's own is its kv: strength_scale scales that)",
        Alteration::Friction(_) => "these geoms have no friction, and it multiplies zeros",
        Alteration::Gear(_) => "the gear of these actuators is 0 in the model, and it multiplies zeros",
        Alteration::Strength(_) | Alteration::Gain(_) => "these actuators have no force, and it multiplies zeros",
        Alteration::Polarity(_) => "these actuators have no force to turn round",
        Alteration::GravityTilt(_) => "the model's gravity is 0 or points along this axis",
        Alteration::GravityScale => "the model's gravity is 0, and it multiplies zeros",
        Alteration::Armature(_) | Alteration::FrictionLoss(_) => "the list of joints is empty",
        Alteration::Payload(_) | Alteration::CenterOfMass(..) | Alteration::Nothing => "it has no effect",
    }
    .to_owned()
}

/// The actuators that a parameter changes.
fn actuators_of(names: Names<'_>, alteration: &Alteration) -> Vec<usize> {
    match alteration {
        Alteration::Gear(outputs) => (0..Kind::Actuator.count(names.model))
            .filter(|id| names.outputs(*id).any(|output| outputs.contains(&output)))
            .collect(),
        Alteration::Strength(strength) | Alteration::Gain(strength) => strength.actuators.clone(),
        Alteration::Polarity(reversals) => {
            reversals.iter().map(|reversal| reversal.actuator).collect()
        }
        _ => Vec::new(),
    }
}

/// Why the motions are the same although the models are not.
fn same_motion(
    model: &MjModel,
    alteration: &Alteration,
    actuators: &[usize],
    is_idle: bool,
) -> String {
    let output = |id: &usize| {
        let address = model.actuator_outadr().get(*id).copied();
        address.and_then(|address| usize::try_from(address).ok())
    };
    let has_no_gear = |id: &usize| {
        let gear = output(id).and_then(|output| model.actuator_gear().get(output));
        gear.is_some_and(|gear| gear.iter().all(|entry| *entry == 0.0))
    };
    let why = match alteration {
        Alteration::Mass(_) => "these bodies hang on nothing that moves",
        _ if is_idle => {
            "no [[action]] commands these actuators, and their control stays where it is"
        }
        _ if !actuators.is_empty() && actuators.iter().all(has_no_gear) => {
            "the gear of these actuators is 0 in the model"
        }
        _ => {
            "the robot moves in the same way at both ends of the range, under the same commands and pushes"
        }
    };
    why.to_owned()
}

/// A muscle whose force follows from masses, and differs.
fn rescaled_muscle(model: &MjModel, low: &mut Simulation, high: &mut Simulation) -> Option<usize> {
    let acceleration =
        |simulation: &mut Simulation| simulation.with_model(|model| model.actuator_acc0().to_vec());
    let (low, high) = (acceleration(low), acceleration(high));
    (0..model.actuator_gaintype().len()).find(|actuator| {
        let output = model.actuator_outadr().get(*actuator).copied();
        let output = output.and_then(|output| usize::try_from(output).ok());
        let of = |values: &[f64]| output.and_then(|output| values.get(output).copied());
        let differs = match (of(&low), of(&high)) {
            (Some(low), Some(high)) => (low - high).abs() > SAME * high.abs(),
            _ => false,
        };
        differs && derives_its_force(model, *actuator)
    })
}

fn derives_its_force(model: &MjModel, actuator: usize) -> bool {
    let is = |kind: bool, force: Option<f64>| kind && force.is_some_and(|force| force < 0.0);
    let gain = model.actuator_gaintype().get(actuator) == Some(&MjtGain::mjGAIN_MUSCLE);
    let bias = model.actuator_biastype().get(actuator) == Some(&MjtBias::mjBIAS_MUSCLE);
    drive(model, actuator) == Drive::Muscle
        && (is(
            gain,
            model.actuator_gainprm().get(actuator).map(|all| all[2]),
        ) || is(
            bias,
            model.actuator_biasprm().get(actuator).map(|all| all[2]),
        ))
}

/// The peak force that MuJoCo derives for a muscle, in N.
fn force_of_muscle(model: &MjModel, actuator: usize) -> f64 {
    let scale = model
        .actuator_gainprm()
        .get(actuator)
        .map_or(0.0, |all| all[3]);
    let output = model.actuator_outadr().get(actuator).copied();
    let output = output.and_then(|output| usize::try_from(output).ok());
    let acceleration = output.and_then(|output| model.actuator_acc0().get(output).copied());
    scale / acceleration.unwrap_or_default().max(1e-15)
}

/// How two motions compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Motions {
    Same,
    Differ,
    /// One of them ran away, which says nothing, and training will count it.
    RanAway,
}

/// Whether two models move differently from the robot's start, under the same commands and pushes or without any.
fn moves_apart(
    names: Names<'_>,
    body: &Body,
    pair: &mut [Simulation; 2],
    is_commanded: bool,
) -> Motions {
    let mut random = random_stream(0, Stream::HeldOut, 0);
    for simulation in pair.iter_mut() {
        // The same place for both.
        let mut start = random.clone();
        body.start(simulation, names.robot, 1.0, &mut start);
    }
    let steps = (PHYSICS_STEPS / body.frame_skip).clamp(FEWEST_STEPS, STEPS);
    for step in 0..steps {
        if is_commanded && step % HOLD == 0 {
            command(names, body, pair, &mut random);
        }
        for simulation in pair.iter_mut() {
            simulation.advance();
        }
        let [low, high] = &*pair;
        if low.diverged() || high.diverged() {
            return Motions::RanAway;
        }
        if differs(low, high) {
            return Motions::Differ;
        }
    }
    Motions::Same
}

/// Gives both simulations the same command and the same pushes.
fn command(names: Names<'_>, body: &Body, pair: &mut [Simulation; 2], random: &mut Random) {
    let channels = names.robot.spec.channels.actions.iter();
    for (channel, control) in channels.zip(&body.controls) {
        let value = random.random_range(channel.min..=channel.max);
        for simulation in pair.iter_mut() {
            simulation.set_control(control.address, control.of(value));
        }
    }
    for (index, inertia) in names.model.dof_m0().iter().enumerate() {
        let push = PUSH * inertia * random.random_range(-1.0..=1.0);
        for simulation in pair.iter_mut() {
            simulation.pushes_mut()[index] = push;
        }
    }
}

fn differs(low: &Simulation, high: &Simulation) -> bool {
    let positions = low.qpos().iter().zip(high.qpos());
    let velocities = low.qvel().iter().zip(high.qvel());
    positions
        .chain(velocities)
        .any(|(low, high)| (low - high).abs() > SAME * (1.0 + low.abs().max(high.abs())))
}
