//! Plants whose equations can be differentiated, for learners that follow gradients through them.
//!
//! A plant writes its equations once, over any [`Real`]: `f32` simulates, [`Dual`] differentiates, `f64` checks.
//! A learner runs flights forward with `step::<f32>` and `observe::<f32>`, keeps the states and actions, and walks
//! back through them with a [`PullBack`], which multiplies a gradient by the transposed Jacobian of one function.
//!
//! ```
//! use engram_plants::{Differentiable, Flight, PullBack, Stream, quadrotor::Quadrotor, random_stream};
//!
//! let steps = 50;
//! let mut random = random_stream(0, Stream::Training, 0);
//! let mut state = [0.0f32; Quadrotor::STATE];
//! let mut flight = Quadrotor::flight(&mut random, steps, &mut state);
//! let mut tape = Vec::new();
//! for _ in 0..steps {
//!     let mut observation = [0.0; Quadrotor::OBSERVATION];
//!     Quadrotor::observe(&state, &mut observation);
//!     flight.measure(&mut observation); // sensor noise: its derivative is 1
//!     let action = [0.1f32; Quadrotor::ACTION]; // the policy's
//!     let mut next = [0.0; Quadrotor::STATE];
//!     Quadrotor::step(flight.parameters(), &state, &action, &mut next);
//!     tape.push((flight.parameters().clone(), state, action));
//!     state = next;
//!     flight.advance(); // wind, changes of the craft
//! }
//! // Backwards: the gradient of the summed cost by each action, for a policy that is fed nothing.
//! let mut pull = PullBack::<Quadrotor>::new();
//! let mut by_next = [0.0; Quadrotor::STATE];
//! for (parameters, state, action) in tape.iter().rev() {
//!     let (mut by_state, mut by_action) = ([0.0; Quadrotor::STATE], [0.0; Quadrotor::ACTION]);
//!     pull.cost(state, action, 1.0, &mut by_state, &mut by_action);
//!     pull.step(parameters, state, action, &by_next, &mut by_state, &mut by_action);
//!     // by_action goes back through the policy; what comes out at its observation goes through
//!     // pull.observe(state, by_observation, &mut by_state).
//!     by_next = by_state;
//! }
//! ```

use crate::{Dual, Random, Real};

/// A plant as equations: what a learner differentiates. Everything hidden lies in `Parameters`.
///
/// Slices have the lengths [`STATE`](Self::STATE), [`ACTION`](Self::ACTION) and [`OBSERVATION`](Self::OBSERVATION).
pub trait Differentiable: Sized {
    /// Numbers of a state.
    const STATE: usize;
    /// Numbers of an action, each on [-1, 1].
    const ACTION: usize;
    /// Numbers of an observation, in the order and units of the plant's contract.
    const OBSERVATION: usize;
    /// Numbers that [`Flight::tell`] writes, as many as the plant has hidden parameters; 0 where no oracle is trained.
    const TASK: usize = 0;
    /// The hidden parameters, ready to compute with.
    type Parameters: Clone + Send + Sync;
    /// One flight's parameters over time.
    type Flight: Flight<Parameters = Self::Parameters> + Send;

    /// The state one control period after `state` under a constant `action`.
    fn step<T: Real>(parameters: &Self::Parameters, state: &[T], action: &[T], next: &mut [T]);
    /// What perfect sensors would show of `state`.
    fn observe<T: Real>(state: &[T], observation: &mut [T]);
    /// What a step from `state` under `action` costs; a learner minimises its sum.
    fn cost<T: Real>(state: &[T], action: &[T]) -> T;
    /// A typical size of each observation, in its unit: what a policy's inputs are divided by.
    fn scales() -> Vec<f32>;
    /// Whether nothing after `state` teaches anything: the flight is lost.
    fn lost(state: &[f32]) -> bool;
    /// Draws a task, what happens to it within `steps` steps, and a start, which is written to `state`.
    fn flight(random: &mut Random, steps: usize, state: &mut [f32]) -> Self::Flight;

    /// What [`PullBack::step`] does. Dual numbers do it for every plant; one that trains long may write a faster way.
    fn pull_step(
        pull: &mut PullBack<Self>,
        parameters: &Self::Parameters,
        state: &[f32],
        action: &[f32],
        by_next: &[f32],
        by_state: &mut [f32],
        by_action: &mut [f32],
    ) {
        pull.step_by_duals(parameters, state, action, by_next, by_state, by_action);
    }
}

/// What is random in one flight: parameters that may change from step to step, and sensors.
pub trait Flight {
    /// The plant's parameters.
    type Parameters;
    /// The parameters now in force.
    fn parameters(&self) -> &Self::Parameters;
    /// Adds the errors of this moment's sensors to a perfect observation. They depend on no action.
    fn measure(&mut self, observation: &mut [f32]);
    /// Lets one control period pass.
    fn advance(&mut self);
    /// Writes the task now in force as [`Plant::centred_task`](crate::Plant::centred_task) says it.
    fn tell(&self, _task: &mut [f32]) {}
    /// Begins the next episode of the same flight: writes another start to `state`.
    fn restart(&mut self, state: &mut [f32]);
}

/// Derivatives that one evaluation carries: a vector register's worth or two.
const LANES: usize = 8;

type Lane = Dual<f32, LANES>;

/// Multiplies gradients by the transposed Jacobians of a plant's functions. Each `by_...` is a gradient; what a method
/// finds is **added** to the mutable ones. Allocates when it is made, and never after.
pub struct PullBack<P> {
    inputs: Vec<Lane>,
    outputs: Vec<Lane>,
    plant: std::marker::PhantomData<fn() -> P>,
}

impl<P: Differentiable> Default for PullBack<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Differentiable> PullBack<P> {
    /// Room to compute in.
    #[must_use]
    pub fn new() -> Self {
        Self {
            inputs: vec![Lane::constant(0.0); P::STATE + P::ACTION],
            outputs: vec![Lane::constant(0.0); P::STATE.max(P::OBSERVATION)],
            plant: std::marker::PhantomData,
        }
    }

    /// From the gradient by the next state to those by state and action.
    pub fn step(
        &mut self,
        parameters: &P::Parameters,
        state: &[f32],
        action: &[f32],
        by_next: &[f32],
        by_state: &mut [f32],
        by_action: &mut [f32],
    ) {
        P::pull_step(
            self, parameters, state, action, by_next, by_state, by_action,
        );
    }

    /// [`step`](Self::step), whatever way the plant knows.
    pub fn step_by_duals(
        &mut self,
        parameters: &P::Parameters,
        state: &[f32],
        action: &[f32],
        by_next: &[f32],
        by_state: &mut [f32],
        by_action: &mut [f32],
    ) {
        self.pull(
            [state, action],
            by_next,
            [by_state, by_action],
            |inputs, next| {
                let (state, action) = inputs.split_at(P::STATE);
                P::step(parameters, state, action, next);
            },
        );
    }

    /// From the gradient by the observation to that by the state.
    pub fn observe(&mut self, state: &[f32], by_observation: &[f32], by_state: &mut [f32]) {
        self.pull(
            [state, &[]],
            by_observation,
            [by_state, &mut []],
            P::observe,
        );
    }

    /// The gradient of `weight` times the cost, which is returned (unweighted).
    pub fn cost(
        &mut self,
        state: &[f32],
        action: &[f32],
        weight: f32,
        by_state: &mut [f32],
        by_action: &mut [f32],
    ) -> f32 {
        self.pull(
            [state, action],
            &[weight],
            [by_state, by_action],
            |inputs, cost| {
                let (state, action) = inputs.split_at(P::STATE);
                cost[0] = P::cost(state, action);
            },
        );
        self.outputs[0].value
    }

    /// The Jacobian of one control step: a row for each number of the next state; columns are state, then action.
    #[must_use]
    pub fn jacobian(
        &mut self,
        parameters: &P::Parameters,
        state: &[f32],
        action: &[f32],
    ) -> Vec<Vec<f32>> {
        (0..P::STATE)
            .map(|row| {
                let mut by_next = vec![0.0; P::STATE];
                by_next[row] = 1.0;
                let mut columns = vec![0.0; P::STATE + P::ACTION];
                let (by_state, by_action) = columns.split_at_mut(P::STATE);
                self.step(parameters, state, action, &by_next, by_state, by_action);
                columns
            })
            .collect()
    }

    /// `LANES` inputs at a time: evaluates with their derivatives and weighs the outputs' by `by_output`.
    #[inline]
    fn pull(
        &mut self,
        inputs: [&[f32]; 2],
        by_output: &[f32],
        by_inputs: [&mut [f32]; 2],
        function: impl Fn(&[Lane], &mut [Lane]),
    ) {
        let count = inputs[0].len() + inputs[1].len();
        let outputs = &mut self.outputs[..by_output.len()];
        let [by_first, by_second] = by_inputs;
        let mut gradients = by_first.iter_mut().chain(by_second);
        for first in (0..count).step_by(LANES) {
            let values = inputs[0].iter().chain(inputs[1]);
            for (index, (dual, value)) in self.inputs.iter_mut().zip(values).enumerate() {
                *dual = Lane::input(*value, index.wrapping_sub(first));
            }
            function(&self.inputs[..count], outputs);
            let mut sums = [0.0; LANES];
            for (output, weight) in outputs.iter().zip(by_output) {
                for (sum, tangent) in sums.iter_mut().zip(output.tangents) {
                    *sum += weight * tangent;
                }
            }
            for (sum, gradient) in sums.iter().zip(&mut gradients) {
                *gradient += sum;
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::quadrotor::Quadrotor;
    use crate::{Stream, random_stream};

    /// Central differences of a function in f64: a row for each output.
    fn differences(
        inputs: &[f32],
        outputs: usize,
        function: impl Fn(&[f64], &mut [f64]),
    ) -> Vec<Vec<f64>> {
        let at: Vec<f64> = inputs.iter().copied().map(f64::from).collect();
        let mut rows = vec![vec![0.0; inputs.len()]; outputs];
        for column in 0..inputs.len() {
            let step = 1e-6;
            let moved = |step: f64| {
                let (mut inputs, mut result) = (at.clone(), vec![0.0; outputs]);
                inputs[column] += step;
                function(&inputs, &mut result);
                result
            };
            let (ahead, behind) = (moved(step), moved(-step));
            for (row, (ahead, behind)) in rows.iter_mut().zip(ahead.iter().zip(&behind)) {
                row[column] = (ahead - behind) / (2.0 * step);
            }
        }
        rows
    }

    fn assert_close(got: &[f32], expected: &[f64], what: &str) {
        for (column, (got, expected)) in got.iter().zip(expected).enumerate() {
            let error = (f64::from(*got) - expected).abs();
            assert!(
                error < 1e-4 * (1.0 + expected.abs()),
                "{what}, by input {column}: {got} not {expected}"
            );
        }
    }

    /// The derivatives of all three functions of a plant along random flights.
    pub(crate) fn derivatives_are_those_of_finite_differences<P: Differentiable>() {
        let mut random = random_stream(0, Stream::Training, 1);
        let mut pull = PullBack::<P>::new();
        for _ in 0..20 {
            let mut state = vec![0.0f32; P::STATE];
            let mut flight = P::flight(&mut random, 30, &mut state);
            for step in 0..30u8 {
                let action: Vec<f32> = (0..P::ACTION)
                    .map(|index| (f32::from(step) + 2.0 * index as f32).sin())
                    .collect();
                let inputs = [&state[..], &action].concat();
                let parameters = flight.parameters();
                if step % 10 == 5 {
                    let expected = differences(&inputs, P::STATE, |inputs, next| {
                        P::step(parameters, &inputs[..P::STATE], &inputs[P::STATE..], next);
                    });
                    let got = pull.jacobian(parameters, &state, &action);
                    for (row, (got, expected)) in got.iter().zip(&expected).enumerate() {
                        assert_close(got, expected, &format!("next state {row}"));
                        let mut by_next = vec![0.0; P::STATE];
                        by_next[row] = 1.0;
                        let mut got = vec![0.0; inputs.len()];
                        let (by_state, by_action) = got.split_at_mut(P::STATE);
                        pull.step_by_duals(
                            parameters, &state, &action, &by_next, by_state, by_action,
                        );
                        assert_close(&got, expected, &format!("next state {row}, by duals"));
                    }
                    let expected = differences(&state, P::OBSERVATION, P::observe::<f64>);
                    for (row, expected) in expected.iter().enumerate() {
                        let mut by_observation = vec![0.0; P::OBSERVATION];
                        by_observation[row] = 1.0;
                        let mut by_state = vec![0.0; P::STATE];
                        pull.observe(&state, &by_observation, &mut by_state);
                        assert_close(&by_state, expected, &format!("observation {row}"));
                    }
                    let expected = differences(&inputs, 1, |inputs, cost| {
                        cost[0] = P::cost(&inputs[..P::STATE], &inputs[P::STATE..]);
                    });
                    let mut got = vec![0.0; inputs.len()];
                    let (by_state, by_action) = got.split_at_mut(P::STATE);
                    let cost = pull.cost(&state, &action, 2.0, by_state, by_action);
                    assert_eq!(cost, P::cost(&state, &action));
                    let twice: Vec<f64> = expected[0].iter().map(|value| 2.0 * value).collect();
                    assert_close(&got, &twice, "cost");
                }
                let mut next = vec![0.0; P::STATE];
                P::step(parameters, &state, &action, &mut next);
                state = next;
                flight.advance();
            }
        }
    }

    #[test]
    fn the_quadrotor_is_differentiated_right() {
        derivatives_are_those_of_finite_differences::<Quadrotor>();
    }

    /// A gradient through a whole flight, as a learner takes it, against a nudge of the first command.
    #[test]
    fn a_gradient_through_a_flight_is_that_of_a_nudge() {
        const STEPS: usize = 60;
        let mut start = [0.0f32; Quadrotor::STATE];
        let flight = Quadrotor::flight(
            &mut random_stream(3, Stream::Training, 0),
            STEPS,
            &mut start,
        );
        let parameters = flight.parameters();
        let action =
            |step: usize| [0.2, 0.1, -0.1, 0.3].map(|a: f32| a * (step as f32 * 0.3).cos());
        let total = |nudge: f64| {
            let mut state = start.map(f64::from);
            let mut total = 0.0;
            for step in 0..STEPS {
                let mut action = action(step).map(f64::from);
                if step == 0 {
                    action[1] += nudge;
                }
                total += Quadrotor::cost(&state, &action);
                let mut next = state;
                Quadrotor::step(parameters, &state, &action, &mut next);
                state = next;
            }
            total
        };
        let mut tape = vec![start];
        for step in 0..STEPS {
            let state = tape[step];
            let mut next = state;
            Quadrotor::step(parameters, &state, &action(step), &mut next);
            tape.push(next);
        }
        let mut pull = PullBack::<Quadrotor>::new();
        let mut by_next = [0.0; Quadrotor::STATE];
        let mut first = 0.0;
        for step in (0..STEPS).rev() {
            let (mut by_state, mut by_action) = ([0.0; Quadrotor::STATE], [0.0; 4]);
            let (state, action) = (&tape[step], action(step));
            pull.cost(state, &action, 1.0, &mut by_state, &mut by_action);
            pull.step(
                parameters,
                state,
                &action,
                &by_next,
                &mut by_state,
                &mut by_action,
            );
            (by_next, first) = (by_state, by_action[1]);
        }
        let expected = (total(1e-5) - total(-1e-5)) / 2e-5;
        assert!(
            (f64::from(first) - expected).abs() < 1e-3 * expected.abs(),
            "{first} not {expected}"
        );
    }
}
