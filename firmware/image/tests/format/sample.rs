//! Two small images that between them use every part of the format.

use engram_image::random;
use engram_image::write::{ImageSpec, write};
use engram_image::{
    ActionChannel, Channel, Contract, HeadInput, InputScales, List, ModelConfig, Positions,
    Provenance, QuadraticReward, Reward,
};

pub(crate) const ANGLE: Channel<'_> = Channel::new("angle", "rad", [-3.2, 3.2]);
pub(crate) const RATE: Channel<'_> = Channel::new("rate", "rad/s", [-20.0, 20.0]);
pub(crate) const TORQUE: ActionChannel<'_> = ActionChannel::new("torque", "Nm", [-2.0, 2.0])
    .with_slew_per_s(40.0)
    .with_safe(0.0);

/// What both agree on, with an external reward.
pub(crate) const CONTRACT: Contract<'_> = Contract {
    period_us: 20_000,
    observations: List::from_slice(&[ANGLE, RATE]),
    actions: List::from_slice(&[TORQUE]),
    reward: Reward::External,
};
pub(crate) const REWARD: QuadraticReward = QuadraticReward {
    constant: 0.5,
    linear: List::from_slice(&[1.0, 0.0]),
    quadratic: List::from_slice(&[-1.0, -0.1]),
    action_quadratic: List::from_slice(&[-0.01]),
};

/// Ages, encoder head, reward by formula.
pub(crate) fn age() -> ImageSpec<'static> {
    let config = ModelConfig {
        observations: 2,
        actions: 1,
        layers: 2,
        heads: 2,
        model: 4,
        ff: 5,
        window: 3,
        hidden: [3, 2],
        positions: Positions::Age,
        head_input: HeadInput::Encoder,
    };
    spec(config, Reward::Formula(REWARD))
}

/// Slots, mixed head, external reward.
pub(crate) fn slot() -> ImageSpec<'static> {
    let config = ModelConfig {
        layers: 1,
        positions: Positions::Slot,
        head_input: HeadInput::Mixed,
        ..age().config
    };
    spec(config, Reward::External)
}

/// Both images as files.
pub(crate) fn files() -> [Vec<u8>; 2] {
    [age(), slot()].map(|spec| write(&spec).unwrap())
}

fn spec(config: ModelConfig, reward: Reward) -> ImageSpec<'static> {
    let contract = Contract { reward, ..CONTRACT };
    let mut spec = random::spec_for(&config, contract, 1);
    spec.input = InputScales {
        mean: List::from_slice(&[0.1, -0.2, 0.0, 1.5, 0.0]),
        inverse: List::from_slice(&[9_000.0, 800.5, 32_767.0, 4_096.0, 16_383.0]),
    };
    spec.provenance = Provenance {
        plant: "pendulum",
        version: "0.1.0",
        seed: 7,
        config_sha256: [0xa5; 32],
        training_return: 123.5,
    };
    let golden = &mut spec.golden;
    for (step, value) in golden.observation.iter_mut().enumerate() {
        *value = 0.25 * (step as f32 - 3.0);
    }
    golden.done[2] = true;
    golden.reward[1] = -0.75;
    golden.issued[3] = -32_767;
    golden.words[0] = 1_234;
    spec
}
