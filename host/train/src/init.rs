//! Weights before the first update: T-Fixup, as the paper's code has it.
//!
//! Without LayerNorm a transformer trains only from small residual branches. With `L` layers of width `d`:
//! encoder matrices are xavier uniform, `in_proj` with the bound of the *stacked* `3d x d` matrix; then
//! `out_proj`, `linear1` and `linear2` are scaled by `0.67 L^-1/4` and the whole of `in_proj` by
//! `0.67 L^-1/4 sqrt 2`; the embedding is normal with deviation `d^-1/2 (9L)^-1/4`. Attention biases start
//! at zero, feed-forward biases as PyTorch's, uniform within `inputs^-1/2`. The head is xavier uniform.

use engram_export::tensors::{Tensor, Tensors, expected};
use engram_image::ModelConfig;
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

use super::config::Initial;
use engram_plants::Random;

/// Draws all tensors of a policy; the normalizer is the identity.
#[must_use]
pub fn initial_tensors(config: &ModelConfig, initial: &Initial, random: &mut Random) -> Tensors {
    let depth = config.layers as f32;
    let branch = 0.67 * depth.powf(-0.25);
    expected(config)
        .into_iter()
        .map(|(name, shape)| {
            let count = shape.iter().product();
            let xavier = |gain: f32, random: &mut Random| {
                let bound = gain * xavier_bound(&shape);
                (0..count)
                    .map(|_| random.random_range(-bound..bound))
                    .collect()
            };
            // Names within a layer, without its number.
            let part = name
                .strip_prefix("layers.")
                .and_then(|rest| rest.split_once('.'))
                .map_or("", |(_, part)| part);
            let values: Vec<f32> = match (name.as_str(), part) {
                ("embed.weight", _) => {
                    let std = match initial.embedding_std {
                        Some(std) => std as f32 * (config.inputs() as f32).powf(-0.5),
                        None => {
                            initial.embedding_gain.unwrap_or(1.0) as f32
                                * (config.model as f32).powf(-0.5)
                                * (9.0 * depth).powf(-0.25)
                        }
                    };
                    (0..count).map(|_| std * normal(random)).collect()
                }
                (_, "attention.in_proj.weight") => {
                    xavier(branch * std::f32::consts::SQRT_2, random)
                }
                (_, "attention.out_proj.weight" | "ff.linear1.weight" | "ff.linear2.weight") => {
                    xavier(branch, random)
                }
                (_, "ff.linear1.bias") => uniform(count, config.model, random),
                (_, "ff.linear2.bias") => uniform(count, config.ff, random),
                (_, "attention.age_bias") => (0..count)
                    .map(|index| -(initial.age_bias as f32) * (index % config.window) as f32)
                    .collect(),
                ("head.0.weight" | "head.1.weight", _) => xavier(1.0, random),
                ("head.2.weight", _) => xavier(initial.last_layer_gain as f32, random),
                ("log_std", _) => vec![initial.log_std as f32; count],
                ("normalizer.std", _) => vec![1.0; count],
                _ => vec![0.0; count],
            };
            (name, Tensor { shape, values })
        })
        .collect()
}

/// The bound of xavier's uniform distribution for a matrix `[outputs, inputs]`.
pub(super) fn xavier_bound(shape: &[usize]) -> f32 {
    (6.0 / shape.iter().sum::<usize>() as f32).sqrt()
}

fn uniform(count: usize, inputs: usize, random: &mut Random) -> Vec<f32> {
    let bound = (inputs as f32).powf(-0.5);
    (0..count)
        .map(|_| random.random_range(-bound..bound))
        .collect()
}

pub(super) fn normal(random: &mut Random) -> f32 {
    StandardNormal.sample(random)
}

#[cfg(test)]
mod tests {
    use engram_image::{HeadInput, Positions};

    use super::*;
    use engram_plants::{Stream, random_stream};

    /// The paper's MuJoCo policy: the deviations below follow from its published code.
    #[test]
    fn deviations_are_those_of_the_papers_code() {
        let config = ModelConfig {
            observations: 20,
            actions: 6,
            layers: 4,
            heads: 16,
            model: 128,
            ff: 512,
            window: 5,
            hidden: [64, 64],
            positions: Positions::Slot,
            head_input: HeadInput::Encoder,
        };
        let initial = Initial {
            log_std: -1.0,
            age_bias: 0.0,
            embedding_gain: Some(1.0),
            embedding_std: None,
            last_layer_gain: 0.01,
        };
        let tensors = initial_tensors(&config, &initial, &mut random_stream(0, Stream::Weights, 0));
        engram_export::tensors::check(&config, &tensors).unwrap();
        let std = |name: &str| {
            let values = &tensors[name].values;
            let mean = values.iter().sum::<f32>() / values.len() as f32;
            (values.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / values.len() as f32).sqrt()
        };
        let close = |name: &str, wanted: f32| {
            let found = std(name);
            assert!(
                (found / wanted - 1.0).abs() < 0.03,
                "{name}: {found} instead of {wanted}"
            );
        };
        // 0.67 * 4^-1/4 = 0.4738; a uniform distribution's deviation is its bound / sqrt 3.
        close("embed.weight", 0.088_39 * 0.408_25);
        close(
            "layers.0.attention.in_proj.weight",
            0.108_25 * 0.473_76 * std::f32::consts::SQRT_2 / 1.732_05,
        );
        close(
            "layers.3.attention.out_proj.weight",
            0.153_09 * 0.473_76 / 1.732_05,
        );
        close("layers.1.ff.linear1.weight", 0.096_82 * 0.473_76 / 1.732_05);
        close("layers.2.ff.linear2.weight", 0.096_82 * 0.473_76 / 1.732_05);
        close("head.0.weight", 0.176_78 / 1.732_05);
        assert!(std("head.2.weight") < 0.002);
        let by_inputs = Initial {
            embedding_gain: None,
            embedding_std: Some(0.45),
            ..initial
        };
        for observations in [4, 30] {
            let config = ModelConfig {
                observations,
                ..config
            };
            let random = &mut random_stream(0, Stream::Weights, 0);
            let embedding = &initial_tensors(&config, &by_inputs, random)["embed.weight"].values;
            // Entries of deviation 1, not depending on each other, come out with 0.45.
            let square: f32 = embedding.iter().map(|x| x * x).sum();
            let found = (square / config.model as f32).sqrt();
            assert!((found / 0.45 - 1.0).abs() < 0.06, "{found}");
        }
        assert!(
            tensors["layers.0.attention.in_proj.bias"]
                .values
                .iter()
                .all(|x| *x == 0.0)
        );
    }
}
