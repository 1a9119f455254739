//! Images with random weights and a golden trace of their own: valid, deterministic, untrained.
//!
//! The factors are chosen so that signals neither die out nor sit in saturation: a wrong bit
//! anywhere shows in the command words.

use anyhow::{Context, Result};
use engram::plant::{self, Stream, TaskSet, random_stream};
use engram_firmware::policy::{self, Memory, WorkingMemory};
use engram_firmware::safety::Envelope;
use engram_image::write::{
    GoldenSpec, HeadSpec, ImageSpec, LayerSpec, MatrixSpec, WeightsSpec, write,
};
use engram_image::{
    Contract, HeadInput, Image, InputScales, List, ModelConfig, Positions, Provenance, Requant,
    Reward,
};

/// The shape that the demo's policy has.
pub const AGE: ModelConfig = ModelConfig {
    observations: 3,
    actions: 1,
    layers: 2,
    heads: 4,
    model: 32,
    ff: 64,
    window: 16,
    hidden: [64, 64],
    positions: Positions::Age,
    head_input: HeadInput::Mixed,
};

/// A small policy with the paper's positions and head.
pub const SLOT: ModelConfig = ModelConfig {
    model: 16,
    ff: 32,
    window: 5,
    hidden: [32, 32],
    positions: Positions::Slot,
    head_input: HeadInput::Encoder,
    ..AGE
};

/// SplitMix64: enough for weights, and the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in `-most..=most`.
    fn within(&mut self, most: i64) -> i64 {
        let width = (2 * most + 1).unsigned_abs();
        (self.next() % width).cast_signed() - most
    }
}

/// The factor closest to `ratio`.
fn factor(ratio: f64) -> Result<Requant> {
    let factor = engram_kernels::Requant::from_f64(ratio)
        .map_err(|error| anyhow::anyhow!("sample image: {error}"))?;
    Ok(Requant {
        multiplier: factor.multiplier,
        shift: factor.shift,
    })
}

/// Root mean square of the command words of an ordinary sample policy.
const COMMAND_RMS: f64 = 15_000.0;
/// Root mean square of a uniform int8 weight.
const WEIGHT_RMS: f64 = 73.0;

/// A matrix that takes inputs of `from` to outputs of `to` (root mean squares).
fn matrix(
    random: &mut Random,
    [rows, columns]: [usize; 2],
    from: f64,
    to: f64,
    bias: bool,
) -> Result<MatrixSpec> {
    let sum = WEIGHT_RMS * from * (columns as f64).sqrt();
    let requant = factor(to / sum)?;
    let weight = (0..rows * columns)
        .map(|_| random.within(127) as i8)
        .collect();
    let most = (0.3 * sum) as i64;
    let bias = if bias {
        (0..rows).map(|_| random.within(most) as i32).collect()
    } else {
        vec![]
    };
    Ok(MatrixSpec {
        rows,
        columns,
        weight,
        bias,
        requant: vec![requant; rows],
    })
}

fn layer(random: &mut Random, config: &ModelConfig) -> Result<LayerSpec> {
    let d = config.model;
    let age_bias = match config.positions {
        Positions::Age => (0..config.heads * config.window)
            .map(|_| random.within(1_500) as i32)
            .collect(),
        Positions::Slot => Vec::new(),
    };
    Ok(LayerSpec {
        attention_input: factor(40.0 / 2_500.0)?,
        qkv: matrix(random, [3 * d, d], 40.0, 40.0, true)?,
        logit: factor(1_500.0 / (1_600.0 * (config.head_dim() as f64).sqrt()))?,
        age_bias,
        // Means arrive with 16 fraction bits.
        attention_output: factor(1.5 / 65_536.0)?,
        out: matrix(random, [d, d], 40.0, 900.0, true)?,
        ff_input: factor(40.0 / 2_500.0)?,
        ff1: matrix(random, [config.ff, d], 40.0, 40.0, true)?,
        ff2: matrix(random, [d, config.ff], 28.0, 900.0, true)?,
    })
}

fn weights(random: &mut Random, config: &ModelConfig, strength: f64) -> Result<WeightsSpec> {
    let d = config.model;
    let [h0, h1] = config.hidden;
    let positions = match config.positions {
        Positions::Slot => (0..config.window * d)
            .map(|_| random.within(1_000) as i16)
            .collect(),
        Positions::Age => Vec::new(),
    };
    let raw = match config.head_input {
        HeadInput::Mixed => Some(matrix(random, [h0, d], 2_000.0, 3_000.0, false)?),
        HeadInput::Encoder => None,
    };
    Ok(WeightsSpec {
        embed: matrix(random, [d, config.inputs()], 8_000.0, 2_000.0, false)?,
        positions,
        layers: (0..config.layers)
            .map(|_| layer(random, config))
            .collect::<Result<_>>()?,
        head: HeadSpec {
            input: factor(40.0 / 3_000.0)?,
            first: matrix(random, [h0, d], 40.0, 3_000.0, true)?,
            raw,
            second: matrix(random, [h1, h0], 75.0, 3_500.0, true)?,
            third: matrix(random, [config.actions, h1], 75.0, strength, true)?,
        },
    })
}

/// The image as its writer takes it, the golden trace still blank.
fn blank(
    plant: &'static str,
    seed: u64,
    config: &ModelConfig,
    contract: &Contract<'static>,
    strength: f64,
) -> Result<ImageSpec<'static>> {
    let mut random = Random(seed);
    let mut inverse = List::EMPTY;
    // Observations of order one (rates of order ten), actions and done in [-1, 1].
    for index in 0..config.inputs() {
        let rate = index + 1 == config.observations;
        inverse
            .push(if rate { 900.0 } else { 9_000.0 })
            .map_err(|_| anyhow::anyhow!("sample image: too many inputs"))?;
    }
    let mut mean = List::EMPTY;
    for _ in 0..config.inputs() {
        mean.push(0.0)
            .map_err(|_| anyhow::anyhow!("sample image: too many inputs"))?;
    }
    Ok(ImageSpec {
        config: *config,
        contract: *contract,
        input: InputScales { mean, inverse },
        residual_scale: 1.0 / 1_024.0,
        weights: weights(&mut random, config, strength)?,
        golden: GoldenSpec::blank(config),
        provenance: Provenance {
            plant,
            version: "sample",
            seed,
            config_sha256: [0; 32],
            training_return: 0.0,
        },
    })
}

fn encode(spec: &ImageSpec<'_>) -> Result<Vec<u8>> {
    write(spec).map_err(|error| anyhow::anyhow!("sample image: {error}"))
}

/// Flies the image's own policy on its plant and records what must come out.
fn golden(bytes: &[u8], contract: &Contract<'static>, seed: u64) -> Result<GoldenSpec> {
    let image = Image::read(bytes).map_err(|error| anyhow::anyhow!("sample image: {error}"))?;
    let steps = 3 * image.config.window + 24;
    let mut plant = plant::by_name(image.provenance.plant)?;
    let task = plant.sample_task(
        TaskSet::Training,
        &mut random_stream(seed, Stream::Calibration, 0),
    );
    plant.reset(&task, seed);
    let envelope = Envelope::new(contract);
    let mut memory = Box::new(Memory::new());
    let mut issued = envelope.safe_words();
    let mut trace = GoldenSpec {
        observation: Vec::new(),
        reward: Vec::new(),
        done: Vec::new(),
        issued: Vec::new(),
        words: Vec::new(),
    };
    for step in 0..steps {
        let done = step == 2 * image.config.window || plant.ended();
        if done {
            plant.restart(plant::Start::Usual);
        }
        let observation = plant.observe().to_vec();
        let reward = match &contract.reward {
            Reward::Formula(formula) if step > 0 => {
                formula.evaluate(&observation, &envelope.commands(&issued))
            }
            Reward::External if step > 0 => plant.external_reward().unwrap_or(0.0),
            _ => 0.0,
        };
        let input = WorkingMemory {
            observation: &observation,
            issued: &issued,
            reward,
            done,
        };
        let mut words = vec![0; image.config.actions];
        policy::step(&image, &mut memory, &input, &mut words, &mut ())
            .map_err(|error| anyhow::anyhow!("sample image: {error}"))?;
        trace.observation.extend_from_slice(&observation);
        trace.reward.push(reward);
        trace.done.push(done);
        trace.issued.extend_from_slice(&issued);
        trace.words.extend_from_slice(&words);
        envelope.limit(&mut issued, &words);
        plant.step(&envelope.commands(&issued));
    }
    Ok(trace)
}

/// A whole image for the pendulum: random weights from `seed`, with its golden trace.
///
/// # Errors
/// When the writer or the policy refuses, which a change of the format may cause.
pub fn sample_image(seed: u64, config: &ModelConfig) -> Result<Vec<u8>> {
    sample_image_for(seed, config, &plant::by_name("pendulum")?.contract())
}

/// The same for another contract with the pendulum's channels.
///
/// # Errors
/// As [`sample_image`].
pub fn sample_image_for(
    seed: u64,
    config: &ModelConfig,
    contract: &Contract<'static>,
) -> Result<Vec<u8>> {
    finished(
        blank("pendulum", seed, config, contract, COMMAND_RMS)?,
        seed,
    )
}

/// An image for another plant, of the shape that `config` has beside its channels.
///
/// # Errors
/// As [`sample_image`].
pub fn sample_image_on(plant: &'static str, seed: u64, config: &ModelConfig) -> Result<Vec<u8>> {
    let contract = plant::by_name(plant)?.contract();
    let config = ModelConfig {
        observations: contract.observations.len(),
        actions: contract.actions.len(),
        ..*config
    };
    finished(blank(plant, seed, &config, &contract, COMMAND_RMS)?, seed)
}

/// A policy for the pendulum that mostly commands one end of the range or the other.
///
/// # Errors
/// As [`sample_image`].
pub fn strong_image(seed: u64) -> Result<Vec<u8>> {
    let contract = plant::by_name("pendulum")?.contract();
    finished(
        blank("pendulum", seed, &AGE, &contract, 12.0 * COMMAND_RMS)?,
        seed,
    )
}

/// Records the golden trace of an image that has none yet.
fn finished(mut spec: ImageSpec<'static>, seed: u64) -> Result<Vec<u8>> {
    spec.golden = golden(&encode(&spec)?, &spec.contract, seed)?;
    encode(&spec)
}

/// A well-formed image (all hashes right) whose golden trace expects a word that no board computes.
///
/// # Errors
/// As [`sample_image`].
pub fn with_wrong_golden(image: &[u8]) -> Result<Vec<u8>> {
    let image = Image::read(image).map_err(|error| anyhow::anyhow!("sample image: {error}"))?;
    let mut spec = ImageSpec::from(&image);
    let last = spec
        .golden
        .words
        .last_mut()
        .context("an image without a golden trace")?;
    *last ^= 1;
    encode(&spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policies_are_alive() {
        for config in [AGE, SLOT] {
            let bytes = sample_image(1, &config).expect("an image");
            let image = Image::read(&bytes).expect("it reads");
            let words: Vec<i16> = image
                .golden
                .iter()
                .map(|step| i16::from_le_bytes(step.words[0]))
                .collect();
            let saturated = words
                .iter()
                .filter(|word| word.unsigned_abs() >= 32_767)
                .count();
            assert!(
                saturated < words.len() / 2,
                "{saturated} of {} words saturate",
                words.len()
            );
            let mut distinct = words.clone();
            distinct.sort_unstable();
            distinct.dedup();
            assert!(
                distinct.len() > words.len() / 2,
                "only {} different words",
                distinct.len()
            );
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_image() {
        assert_eq!(
            sample_image(3, &AGE).expect("one"),
            sample_image(3, &AGE).expect("two")
        );
        assert_ne!(
            sample_image(3, &AGE).expect("one"),
            sample_image(4, &AGE).expect("two")
        );
    }
}
