//! Images with random weights and a golden trace of their own: valid, deterministic, untrained.

use std::sync::LazyLock;

use anyhow::{Context, Result};
use engram_firmware::policy::random_golden;
use engram_image::write::{ImageSpec, write};
use engram_image::{Contract, HeadInput, Image, ModelConfig, Positions, random};
use engram_plants::{self, pendulum::CONTRACT};

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

/// What flies in cases that ask nothing special of an image.
pub static USUAL: LazyLock<Vec<u8>> =
    LazyLock::new(|| sample_image(1, &AGE).expect("the usual image"));

/// A whole image for the pendulum: random weights from `seed`, with its golden trace.
///
/// # Errors
/// When the writer or the policy refuses, which a change of the format may cause.
pub fn sample_image(seed: u64, config: &ModelConfig) -> Result<Vec<u8>> {
    sample_image_for(seed, config, &CONTRACT)
}

/// The same for another contract with the pendulum's channels.
///
/// # Errors
/// As [`sample_image`].
pub fn sample_image_for(
    seed: u64,
    config: &ModelConfig,
    contract: &Contract<'_>,
) -> Result<Vec<u8>> {
    finished(random::spec_for(config, *contract, seed), "pendulum")
}

/// An image of any shape under a contract of its channels: no plant has it.
///
/// # Errors
/// As [`sample_image`].
pub fn random_image(seed: u64, config: &ModelConfig) -> Result<Vec<u8>> {
    finished(random::spec(config, seed), "random")
}

/// An image for another plant, by its name or a robot's file, of the shape that `config` has beside its channels.
///
/// # Errors
/// As [`sample_image`].
pub fn sample_image_on(plant: &str, seed: u64, config: &ModelConfig) -> Result<Vec<u8>> {
    let plant = engram_plants::by_name(plant)?;
    let contract = plant.spec().contract();
    let config = ModelConfig {
        observations: contract.observations.len(),
        actions: contract.actions.len(),
        ..*config
    };
    finished(
        random::spec_for(&config, contract, seed),
        &plant.spec().name,
    )
}

/// A policy for the pendulum that mostly commands one end of the range or the other.
///
/// # Errors
/// As [`sample_image`].
pub fn strong_image(seed: u64) -> Result<Vec<u8>> {
    let mut spec = random::spec_for(&AGE, CONTRACT, seed);
    for factor in &mut spec.weights.head.third.requant {
        // Sixteen times the usual.
        factor.shift -= 4;
    }
    finished(spec, "pendulum")
}

/// The image of `spec` with a golden trace of its own policy on random working memories, longer than two windows.
fn finished<'a>(mut spec: ImageSpec<'a>, plant: &'a str) -> Result<Vec<u8>> {
    spec.provenance.plant = plant;
    spec.golden = random_golden(&spec, 2 * spec.config.window + 8)?;
    Ok(write(&spec)?)
}

/// A well-formed image (all hashes right) whose golden trace expects a word that no board computes.
///
/// # Errors
/// As [`sample_image`].
pub fn with_wrong_golden(image: &[u8]) -> Result<Vec<u8>> {
    let mut spec = ImageSpec::from(&Image::read(image)?);
    let last = spec.golden.words.last_mut();
    *last.context("an image without a golden trace")? ^= 1;
    Ok(write(&spec)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policies_are_alive() {
        for config in [AGE, SLOT] {
            let bytes = sample_image(1, &config).expect("an image");
            let image = Image::read(&bytes).expect("it reads");
            let words = image.golden.iter();
            let mut words: Vec<i16> = words
                .map(|step| i16::from_le_bytes(step.words[0]))
                .collect();
            let steps = words.len();
            let saturated = words.iter().filter(|word| word.unsigned_abs() >= 32_767);
            let saturated = saturated.count();
            assert!(
                saturated < steps / 2,
                "{saturated} of {steps} words saturate"
            );
            words.sort_unstable();
            words.dedup();
            assert!(
                words.len() > steps / 2,
                "only {} different words",
                words.len()
            );
        }
    }
}
