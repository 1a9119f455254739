//! Images with random weights and a golden trace of their own: valid, deterministic, untrained.

use anyhow::{Context, Result};
use engram::plant::{self, Stream, TaskSet, random_stream};
use engram_firmware::policy::{Recorder, WorkingMemory, random_moments};
use engram_firmware::safety::Envelope;
use engram_image::write::{GoldenSpec, ImageSpec, write};
use engram_image::{Contract, HeadInput, Image, ModelConfig, Positions, Reward, random};

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

/// The image as its writer takes it, the golden trace still blank.
fn blank(
    plant: &'static str,
    seed: u64,
    config: &ModelConfig,
    contract: &Contract<'static>,
) -> ImageSpec<'static> {
    let mut spec = random::spec_for(config, *contract, seed);
    spec.provenance.plant = plant;
    spec
}

fn encode(spec: &ImageSpec<'_>) -> Result<Vec<u8>> {
    write(spec).map_err(|error| anyhow::anyhow!("sample image: {error}"))
}

/// Flies the image's own policy on its plant and records what must come out.
fn golden(
    bytes: &[u8],
    plant: &str,
    contract: &Contract<'static>,
    seed: u64,
) -> Result<GoldenSpec> {
    let image = Image::read(bytes).map_err(|error| anyhow::anyhow!("sample image: {error}"))?;
    let steps = 3 * image.config.window + 24;
    let mut plant = plant::by_name(plant)?;
    let task = plant.sample_task(
        TaskSet::Training,
        &mut random_stream(seed, Stream::Calibration, 0),
    );
    plant.reset(&task, seed);
    let envelope = Envelope::new(contract);
    let mut recorder = Recorder::new(&image);
    let mut issued = envelope.safe_words();
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
        let words = recorder
            .step(&input)
            .map_err(|error| anyhow::anyhow!("sample image: {error}"))?;
        envelope.limit(&mut issued, &words);
        plant.step(&envelope.commands(&issued));
    }
    Ok(recorder.finish())
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
    finished(blank("pendulum", seed, config, contract), "pendulum", seed)
}

/// An image of any shape under a contract of its channels, and a golden trace on random working memories: no plant has it.
///
/// # Errors
/// As [`sample_image`].
pub fn random_image(seed: u64, config: &ModelConfig) -> Result<Vec<u8>> {
    let mut spec = random::spec(config, seed);
    let blank = encode(&spec)?;
    let image = Image::read(&blank).map_err(|error| anyhow::anyhow!("sample image: {error}"))?;
    let mut recorder = Recorder::new(&image);
    for moment in random_moments(config, seed, config.window + 8) {
        recorder
            .step(&moment.view())
            .map_err(|error| anyhow::anyhow!("sample image: {error}"))?;
    }
    spec.golden = recorder.finish();
    encode(&spec)
}

/// An image for another plant, by its name or a robot's file, of the shape that `config` has beside its channels.
///
/// # Errors
/// As [`sample_image`].
pub fn sample_image_on(plant: &str, seed: u64, config: &ModelConfig) -> Result<Vec<u8>> {
    let made = plant::by_name(plant)?;
    let contract = made.contract();
    let config = ModelConfig {
        observations: contract.observations.len(),
        actions: contract.actions.len(),
        ..*config
    };
    finished(blank(made.name(), seed, &config, &contract), plant, seed)
}

/// A policy for the pendulum that mostly commands one end of the range or the other.
///
/// # Errors
/// As [`sample_image`].
pub fn strong_image(seed: u64) -> Result<Vec<u8>> {
    let contract = plant::by_name("pendulum")?.contract();
    let mut spec = blank("pendulum", seed, &AGE, &contract);
    for factor in &mut spec.weights.head.third.requant {
        // Sixteen times the usual.
        factor.shift -= 4;
    }
    finished(spec, "pendulum", seed)
}

/// Records the golden trace of an image that has none yet.
fn finished(mut spec: ImageSpec<'static>, plant: &str, seed: u64) -> Result<Vec<u8>> {
    spec.golden = golden(&encode(&spec)?, plant, &spec.contract, seed)?;
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
