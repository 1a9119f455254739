//! Images with random weights, for timing: they compute as much as trained ones of the same shape.

use engram_image::write::{
    GoldenSpec, HeadSpec, ImageSpec, LayerSpec, MatrixSpec, WeightsSpec, WriteError, write,
};
use engram_image::{
    ActionChannel, Channel, Contract, HeadInput, InputScales, List, ModelConfig, Positions,
    Provenance, Requant, Reward,
};
use rand::RngExt;

use crate::plant::{Random, Stream, random_stream};

/// Typical magnitudes that the random factors aim at: of an int8 value, of what a branch adds to the int16
/// residual stream, of a Q12 preactivation, of a command word.
const NARROW: f64 = 40.0;
const BRANCH: f64 = 400.0;
const PREACTIVATION: f64 = 4096.0;
const WORD: f64 = 12_000.0;

/// Writes an image of the given shape with weights drawn from `seed`.
///
/// Its golden trace is blank: a board would refuse it. Its contract has dimensionless channels in `[-1, 1]`.
///
/// # Errors
/// When the shape exceeds the controller's capacities.
pub fn random_image(config: &ModelConfig, seed: u64) -> Result<Vec<u8>, WriteError> {
    let mut random = random_stream(seed, Stream::Weights, 0);
    let names: Vec<String> = (0..config.observations.max(config.actions))
        .map(|k| format!("x{k}"))
        .collect();
    let observations: Vec<Channel<'_>> = names
        .iter()
        .take(config.observations)
        .map(|name| Channel {
            name,
            unit: "1",
            min: -1.0,
            max: 1.0,
        })
        .collect();
    let actions: Vec<ActionChannel<'_>> = names
        .iter()
        .take(config.actions)
        .map(|name| ActionChannel {
            name,
            unit: "1",
            min: -1.0,
            max: 1.0,
            slew_per_s: 100.0,
            safe: 0.0,
        })
        .collect();
    let model = config.model;
    let [first, second] = config.hidden;
    let embed_size = 8_000.0;
    let mut matrix = |rows: usize, columns: usize, input: f64, output: f64, bias: bool| {
        random_matrix(&mut random, [rows, columns], input, output, bias)
    };
    let layers = (0..config.layers)
        .map(|_| LayerSpec {
            attention_input: factor(NARROW / embed_size),
            qkv: matrix(3 * model, model, NARROW, NARROW, true),
            logit: factor(1024.0 / (NARROW * NARROW * (config.head_dim() as f64).sqrt())),
            age_bias: match config.positions {
                Positions::Age => (0..config.heads * config.window)
                    .map(|k| -((k % config.window) as i32) * 32)
                    .collect(),
                Positions::Slot => Vec::new(),
            },
            // The mean of the values has 16 fraction bits.
            attention_output: factor(1.0 / 65_536.0),
            out: matrix(model, model, NARROW, BRANCH, true),
            ff_input: factor(NARROW / embed_size),
            ff1: matrix(config.ff, model, NARROW, NARROW, true),
            ff2: matrix(model, config.ff, NARROW, BRANCH, true),
        })
        .collect();
    let spec = ImageSpec {
        config: *config,
        contract: Contract {
            period_us: 1_000,
            observations: List::from_slice(&observations),
            actions: List::from_slice(&actions),
            reward: Reward::External,
        },
        input: InputScales {
            mean: List::from_slice(&vec![0.0; config.inputs()]),
            inverse: List::from_slice(&vec![3_276.7; config.inputs()]),
        },
        residual_scale: 1e-3,
        weights: WeightsSpec {
            embed: matrix(model, config.inputs(), 2_000.0, embed_size, false),
            positions: match config.positions {
                Positions::Age => Vec::new(),
                Positions::Slot => (0..config.window * model)
                    .map(|k| ((k * 37) % 1_001) as i16 - 500)
                    .collect(),
            },
            layers,
            head: HeadSpec {
                input: factor(NARROW / embed_size),
                first: matrix(first, model, NARROW, PREACTIVATION, true),
                raw: match config.head_input {
                    HeadInput::Mixed => {
                        Some(matrix(first, model, embed_size, PREACTIVATION, false))
                    }
                    HeadInput::Encoder => None,
                },
                second: matrix(second, first, NARROW, PREACTIVATION, true),
                third: matrix(config.actions, second, NARROW, WORD, true),
            },
        },
        golden: GoldenSpec::blank(config),
        provenance: Provenance {
            plant: "none",
            version: env!("CARGO_PKG_VERSION"),
            seed,
            config_sha256: [0; 32],
            training_return: 0.0,
        },
    };
    write(&spec)
}

/// Random weights, and factors that take inputs of one typical size to outputs of another.
fn random_matrix(
    random: &mut Random,
    [rows, columns]: [usize; 2],
    input: f64,
    output: f64,
    bias: bool,
) -> MatrixSpec {
    let weight: Vec<i8> = (0..rows * columns)
        .map(|_| random.random_range(-127..=127))
        .collect();
    // A uniform weight in [-127, 127] has the standard deviation 73.6.
    let sum = 73.6 * input * (columns as f64).sqrt();
    MatrixSpec {
        rows,
        columns,
        weight,
        bias: if bias {
            (0..rows)
                .map(|_| random.random_range(-1_000..=1_000))
                .collect()
        } else {
            Vec::new()
        },
        requant: vec![factor(output / sum); rows],
    }
}

/// A factor as an image stores it. The sizes above keep it inside the representable range.
fn factor(ratio: f64) -> Requant {
    let requant = engram_kernels::Requant::from_f64(ratio).unwrap_or(engram_kernels::Requant::ZERO);
    Requant {
        multiplier: requant.multiplier,
        shift: requant.shift,
    }
}

#[cfg(test)]
mod tests {
    use engram_image::Image;

    use super::*;
    use crate::measure::shapes;

    #[test]
    fn every_shape_makes_a_readable_image() {
        for shape in shapes() {
            let bytes = random_image(&shape.config, 1).unwrap();
            let image = Image::read(&bytes).unwrap();
            assert_eq!(image.config, shape.config, "{}", shape.name);
        }
    }
}
