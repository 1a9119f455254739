//! The user's own robot on MuJoCo: the plant that [`robot`](crate::robot) describes and a MuJoCo model embodies.
//!
//! After the physics of a control step, everything that follows from positions and velocities is computed again, so
//! that observation, reward and judgement belong to one moment. Stepping allocates nothing.

mod actuation;
mod alteration;
mod body;
mod contacts;
mod digest;
mod effects;
mod friction;
mod imperfections;
mod inertia;
mod names;
mod place;
mod reading;
mod starts;
mod worth;

use std::fmt;
use std::sync::Arc;

use engram_firmware::safety::Envelope;
use engram_image::Contract;

use self::body::Body;
use self::contacts::Since;
use self::imperfections::{Imperfections, When};
use self::names::Names;
use self::reading::{Moment, Test};
use self::worth::Step;
use super::simulation::Simulation;
use crate::robot::{Robot, RobotError};
use crate::{
    Judgement, Plant, PlantSpec, Random, Start, Stream, Task, TaskSet, UnknownChange, random_stream,
};

/// Entries that only a critic sees stay within this.
const PRIVILEGED_LIMIT: f32 = 10.0;

/// One simulated robot of a file, with its hidden task.
pub struct UserRobot {
    robot: Arc<Robot>,
    body: Arc<Body>,
    simulation: Simulation,
    imperfections: Imperfections,
    task: Vec<f32>,
    /// The true state: the channels without noise.
    truth: Vec<f32>,
    observation: Vec<f32>,
    /// The last command, each on [-1, 1], and that of the step before.
    command: Vec<f32>,
    before: Vec<f32>,
    /// The safe command, likewise: what was issued last before a trial's first step.
    safe: Vec<f32>,
    /// The safe command as it is issued.
    safe_command: Vec<f32>,
    reward: f64,
    /// How far each parameter that is a clock's period has let it go in this episode, in turns; 0 for others.
    turns: Vec<f64>,
    /// How long contacts last, one for each of [`Body::timed`].
    since: Vec<Since>,
    /// Steps in a row, this one included, for which the goal has been held.
    held_steps: usize,
    /// The goal was reached in this episode.
    reached: bool,
    ended: bool,
    diverged: bool,
    /// Steps of the trial, and of the episode.
    steps: u64,
    episode_steps: u64,
    random: Random,
}

/// A robot and its model, loaded once for all of its plants.
#[derive(Clone)]
pub struct RobotModel {
    robot: Arc<Robot>,
    body: Arc<Body>,
}

impl fmt::Debug for RobotModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RobotModel").field(&self.robot).finish()
    }
}

impl RobotModel {
    /// Loads the model.
    ///
    /// # Errors
    /// When it cannot be loaded, or does not have what the file names.
    pub fn new(robot: Arc<Robot>) -> Result<Self, RobotError> {
        let body = Arc::new(Body::new(&robot)?);
        Ok(Self { robot, body })
    }

    /// What the file says.
    #[must_use]
    pub fn robot(&self) -> &Arc<Robot> {
        &self.robot
    }

    /// A digest of the model as MuJoCo compiled it, in hexadecimal digits: whether it is still the same.
    #[must_use]
    pub fn digest(&self) -> String {
        let (robot, model) = (&*self.robot, &*self.body.model);
        digest::of(Names { robot, model })
    }

    /// The robot at its start, with the middle of its tasks.
    #[must_use]
    pub fn make(&self) -> UserRobot {
        UserRobot::new(self)
    }
}

impl UserRobot {
    fn new(model: &RobotModel) -> Self {
        let RobotModel { robot, body } = model;
        let contract = robot.spec.contract();
        let (channels, actions) = (contract.observations.len(), contract.actions.len());
        let safe_command = safe(&contract);
        let mut plant = Self {
            robot: Arc::clone(robot),
            body: Arc::clone(body),
            simulation: body.simulation(),
            imperfections: Imperfections::new(robot, body),
            task: Vec::new(),
            truth: vec![0.0; channels],
            observation: vec![0.0; channels],
            command: vec![0.0; actions],
            before: vec![0.0; actions],
            safe: (contract.actions.iter().zip(&safe_command))
                .map(|(channel, value)| centred([channel.min, channel.max], *value))
                .collect(),
            safe_command,
            reward: 0.0,
            turns: vec![0.0; robot.spec.parameters.len()],
            since: vec![Since::default(); body.timed.len()],
            held_steps: 0,
            reached: false,
            ended: false,
            diverged: false,
            steps: 0,
            episode_steps: 0,
            random: random_stream(0, Stream::HeldOut, 0),
        };
        plant.take(&robot.middle());
        plant.restart(Start::Usual);
        plant
    }

    /// The simulation, for tests and pictures.
    #[must_use]
    pub fn simulation(&self) -> &Simulation {
        &self.simulation
    }

    /// Takes over a task's values; those that it lacks are the middle of their ranges.
    fn take(&mut self, values: &[f32]) {
        let mut task = self.robot.middle();
        for (own, value) in task.iter_mut().zip(values) {
            *own = *value;
        }
        if task != self.task && self.body.alters() {
            self.simulation
                .take_task(|model| self.body.alter(model, &task));
        }
        self.imperfections.take(&self.robot, &task);
        self.task = task;
    }

    /// The state as readings see it.
    #[inline]
    fn moment(&self) -> Moment<'_> {
        Moment {
            simulation: &self.simulation,
            task: &self.task,
            time_s: self.episode_steps as f64 * self.robot.spec.period_s(),
            turns: &self.turns,
            since: &self.since,
        }
    }

    fn ends_when_reached(&self) -> bool {
        self.robot.reached.is_some_and(|reached| reached.ends)
    }

    /// The episode has ended because the goal was reached.
    fn won(&self) -> bool {
        self.ended && !self.diverged && self.reached && self.ends_when_reached()
    }

    /// Counts for how long the goal has been held; true in the step in which it is reached.
    #[inline]
    fn reach(&mut self) -> bool {
        let Some(wanted) = self.robot.reached else {
            return false;
        };
        let holds = all_hold(&self.body.goal, &self.moment());
        self.held_steps = if holds { self.held_steps + 1 } else { 0 };
        let now = !self.reached && self.held_steps >= wanted.steps;
        self.reached |= now;
        now
    }

    /// Reads the true state and measures it.
    fn measure(&mut self, when: When) {
        let channels = self.robot.spec.channels.observations.iter();
        for (index, (channel, reading)) in channels.zip(&self.body.readings).enumerate() {
            let truth = reading.read(&self.moment()) as f32;
            let truth = if truth.is_finite() { truth } else { 0.0 };
            self.truth[index] = truth;
            let measured = (self.imperfections).measured(index, truth, &mut self.random);
            // A sensor saturates at the ends of its range.
            self.observation[index] = measured.clamp(channel.min, channel.max);
        }
        self.imperfections.delay(&mut self.observation, when);
    }

    /// Commands on [-1, 1], and what acts of them on the model.
    fn take_command(&mut self, command: &[f32]) {
        self.before.copy_from_slice(&self.command);
        let channels = self.robot.spec.channels.actions.iter();
        for ((channel, own), value) in channels.zip(&mut self.command).zip(command) {
            *own = centred([channel.min, channel.max], *value);
        }
        self.imperfections.act(command, &mut self.random);
    }

    /// Lets the physics of one control step pass.
    fn advance(&mut self) {
        let (controls, imperfections) = (&self.body.controls, &mut self.imperfections);
        imperfections.push(&mut self.simulation, &self.task, &mut self.random);
        if self.body.filters {
            self.simulation
                .advance_with(|data| imperfections.filter(controls, data.ctrl_mut()));
            return;
        }
        for (control, command) in controls.iter().zip(imperfections.command()) {
            self.simulation
                .set_control(control.address, control.of(*command));
        }
        self.simulation.advance();
    }

    fn worth(&self, reached: bool) -> f64 {
        let step = Step {
            moment: self.moment(),
            reached,
            command: &self.command,
            before: &self.before,
            ended: self.ended,
        };
        let sum: f64 = self
            .body
            .rewards
            .iter()
            .map(|(weight, worth)| weight * worth.of(&step))
            .sum();
        if sum.is_finite() { sum } else { 0.0 }
    }
}

#[inline]
fn all_hold(tests: &[Test], moment: &Moment<'_>) -> bool {
    tests.iter().all(|test| test.holds(moment))
}

/// A command on [-1, 1].
fn centred([min, max]: [f32; 2], value: f32) -> f32 {
    (2.0 * value - min - max) / (max - min)
}

/// The safe command as the envelope issues it.
fn safe(contract: &Contract<'_>) -> Vec<f32> {
    let envelope = Envelope::new(contract);
    envelope.commands(&envelope.safe_words()).to_vec()
}

impl Plant for UserRobot {
    fn spec(&self) -> &Arc<PlantSpec> {
        &self.robot.spec
    }

    fn sample_task(&self, set: TaskSet, random: &mut Random) -> Task {
        Task {
            values: self.robot.draw(set, random),
        }
    }

    fn reset(&mut self, task: &Task, seed: u64) {
        self.random = random_stream(seed, Stream::HeldOut, u64::MAX);
        self.steps = 0;
        // Within a trial they outlive a new episode: its first working memory carries the last command and reward.
        self.reward = 0.0;
        self.command.copy_from_slice(&self.safe);
        self.take(&task.values);
        self.restart(Start::Usual);
    }

    fn restart(&mut self, start: Start) {
        let wider = match start {
            Start::Usual => 1.0,
            Start::Anywhere => self.robot.start.anywhere,
        };
        self.body
            .start(&mut self.simulation, &self.robot, wider, &mut self.random);
        self.imperfections
            .begin(&self.safe_command, &self.body.controls);
        self.diverged = self.simulation.diverged();
        self.ended = self.diverged;
        self.episode_steps = 0;
        self.turns.fill(0.0);
        (self.held_steps, self.reached) = (0, false);
        for (since, contacts) in self.since.iter_mut().zip(&self.body.timed) {
            *since = Since::begin(contacts, &self.simulation);
        }
        self.measure(When::First);
    }

    fn set_task(&mut self, task: &Task) {
        self.take(&task.values);
        self.measure(When::Again);
    }

    fn task(&self) -> Task {
        Task {
            values: self.task.clone(),
        }
    }

    fn apply(&mut self, change: &str) -> Result<(), UnknownChange> {
        let mut values = self.task.clone();
        if !self.robot.change(change, &mut values) {
            return Err(self.robot.spec.unknown_change(change));
        }
        if values != self.task {
            self.take(&values);
            self.measure(When::Again);
        }
        Ok(())
    }

    fn observe(&self) -> &[f32] {
        &self.observation
    }

    #[inline]
    fn step(&mut self, command: &[f32]) {
        self.take_command(command);
        self.advance();
        self.steps += 1;
        self.episode_steps += 1;
        self.diverged = self.simulation.diverged();
        if self.diverged {
            // What is there now MuJoCo made up. The observation stays that of the last moment that was physics.
            (self.ended, self.reward) = (true, 0.0);
            return;
        }
        let period_s = self.robot.spec.period_s();
        for index in &self.body.clocks {
            self.turns[*index] += period_s / f64::from(self.task[*index]);
        }
        for (since, contacts) in self.since.iter_mut().zip(&self.body.timed) {
            since.pass(contacts, &self.simulation, period_s);
        }
        let moment = self.moment();
        let lost = self.body.ended.iter().any(|all| all_hold(all, &moment));
        let reached = !lost && self.reach();
        self.ended = lost || (reached && self.ends_when_reached());
        self.reward = self.worth(reached);
        self.measure(When::Next);
    }

    fn external_reward(&self) -> Option<f32> {
        Some(self.reward as f32)
    }

    fn ended(&self) -> bool {
        self.ended
    }

    fn diverged(&self) -> bool {
        self.diverged
    }

    fn metric(&self) -> Option<f32> {
        let first = self.body.goal.first().filter(|_| !self.diverged)?;
        Some(first.measure(&self.moment()) as f32)
    }

    fn time_s(&self) -> f64 {
        self.steps as f64 * self.robot.spec.period_s()
    }

    fn state(&self) -> &[f32] {
        &self.truth
    }

    fn judge(&self) -> Judgement {
        let over = self.ended && !self.won();
        let counts = self.reached && !self.ends_when_reached();
        Judgement {
            holds: !over && (counts || all_hold(&self.body.goal, &self.moment())),
            fallen: over,
        }
    }

    fn privileged(&self, features: &mut Vec<f32>) {
        let limit = |value: f32| {
            let value = if value.is_finite() { value } else { 0.0 };
            value.clamp(-PRIVILEGED_LIMIT, PRIVILEGED_LIMIT)
        };
        // Ranges are chosen wide: a quarter of one is a typical value.
        let channels = self
            .robot
            .spec
            .channels
            .observations
            .iter()
            .zip(&self.truth);
        features.extend(channels.map(|(channel, value)| {
            limit(4.0 * (2.0 * value - channel.min - channel.max) / (channel.max - channel.min))
        }));
        let moment = self.moment();
        for (_, worth) in &self.body.rewards {
            worth.features(&moment, |value| features.push(limit(value as f32)));
        }
        let task = self.task.iter().enumerate();
        features.extend(task.map(|(index, value)| limit(self.robot.centred(index, *value))));
    }
}

#[cfg(test)]
mod actuation_tests;
#[cfg(test)]
mod case;
#[cfg(test)]
mod clock_tests;
#[cfg(test)]
mod effect_tests;
#[cfg(test)]
mod imperfection_tests;
#[cfg(test)]
mod inertia_tests;
#[cfg(test)]
mod measure_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod shipped_tests;
#[cfg(test)]
mod start_tests;
#[cfg(test)]
mod tests;
