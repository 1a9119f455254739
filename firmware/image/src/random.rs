//! Random images for tests and benchmarks: valid policies that nobody trained, the same for a seed on every machine.
//!
//! Their factors keep the activations in the middle of their types, so that signals neither die out nor sit in
//! saturation: a wrong bit anywhere shows in the command words.

use alloc::vec::Vec;

use engram_kernels::Requant;

use crate::config::{HeadInput, ModelConfig, Positions};
use crate::contract::{ActionChannel, Channel, Contract, Reward};
use crate::image::{InputScales, Provenance};
use crate::list::List;
use crate::weights::MatrixName;
use crate::write::{GoldenSpec, HeadSpec, ImageSpec, LayerSpec, MatrixSpec, WeightsSpec};

/// Root mean square of a weight that is uniform in `[-127, 127]`.
const WEIGHT: f64 = 73.0;
/// Typical sizes that the factors aim at: of an int8 activation, of the residual stream, of what a block adds to it.
const ACTIVATION: f64 = 35.0;
const RESIDUAL: f64 = 8_000.0;
const BLOCK: f64 = 2_000.0;
/// The same in the head: of a Q12 preactivation and of its tanh.
const PREACTIVATION: f64 = 3_000.0;
const TANH: f64 = 60.0;

/// A letter each for the first channels of a contract.
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEF";
/// A letter and a digit for those after them.
const PAIRS: [[u8; 2]; 260] = {
    let mut pairs = [[0; 2]; 260];
    let mut index = 0;
    while index < pairs.len() {
        pairs[index] = [b'a' + (index / 10) as u8, b'0' + (index % 10) as u8];
        index += 1;
    }
    pairs
};

/// The name of a channel; `None` beyond the last.
fn name(index: usize) -> Option<&'static str> {
    match index.checked_sub(LETTERS.len()) {
        None => LETTERS.get(index..=index),
        Some(rest) => core::str::from_utf8(PAIRS.get(rest)?).ok(),
    }
}

/// The generator `SplitMix64`: every seed gives another sequence, the same for ever.
#[derive(Clone, Debug)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// The sequence of `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `0..end`, as far as `end` is small against `2^64`; 0 for an `end` of 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next().checked_rem(end).unwrap_or(0)
    }

    /// Uniform in `-limit..=limit`, for a limit below `2^31`.
    pub fn integer(&mut self, limit: u32) -> i64 {
        self.below(2 * u64::from(limit) + 1).cast_signed() - i64::from(limit)
    }

    /// Uniform in `[-1, 1)`, a multiple of `2^-23`.
    pub fn real(&mut self) -> f32 {
        (self.next() >> 40) as f32 / 8_388_608.0 - 1.0
    }
}

/// A contract of `config`'s channels, dimensionless and in `[-1, 1]`, with an external reward; 50 steps a second.
#[must_use]
pub fn contract(config: &ModelConfig) -> Contract<'static> {
    let names = |count: usize| (0..count).map_while(name);
    Contract {
        period_us: 20_000,
        observations: names(config.observations)
            .map(|name| Channel::new(name, "1", [-1.0, 1.0]))
            .collect(),
        actions: names(config.actions)
            .map(|name| {
                ActionChannel::new(name, "1", [-1.0, 1.0])
                    .with_slew_per_s(100.0)
                    .with_safe(0.0)
            })
            .collect(),
        reward: Reward::External,
    }
}

/// What the writer takes for an image with weights drawn from `seed`, under [`contract()`]. The golden trace is blank: a
/// board would refuse the image on its replay.
#[must_use]
pub fn spec(config: &ModelConfig, seed: u64) -> ImageSpec<'static> {
    spec_for(config, contract(config), seed)
}

/// The same under another contract, whose ranges set the scales of the observations.
#[must_use]
pub fn spec_for<'a>(config: &ModelConfig, contract: Contract<'a>, seed: u64) -> ImageSpec<'a> {
    let random = &mut SplitMix64::new(seed);
    let observed = contract.observations.iter();
    let ranges = observed.map(|channel| channel.min.abs().max(channel.max.abs()));
    let (mut mean, mut inverse) = (List::EMPTY, List::EMPTY);
    for range in ranges.chain(core::iter::repeat(1.0)).take(config.inputs()) {
        // An image with too few scales is refused by the writer.
        let _ = mean.push(0.1 * random.real() * range);
        let _ = inverse.push(16_000.0 * (1.0 + 0.5 * random.real()) / range);
    }
    ImageSpec {
        counter: 0,
        config: *config,
        contract,
        input: InputScales { mean, inverse },
        residual_scale: 1.0 / 4_096.0,
        weights: Draw { random, config }.weights(),
        golden: GoldenSpec::blank(config),
        provenance: Provenance {
            plant: "random",
            version: env!("CARGO_PKG_VERSION"),
            seed,
            config_sha256: [0; 32],
            training_return: 0.0,
        },
    }
}

/// What the numbers of an image are drawn from, in their order, and for which shape.
struct Draw<'r> {
    random: &'r mut SplitMix64,
    config: &'r ModelConfig,
}

impl Draw<'_> {
    fn weights(&mut self) -> WeightsSpec {
        use MatrixName::{Embed, First, Raw, Second, Third};
        let config = self.config;
        let slots = match config.positions {
            Positions::Age => 0,
            Positions::Slot => config.window * config.model,
        };
        WeightsSpec {
            embed: self.matrix(Embed, 9_000.0, 6_000.0),
            positions: self.integers(slots, 3_000, |value| value as i16),
            layers: core::array::from_fn(|index| {
                (index < config.layers).then(|| self.layer(index as u8))
            }),
            head: HeadSpec {
                input: factor(ACTIVATION / RESIDUAL),
                first: self.matrix(First, ACTIVATION, PREACTIVATION),
                raw: match config.head_input {
                    HeadInput::Encoder => None,
                    HeadInput::Mixed => Some(self.matrix(Raw, 6_000.0, 2_000.0)),
                },
                second: self.matrix(Second, TANH, PREACTIVATION),
                third: self.matrix(Third, TANH, 9_000.0),
            },
        }
    }

    fn layer(&mut self, index: u8) -> LayerSpec {
        use MatrixName::{Ff1, Ff2, Out, Qkv};
        let config = self.config;
        let ages = match config.positions {
            Positions::Age => config.heads * config.window,
            Positions::Slot => 0,
        };
        let to_activation = factor(ACTIVATION / RESIDUAL);
        LayerSpec {
            attention_input: to_activation,
            qkv: self.matrix(Qkv(index), ACTIVATION, ACTIVATION),
            logit: factor(1_200.0 / (ACTIVATION * ACTIVATION * root(config.head_dim()))),
            age_bias: self.integers(ages, 1_500, |value| value as i32),
            // The mean of the values has 16 fraction bits; it is smaller than they are.
            attention_output: factor(2.0 / 65_536.0),
            out: self.matrix(Out(index), ACTIVATION, BLOCK),
            ff_input: to_activation,
            ff1: self.matrix(Ff1(index), ACTIVATION, ACTIVATION),
            // The rectifier has left a half of the activations.
            ff2: self.matrix(Ff2(index), 25.0, BLOCK),
        }
    }

    /// Random weights, and factors that take inputs of one typical size to outputs of another.
    fn matrix(&mut self, name: MatrixName, input: f64, output: f64) -> MatrixSpec {
        let (rows, columns) = name.shape(self.config);
        let biases = if name.is_wide() { 0 } else { rows };
        let sum = WEIGHT * input * root(columns);
        let weight = self.integers(rows * columns, 127, |value| value as i8);
        let mut real = || f64::from(self.random.real());
        MatrixSpec {
            rows,
            columns,
            weight,
            bias: (0..biases).map(|_| (0.3 * sum * real()) as i32).collect(),
            requant: (0..rows)
                .map(|_| factor(output / sum * (1.0 + 0.2 * real())))
                .collect(),
        }
    }

    fn integers<T>(&mut self, count: usize, limit: u32, narrow: fn(i64) -> T) -> Vec<T> {
        (0..count)
            .map(|_| narrow(self.random.integer(limit)))
            .collect()
    }
}

/// The fixed-point factor next to `ratio`; the last that an image can hold where it is out of range.
fn factor(ratio: f64) -> Requant {
    let (mut significand, mut shift) = (ratio, 30);
    while significand < 1.0 && shift < 62 {
        significand *= 2.0;
        shift += 1;
    }
    while significand >= 2.0 && shift > 1 {
        significand /= 2.0;
        shift -= 1;
    }
    Requant {
        multiplier: (significand * f64::from(1 << 30) + 0.5) as i32,
        shift,
    }
}

/// The square root, which a crate without a mathematics library has of integers only.
fn root(of: usize) -> f64 {
    ((of as u128) << 104).isqrt() as f64 / (1_u64 << 52) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shapes::REFERENCE;
    use crate::write::write;

    #[test]
    fn another_seed_makes_another_image() {
        let [(_, config), ..] = REFERENCE;
        assert_eq!(spec(&config, 3), spec(&config, 3));
        assert_ne!(spec(&config, 3).weights, spec(&config, 4).weights);
    }

    #[test]
    fn a_shape_that_no_image_has_is_refused_by_the_writer() {
        for change in [
            |config: &mut ModelConfig| config.observations = 129,
            |config: &mut ModelConfig| config.actions = 33,
            |config: &mut ModelConfig| (config.observations, config.actions) = (400, 400),
            |config: &mut ModelConfig| config.heads = 0,
            |config: &mut ModelConfig| (config.model, config.hidden) = (0, [0, 0]),
        ] {
            let [(_, mut config), ..] = REFERENCE;
            change(&mut config);
            assert!(write(&spec(&config, 1)).is_err(), "{config:?}");
        }
    }
}
