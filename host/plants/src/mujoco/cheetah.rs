//! The half-cheetah: a planar runner with six motors that never ends an episode by itself.
//!
//! Observation: positions without x (8), velocities (9), the torso's place (3).

use rand::RngExt;

use super::contracts;
use super::design::{Design, Goal, StartNoise, Step};
use super::simulation::{After, Simulation};
use crate::{Change, Parameter, Random, TaskSet};

/// Run at a hidden velocity.
pub(super) static VELOCITY: Design = Design {
    name: "half-cheetah-vel",
    hold_steps: 100,
    parameters: &[Parameter::new("velocity", "m/s", (0.0, 3.0), (3.0, 4.0))],
    goal: Goal::Velocity,
    draw: draw_velocity,
    reward: velocity_reward,
    ..DIRECTION_DESIGN
};

/// Run forward or backward.
pub(super) static DIRECTION: Design = DIRECTION_DESIGN;

const DIRECTION_DESIGN: Design = Design {
    name: "half-cheetah-dir",
    model: "half_cheetah.xml",
    frame_skip: 5,
    after: After::Nothing,
    contract: contracts::HALF_CHEETAH,
    parameters: &[Parameter::new("direction", "1", (-1.0, 1.0), (-1.0, 1.0))],
    changes: &[Change::NONE],
    change: |_, _| (),
    hold_steps: 150,
    start: StartNoise {
        position: 0.1,
        velocity: 0.1,
        normal: true,
    },
    goal: Goal::Direction,
    draw: draw_direction,
    alter: None,
    observe,
    place: |simulation| [simulation.qpos().first().copied().unwrap_or_default(), 0.0],
    reward: |step| step.goal_speed - 0.05 * step.effort(),
    healthy: |_| true,
};

fn velocity_reward(step: &Step<'_>) -> f64 {
    let wanted = f64::from(step.task.first().copied().unwrap_or_default());
    -(step.velocity[0] - wanted).abs() - 0.05 * step.effort()
}

fn draw_velocity(set: TaskSet, random: &mut Random) -> Vec<f32> {
    vec![match set {
        TaskSet::Training | TaskSet::HeldOut => random.random_range(0.0..3.0),
        TaskSet::OutOfDistribution => random.random_range(3.0..4.0),
    }]
}

/// There are two directions, and no third to be out of distribution.
fn draw_direction(_: TaskSet, random: &mut Random) -> Vec<f32> {
    vec![if random.random::<bool>() { 1.0 } else { -1.0 }]
}

fn observe(simulation: &Simulation, into: &mut [f64]) {
    let positions = simulation.qpos().iter().skip(1);
    let torso = simulation.torso();
    let all = positions.chain(simulation.qvel()).chain(&torso);
    for (entry, value) in into.iter_mut().zip(all) {
        *entry = *value;
    }
}
