//! Records golden traces, for tests, benchmarks and the exporter. No firmware has it.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use engram_image::random::SplitMix64;
use engram_image::write::{GoldenSpec, ImageSpec, WriteError, write};
use engram_image::{Image, ModelConfig};

use super::{LargestMemory, Memory, Policy, PolicyError, WorkingMemory};

/// Runs a policy from an empty memory and writes down what it is told and what it answers.
pub struct Recorder<'a> {
    image: &'a Image<'a>,
    memory: Box<Memory>,
    trace: GoldenSpec,
}

impl<'a> Recorder<'a> {
    /// A trace without steps.
    #[must_use]
    pub fn new(image: &'a Image<'a>) -> Self {
        Self {
            image,
            memory: Box::<LargestMemory>::default(),
            trace: GoldenSpec {
                observation: Vec::new(),
                reward: Vec::new(),
                done: Vec::new(),
                issued: Vec::new(),
                words: Vec::new(),
            },
        }
    }

    /// One more step; returns its words, one per action.
    ///
    /// # Errors
    /// As [`Policy::step`]; the trace is as before.
    pub fn step(&mut self, input: &WorkingMemory<'_>) -> Result<Vec<i16>, PolicyError> {
        let mut words = vec![0; self.image.config.actions];
        Policy::from(self.image).step(&mut self.memory, input, &mut words, &mut ())?;
        self.trace.observation.extend(input.observation);
        self.trace.reward.push(input.reward);
        self.trace.done.push(input.done);
        self.trace.issued.extend(input.issued);
        self.trace.words.extend(&words);
        Ok(words)
    }

    /// The trace.
    #[must_use]
    pub fn finish(self) -> GoldenSpec {
        self.trace
    }
}

/// A golden trace of the policy of `spec` on as many random working memories ([`random_moments`] of its seed).
///
/// # Errors
/// What the writer refuses.
///
/// # Panics
/// A policy that does not run on moments of its own shape.
pub fn random_golden(spec: &ImageSpec<'_>, steps: usize) -> Result<GoldenSpec, WriteError> {
    let blank = write(spec)?;
    let image = Image::read(&blank).map_err(WriteError::Refused)?;
    let mut recorder = Recorder::new(&image);
    for moment in random_moments(&spec.config, spec.provenance.seed, steps) {
        recorder.step(&moment.view()).expect("right lengths");
    }
    Ok(recorder.finish())
}

/// An owned [`WorkingMemory`].
#[derive(Clone, Debug)]
pub struct Moment {
    /// `[observations]`, in channel units.
    pub observation: Vec<f32>,
    /// `[actions]`: words of the command issued at the step before.
    pub issued: Vec<i16>,
    /// Reward of the step before.
    pub reward: f32,
    /// Whether an episode ended before this step.
    pub done: bool,
}

impl Moment {
    /// What [`Policy::step`] takes.
    #[must_use]
    pub fn view(&self) -> WorkingMemory<'_> {
        WorkingMemory {
            observation: &self.observation,
            issued: &self.issued,
            reward: self.reward,
            done: self.done,
        }
    }
}

/// `steps` random working memories with observations and rewards in `[-1, 1)`, the same for a seed on every machine.
#[must_use]
pub fn random_moments(config: &ModelConfig, seed: u64, steps: usize) -> Vec<Moment> {
    let random = &mut SplitMix64::new(seed ^ 0x5eed);
    (0..steps)
        .map(|_| Moment {
            observation: (0..config.observations).map(|_| random.real()).collect(),
            issued: (0..config.actions)
                .map(|_| random.integer(32_767) as i16)
                .collect(),
            reward: random.real(),
            done: random.integer(10) == 0,
        })
        .collect()
}
