//! A small robot for the tests of this crate.

extern crate std;

use crate::policy::random_golden;
use crate::sensors::Sample;
use crate::signature::PublicKey;
use ed25519_dalek::{Signer as _, SigningKey};
use engram_image::random;
use engram_image::write::{ImageSpec, signed, write};
use engram_image::{
    ActionChannel, Channel, Contract, HeadInput, Image, List, ModelConfig, Positions,
    QuadraticReward, Reward,
};
use std::vec::Vec;

/// Like the pendulum's, with numbers of its own: tests do not move when the plant does.
pub(crate) const CONTRACT: Contract<'static> = Contract {
    period_us: 20_000,
    observations: List::from_slice(&[
        Channel::new("cos_angle", "1", [-1.0, 1.0]),
        Channel::new("sin_angle", "1", [-1.0, 1.0]),
        Channel::new("rate", "rad/s", [-20.0, 20.0]),
    ]),
    actions: List::from_slice(&[ActionChannel::new("torque", "Nm", [-12.0, 12.0])
        .with_slew_per_s(240.0)
        .with_safe(0.0)]),
    reward: Reward::Formula(QuadraticReward {
        constant: 0.5,
        linear: List::from_slice(&[0.5, 0.0, 0.0]),
        quadratic: List::from_slice(&[0.0, 0.0, -0.01]),
        action_quadratic: List::from_slice(&[-0.001]),
    }),
};

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
    image_for(CONTRACT, seed)
}

/// The same for another contract.
pub(crate) fn image_for(contract: Contract<'_>, seed: u64) -> Vec<u8> {
    let config = ModelConfig {
        observations: contract.observations.len(),
        actions: contract.actions.len(),
        ..CONFIG
    };
    with_golden(random::spec_for(&config, contract, seed), 20)
}

/// The image of `spec` with a golden trace of its own policy, `steps` long.
pub(crate) fn with_golden(mut spec: ImageSpec<'_>, steps: usize) -> Vec<u8> {
    spec.golden = random_golden(&spec, steps).expect("a valid image");
    write(&spec).expect("a valid image")
}

/// A signer; equal numbers are the same one.
pub(crate) fn signer(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

/// What a board takes the images of that signer by.
pub(crate) fn key(number: u8) -> PublicKey {
    PublicKey(signer(number).verifying_key().to_bytes())
}

/// The image signed by that signer.
pub(crate) fn signed_by(number: u8, image: Vec<u8>) -> Vec<u8> {
    let sign = |bytes: &[u8; 128]| signer(number).sign(bytes).to_bytes();
    signed(image, sign).expect("an image")
}

/// The image with a counter, unsigned.
pub(crate) fn counted(counter: u32, image: &[u8]) -> Vec<u8> {
    let image = Image::read(image).expect("an image");
    let spec = ImageSpec {
        counter,
        ..ImageSpec::from(&image)
    };
    write(&spec).expect("a valid image")
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
