//! A plant that tells its hidden task: what the oracle is trained and judged on.
//!
//! The task's parameters, centred on their training ranges, stand after the plant's own observation. Nothing
//! else changes: the same physics, reward and tasks. No board carries such a contract, because no robot knows its task.

use engram_image::{Channel, Contract, List, Reward};

use super::{
    Change, Judgement, Parameter, Plant, Protocol, Random, Start, Task, TaskSet, UnknownChange,
};

/// Names of the channels that tell the task.
const NAMES: [&str; 32] = [
    "task_0", "task_1", "task_2", "task_3", "task_4", "task_5", "task_6", "task_7", "task_8",
    "task_9", "task_10", "task_11", "task_12", "task_13", "task_14", "task_15", "task_16",
    "task_17", "task_18", "task_19", "task_20", "task_21", "task_22", "task_23", "task_24",
    "task_25", "task_26", "task_27", "task_28", "task_29", "task_30", "task_31",
];
/// Ends of these channels: wide tasks lie outside the training range, which becomes [-1, 1].
const RANGE: f32 = 10.0;

/// A plant whose observation ends with its hidden task.
pub struct Told {
    plant: Box<dyn Plant>,
    observation: Vec<f32>,
}

impl Told {
    /// Tells the task of `plant`: its first parameters, as many as there are channels for.
    #[must_use]
    pub fn new(plant: Box<dyn Plant>) -> Self {
        let mut told = Self {
            plant,
            observation: Vec::new(),
        };
        told.tell();
        told
    }

    fn tell(&mut self) {
        self.observation.clear();
        self.observation.extend(self.plant.observe());
        let task = self.plant.centred_task();
        self.observation.extend(task.iter().take(NAMES.len()));
    }
}

/// The list with what `more` has after it.
fn longer<T: Copy + engram_image::Fill, const N: usize>(list: &[T], more: &[T]) -> List<T, N> {
    List::from_slice(&[list, more].concat())
}

impl Plant for Told {
    fn name(&self) -> &'static str {
        self.plant.name()
    }

    fn contract(&self) -> Contract<'static> {
        let mut contract = self.plant.contract();
        let channels: Vec<Channel<'static>> = NAMES
            .iter()
            .take(self.plant.parameters().len())
            .map(|name| Channel::new(name, "1", [-RANGE, RANGE]))
            .collect();
        contract.observations = longer(&contract.observations, &channels);
        if let Reward::Formula(formula) = &mut contract.reward {
            let nothing = vec![0.0; channels.len()];
            formula.linear = longer(&formula.linear, &nothing);
            formula.quadratic = longer(&formula.quadratic, &nothing);
        }
        contract
    }

    fn protocol(&self) -> Protocol {
        self.plant.protocol()
    }

    fn parameters(&self) -> &'static [Parameter] {
        self.plant.parameters()
    }

    fn changes(&self) -> &'static [Change] {
        self.plant.changes()
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

    fn has_goal(&self) -> bool {
        self.plant.has_goal()
    }

    fn metric(&self) -> Option<f32> {
        self.plant.metric()
    }

    fn metric_name(&self) -> Option<&'static str> {
        self.plant.metric_name()
    }

    fn time_s(&self) -> f64 {
        self.plant.time_s()
    }

    fn state(&self) -> &[f32] {
        self.plant.state()
    }

    fn state_names(&self) -> &'static [&'static str] {
        self.plant.state_names()
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
    use crate::{ORACLE, Stream, for_agent, random_stream};

    #[test]
    fn the_task_stands_after_the_observation_and_follows_its_changes() {
        let mut plain = for_agent("pendulum", "trmrl").unwrap();
        let mut told = for_agent("pendulum", ORACLE).unwrap();
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
        assert_eq!(told.contract().observations.len(), 8);
        assert!(told.contract().validate().is_ok());
        let quadrotor = for_agent("quadrotor", ORACLE).unwrap();
        let parameters = quadrotor.parameters().len();
        assert_eq!(quadrotor.contract().observations.len(), 22 + parameters);
        assert_eq!(quadrotor.observe().len(), 22 + parameters);
        assert!(quadrotor.contract().validate().is_ok());
    }
}
