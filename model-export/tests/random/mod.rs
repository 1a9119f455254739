//! Random policies of any configuration, the same for the same seed on every machine.

use engram_export::tensors::{Tensor, Tensors, expected};
use engram_image::ModelConfig;
use engram_image::random::SplitMix64;

/// What the weights are drawn with.
pub(crate) struct Numbers(pub(crate) SplitMix64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SplitMix64::new(seed))
    }

    /// Uniform in `[0, 1)`.
    pub(crate) fn uniform(&mut self) -> f32 {
        0.5 * (self.0.real() + 1.0)
    }

    /// Roughly normal: mean 0, deviation 1, within 6.
    pub(crate) fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.uniform()).sum::<f32>() - 6.0
    }
}

/// Weights of a size that keeps activations near one, biases and age biases that matter.
pub(crate) fn random_tensors(config: &ModelConfig, numbers: &mut Numbers) -> Tensors {
    expected(config)
        .into_iter()
        .map(|(name, shape)| {
            let count: usize = shape.iter().product();
            let scale = match (name.as_str(), shape.as_slice()) {
                ("normalizer.std", _) => 0.0,
                (_, [_, columns]) if name.ends_with("weight") => 0.8 / (*columns as f32).sqrt(),
                (_, [_, _]) => 1.0,
                _ => 0.2,
            };
            let values = (0..count)
                .map(|_| {
                    if scale == 0.0 {
                        0.5 + numbers.uniform()
                    } else {
                        scale * numbers.normal()
                    }
                })
                .collect();
            (name, Tensor { shape, values })
        })
        .collect()
}
