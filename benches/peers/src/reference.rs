//! The reference shapes with random weights of a fixed seed: in f32 for the peers, and the image that Engram
//! makes of them.

use anyhow::Context as _;
use engram_export::checkpoint::Agent;
use engram_export::{
    Calibration, Checkpoint, FloatPolicy, GoldenInput, Normalizer, Options, Parameters, Trial,
    export, parameters,
};
use engram_firmware::policy::WorkingMemory;
use engram_image::{ModelConfig, Positions, random};
use engram_kernels::fraction_from_word;
use parameters::{LayerParameters, Linear};
use rand::{RngExt as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;

/// The seed of everything here.
const SEED: u64 = 9;
/// Trials that ranges are taken from.
const CALIBRATION_TRIALS: usize = 16;
/// What the normalised working memory is clipped to; nothing here comes near it.
const CLIP: f32 = 5.0;

/// One working memory, as the integer policy and as everybody else reads it.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    pub(crate) observation: Vec<f32>,
    pub(crate) issued: Vec<i16>,
    pub(crate) reward: f32,
    pub(crate) done: bool,
    /// The same, side by side.
    pub(crate) input: Vec<f32>,
}

/// A policy in f32 and in integers.
pub(crate) struct Reference {
    pub(crate) config: ModelConfig,
    pub(crate) policy: FloatPolicy,
    pub(crate) calibration: Calibration,
    pub(crate) image: Vec<u8>,
}

/// A stream of random numbers that is the same for ever.
pub(crate) struct Random(Xoshiro256PlusPlus);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(SEED ^ seed))
    }

    /// Uniform in `-limit..limit`.
    fn within(&mut self, limit: f32) -> f32 {
        self.0.random_range(-limit..limit)
    }

    /// A matrix whose outputs are about `gain` times as large as its inputs.
    fn linear(&mut self, rows: usize, columns: usize, gain: f32, bias: bool) -> Linear {
        let limit = gain * (3.0 / columns as f32).sqrt();
        Linear {
            rows,
            columns,
            weight: (0..rows * columns).map(|_| self.within(limit)).collect(),
            bias: (0..if bias { rows } else { 0 })
                .map(|_| self.within(0.1))
                .collect(),
        }
    }

    fn layer(&mut self, config: &ModelConfig) -> LayerParameters {
        let d = config.model;
        let ages = match config.positions {
            Positions::Age => config.heads * config.window,
            Positions::Slot => 0,
        };
        LayerParameters {
            in_proj: self.linear(3 * d, d, 1.0, true),
            out_proj: self.linear(d, d, 0.7, true),
            age_bias: (0..ages).map(|_| self.within(1.0)).collect(),
            linear1: self.linear(config.ff, d, 1.0, true),
            linear2: self.linear(d, config.ff, 0.5, true),
        }
    }

    /// One working memory within the ranges of the contract.
    pub(crate) fn moment(&mut self, config: &ModelConfig) -> Moment {
        let observation: Vec<f32> = (0..config.observations).map(|_| self.within(1.0)).collect();
        let issued: Vec<i16> = (0..config.actions)
            .map(|_| self.0.random_range(-32_767..=32_767))
            .collect();
        let (reward, done) = (self.within(1.0), self.0.random_range(0..10) == 0);
        let last = [reward, if done { 1.0 } else { 0.0 }];
        let words = issued.iter().map(|&word| fraction_from_word(word));
        let input = observation.iter().copied().chain(words).chain(last);
        let input = input.collect();
        Moment {
            observation,
            issued,
            reward,
            done,
            input,
        }
    }

    /// `steps` working memories.
    pub(crate) fn trial(&mut self, config: &ModelConfig, steps: usize) -> Vec<Moment> {
        (0..steps).map(|_| self.moment(config)).collect()
    }

    fn parameters(&mut self, config: ModelConfig) -> Parameters {
        let (d, [h0, h1]) = (config.model, config.hidden);
        Parameters {
            config,
            normalizer: Normalizer::identity(config.inputs(), CLIP),
            embed: self.linear(d, config.inputs(), 1.0, false),
            layers: (0..config.layers).map(|_| self.layer(&config)).collect(),
            head: [
                self.linear(h0, d, 0.5, true),
                self.linear(h1, h0, 1.0, true),
                self.linear(config.actions, h1, 0.7, true),
            ],
            log_std: vec![0.0; config.actions],
        }
    }
}

impl Reference {
    /// Random weights for `config`, and their image.
    pub(crate) fn new(config: ModelConfig) -> anyhow::Result<Self> {
        let mut random = Random::new(0);
        let checkpoint = Checkpoint {
            plant: "random".into(),
            agent: Agent::Trmrl,
            version: env!("CARGO_PKG_VERSION").into(),
            seed: SEED,
            steps: 0,
            training_return: 0.0,
            network: FloatPolicy::new(random.parameters(config)).into(),
            contract: None,
            robot: Vec::new(),
            training: Default::default(),
        };
        let trials: Vec<Trial> = (0..CALIBRATION_TRIALS)
            .map(|_| {
                let trial = random.trial(&config, 4 * config.window);
                trial.into_iter().map(|moment| moment.input).collect()
            })
            .collect();
        let policy = checkpoint.transformer()?.clone();
        let calibration = Calibration::measure(&policy, &trials)?;
        let mut golden = |_: Option<&[i16]>| {
            let moment = random.moment(&config);
            GoldenInput {
                observation: moment.observation,
                reward: moment.reward,
                done: moment.done,
                issued: moment.issued,
            }
        };
        let exported = export(
            &checkpoint,
            &random::contract(&config),
            &trials,
            &mut golden,
            &Options::default(),
            env!("CARGO_PKG_VERSION"),
        )
        .context("the integers of a random policy")?;
        Ok(Self {
            config,
            policy,
            calibration,
            image: exported.bytes,
        })
    }
}

impl Moment {
    /// As the integer policy reads it.
    pub(crate) fn view(&self) -> WorkingMemory<'_> {
        WorkingMemory {
            observation: &self.observation,
            issued: &self.issued,
            reward: self.reward,
            done: self.done,
        }
    }
}
