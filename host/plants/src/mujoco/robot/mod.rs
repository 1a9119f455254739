//! The user's own robot on MuJoCo: the plant that `plant::robot` describes and a MuJoCo model embodies.
//!
//! After the physics of a control step, everything that follows from positions and velocities is computed again, so
//! that observation, reward and judgement belong to one moment. Stepping allocates nothing.

mod actuation;
mod alteration;
mod body;
mod digest;
mod effects;
mod friction;
mod imperfections;
mod inertia;
mod names;
mod reading;
mod starts;

use engram_firmware::safety::Envelope;
use engram_image::{ActionChannel, Contract};

use self::body::Body;
use self::imperfections::{Imperfections, Moment};
use self::names::Names;
use self::reading::Step;
use super::simulation::Simulation;
use crate::robot::{self, Robot, RobotError};
use crate::{
    Change, Judgement, Parameter, Plant, Protocol, Random, Start, Stream, Task, TaskSet,
    UnknownChange, random_stream, unknown_change,
};

/// Entries that only a critic sees stay within this.
const PRIVILEGED_LIMIT: f32 = 10.0;

/// One simulated robot of a file, with its hidden task.
pub struct UserRobot {
    robot: &'static Robot,
    body: &'static Body,
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
    ended: bool,
    diverged: bool,
    steps: u64,
    random: Random,
}

/// Makes the robot of a file. The file and its model are read once per process.
///
/// # Errors
/// [`RobotError`] names file, line, key, value and what it must be.
pub fn from_file(path: &str) -> Result<UserRobot, RobotError> {
    UserRobot::new(robot::load(path)?)
}

/// A digest of the robot's model as MuJoCo compiles it, in hexadecimal digits: whether it is still the same.
///
/// # Errors
/// When the model cannot be loaded.
pub fn digest(robot: &'static Robot) -> Result<String, RobotError> {
    let model = &*body::load(robot)?;
    Ok(digest::of(Names { robot, model }))
}

impl UserRobot {
    /// The robot at its start, with the middle of its tasks.
    ///
    /// # Errors
    /// When the model cannot be loaded, or does not have what the file names.
    pub fn new(robot: &'static Robot) -> Result<Self, RobotError> {
        let body = body::of(robot)?;
        let (channels, actions) = (
            robot.contract.observations.len(),
            robot.contract.actions.len(),
        );
        let safe_command = safe(&robot.contract);
        let channels_and_safe = robot.contract.actions.iter().zip(&safe_command);
        let mut plant = Self {
            robot,
            body,
            simulation: body.simulation(),
            imperfections: Imperfections::new(robot, &body.pushes),
            task: Vec::new(),
            truth: vec![0.0; channels],
            observation: vec![0.0; channels],
            command: vec![0.0; actions],
            before: vec![0.0; actions],
            safe: channels_and_safe
                .map(|(channel, value)| centred(channel, *value))
                .collect(),
            safe_command,
            reward: 0.0,
            ended: false,
            diverged: false,
            steps: 0,
            random: random_stream(0, Stream::HeldOut, 0),
        };
        plant.take(&robot.middle());
        plant.restart(Start::Usual);
        Ok(plant)
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
        self.imperfections.take(self.robot, &task);
        self.task = task;
    }

    /// Reads the true state and measures it.
    fn measure(&mut self, moment: Moment) {
        let channels = self.robot.contract.observations.iter();
        for (index, (channel, reading)) in channels.zip(&self.body.readings).enumerate() {
            let truth = reading.read(&self.simulation, &self.task) as f32;
            let truth = if truth.is_finite() { truth } else { 0.0 };
            self.truth[index] = truth;
            let measured = (self.imperfections).measured(index, truth, &mut self.random);
            // A sensor saturates at the ends of its range.
            self.observation[index] = measured.clamp(channel.min, channel.max);
        }
        self.imperfections.delay(&mut self.observation, moment);
    }

    /// Commands on [-1, 1], and what acts of them on the model.
    fn take_command(&mut self, command: &[f32]) {
        self.before.copy_from_slice(&self.command);
        let channels = self.robot.contract.actions.iter();
        for ((channel, own), value) in channels.zip(&mut self.command).zip(command) {
            *own = centred(channel, *value);
        }
        self.imperfections.act(command, &mut self.random);
    }

    /// Lets the physics of one control step pass.
    fn advance(&mut self) {
        let (controls, imperfections) = (&self.body.controls, &mut self.imperfections);
        imperfections.push(&mut self.simulation, &self.task, &mut self.random);
        if self.body.filters {
            self.simulation
                .advance_with(|values| imperfections.filter(controls, values));
            return;
        }
        for (control, command) in controls.iter().zip(imperfections.command()) {
            self.simulation
                .set_control(control.address, control.of(*command));
        }
        self.simulation.advance();
    }

    fn worth(&self) -> f64 {
        let step = Step {
            simulation: &self.simulation,
            task: &self.task,
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

/// A command on [-1, 1].
fn centred(channel: &ActionChannel<'_>, value: f32) -> f32 {
    (2.0 * value - channel.min - channel.max) / (channel.max - channel.min)
}

/// The safe command as the envelope issues it.
fn safe(contract: &Contract<'_>) -> Vec<f32> {
    let envelope = Envelope::new(contract);
    envelope.commands(&envelope.safe_words()).to_vec()
}

impl Plant for UserRobot {
    fn name(&self) -> &'static str {
        self.robot.name
    }

    fn contract(&self) -> Contract<'static> {
        self.robot.contract
    }

    fn protocol(&self) -> Protocol {
        self.robot.protocol
    }

    fn parameters(&self) -> &'static [Parameter] {
        self.robot.parameters
    }

    fn changes(&self) -> &'static [Change] {
        self.robot.changes
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
            .start(&mut self.simulation, self.robot, wider, &mut self.random);
        self.imperfections
            .begin(&self.safe_command, &self.body.controls);
        self.diverged = self.simulation.diverged();
        self.ended = self.diverged;
        self.measure(Moment::First);
    }

    fn set_task(&mut self, task: &Task) {
        self.take(&task.values);
        self.measure(Moment::Again);
    }

    fn task(&self) -> Task {
        Task {
            values: self.task.clone(),
        }
    }

    fn apply(&mut self, change: &str) -> Result<(), UnknownChange> {
        let mut values = self.task.clone();
        if !self.robot.change(change, &mut values) {
            return Err(unknown_change(self, change));
        }
        if values != self.task {
            self.take(&values);
            self.measure(Moment::Again);
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
        self.diverged = self.simulation.diverged();
        if self.diverged {
            // What is there now MuJoCo made up. The observation stays that of the last moment that was physics.
            (self.ended, self.reward) = (true, 0.0);
            return;
        }
        let holds = |test: &reading::Test| test.holds(&self.simulation, &self.task);
        self.ended = self.body.ended.iter().any(holds);
        self.reward = self.worth();
        self.measure(Moment::Next);
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

    fn has_goal(&self) -> bool {
        !self.body.goal.is_empty()
    }

    fn metric(&self) -> Option<f32> {
        let first = self.body.goal.first().filter(|_| !self.diverged)?;
        Some(first.measure(&self.simulation, &self.task) as f32)
    }

    fn metric_name(&self) -> Option<&'static str> {
        self.robot.metric_name
    }

    fn time_s(&self) -> f64 {
        self.steps as f64 * f64::from(self.robot.contract.period_us) * 1e-6
    }

    fn state(&self) -> &[f32] {
        &self.truth
    }

    fn state_names(&self) -> &'static [&'static str] {
        self.robot.state_names
    }

    fn judge(&self) -> Judgement {
        let holds = |test: &reading::Test| test.holds(&self.simulation, &self.task);
        Judgement {
            holds: !self.ended && self.body.goal.iter().all(holds),
            fallen: self.ended,
        }
    }

    fn privileged(&self, features: &mut Vec<f32>) {
        let limit = |value: f32| {
            let value = if value.is_finite() { value } else { 0.0 };
            value.clamp(-PRIVILEGED_LIMIT, PRIVILEGED_LIMIT)
        };
        // Ranges are chosen wide: a quarter of one is a typical value.
        let channels = self.robot.contract.observations.iter().zip(&self.truth);
        features.extend(channels.map(|(channel, value)| {
            limit(4.0 * (2.0 * value - channel.min - channel.max) / (channel.max - channel.min))
        }));
        let readings = self
            .body
            .rewards
            .iter()
            .filter_map(|(_, worth)| worth.reading());
        features.extend(
            readings.map(|reading| limit(reading.read(&self.simulation, &self.task) as f32)),
        );
        let task = self.task.iter().enumerate();
        features.extend(task.map(|(index, value)| limit(self.robot.centred(index, *value))));
    }
}

#[cfg(test)]
mod actuation_tests;
#[cfg(test)]
mod case;
#[cfg(test)]
mod effect_tests;
#[cfg(test)]
mod imperfection_tests;
#[cfg(test)]
mod inertia_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod start_tests;
#[cfg(test)]
mod tests;
