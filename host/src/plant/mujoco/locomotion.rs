//! A locomotion plant: a [`Design`] brought to life. Stepping allocates nothing.

use std::sync::Arc;

use engram_image::Contract;
use mujoco_rs::wrappers::{MjData, MjModel};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

use super::design::{Design, Step};
use super::models::{self, ModelError};
use super::simulation::Simulation;
use crate::plant::{
    Change, Judgement, Parameter, Plant, Protocol, Random, Start, Stream, Task, TaskSet,
    UnknownChange, random_stream, unknown_change,
};

/// Episodes of all locomotion plants, in control steps.
const EPISODE_STEPS: usize = 200;
/// A start from anywhere scatters this much wider than a usual one.
const ANYWHERE: f64 = 2.0;

/// One simulated robot with its hidden task.
pub struct Locomotion {
    design: &'static Design,
    /// The model before a task alters it.
    model: Arc<MjModel>,
    simulation: Simulation,
    task: Vec<f32>,
    exact: Vec<f64>,
    observation: Vec<f32>,
    shown: [f32; STATE_NAMES.len()],
    velocity: [f64; 2],
    reward: f64,
    ended: bool,
    steps: u64,
    random: Random,
}

/// Names with units of the true state.
const STATE_NAMES: [&str; 5] = ["x_m", "y_m", "z_m", "x_m_per_s", "y_m_per_s"];

impl Locomotion {
    /// The robot at the model's initial state, with the middle of its tasks.
    ///
    /// # Errors
    /// [`ModelError`] says why its model cannot be had.
    pub(super) fn new(design: &'static Design) -> Result<Self, ModelError> {
        let model = models::gymnasium(design.model)?;
        let middle = |parameter: &Parameter| 0.5 * (parameter.training.0 + parameter.training.1);
        let size = design.contract.observations.len();
        let mut plant = Self {
            design,
            simulation: Simulation::new(
                Arc::clone(&model),
                design.frame_skip,
                design.contact_forces,
            ),
            model,
            task: design.parameters.iter().map(middle).collect(),
            exact: vec![0.0; size],
            observation: vec![0.0; size],
            shown: [0.0; STATE_NAMES.len()],
            velocity: [0.0; 2],
            reward: 0.0,
            ended: false,
            steps: 0,
            random: random_stream(0, Stream::HeldOut, 0),
        };
        plant.simulation.settle();
        plant.measure();
        Ok(plant)
    }

    /// The simulation, for tests and pictures.
    #[must_use]
    pub fn simulation(&self) -> &Simulation {
        &self.simulation
    }

    /// Begins an episode at exactly this state.
    pub fn place(&mut self, qpos: &[f64], qvel: &[f64]) {
        self.simulation.reset();
        copy(self.simulation.qpos_mut(), qpos);
        copy(self.simulation.qvel_mut(), qvel);
        self.begin();
    }

    /// The observation before it is rounded to f32.
    #[must_use]
    pub fn exact_observation(&self) -> &[f64] {
        &self.exact
    }

    /// The last step's reward before it is rounded to f32.
    #[must_use]
    pub fn exact_reward(&self) -> f64 {
        self.reward
    }

    /// What follows from a new initial state. The last reward stays: the first working memory of the trial's
    /// next episode carries it.
    fn begin(&mut self) {
        self.simulation.settle();
        self.velocity = [0.0; 2];
        self.ended = false;
        self.measure();
    }

    fn measure(&mut self) {
        (self.design.observe)(&self.simulation, &mut self.exact);
        for (value, exact) in self.observation.iter_mut().zip(&self.exact) {
            *value = *exact as f32;
        }
        let [x, y, z] = self.simulation.torso();
        let [x_speed, y_speed] = self.velocity;
        self.shown = [x, y, z, x_speed, y_speed].map(|value| value as f32);
    }

    /// Takes over a task's parameters; those that it lacks stay.
    fn take(&mut self, values: &[f32]) {
        for (own, value) in self.task.iter_mut().zip(values) {
            *own = *value;
        }
        if let Some(alter) = self.design.alter {
            let mut model = Box::new(MjModel::clone(&self.model));
            alter(&mut model, &self.task);
            // MuJoCo derives constants (weights of constraints) from masses; it needs a state to do so.
            let mut scratch = MjData::new(model);
            scratch.set_const();
            self.simulation.set_model(Arc::new(*scratch.model_clone()));
        }
    }

    /// The metric of the last step.
    fn judged(&self) -> f64 {
        self.design.goal.metric(self.velocity, &self.task)
    }
}

fn copy(to: &mut [f64], from: &[f64]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

impl Plant for Locomotion {
    fn name(&self) -> &'static str {
        self.design.name
    }

    fn contract(&self) -> Contract<'static> {
        self.design.contract
    }

    fn protocol(&self) -> Protocol {
        Protocol {
            episode_steps: EPISODE_STEPS,
            episodes: 2,
            hold_steps: self.design.hold_steps,
            change_steps: (50, 100),
            recovery_steps: 50,
            default_change: "none",
        }
    }

    fn parameters(&self) -> &'static [Parameter] {
        self.design.parameters
    }

    fn changes(&self) -> &'static [Change] {
        self.design.changes
    }

    fn sample_task(&self, set: TaskSet, random: &mut Random) -> Task {
        Task {
            values: (self.design.draw)(set, random),
        }
    }

    fn reset(&mut self, task: &Task, seed: u64) {
        self.random = random_stream(seed, Stream::HeldOut, u64::MAX);
        self.steps = 0;
        self.reward = 0.0;
        self.take(&task.values);
        self.restart(Start::Usual);
    }

    fn restart(&mut self, start: Start) {
        let noise = self.design.start;
        let wider = match start {
            Start::Usual => 1.0,
            Start::Anywhere => ANYWHERE,
        };
        self.simulation.reset();
        let position = noise.position * wider;
        for value in self.simulation.qpos_mut() {
            *value += self.random.random_range(-position..position);
        }
        let velocity = noise.velocity * wider;
        for value in self.simulation.qvel_mut() {
            let unit: f64 = if noise.normal {
                StandardNormal.sample(&mut self.random)
            } else {
                self.random.random_range(-1.0..1.0)
            };
            *value += velocity * unit;
        }
        self.begin();
    }

    fn set_task(&mut self, task: &Task) {
        self.take(&task.values);
        self.measure();
    }

    fn task(&self) -> Task {
        Task {
            values: self.task.clone(),
        }
    }

    fn apply(&mut self, change: &str) -> Result<(), UnknownChange> {
        if !self.design.changes.iter().any(|known| known.name == change) {
            return Err(unknown_change(self, change));
        }
        let mut task = self.task();
        (self.design.change)(change, &mut task.values);
        if task.values != self.task {
            self.set_task(&task);
        }
        Ok(())
    }

    fn observe(&self) -> &[f32] {
        &self.observation
    }

    #[inline]
    fn step(&mut self, command: &[f32]) {
        let design = self.design;
        let [x, y] = (design.place)(&self.simulation);
        self.simulation.advance(command);
        let [x_after, y_after] = (design.place)(&self.simulation);
        let period_s = self.simulation.period_s();
        self.velocity = [(x_after - x) / period_s, (y_after - y) / period_s];
        let healthy = !self.simulation.diverged() && (design.healthy)(&self.simulation);
        self.ended = !healthy;
        self.reward = (design.reward)(&Step {
            simulation: &self.simulation,
            goal_speed: design.goal.speed(self.velocity, &self.task),
            velocity: self.velocity,
            task: &self.task,
            command,
            healthy,
        });
        self.steps += 1;
        self.measure();
    }

    fn external_reward(&self) -> Option<f32> {
        Some(self.reward as f32)
    }

    fn ended(&self) -> bool {
        self.ended
    }

    fn metric(&self) -> Option<f32> {
        Some(self.judged() as f32)
    }

    fn metric_name(&self) -> Option<&'static str> {
        Some(self.design.goal.metric_name())
    }

    fn time_s(&self) -> f64 {
        self.steps as f64 * f64::from(self.design.contract.period_us) * 1e-6
    }

    fn state(&self) -> &[f32] {
        &self.shown
    }

    fn state_names(&self) -> &'static [&'static str] {
        &STATE_NAMES
    }

    fn judge(&self) -> Judgement {
        Judgement {
            holds: !self.ended && self.design.goal.holds(self.judged()),
            fallen: self.ended,
        }
    }

    fn privileged(&self, features: &mut Vec<f32>) {
        let channels = self.design.contract.observations.iter();
        // A tenth of the range of speeds is typical; positions are of order one by themselves.
        features.extend(channels.zip(&self.observation).map(|(channel, value)| {
            let scale = if channel.max > 5.0 {
                10.0 / channel.max
            } else {
                1.0
            };
            (value * scale).clamp(-10.0, 10.0)
        }));
        features.extend(
            self.velocity
                .map(|speed| (0.3 * speed as f32).clamp(-10.0, 10.0)),
        );
        features.extend(
            self.task
                .iter()
                .zip(self.design.parameters)
                .map(|(value, parameter)| {
                    let (low, high) = parameter.training;
                    (2.0 * value - low - high) / (high - low)
                }),
        );
    }
}
