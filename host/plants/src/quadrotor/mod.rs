//! The quadrotor: any craft from 20 g to 5 kg, with rotors that lag, in wind, under changes.

mod adjoint;
mod contract;
mod craft;
mod dynamics;
mod flight;
mod tasks;

pub use contract::CONTRACT;
pub use craft::{Craft, LOST_M, NAME, NEAR_M, RECOVERED, RECOVERED_M};
pub use dynamics::{
    ATTITUDE, BEFORE_LAST, Body, Dynamics, GRAVITY_M_PER_S2, LAST, PERIOD_S, POSITION, RATE,
    ROTORS, STATE, VELOCITY,
};
pub use flight::Course;
pub use tasks::{ANY, CHANGES, Hidden, PARAMETERS};

use dynamics::{rotation, vector};
use flight::{Air, start};

use crate::{Differentiable, PullBack, Random, Real};

/// Numbers of an observation: position error (3), rotation matrix (9), velocity (3), angular velocity (3), last commands (4).
pub const OBSERVATION: usize = 22;

/// The quadrotor as equations; its target is the origin.
pub struct Quadrotor;

impl Differentiable for Quadrotor {
    const STATE: usize = STATE;
    const ACTION: usize = 4;
    const OBSERVATION: usize = OBSERVATION;
    const TASK: usize = tasks::COUNT;
    type Parameters = Dynamics;
    type Flight = Course;

    #[inline]
    fn step<T: Real>(parameters: &Dynamics, state: &[T], action: &[T], next: &mut [T]) {
        parameters.step(state, action, next);
    }

    fn observe<T: Real>(state: &[T], observation: &mut [T]) {
        observation[..3].copy_from_slice(&state[POSITION..POSITION + 3]);
        observation[3..12].copy_from_slice(&rotation(vector(state, ATTITUDE)));
        observation[12..15].copy_from_slice(&state[VELOCITY..VELOCITY + 3]);
        observation[15..18].copy_from_slice(&state[RATE..RATE + 3]);
        observation[18..22].copy_from_slice(&state[LAST..LAST + 4]);
    }

    /// Distance with a concave term that still pulls near zero, and a little for velocity near the target, tilt, rotation and jerks.
    fn cost<T: Real>(state: &[T], action: &[T]) -> T {
        let norm = |first: usize| {
            let [x, y, z] = vector(state, first);
            // Never 0, whose root has no derivative.
            (x * x + y * y + z * z).offset(1e-6).sqrt()
        };
        let distance = norm(POSITION);
        let near = T::from(1.0) / (distance * distance).scale(25.0).offset(1.0);
        let mut cost = distance + distance.offset(1e-4).sqrt().scale(0.5);
        cost += near * norm(VELOCITY).scale(0.05);
        let [_, x, y, _] = vector(state, ATTITUDE);
        cost += (x * x + y * y).scale(0.04);
        let [p, q, r] = vector(state, RATE);
        cost += (p * p + q * q + r * r).min(T::from(50.0)).scale(0.002);
        for (action, last) in action.iter().zip(&state[LAST..]) {
            let change = *action - *last;
            cost += (change * change).scale(0.02);
        }
        cost
    }

    fn scales() -> Vec<f32> {
        // Positions in m, rotation matrix, velocities in m/s, angular velocities in rad/s, last commands.
        let sizes = [(3, 0.5), (9, 1.0), (3, 1.0), (3, 4.0), (4, 0.7)];
        sizes
            .iter()
            .flat_map(|(count, size)| vec![*size; *count])
            .collect()
    }

    fn lost(state: &[f32]) -> bool {
        const FAR_M: f32 = 5.0;
        const LARGE: f32 = 150.0;
        let [x, y, z] = vector(state, POSITION);
        let near = x * x + y * y + z * z < FAR_M * FAR_M;
        // What is no number is lost, too.
        !(near && state.iter().all(|value| value.abs() < LARGE))
    }

    fn pull_step(
        _: &mut PullBack<Self>,
        parameters: &Dynamics,
        state: &[f32],
        action: &[f32],
        by_next: &[f32],
        by_state: &mut [f32],
        by_action: &mut [f32],
    ) {
        parameters.pull_step(state, action, by_next, by_state, by_action);
    }

    fn flight(random: &mut Random, steps: usize, state: &mut [f32]) -> Course {
        Course::sample(random, steps, state)
    }
}
