//! Two small images that between them use every part of the format.

use engram_image::write::{
    GoldenSpec, HeadSpec, ImageSpec, LayerSpec, MatrixSpec, WeightsSpec, write,
};
use engram_image::{
    ActionChannel, Channel, Contract, HeadInput, InputScales, List, MatrixName, ModelConfig,
    Positions, Provenance, QuadraticReward, Requant, Reward,
};

const ANGLE: Channel<'_> = Channel {
    name: "angle",
    unit: "rad",
    min: -3.2,
    max: 3.2,
};
const RATE: Channel<'_> = Channel {
    name: "rate",
    unit: "rad/s",
    min: -20.0,
    max: 20.0,
};
const TORQUE: ActionChannel<'_> = ActionChannel {
    name: "torque",
    unit: "Nm",
    min: -2.0,
    max: 2.0,
    slew_per_s: 40.0,
    safe: 0.0,
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
    let reward = Reward::Formula(QuadraticReward {
        constant: 0.5,
        linear: List::from_slice(&[1.0, 0.0]),
        quadratic: List::from_slice(&[-1.0, -0.1]),
        action_quadratic: List::from_slice(&[-0.01]),
    });
    spec(config, reward)
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

/// Numbers without a pattern, the same on every run.
struct Numbers(u64);

impl Numbers {
    /// The next number below `limit`.
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    /// The next number in `-limit..=limit`.
    fn around(&mut self, limit: i64) -> i64 {
        i64::try_from(self.below(2 * limit.unsigned_abs() + 1)).unwrap() - limit
    }

    fn requant(&mut self) -> Requant {
        Requant {
            multiplier: i32::try_from((1 << 30) + self.below(1 << 30)).unwrap(),
            shift: u8::try_from(31 + self.below(12)).unwrap(),
        }
    }

    fn matrix(&mut self, config: &ModelConfig, name: MatrixName) -> MatrixSpec {
        let (rows, columns) = name.shape(config);
        let bias = if name.has_bias() { rows } else { 0 };
        MatrixSpec {
            rows,
            columns,
            weight: (0..rows * columns)
                .map(|_| i8::try_from(self.around(127)).unwrap())
                .collect(),
            bias: (0..bias)
                .map(|_| i32::try_from(self.around(4_000)).unwrap())
                .collect(),
            requant: (0..rows).map(|_| self.requant()).collect(),
        }
    }

    fn layer(&mut self, config: &ModelConfig, index: u8) -> LayerSpec {
        let ages = match config.positions {
            Positions::Age => config.heads * config.window,
            Positions::Slot => 0,
        };
        LayerSpec {
            attention_input: self.requant(),
            qkv: self.matrix(config, MatrixName::Qkv(index)),
            logit: self.requant(),
            age_bias: (0..ages)
                .map(|_| i32::try_from(self.around(2_000)).unwrap())
                .collect(),
            attention_output: self.requant(),
            out: self.matrix(config, MatrixName::Out(index)),
            ff_input: self.requant(),
            ff1: self.matrix(config, MatrixName::Ff1(index)),
            ff2: self.matrix(config, MatrixName::Ff2(index)),
        }
    }
}

fn spec(config: ModelConfig, reward: Reward) -> ImageSpec<'static> {
    let numbers = &mut Numbers(1);
    let positions = match config.positions {
        Positions::Age => 0,
        Positions::Slot => config.window * config.model,
    };
    let raw = match config.head_input {
        HeadInput::Encoder => None,
        HeadInput::Mixed => Some(numbers.matrix(&config, MatrixName::Raw)),
    };
    let weights = WeightsSpec {
        embed: numbers.matrix(&config, MatrixName::Embed),
        positions: (0..positions)
            .map(|_| i16::try_from(numbers.around(9_000)).unwrap())
            .collect(),
        layers: (0..)
            .take(config.layers)
            .map(|index| numbers.layer(&config, index))
            .collect(),
        head: HeadSpec {
            input: numbers.requant(),
            first: numbers.matrix(&config, MatrixName::First),
            raw,
            second: numbers.matrix(&config, MatrixName::Second),
            third: numbers.matrix(&config, MatrixName::Third),
        },
    };
    let mut golden = GoldenSpec::blank(&config);
    for (step, value) in golden.observation.iter_mut().enumerate() {
        *value = 0.25 * (step as f32 - 3.0);
    }
    golden.done[2] = true;
    golden.reward[1] = -0.75;
    golden.issued[3] = -32_767;
    golden.words[0] = 1_234;
    ImageSpec {
        config,
        contract: Contract {
            period_us: 20_000,
            observations: List::from_slice(&[ANGLE, RATE]),
            actions: List::from_slice(&[TORQUE]),
            reward,
        },
        input: InputScales {
            mean: List::from_slice(&[0.1, -0.2, 0.0, 1.5, 0.0]),
            inverse: List::from_slice(&[9_000.0, 800.5, 32_767.0, 4_096.0, 16_383.0]),
        },
        residual_scale: 1.0 / 4_096.0,
        weights,
        golden,
        provenance: Provenance {
            plant: "pendulum",
            version: "0.1.0",
            seed: 7,
            config_sha256: [0xa5; 32],
            training_return: 123.5,
        },
    }
}
