//! A plant that tells its hidden task: what the oracle is trained and judged on.
//!
//! The task's parameters, centred on their training ranges, stand after the plant's own observation. Nothing
//! else changes: the same physics, reward and tasks. No board carries such a contract, because no robot knows its task.

use std::sync::Arc;

use engram_image::OwnedChannel;

use super::{Judgement, Plant, PlantSpec, Random, Start, Task, TaskSet, UnknownChange};

/// Ends of these channels: wide tasks lie outside the training range, which becomes [-1, 1].
const RANGE: f32 = 10.0;

/// A plant whose observation ends with its hidden task.
pub struct Told {
    plant: Box<dyn Plant>,
    spec: Arc<PlantSpec>,
    observation: Vec<f32>,
}

impl Told {
    /// Tells the task of `plant`, all of its parameters; whether a policy has channels for so many is asked before training.
    #[must_use]
    pub fn new(plant: Box<dyn Plant>) -> Self {
        let mut told = Self {
            spec: Arc::new(with_task(plant.spec())),
            plant,
            observation: Vec::new(),
        };
        told.tell();
        told
    }

    fn tell(&mut self) {
        self.observation.clear();
        self.observation.extend(self.plant.observe());
        self.observation.extend(self.plant.centred_task());
    }
}

/// The spec whose contract has channels for the task, too.
fn with_task(spec: &PlantSpec) -> PlantSpec {
    let mut spec = spec.clone();
    let channels = (0..spec.parameters.len()).map(|index| OwnedChannel {
        name: format!("task_{index}"),
        unit: "1".to_owned(),
        min: -RANGE,
        max: RANGE,
    });
    spec.channels.observations.extend(channels);
    let length = spec.channels.observations.len();
    if let Some(formula) = &mut spec.channels.reward {
        formula.linear.resize(length, 0.0);
        formula.quadratic.resize(length, 0.0);
    }
    spec
}

impl Plant for Told {
    fn spec(&self) -> &Arc<PlantSpec> {
        &self.spec
    }

    fn sample_task(&self, set: TaskSet, random: &mut Random) -> Task {
        self.plant.sample_task(set, random)
    }

    fn reset(&mut self, task: &Task, seed: u64) {
        self.plant.reset(task, seed);
        self.tell();
    }

    fn restart(&mut self, start: Start) {
        self.plant.restart(start);
        self.tell();
    }

    fn set_task(&mut self, task: &Task) {
        self.plant.set_task(task);
        self.tell();
    }

    fn task(&self) -> Task {
        self.plant.task()
    }

    fn centred_task(&self) -> Vec<f32> {
        self.plant.centred_task()
    }

    fn apply(&mut self, change: &str) -> Result<(), UnknownChange> {
        self.plant.apply(change)?;
        self.tell();
        Ok(())
    }

    fn observe(&self) -> &[f32] {
        &self.observation
    }

    fn step(&mut self, command: &[f32]) {
        self.plant.step(command);
        let seen = self.plant.observe();
        self.observation[..seen.len()].copy_from_slice(seen);
    }

    fn external_reward(&self) -> Option<f32> {
        self.plant.external_reward()
    }

    fn ended(&self) -> bool {
        self.plant.ended()
    }

    fn diverged(&self) -> bool {
        self.plant.diverged()
    }

    fn metric(&self) -> Option<f32> {
        self.plant.metric()
    }

    fn time_s(&self) -> f64 {
        self.plant.time_s()
    }

    fn state(&self) -> &[f32] {
        self.plant.state()
    }

    fn judge(&self) -> Judgement {
        self.plant.judge()
    }

    fn privileged(&self, features: &mut Vec<f32>) {
        self.plant.privileged(features);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PlantFactory, Stream, random_stream};

    #[test]
    fn the_task_stands_after_the_observation_and_follows_its_changes() {
        let factory = PlantFactory::open("pendulum").unwrap();
        let mut plain = factory.make();
        let mut told = factory.told().make();
        let mut random = random_stream(0, Stream::HeldOut, 0);
        let task = plain.sample_task(TaskSet::HeldOut, &mut random);
        plain.reset(&task, 3);
        told.reset(&task, 3);
        for _ in 0..5 {
            assert_eq!(told.observe()[..3], *plain.observe());
            plain.step(&[2.0]);
            told.step(&[2.0]);
        }
        let polarity = told.observe()[7];
        assert_eq!(polarity, task.values[4]);
        told.apply("polarity").unwrap();
        assert_eq!(told.observe()[7], -polarity);
        assert_eq!(told.spec().contract().observations.len(), 8);
        assert!(told.spec().contract().validate().is_ok());
        let quadrotor = PlantFactory::open("quadrotor").unwrap().told().make();
        let parameters = quadrotor.spec().parameters.len();
        let contract = quadrotor.spec().contract();
        assert_eq!(contract.observations.len(), 22 + parameters);
        assert_eq!(quadrotor.observe().len(), 22 + parameters);
        assert!(contract.validate().is_ok());
    }
}
