//! The walker and the hopper: planar legged robots whose bodies are hidden. They run forward as fast as they can.
//!
//! Four factors, each `1.5^exponent`: the torso's mass, the legs' mass, the joints' damping, the friction of all
//! contacts. Inertia follows mass. Observation: positions without x, then velocities, clipped to 10 as in gymnasium.

use mujoco_rs::wrappers::MjModel;
use rand::RngExt;

use super::contracts;
use super::design::{Design, Goal, StartNoise};
use super::simulation::{After, Simulation, TORSO};
use crate::{Change, Parameter, Random, TaskSet};

/// A walker with two legs.
pub(super) static WALKER: Design = Design {
    name: "walker-params",
    model: "walker2d_v5.xml",
    contract: contracts::WALKER,
    healthy: |simulation| {
        matches!(simulation.qpos(), [_, z, pitch, ..]
            if *z > 0.8 && *z < 2.0 && pitch.abs() < 1.0)
    },
    ..HOPPER_DESIGN
};

/// A hopper with one leg.
pub(super) static HOPPER: Design = HOPPER_DESIGN;

const HOPPER_DESIGN: Design = Design {
    name: "hopper-params",
    model: "hopper.xml",
    frame_skip: 4,
    after: After::Nothing,
    contract: contracts::HOPPER,
    parameters: &[
        exponent("torso_mass_exponent"),
        exponent("leg_mass_exponent"),
        exponent("damping_exponent"),
        exponent("friction_exponent"),
    ],
    changes: &[
        Change::NONE,
        Change::new("mass", "all masses grow by half"),
        Change::new("friction", "all contacts lose a third of their friction"),
    ],
    change,
    hold_steps: 150,
    start: StartNoise {
        position: 5e-3,
        velocity: 5e-3,
        normal: false,
    },
    goal: Goal::Forward,
    draw,
    alter: Some(alter),
    observe,
    place: |simulation| [simulation.qpos().first().copied().unwrap_or_default(), 0.0],
    reward: |step| step.goal_speed + f64::from(u8::from(step.healthy)) - 1e-3 * step.effort(),
    healthy: |simulation| {
        let [_, z, pitch, ..] = *simulation.qpos() else {
            return false;
        };
        let joints = simulation.qpos().iter().skip(2);
        z > 0.7
            && pitch.abs() < 0.2
            && joints
                .chain(simulation.qvel())
                .all(|value| value.abs() < 100.0)
    },
};

/// What an exponent is the power of.
const BASE: f64 = 1.5;
const TORSO_MASS: usize = 0;
const LEG_MASS: usize = 1;
const DAMPING: usize = 2;
const FRICTION: usize = 3;

const fn exponent(name: &'static str) -> Parameter {
    Parameter::new(name, "1", (-3.0, 3.0), (-4.0, 4.0))
}

/// One more exponent is half as much again, one less a third less.
fn change(name: &str, task: &mut [f32]) {
    let (indices, amount): (&[usize], f32) = match name {
        "mass" => (&[TORSO_MASS, LEG_MASS], 1.0),
        "friction" => (&[FRICTION], -1.0),
        _ => (&[], 0.0),
    };
    for index in indices {
        if let Some(value) = task.get_mut(*index) {
            *value += amount;
        }
    }
}

/// Uniform exponents; out of distribution, at least one beyond the training range.
fn draw(set: TaskSet, random: &mut Random) -> Vec<f32> {
    loop {
        let parameters = HOPPER_DESIGN.parameters.iter();
        let values: Vec<f32> = parameters
            .map(|parameter| {
                let (low, high) = match set {
                    TaskSet::Training | TaskSet::HeldOut => parameter.training,
                    TaskSet::OutOfDistribution => parameter.wide,
                };
                random.random_range(low..high)
            })
            .collect();
        if set != TaskSet::OutOfDistribution || values.iter().any(|value| value.abs() > 3.0) {
            return values;
        }
    }
}

/// Gives the model the body of a task.
fn alter(model: &mut MjModel, task: &[f32]) {
    let factor = |index: usize| {
        libm::pow(
            BASE,
            f64::from(task.get(index).copied().unwrap_or_default()),
        )
    };
    let mass = |body: usize| {
        if body == TORSO {
            factor(TORSO_MASS)
        } else {
            factor(LEG_MASS)
        }
    };
    for (body, value) in model.body_mass_mut().iter_mut().enumerate() {
        *value *= mass(body);
    }
    for (body, value) in model.body_inertia_mut().iter_mut().enumerate() {
        *value = value.map(|moment| moment * mass(body));
    }
    for value in model.dof_damping_mut() {
        *value *= factor(DAMPING);
    }
    // A contact takes the larger friction of its two sides, so both sides change.
    for value in model.geom_friction_mut() {
        *value = value.map(|coefficient| coefficient * factor(FRICTION));
    }
}

fn observe(simulation: &Simulation, into: &mut [f64]) {
    let (positions, velocities) = (simulation.qpos(), simulation.qvel());
    let velocities = velocities.iter().map(|value| value.clamp(-10.0, 10.0));
    let all = positions.iter().skip(1).copied().chain(velocities);
    for (entry, value) in into.iter_mut().zip(all) {
        *entry = value;
    }
}
