//! What stands between a policy and its robot besides physics: sensors that are off and late, commands that come
//! late, blurred and smoothed, and pushes. Nothing here allocates in a step.

use rand::{Rng, RngExt};

use super::actuation::Control;
use super::body::Body;
use super::names::{Kind, Names};
use crate::Random;
use crate::mujoco::Simulation;
use crate::random::bell;
use crate::robot::{Axis, Effect, MAX_DELAY_STEPS, Robot, RobotError};

/// What channels said in the last control steps.
struct Line {
    rows: Vec<f32>,
    width: usize,
    newest: usize,
}

impl Line {
    fn new(width: usize) -> Self {
        Self {
            rows: vec![0.0; width * (MAX_DELAY_STEPS + 1)],
            width,
            newest: 0,
        }
    }

    /// Makes room for another step.
    fn advance(&mut self) {
        self.newest = (self.newest + 1) % (MAX_DELAY_STEPS + 1);
    }

    fn write(&mut self, row: &[f32]) {
        let start = self.newest * self.width;
        self.rows[start..start + self.width].copy_from_slice(row);
    }

    /// As if it had always been like this.
    fn fill(&mut self, row: &[f32]) {
        for own in self.rows.chunks_exact_mut(self.width) {
            own.copy_from_slice(row);
        }
    }

    /// What a channel said `delay` steps ago.
    fn read(&self, channel: usize, delay: usize) -> f32 {
        let count = MAX_DELAY_STEPS + 1;
        let row = (self.newest + count - delay.min(MAX_DELAY_STEPS)) % count;
        self.rows[row * self.width + channel]
    }
}

/// A number of every channel: what the file says, and what the task adds.
struct Levels {
    fixed: Vec<f32>,
    now: Vec<f32>,
}

impl Levels {
    fn new(fixed: Vec<f32>) -> Self {
        Self {
            now: fixed.clone(),
            fixed,
        }
    }

    fn forget(&mut self) {
        self.now.copy_from_slice(&self.fixed);
    }

    fn add(&mut self, channels: &[usize], value: f32) {
        for channel in channels {
            self.now[*channel] += value;
        }
    }
}

/// Bell-shaped noise of a standard deviation. Without any, nothing is drawn.
#[inline]
fn noise(std: f32, random: &mut Random) -> f32 {
    if std > 0.0 {
        std * bell(random.next_u64())
    } else {
        0.0
    }
}

/// Delays of channels: what the file says, and what the task adds.
struct Delays {
    fixed: Vec<usize>,
    now: Vec<usize>,
    /// Nothing where no channel is ever late.
    line: Option<Line>,
}

impl Delays {
    fn new(fixed: Vec<usize>, is_hidden: bool) -> Self {
        let is_late = is_hidden || fixed.iter().any(|delay| *delay > 0);
        Self {
            line: is_late.then(|| Line::new(fixed.len())),
            now: fixed.clone(),
            fixed,
        }
    }

    fn forget(&mut self) {
        self.now.copy_from_slice(&self.fixed);
    }

    fn add(&mut self, channels: &[usize], steps: f32) {
        // A change may have multiplied it; a line is so long and no longer.
        let steps = libm::roundf(steps).clamp(0.0, MAX_DELAY_STEPS as f32) as usize;
        for channel in channels {
            let delay = &mut self.now[*channel];
            *delay = (*delay + steps).min(MAX_DELAY_STEPS);
        }
    }

    /// Puts the values of their own times in place of those of now.
    fn delay(&self, values: &mut [f32]) {
        if let Some(line) = &self.line {
            for (channel, (value, delay)) in values.iter_mut().zip(&self.now).enumerate() {
                *value = line.read(channel, *delay);
            }
        }
    }
}

/// Which moment a measurement is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// The first of an episode.
    First,
    /// The one after the last.
    Next,
    /// The last one, measured again.
    Again,
}

/// A body that is pushed now and then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Push {
    body: usize,
    /// The hidden parameter that is its force.
    parameter: usize,
    axis: Option<Axis>,
    chance: f64,
    steps: u32,
    direction: [f64; 3],
    left: u32,
}

/// The pushes of a robot's file, before the first one.
pub(super) fn pushes(names: Names<'_>) -> Result<Vec<Push>, RobotError> {
    let mut pushes = Vec::new();
    for (parameter, effect) in names.robot.effects.iter().enumerate() {
        let Effect::Push(push) = effect else { continue };
        let body = names.find(Kind::Body, &push.body)?;
        if names
            .model
            .body_weldid()
            .get(body)
            .is_none_or(|weld| *weld == 0)
        {
            let must = "a body that can move: this one is fixed to the world";
            return Err(names.robot.refuse(&push.body.key, must));
        }
        pushes.push(Push {
            body,
            parameter,
            axis: push.axis,
            chance: push.chance,
            steps: push.steps,
            direction: [0.0; 3],
            left: 0,
        });
    }
    Ok(pushes)
}

impl Push {
    fn turn(&mut self, random: &mut Random) {
        self.direction = [0.0; 3];
        match self.axis {
            Some(axis) => {
                let sign = if random.random::<bool>() { 1.0 } else { -1.0 };
                self.direction[axis.number()] = sign;
            }
            None => {
                let (sin, cos) = libm::sincos(random.random_range(0.0..std::f64::consts::TAU));
                self.direction = [cos, sin, 0.0];
            }
        }
    }
}

/// The imperfections of one simulated robot.
pub(super) struct Imperfections {
    bias: Levels,
    observation_noise: Levels,
    action_noise: Levels,
    observed: Delays,
    commanded: Delays,
    /// The command that acts now.
    command: Vec<f32>,
    /// Time constants of filters, as the file says and now.
    filter_s: [Vec<f64>; 2],
    /// Of the way to the command, the filter goes so much in a physics step; 1 without a filter.
    shares: Vec<f64>,
    timestep_s: f64,
    /// What filters have made of it so far.
    held: Vec<f64>,
    pushes: Vec<Push>,
}

impl Imperfections {
    pub(super) fn new(robot: &Robot, body: &Body) -> Self {
        let is_late = |which: fn(&Effect) -> bool| robot.effects.iter().any(which);
        let actions = &robot.actions;
        let filter_s: Vec<f64> = (body.controls.iter())
            .map(|control| control.filter_s)
            .collect();
        Self {
            bias: Levels::new(vec![0.0; robot.sources.len()]),
            observation_noise: Levels::new(robot.noise_std.clone()),
            action_noise: Levels::new(actions.iter().map(|action| action.noise_std).collect()),
            observed: Delays::new(
                robot.observation_delays.clone(),
                is_late(|effect| matches!(effect, Effect::ObservationDelay(_))),
            ),
            commanded: Delays::new(
                actions.iter().map(|action| action.delay_steps).collect(),
                is_late(|effect| matches!(effect, Effect::ActionDelay(_))),
            ),
            command: vec![0.0; actions.len()],
            filter_s: [filter_s.clone(), filter_s],
            shares: vec![1.0; actions.len()],
            timestep_s: body.model.opt().timestep,
            held: vec![0.0; actions.len()],
            pushes: body.pushes.clone(),
        }
    }

    /// Takes over a task.
    pub(super) fn take(&mut self, robot: &Robot, task: &[f32]) {
        for levels in [
            &mut self.bias,
            &mut self.observation_noise,
            &mut self.action_noise,
        ] {
            levels.forget();
        }
        self.observed.forget();
        self.commanded.forget();
        let [fixed_s, filter_s] = &mut self.filter_s;
        filter_s.copy_from_slice(fixed_s);
        for (effect, value) in robot.effects.iter().zip(task) {
            match effect {
                Effect::ObservationBias(channels) => self.bias.add(channels, *value),
                Effect::ObservationNoise(channels) => self.observation_noise.add(channels, *value),
                Effect::ActionNoise(channels) => self.action_noise.add(channels, *value),
                Effect::ObservationDelay(channels) => self.observed.add(channels, *value),
                Effect::ActionDelay(channels) => self.commanded.add(channels, *value),
                Effect::ActionFilter(channels) => {
                    for channel in channels {
                        filter_s[*channel] += f64::from(*value);
                    }
                }
                _ => {}
            }
        }
        for (share, filter_s) in self.shares.iter_mut().zip(filter_s) {
            *share = if *filter_s > 0.0 {
                1.0 - libm::exp(-self.timestep_s / *filter_s)
            } else {
                1.0
            };
        }
    }

    /// Begins an episode: nothing pushes, and the safe command has been in force for long.
    pub(super) fn begin(&mut self, safe: &[f32], controls: &[Control]) {
        if let Some(line) = &mut self.commanded.line {
            line.fill(safe);
        }
        for (held, (control, safe)) in self.held.iter_mut().zip(controls.iter().zip(safe)) {
            *held = control.of(*safe);
        }
        self.pushes.iter_mut().for_each(|push| push.left = 0);
    }

    /// What a channel measures of the truth, at once and without an end.
    #[inline]
    pub(super) fn measured(&self, channel: usize, truth: f32, random: &mut Random) -> f32 {
        truth + self.bias.now[channel] + noise(self.observation_noise.now[channel], random)
    }

    /// Puts what late channels say in place of what they measure.
    #[inline]
    pub(super) fn delay(&mut self, observation: &mut [f32], when: When) {
        let Some(line) = &mut self.observed.line else {
            return;
        };
        match when {
            When::First => line.fill(observation),
            When::Next => {
                line.advance();
                line.write(observation);
            }
            When::Again => line.write(observation),
        }
        self.observed.delay(observation);
    }

    /// Takes a command; what acts of it now is in [`command`](Self::command).
    #[inline]
    pub(super) fn act(&mut self, command: &[f32], random: &mut Random) {
        self.command.copy_from_slice(command);
        if let Some(line) = &mut self.commanded.line {
            line.advance();
            line.write(command);
            self.commanded.delay(&mut self.command);
        }
        for (value, std) in self.command.iter_mut().zip(&self.action_noise.now) {
            *value += noise(*std, random);
        }
    }

    /// The command that acts now.
    #[inline]
    pub(super) fn command(&self) -> &[f32] {
        &self.command
    }

    /// Lets filters go on for one physics step.
    #[inline]
    pub(super) fn filter(&mut self, controls: &[Control], values: &mut [f64]) {
        let states = self.held.iter_mut().zip(&self.shares);
        for ((control, command), (held, share)) in controls.iter().zip(&self.command).zip(states) {
            let wanted = control.of(*command);
            *held = if *share < 1.0 {
                *held + share * (wanted - *held)
            } else {
                wanted
            };
            values[control.address] = *held;
        }
    }

    /// Pushes for one control step, or not.
    #[inline]
    pub(super) fn push(&mut self, simulation: &mut Simulation, task: &[f32], random: &mut Random) {
        if self.pushes.is_empty() {
            return;
        }
        let wrenches = simulation.wrenches_mut();
        for push in &self.pushes {
            wrenches[push.body] = [0.0; 6];
        }
        for push in &mut self.pushes {
            if push.left == 0 && random.random_bool(push.chance) {
                push.turn(random);
                push.left = push.steps;
            }
            if push.left > 0 {
                push.left -= 1;
                let force = f64::from(task[push.parameter]);
                for (entry, direction) in wrenches[push.body].iter_mut().zip(push.direction) {
                    *entry += force * direction;
                }
            }
        }
    }
}
