//! A block of craft that fly one trial together, and the way back through what they flew.

use engram_export::Normalizer;
use engram_plants::{Differentiable, Flight as _, PullBack, Random};
use rand::RngExt;

use super::LANES;
use super::policy::{Encoder, LanePolicy, Past, Tape};
use super::transformer::Transformer;

/// Steps on the way back after which gradients of weights are summed up, while their factors are still near.
const CHUNK: usize = 8;

/// What bounds and weighs the gradients of a flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Share of the gradient by a state that reaches the state before.
    pub(super) keep: f32,
    /// Bound of the norm of the gradient by one craft's state, in units of a step's cost.
    pub(super) max_state_gradient: f32,
    /// Bound of the gradient by each of its commands, likewise.
    pub(super) max_action_gradient: f32,
    /// Cost of the square of what a command exceeds its range by.
    pub(super) saturation: f32,
    /// Steps at the start of an episode that cost less.
    pub(super) early_steps: usize,
    /// What they cost.
    pub(super) early_weight: f32,
}

/// Craft that began a trial together.
pub(super) struct Block<P: Differentiable> {
    flights: Vec<P::Flight>,
    states: Vec<f32>,
    /// Commands issued last, 0 before the first.
    actions: Vec<f32>,
    lost: [bool; LANES],
    /// Steps since the episode began.
    ages: [usize; LANES],
    past: Past,
    length: usize,
    /// Probability that a step begins a new episode.
    restarts: f64,
    random: Random,
}

/// What a thread works with.
pub(super) struct Workspace<P: Differentiable, E: Encoder = Transformer> {
    tape: Tape<E>,
    pull: PullBack<P>,
    steps: Vec<Kept<P>>,
    gradients: Gradients,
}

/// One step of a block, as the way back needs it.
struct Kept<P: Differentiable> {
    parameters: Vec<P::Parameters>,
    states: Vec<f32>,
    /// What the policy asked for, and what was issued.
    wanted: Vec<f32>,
    actions: Vec<f32>,
    flying: [bool; LANES],
    /// Steps since the episode began.
    ages: [usize; LANES],
}

#[derive(Default)]
struct Gradients {
    /// By the state after the step, and by the one before.
    by_next: Vec<f32>,
    by_state: Vec<f32>,
    /// By the issued commands, of what later working memories made of them.
    by_last: Vec<f32>,
    by_action: Vec<f32>,
    by_observation: Vec<f32>,
}

/// What became of a block's steps.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    /// Sum of the costs.
    pub(super) cost: f64,
    /// How many were summed.
    pub(super) steps: u64,
    /// Craft that are lost by now.
    pub(super) lost: usize,
}

impl<P: Differentiable, E: Encoder> Workspace<P, E> {
    /// Room for so many steps.
    #[must_use]
    pub(super) fn new(policy: &LanePolicy<E>, capacity: usize) -> Self {
        Self {
            tape: policy.tape(capacity),
            pull: PullBack::new(),
            steps: Vec::new(),
            gradients: Gradients::default(),
        }
    }

    /// The gradient of the last [`Block::fly`] by the parameters.
    #[must_use]
    pub(super) fn gradient(&self) -> &[f32] {
        self.tape.gradient()
    }

    /// Activations of the last [`Block::fly`].
    #[cfg(test)]
    pub(super) fn tape(&self) -> &Tape<E> {
        &self.tape
    }
}

impl<P: Differentiable> Block<P> {
    /// Draws a trial of `length` steps for every craft; a step begins a new episode with the probability `restarts`.
    #[must_use]
    pub(super) fn new(mut random: Random, length: usize, restarts: f64) -> Self {
        let mut states = vec![0.0; LANES * P::STATE];
        let flights = states.chunks_exact_mut(P::STATE);
        Self {
            flights: flights
                .map(|state| P::flight(&mut random, length, state))
                .collect(),
            states,
            actions: vec![0.0; LANES * P::ACTION],
            lost: [false; LANES],
            ages: [0; LANES],
            past: Past::default(),
            length,
            restarts,
            random,
        }
    }

    /// Steps that are left of the trial.
    #[must_use]
    pub(super) fn left(&self) -> usize {
        self.length - self.past.steps
    }

    /// Flies `steps` steps, as many as the workspace has room for or fewer; with `limits`, leaves the gradient in the workspace, too.
    pub(super) fn fly<E: Encoder>(
        &mut self,
        policy: &LanePolicy<E>,
        normalizer: &Normalizer,
        limits: Option<&Limits>,
        work: &mut Workspace<P, E>,
        steps: usize,
    ) -> Told {
        policy.begin(&mut work.tape, &self.past);
        work.steps.truncate(steps);
        work.steps.resize_with(steps, || Kept {
            parameters: Vec::with_capacity(LANES),
            states: vec![0.0; LANES * P::STATE],
            wanted: vec![0.0; LANES * P::ACTION],
            actions: vec![0.0; LANES * P::ACTION],
            flying: [false; LANES],
            ages: [0; LANES],
        });
        let mut told = Told::default();
        let mut memory = vec![0.0; normalizer.mean.len()];
        let mut normalised = memory.clone();
        let told_of_task = told_of_task::<P>(normalizer);
        for (step, kept) in work.steps.iter_mut().enumerate() {
            let column = work.tape.column(step);
            kept.parameters.clear();
            let crafts = self
                .states
                .chunks_exact_mut(P::STATE)
                .zip(self.actions.chunks_exact(P::ACTION));
            for (lane, ((state, action), flight)) in crafts.zip(&mut self.flights).enumerate() {
                let begins = self.random.random::<f64>() < self.restarts
                    && !self.lost[lane]
                    && self.ages[lane] > 0;
                if begins {
                    flight.restart(state);
                    self.ages[lane] = 0;
                }
                self.lost[lane] |= P::lost(state);
                kept.flying[lane] = !self.lost[lane];
                kept.ages[lane] = self.ages[lane];
                kept.parameters.push(flight.parameters().clone());
                let (observation, rest) = memory.split_at_mut(P::OBSERVATION);
                P::observe(state, observation);
                flight.measure(observation);
                let (task, rest) = rest.split_at_mut(told_of_task);
                if !task.is_empty() {
                    flight.tell(task);
                }
                let (last, rest) = rest.split_at_mut(P::ACTION);
                last.copy_from_slice(action);
                // Reward is not told; `done` is, with the first memory of every episode but the first.
                rest[1] = f32::from(u8::from(begins));
                normalizer.apply(&memory, &mut normalised);
                for (row, value) in normalised.iter().enumerate() {
                    work.tape.input.row_mut(row)[column + lane] = *value;
                }
            }
            kept.states.copy_from_slice(&self.states);
            policy.forward(&mut work.tape, self.past.steps, step);
            for lane in 0..LANES {
                let commands = lane * P::ACTION..(lane + 1) * P::ACTION;
                for (row, index) in commands.clone().enumerate() {
                    let wanted = work.tape.mean.row(row)[column + lane];
                    kept.wanted[index] = wanted;
                    kept.actions[index] = wanted.clamp(-1.0, 1.0);
                }
                if !kept.flying[lane] {
                    continue;
                }
                let place = lane * P::STATE..(lane + 1) * P::STATE;
                let (state, action) = (&kept.states[place.clone()], &kept.actions[commands]);
                told.cost += f64::from(P::cost(state, action));
                told.steps += 1;
                P::step(
                    &kept.parameters[lane],
                    state,
                    action,
                    &mut self.states[place],
                );
                self.flights[lane].advance();
                self.ages[lane] += 1;
            }
            self.actions.copy_from_slice(&kept.actions);
        }
        told.lost = self.lost.iter().filter(|lost| **lost).count();
        if let Some(limits) = limits {
            self.back(policy, normalizer, limits, work);
        }
        policy.leave(&work.tape, steps, &mut self.past);
        told
    }

    /// From the last step to the first.
    fn back<E: Encoder>(
        &self,
        policy: &LanePolicy<E>,
        normalizer: &Normalizer,
        limits: &Limits,
        work: &mut Workspace<P, E>,
    ) {
        let Workspace {
            tape,
            pull,
            steps,
            gradients,
        } = work;
        let past = self.past.steps;
        // Rows of the last commands among the inputs.
        let last = P::OBSERVATION + told_of_task::<P>(normalizer);
        let last = last..last + P::ACTION;
        let share = 1.0 / (LANES * steps.len()) as f32;
        let Gradients {
            by_next,
            by_state,
            by_last,
            by_action,
            by_observation,
        } = gradients;
        for (vector, width) in [
            (&mut *by_next, P::STATE),
            (&mut *by_state, P::STATE),
            (&mut *by_last, P::ACTION),
        ] {
            vector.clear();
            vector.resize(LANES * width, 0.0);
        }
        by_action.resize(P::ACTION, 0.0);
        by_observation.resize(P::OBSERVATION, 0.0);
        let mut summed = steps.len();
        for (step, kept) in steps.iter().enumerate().rev() {
            let column = tape.column(step);
            by_state.fill(0.0);
            for lane in 0..LANES {
                let (place, commands) = (
                    lane * P::STATE..(lane + 1) * P::STATE,
                    lane * P::ACTION..(lane + 1) * P::ACTION,
                );
                let (by_next, by_state) =
                    (&mut by_next[place.clone()], &mut by_state[place.clone()]);
                by_action.fill(0.0);
                let (state, action) = (&kept.states[place], &kept.actions[commands.clone()]);
                if kept.flying[lane] {
                    bound(by_next, limits.max_state_gradient * share);
                    pull.step(
                        &kept.parameters[lane],
                        state,
                        action,
                        by_next,
                        by_state,
                        by_action,
                    );
                    by_state.iter_mut().for_each(|x| *x *= limits.keep);
                    let early = kept.ages[lane] < limits.early_steps;
                    let weight = if early {
                        share * limits.early_weight
                    } else {
                        share
                    };
                    pull.cost(state, action, weight, by_state, by_action);
                }
                for (row, (by_action, index)) in by_action.iter().zip(commands).enumerate() {
                    let mut by_mean = 0.0;
                    if kept.flying[lane] {
                        let limit = limits.max_action_gradient * share;
                        let gradient = by_action + by_last[index];
                        let gradient = if gradient.is_finite() {
                            gradient.clamp(-limit, limit)
                        } else {
                            0.0
                        };
                        let over = kept.wanted[index] - kept.actions[index];
                        // Beyond the range only what leads back counts.
                        by_mean = if over * gradient < 0.0 { 0.0 } else { gradient };
                        by_mean += 2.0 * limits.saturation * over * share;
                    }
                    tape.mean_gradient.row_mut(row)[column + lane] = by_mean;
                }
            }
            policy.backward(tape, past, step);
            for lane in 0..LANES {
                if !kept.flying[lane] {
                    by_last[lane * P::ACTION..(lane + 1) * P::ACTION].fill(0.0);
                    continue;
                }
                for (row, std) in normalizer.std.iter().enumerate() {
                    if row >= P::OBSERVATION && !last.contains(&row) {
                        continue;
                    }
                    // Where an entry was clamped, nothing follows from it.
                    let inside = tape.input.row(row)[column + lane].abs() < normalizer.clip;
                    let gradient = tape.input_gradient.row(row)[column + lane] / std;
                    let gradient = if inside { gradient } else { 0.0 };
                    match row.checked_sub(last.start) {
                        None => by_observation[row] = gradient,
                        Some(action) => by_last[lane * P::ACTION + action] = gradient,
                    }
                }
                let place = lane * P::STATE..(lane + 1) * P::STATE;
                if kept.ages[lane] == 0 {
                    // A start does not follow from the step before.
                    by_state[place].fill(0.0);
                } else {
                    pull.observe(
                        &kept.states[place.clone()],
                        by_observation,
                        &mut by_state[place],
                    );
                }
            }
            std::mem::swap(by_next, by_state);
            if summed - step == CHUNK || step == 0 {
                policy.weight_gradients(tape, step, summed);
                summed = step;
            }
        }
        policy.finish(tape);
    }
}

/// Entries between observation and last commands: the task, for who is told it. Reward and `done` come last.
fn told_of_task<P: Differentiable>(normalizer: &Normalizer) -> usize {
    normalizer.mean.len() - P::OBSERVATION - P::ACTION - 2
}

/// Scales a gradient down to a norm of at most `limit`; to nothing where it is no number.
fn bound(gradient: &mut [f32], limit: f32) {
    let norm = gradient.iter().map(|x| x * x).sum::<f32>().sqrt();
    if !norm.is_finite() {
        gradient.fill(0.0);
    } else if norm > limit {
        gradient.iter_mut().for_each(|x| *x *= limit / norm);
    }
}
