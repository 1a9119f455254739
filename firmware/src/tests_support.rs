//! A small robot for the tests of this crate.

extern crate std;

use crate::policy::{self, Memory, WorkingMemory};
use crate::sensors::Sample;
use engram_image::write::{
    GoldenSpec, HeadSpec, ImageSpec, LayerSpec, MatrixSpec, WeightsSpec, write,
};
use engram_image::{
    ActionChannel, Channel, Contract, HeadInput, Image, InputScales, List, ModelConfig, Positions,
    Provenance, QuadraticReward, Requant, Reward,
};
use std::boxed::Box;
use std::vec::Vec;

/// Like the pendulum's, with numbers of its own: tests do not move when the plant does.
pub(crate) const CONTRACT: Contract<'static> = Contract {
    period_us: 20_000,
    observations: List::from_slice(&[
        Channel {
            name: "cos_angle",
            unit: "1",
            min: -1.0,
            max: 1.0,
        },
        Channel {
            name: "sin_angle",
            unit: "1",
            min: -1.0,
            max: 1.0,
        },
        Channel {
            name: "rate",
            unit: "rad/s",
            min: -20.0,
            max: 20.0,
        },
    ]),
    actions: List::from_slice(&[ActionChannel {
        name: "torque",
        unit: "Nm",
        min: -12.0,
        max: 12.0,
        slew_per_s: 240.0,
        safe: 0.0,
    }]),
    reward: Reward::Formula(QuadraticReward {
        constant: 0.5,
        linear: List::from_slice(&[0.5, 0.0, 0.0]),
        quadratic: List::from_slice(&[0.0, 0.0, -0.01]),
        action_quadratic: List::from_slice(&[-0.001]),
    }),
};

pub(crate) fn contract() -> Contract<'static> {
    CONTRACT
}

/// A sample that passes all checks.
pub(crate) fn sample(time_us: u64) -> Sample {
    Sample {
        time_us,
        observation: heapless::Vec::from_slice(&[0.5, -0.5, 3.0]).expect("fits"),
        reward: None,
        done: false,
    }
}

/// A policy that nobody trained, with a golden trace recorded on this machine. `seed` chooses weights.
pub(crate) fn image(seed: u64) -> Vec<u8> {
    image_for(contract(), seed)
}

/// The same for another contract (three observations, one action).
pub(crate) fn image_for(contract: Contract<'_>, seed: u64) -> Vec<u8> {
    let mut spec = spec(contract, seed);
    let blank = write(&spec).expect("a valid image");
    spec.golden = record(&Image::read(&blank).expect("a valid image"));
    write(&spec).expect("a valid image")
}

/// An image whose golden trace is wrong.
pub(crate) fn image_with_false_golden(seed: u64) -> Vec<u8> {
    let right = image(seed);
    let mut spec = ImageSpec::from(&Image::read(&right).expect("a valid image"));
    spec.golden.words[3] ^= 1;
    write(&spec).expect("the reader does not replay")
}

const CONFIG: ModelConfig = ModelConfig {
    observations: 3,
    actions: 1,
    layers: 2,
    heads: 2,
    model: 8,
    ff: 8,
    window: 4,
    hidden: [8, 8],
    positions: Positions::Age,
    head_input: HeadInput::Mixed,
};

fn spec(contract: Contract<'_>, seed: u64) -> ImageSpec<'_> {
    let mut random = Random(seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15));
    let d = CONFIG.model;
    // A residual of about +-8000 for inputs of about +-8000, int8 values of about +-60 from it.
    let to_i8 = factor(38);
    let layers = (0..CONFIG.layers)
        .map(|_| LayerSpec {
            attention_input: to_i8,
            qkv: random.matrix(3 * d, d, true, factor(38)),
            logit: factor(31),
            age_bias: (0..CONFIG.heads * CONFIG.window)
                .map(|_| random.below(2048) - 1024)
                .collect(),
            attention_output: factor(31),
            out: random.matrix(d, d, true, factor(33)),
            ff_input: to_i8,
            ff1: random.matrix(CONFIG.ff, d, true, factor(38)),
            ff2: random.matrix(d, CONFIG.ff, true, factor(33)),
        })
        .collect();
    ImageSpec {
        config: CONFIG,
        contract,
        input: InputScales {
            mean: List::from_slice(&[0.0; 6]),
            inverse: List::from_slice(&[8000.0, 8000.0, 800.0, 8000.0, 4000.0, 8000.0]),
        },
        residual_scale: 0.001,
        weights: WeightsSpec {
            embed: random.matrix(d, CONFIG.inputs(), false, factor(38)),
            positions: Vec::new(),
            layers,
            head: HeadSpec {
                input: to_i8,
                first: random.matrix(CONFIG.hidden[0], d, true, factor(33)),
                raw: Some(random.matrix(CONFIG.hidden[0], d, false, factor(39))),
                second: random.matrix(CONFIG.hidden[1], CONFIG.hidden[0], true, factor(33)),
                third: random.matrix(CONFIG.actions, CONFIG.hidden[1], true, factor(31)),
            },
        },
        golden: GoldenSpec::blank(&CONFIG),
        provenance: Provenance {
            plant: "test",
            version: "0.0.0",
            seed,
            config_sha256: [0; 32],
            training_return: 0.0,
        },
    }
}

/// `2^(30 - shift)`.
fn factor(shift: u8) -> Requant {
    Requant {
        multiplier: 1 << 30,
        shift,
    }
}

/// Runs the policy over twenty steps, one episode end among them.
fn record(image: &Image<'_>) -> GoldenSpec {
    let mut golden = GoldenSpec {
        observation: Vec::new(),
        reward: Vec::new(),
        done: Vec::new(),
        issued: Vec::new(),
        words: Vec::new(),
    };
    let mut memory = Box::new(Memory::new());
    let mut words = [0_i16];
    for step in 0..20_i16 {
        let phase = f32::from(step) / 20.0;
        let observation = [1.0 - phase, phase, 10.0 * phase - 5.0];
        let input = WorkingMemory {
            observation: &observation,
            issued: &words.clone(),
            reward: phase,
            done: step == 10,
        };
        golden.observation.extend(observation);
        golden.reward.push(input.reward);
        golden.done.push(input.done);
        golden.issued.extend(input.issued);
        policy::step(image, &mut memory, &input, &mut words, &mut ()).expect("right lengths");
        golden.words.extend(words);
    }
    golden
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: u32) -> i32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        i32::try_from(high % u64::from(n)).expect("small")
    }

    fn matrix(&mut self, rows: usize, columns: usize, bias: bool, requant: Requant) -> MatrixSpec {
        MatrixSpec {
            rows,
            columns,
            weight: (0..rows * columns)
                .map(|_| i8::try_from(self.below(201) - 100).expect("small"))
                .collect(),
            bias: (0..if bias { rows } else { 0 })
                .map(|_| self.below(401) - 200)
                .collect(),
            requant: std::vec![requant; rows],
        }
    }
}
