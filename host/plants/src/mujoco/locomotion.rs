//! A locomotion plant: a [`Design`] brought to life. Stepping allocates nothing.

use std::fmt;
use std::sync::Arc;

use engram_image::OwnedContract;
use mujoco_rs::wrappers::MjModel;
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

use super::design::{Design, Step};
use super::models::{self, ModelError};
use super::simulation::Simulation;
use crate::{
    Change, Judgement, Parameter, Plant, PlantSpec, Protocol, Random, Start, Stream, Task, TaskSet,
    Text, UnknownChange, random_stream,
};

/// Episodes of all locomotion plants, in control steps.
const EPISODE_STEPS: usize = 200;
/// A start from anywhere scatters this much wider than a usual one.
const ANYWHERE: f64 = 2.0;

/// A design and its model, loaded once for all of its plants.
#[derive(Clone)]
pub struct LocomotionModel {
    design: &'static Design,
    model: Arc<MjModel>,
    spec: Arc<PlantSpec>,
}

impl fmt::Debug for LocomotionModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LocomotionModel").field(&self.spec).finish()
    }
}

impl LocomotionModel {
    /// Loads the model.
    ///
    /// # Errors
    /// [`ModelError`] says why it cannot be had.
    pub(super) fn new(design: &'static Design) -> Result<Self, ModelError> {
        let spec = PlantSpec {
            name: design.name.into(),
            channels: OwnedContract::from(&design.contract),
            protocol: Protocol {
                episode_steps: EPISODE_STEPS,
                episodes: 2,
                hold_steps: design.hold_steps,
                change_steps: (50, 100),
                recovery_steps: 50,
                default_change: Change::NONE.name,
            },
            parameters: design.parameters.to_vec(),
            changes: design.changes.to_vec(),
            state_names: STATE_NAMES.map(Text::from).to_vec(),
            has_goal: true,
            metric_name: Some(design.goal.metric_name().into()),
        };
        Ok(Self {
            design,
            model: models::gymnasium(design.model)?,
            spec: Arc::new(spec),
        })
    }

    /// The robot at the model's initial state, with the middle of its tasks.
    #[must_use]
    pub fn make(&self) -> Locomotion {
        Locomotion::new(self)
    }
}

/// One simulated robot with its hidden task.
pub struct Locomotion {
    design: &'static Design,
    spec: Arc<PlantSpec>,
    simulation: Simulation,
    task: Vec<f32>,
    exact: Vec<f64>,
    observation: Vec<f32>,
    shown: [f32; STATE_NAMES.len()],
    velocity: [f64; 2],
    reward: f64,
    ended: bool,
    diverged: bool,
    steps: u64,
    random: Random,
}

/// Names with units of the true state.
const STATE_NAMES: [&str; 5] = ["x_m", "y_m", "z_m", "x_m_per_s", "y_m_per_s"];

impl Locomotion {
    fn new(of: &LocomotionModel) -> Self {
        let LocomotionModel {
            design,
            model,
            spec,
        } = of;
        let middle = |parameter: &Parameter| 0.5 * (parameter.training.0 + parameter.training.1);
        let size = design.contract.observations.len();
        let mut plant = Self {
            design,
            spec: Arc::clone(spec),
            simulation: Simulation::new(Arc::clone(model), design.frame_skip, design.after),
            task: design.parameters.iter().map(middle).collect(),
            exact: vec![0.0; size],
            observation: vec![0.0; size],
            shown: [0.0; STATE_NAMES.len()],
            velocity: [0.0; 2],
            reward: 0.0,
            ended: false,
            diverged: false,
            steps: 0,
            random: random_stream(0, Stream::HeldOut, 0),
        };
        plant.simulation.settle();
        plant.measure();
        plant
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
        self.diverged = self.simulation.diverged();
        self.ended = self.diverged;
        self.measure();
    }

    fn measure(&mut self) {
        (self.design.observe)(&self.simulation, &mut self.exact);
        for (value, exact) in self.observation.iter_mut().zip(&self.exact) {
            if exact.is_finite() {
                *value = *exact as f32;
            }
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
            self.simulation.take_task(|model| alter(model, &self.task));
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
    fn spec(&self) -> &Arc<PlantSpec> {
        &self.spec
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
            return Err(self.spec.unknown_change(change));
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
        for (address, value) in command.iter().enumerate() {
            self.simulation.set_control(address, *value);
        }
        self.simulation.advance();
        self.steps += 1;
        self.diverged = self.simulation.diverged();
        if self.diverged {
            // What is there now MuJoCo made up. The observation stays that of the last moment that was physics.
            (self.ended, self.reward, self.velocity) = (true, 0.0, [0.0; 2]);
            return;
        }
        let [x_after, y_after] = (design.place)(&self.simulation);
        let period_s = self.simulation.period_s();
        self.velocity = [(x_after - x) / period_s, (y_after - y) / period_s];
        let healthy = (design.healthy)(&self.simulation);
        self.ended = !healthy;
        self.reward = (design.reward)(&Step {
            simulation: &self.simulation,
            goal_speed: design.goal.speed(self.velocity, &self.task),
            velocity: self.velocity,
            task: &self.task,
            command,
            healthy,
        });
        self.measure();
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
        (!self.diverged).then(|| self.judged() as f32)
    }

    fn time_s(&self) -> f64 {
        self.steps as f64 * self.spec.period_s()
    }

    fn state(&self) -> &[f32] {
        &self.shown
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
