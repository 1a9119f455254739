//! Engram itself: the integers of the image, and the f32 policy of the trainer.

use engram_export::{FloatPolicy, FloatState};
use engram_firmware::policy::{LargestMemory, Memory, Policy};
use engram_kernels::fraction_from_word;

use super::Engine;
use crate::reference::Moment;

/// The integer policy on one path.
pub(crate) struct Integer<'a> {
    policy: Policy<'a>,
    memory: Box<Memory>,
    words: Vec<i16>,
}

impl<'a> Integer<'a> {
    pub(crate) fn new(policy: Policy<'a>) -> Self {
        let words = vec![0; policy.parameters().config.actions];
        Self {
            policy,
            memory: Box::<LargestMemory>::default(),
            words,
        }
    }
}

impl Engine for Integer<'_> {
    fn clear(&mut self) -> anyhow::Result<()> {
        self.memory.clear();
        Ok(())
    }

    fn step(&mut self, moment: &Moment, mean: &mut [f32]) -> anyhow::Result<()> {
        let input = moment.view();
        self.policy
            .step(&mut self.memory, &input, &mut self.words, &mut ())?;
        for (mean, &word) in mean.iter_mut().zip(&self.words) {
            *mean = fraction_from_word(word);
        }
        Ok(())
    }
}

/// The f32 policy that rollouts run on.
pub(crate) struct Float<'a> {
    policy: &'a FloatPolicy,
    state: FloatState,
}

impl<'a> Float<'a> {
    pub(crate) fn new(policy: &'a FloatPolicy) -> Self {
        let state = policy.new_state();
        Self { policy, state }
    }
}

impl Engine for Float<'_> {
    fn clear(&mut self) -> anyhow::Result<()> {
        self.policy.clear(&mut self.state);
        Ok(())
    }

    fn step(&mut self, moment: &Moment, mean: &mut [f32]) -> anyhow::Result<()> {
        self.policy.step(&mut self.state, &moment.input, mean);
        Ok(())
    }
}
