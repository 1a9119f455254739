//! Small random images, whose scales keep the activations in the middle of their types, and random
//! working memories for them.

use std::boxed::Box;
use std::string::String;
use std::vec::Vec;

use engram_image::limits::MAX_INPUTS;
use engram_image::write::{
    GoldenSpec, HeadSpec, ImageSpec, LayerSpec, MatrixSpec, WeightsSpec, write,
};
use engram_image::{
    ActionChannel, Channel, Contract, HeadInput, Image, InputScales, List, ModelConfig, Positions,
    Provenance, Requant, Reward,
};

use crate::policy::{Memory, WorkingMemory, step};

/// SplitMix64: the tests need the same numbers for ever.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Less than `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// In `[-limit, limit]`.
    pub(super) fn integer(&mut self, limit: i64) -> i64 {
        (self.next() % (2 * limit as u64 + 1)) as i64 - limit
    }

    /// In `[-1, 1)`, a multiple of `2^-23`.
    pub(super) fn real(&mut self) -> f32 {
        (self.next() >> 40) as f32 / 8_388_608.0 - 1.0
    }
}

pub(super) const AGE: ModelConfig = ModelConfig {
    observations: 3,
    actions: 2,
    layers: 2,
    heads: 2,
    model: 16,
    ff: 24,
    window: 7,
    hidden: [12, 10],
    positions: Positions::Age,
    head_input: HeadInput::Mixed,
};

pub(super) const SLOT: ModelConfig = ModelConfig {
    window: 5,
    positions: Positions::Slot,
    head_input: HeadInput::Encoder,
    ..AGE
};

fn requant(factor: f64) -> Requant {
    let engram_kernels::Requant { multiplier, shift } =
        engram_kernels::Requant::from_f64(factor).unwrap();
    Requant { multiplier, shift }
}

/// A matrix that maps inputs of a typical size `input` to outputs of a typical size `output`.
fn matrix(
    random: &mut Random,
    rows: usize,
    columns: usize,
    input: f64,
    output: f64,
    bias: bool,
) -> MatrixSpec {
    // Weights are uniform in +-127: their root mean square is 73.
    let typical = 73.0 * input * (columns as f64).sqrt();
    let spread = |random: &mut Random| 1.0 + 0.2 * f64::from(random.real());
    MatrixSpec {
        rows,
        columns,
        weight: (0..rows * columns)
            .map(|_| random.integer(127) as i8)
            .collect(),
        bias: (0..if bias { rows } else { 0 })
            .map(|_| (0.3 * typical * f64::from(random.real())) as i32)
            .collect(),
        requant: (0..rows)
            .map(|_| requant(output / typical * spread(random)))
            .collect(),
    }
}

fn layer(random: &mut Random, config: &ModelConfig) -> LayerSpec {
    let model = config.model;
    let typical_product = 35.0 * 35.0 * (config.head_dim() as f64).sqrt();
    let ages = match config.positions {
        Positions::Age => config.heads * config.window,
        Positions::Slot => 0,
    };
    LayerSpec {
        attention_input: requant(35.0 / 8_000.0),
        qkv: matrix(random, 3 * model, model, 35.0, 35.0, true),
        logit: requant(1_200.0 / typical_product),
        age_bias: (0..ages).map(|_| random.integer(1_500) as i32).collect(),
        attention_output: requant(2.0 / 65_536.0),
        out: matrix(random, model, model, 35.0, 4_000.0, true),
        ff_input: requant(35.0 / 8_000.0),
        ff1: matrix(random, config.ff, model, 35.0, 35.0, true),
        ff2: matrix(random, model, config.ff, 25.0, 4_000.0, true),
    }
}

/// The specification of a random image with a blank golden trace.
pub(super) fn specification(config: ModelConfig, seed: u64) -> ImageSpec<'static> {
    let random = &mut Random::new(seed);
    let mut mean = List::<f32, MAX_INPUTS>::EMPTY;
    let mut inverse = List::<f32, MAX_INPUTS>::EMPTY;
    for _ in 0..config.inputs() {
        mean.push(0.1 * random.real()).unwrap();
        inverse
            .push(16_000.0 * (1.0 + 0.5 * random.real()))
            .unwrap();
    }
    let [width_0, width_1] = config.hidden;
    let positions = match config.positions {
        Positions::Age => 0,
        Positions::Slot => config.window * config.model,
    };
    ImageSpec {
        config,
        contract: contract(&config),
        input: InputScales { mean, inverse },
        residual_scale: 1.0 / 4_096.0,
        weights: WeightsSpec {
            embed: matrix(
                random,
                config.model,
                config.inputs(),
                9_000.0,
                6_000.0,
                false,
            ),
            positions: (0..positions)
                .map(|_| random.integer(3_000) as i16)
                .collect(),
            layers: (0..config.layers).map(|_| layer(random, &config)).collect(),
            head: HeadSpec {
                input: requant(35.0 / 8_000.0),
                first: matrix(random, width_0, config.model, 35.0, 3_000.0, true),
                raw: match config.head_input {
                    HeadInput::Encoder => None,
                    HeadInput::Mixed => Some(matrix(
                        random,
                        width_0,
                        config.model,
                        6_000.0,
                        2_000.0,
                        false,
                    )),
                },
                second: matrix(random, width_1, width_0, 60.0, 3_000.0, true),
                third: matrix(random, config.actions, width_1, 60.0, 9_000.0, true),
            },
        },
        golden: GoldenSpec::blank(&config),
        provenance: Provenance {
            plant: "random",
            version: "test",
            seed,
            config_sha256: [7; 32],
            training_return: 0.0,
        },
    }
}

fn contract(config: &ModelConfig) -> Contract<'static> {
    let name = |letter: char, index: usize| -> &'static str {
        Box::leak(Box::<str>::from(String::from_iter([
            letter,
            (b'a' + index as u8) as char,
        ])))
    };
    let mut observations = List::EMPTY;
    for index in 0..config.observations {
        let channel = Channel {
            name: name('o', index),
            unit: "1",
            min: -2.0,
            max: 2.0,
        };
        observations.push(channel).unwrap();
    }
    let mut actions = List::EMPTY;
    for index in 0..config.actions {
        let channel = ActionChannel {
            name: name('a', index),
            unit: "1",
            min: -1.0,
            max: 1.0,
            slew_per_s: 100.0,
            safe: 0.0,
        };
        actions.push(channel).unwrap();
    }
    Contract {
        period_us: 20_000,
        observations,
        actions,
        reward: Reward::External,
    }
}

/// An owned working memory.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    pub(super) observation: Vec<f32>,
    pub(super) issued: Vec<i16>,
    pub(super) reward: f32,
    pub(super) done: bool,
}

impl Moment {
    pub(super) fn view(&self) -> WorkingMemory<'_> {
        WorkingMemory {
            observation: &self.observation,
            issued: &self.issued,
            reward: self.reward,
            done: self.done,
        }
    }
}

/// `steps` random working memories.
pub(super) fn moments(config: &ModelConfig, seed: u64, steps: usize) -> Vec<Moment> {
    let random = &mut Random::new(seed ^ 0x5eed);
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

/// The words of every moment, from the memory as it is.
pub(super) fn words(image: &Image<'_>, memory: &mut Memory, moments: &[Moment]) -> Vec<Vec<i16>> {
    let run = |moment: &Moment| {
        let mut words = std::vec![0; image.config.actions];
        step(image, memory, &moment.view(), &mut words, &mut ()).unwrap();
        words
    };
    moments.iter().map(run).collect()
}

/// The bytes of a random image whose golden trace is its own.
pub(super) fn with_golden(config: ModelConfig, seed: u64, steps: usize) -> Vec<u8> {
    let mut spec = specification(config, seed);
    let bytes = write(&spec).unwrap();
    let image = Image::read(&bytes).unwrap();
    let moments = moments(&config, seed, steps);
    let words = words(&image, &mut Box::new(Memory::new()), &moments);
    spec.golden = GoldenSpec {
        observation: moments
            .iter()
            .flat_map(|moment| moment.observation.clone())
            .collect(),
        reward: moments.iter().map(|moment| moment.reward).collect(),
        done: moments.iter().map(|moment| moment.done).collect(),
        issued: moments
            .iter()
            .flat_map(|moment| moment.issued.clone())
            .collect(),
        words: words.concat(),
    };
    write(&spec).unwrap()
}
