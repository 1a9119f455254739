//! A plant behind the envelope: what training, evaluation, calibration and flights all drive.
//!
//! It assembles working memories and issues commands exactly as the control step on a board does: the
//! action in a working memory is the last *issued* one, the reward is the contract's formula on this
//! step's measured observation and that command, and `done` is 1 in the first step of a new episode.

use std::sync::Arc;

use engram_firmware::safety::Envelope;
use engram_image::limits::MAX_ACTIONS;
use engram_image::{QuadraticReward, Reward};

use super::{Plant, PlantSpec, Start, Task};

/// Largest command word.
const WORD_MAX: f32 = 32_767.0;

/// A plant, the envelope in front of it, and the working memory of this step.
pub struct Driven {
    plant: Box<dyn Plant>,
    actions: usize,
    /// `None` where the plant pays it.
    formula: Option<QuadraticReward>,
    envelope: Envelope,
    issued: [i16; MAX_ACTIONS],
    command: [f32; MAX_ACTIONS],
    memory: Vec<f32>,
    /// What the newest step earned, whether the policy is told or not.
    earned: f32,
}

impl Driven {
    /// Puts the envelope of the plant's contract in front of it. Call [`begin`](Self::begin) next.
    #[must_use]
    pub fn new(plant: Box<dyn Plant>) -> Self {
        let spec = Arc::clone(plant.spec());
        let contract = spec.contract();
        let (observations, actions) = (contract.observations.len(), contract.actions.len());
        Self {
            plant,
            actions,
            formula: match contract.reward {
                Reward::Formula(formula) => Some(formula),
                Reward::External => None,
            },
            envelope: Envelope::new(&contract),
            issued: [0; MAX_ACTIONS],
            command: [0.0; MAX_ACTIONS],
            memory: vec![0.0; observations + actions + 2],
            earned: 0.0,
        }
    }

    /// Begins a trial: the issued command is the contract's safe one, the reward 0, `done` 0.
    pub fn begin(&mut self, task: &Task, seed: u64) {
        self.begin_at(task, seed, Start::Usual);
    }

    /// [`begin`](Self::begin) from a start of the given kind.
    pub fn begin_at(&mut self, task: &Task, seed: u64, start: Start) {
        self.plant.reset(task, seed);
        if start != Start::Usual {
            self.plant.restart(start);
        }
        let safe = self.envelope.safe_words();
        self.issued[..safe.len()].copy_from_slice(&safe);
        self.convert();
        self.remember(false);
        if let Some(reward) = self.memory.iter_mut().rev().nth(1) {
            *reward = 0.0;
        }
    }

    /// Begins the trial's next episode: `done` is 1 in the working memory of its first step.
    pub fn restart(&mut self, start: Start) {
        self.plant.restart(start);
        self.remember(true);
    }

    /// The working memory of this step, unscaled: observation, last issued action on [-1, 1], reward, done.
    #[must_use]
    pub fn working_memory(&self) -> &[f32] {
        &self.memory
    }

    /// What the newest step earned: what a learner maximises, and what policies are judged by.
    #[must_use]
    pub const fn earned(&self) -> f32 {
        self.earned
    }

    /// The reward that belongs to this step's working memory: what the policy is told of [`Driven::earned`].
    #[must_use]
    pub fn reward(&self) -> f32 {
        self.memory.iter().rev().nth(1).copied().unwrap_or(0.0)
    }

    /// Whether this is the first step of an episode that is not the trial's first.
    #[must_use]
    pub fn done(&self) -> bool {
        self.memory.last().is_some_and(|done| *done > 0.5)
    }

    /// The last issued command words, one per action channel.
    #[must_use]
    pub fn issued(&self) -> &[i16] {
        &self.issued[..self.actions]
    }

    /// The last issued command in the contract's units.
    #[must_use]
    pub fn command(&self) -> &[f32] {
        &self.command[..self.actions]
    }

    /// Issues `action` (on [-1, 1], clamped) through the envelope and lets one control period pass.
    pub fn act(&mut self, action: &[f32]) {
        let mut words = [0i16; MAX_ACTIONS];
        for (word, action) in words.iter_mut().zip(action) {
            // In range by the clamp; NaN becomes 0.
            *word = (action.clamp(-1.0, 1.0) * WORD_MAX).round() as i16;
        }
        self.act_words(&words[..action.len().min(MAX_ACTIONS)]);
    }

    /// Issues command words through the envelope and lets one control period pass.
    pub fn act_words(&mut self, words: &[i16]) {
        let actions = self.actions;
        self.envelope.limit(&mut self.issued[..actions], words);
        self.convert();
        self.plant.step(&self.command[..actions]);
        self.remember(false);
    }

    /// The plant.
    #[must_use]
    pub fn plant(&self) -> &dyn Plant {
        &*self.plant
    }

    /// The plant, to change its task. Starting episodes and stepping must go through this type.
    pub fn plant_mut(&mut self) -> &mut dyn Plant {
        &mut *self.plant
    }

    /// What the plant is.
    #[must_use]
    pub fn spec(&self) -> &Arc<PlantSpec> {
        self.plant.spec()
    }

    fn convert(&mut self) {
        let commands = self.envelope.commands(&self.issued[..self.actions]);
        self.command[..commands.len()].copy_from_slice(&commands);
    }

    fn remember(&mut self, done: bool) {
        let observation = self.plant.observe();
        let actions = self.actions;
        let paid = self.plant.external_reward();
        let reward = match &self.formula {
            Some(formula) => formula.evaluate(observation, &self.command[..actions]),
            // A plant that owes its reward must not be taken for one that earns nothing: NaN stops training.
            None => paid.unwrap_or(f32::NAN),
        };
        self.earned = paid.unwrap_or(reward);
        let (seen, rest) = self.memory.split_at_mut(observation.len());
        seen.copy_from_slice(observation);
        for (entry, word) in rest.iter_mut().zip(&self.issued[..actions]) {
            *entry = f32::from(*word) / WORD_MAX;
        }
        if let [.., reward_entry, done_entry] = rest {
            *reward_entry = reward;
            *done_entry = f32::from(u8::from(done));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{TaskSet, by_name, random_stream};

    fn driven() -> Driven {
        let plant = by_name("pendulum").unwrap();
        let task = plant.sample_task(
            TaskSet::HeldOut,
            &mut random_stream(0, TaskSet::HeldOut.stream(), 0),
        );
        let mut driven = Driven::new(plant);
        driven.begin(&task, 1);
        driven
    }

    #[test]
    fn a_trial_begins_with_nothing_behind_it() {
        let driven = driven();
        assert_eq!(driven.working_memory()[..3], *driven.plant().observe());
        assert_eq!(driven.working_memory()[3..], [0.0, 0.0, 0.0]);
    }

    #[test]
    fn the_slew_limit_holds_back_and_the_memory_tells_the_issued_action() {
        let mut driven = driven();
        driven.act(&[1.0]);
        // 480 Nm/s for 20 ms is 9.6 Nm of 12.
        assert!(
            (driven.command()[0] - 9.6).abs() < 1e-3,
            "{:?}",
            driven.command()
        );
        assert!((driven.working_memory()[3] - 0.8).abs() < 1e-4);
        driven.act(&[1.0]);
        assert!((driven.working_memory()[3] - 1.0).abs() < 1e-6);
        driven.act(&[f32::NAN]);
        assert!((driven.working_memory()[3] - 0.2).abs() < 1e-4);
    }

    #[test]
    fn rewards_are_the_formula_on_what_was_measured() {
        let mut driven = driven();
        driven.act(&[0.5]);
        let Reward::Formula(formula) = driven.spec().contract().reward else {
            panic!("a formula")
        };
        let expected = formula.evaluate(driven.plant().observe(), driven.command());
        assert_eq!(driven.reward().to_bits(), expected.to_bits());
        assert!(!driven.done());
        driven.restart(Start::Usual);
        assert!(driven.done());
        driven.act(&[0.0]);
        assert!(!driven.done());
    }
}
