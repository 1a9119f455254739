//! The ant: four legs, eight motors; it falls if its torso leaves heights from 0.2 m to 1 m.
//!
//! Observation: positions without x and y (13), velocities (14). Contact forces enter the reward only.

use rand::RngExt;

use super::contracts;
use super::design::{Design, Goal, StartNoise, Step};
use super::simulation::{After, Simulation};
use crate::{Change, Parameter, Random, TaskSet};

/// Two directions, 57.3 degrees to the left and to the right of x: TrMRL's code draws a goal of +1 or -1 and takes it
/// for an angle in radians.
pub(super) static RADIANS: Design = Design {
    name: "ant-dir",
    parameters: &[Parameter::new("direction", "rad", (-1.0, 1.0), (-3.1, 3.1))],
    draw: draw_radians,
    ..ANT
};

/// Forward or backward, as most of the field has it.
pub(super) static FORWARD_OR_BACKWARD: Design = Design {
    name: "ant-dir-xy",
    parameters: &[Parameter::new(
        "direction",
        "rad",
        (0.0, std::f32::consts::PI),
        (-3.1, 3.1),
    )],
    draw: draw_forward_or_backward,
    ..ANT
};

const ANT: Design = Design {
    name: "ant",
    model: "ant.xml",
    frame_skip: 5,
    after: After::ContactForces,
    contract: contracts::ANT,
    parameters: &[],
    changes: &[Change::NONE],
    change: |_, _| (),
    hold_steps: 150,
    start: StartNoise {
        position: 0.1,
        velocity: 0.1,
        normal: true,
    },
    goal: Goal::Angle,
    draw: draw_radians,
    alter: None,
    observe,
    place: |simulation| {
        let [x, y, _] = simulation.torso();
        [x, y]
    },
    reward,
    healthy: |simulation| {
        let height = simulation.qpos().get(2).copied().unwrap_or_default();
        (0.2..=1.0).contains(&height)
    },
};

fn reward(step: &Step<'_>) -> f64 {
    let contacts: f64 = step
        .simulation
        .contact_forces()
        .iter()
        .flatten()
        .map(|force| force.clamp(-1.0, 1.0).powi(2))
        .sum();
    step.goal_speed - 0.5 * step.effort() - 5e-4 * contacts + 1.0
}

/// One of the two, or for the out-of-distribution set any direction beyond them: up to backwards.
fn draw_radians(set: TaskSet, random: &mut Random) -> Vec<f32> {
    let side = if random.random::<bool>() { 1.0 } else { -1.0 };
    vec![match set {
        TaskSet::Training | TaskSet::HeldOut => side,
        TaskSet::OutOfDistribution => side * random.random_range(1.1..3.1),
    }]
}

/// One of the two, or for the out-of-distribution set any direction at least 0.3 rad from both.
fn draw_forward_or_backward(set: TaskSet, random: &mut Random) -> Vec<f32> {
    let side = random.random::<bool>();
    vec![match set {
        TaskSet::Training | TaskSet::HeldOut if side => 0.0,
        TaskSet::Training | TaskSet::HeldOut => std::f32::consts::PI,
        TaskSet::OutOfDistribution => {
            let angle = random.random_range(0.3..2.8);
            if side { angle } else { -angle }
        }
    }]
}

fn observe(simulation: &Simulation, into: &mut [f64]) {
    let positions = simulation.qpos().iter().skip(2);
    for (entry, value) in into.iter_mut().zip(positions.chain(simulation.qvel())) {
        *entry = *value;
    }
}
