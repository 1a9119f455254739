//! Random policies of any configuration, the same for the same seed on every machine.

use engram_export::tensors::{Tensor, Tensors, expected};
use engram_image::ModelConfig;

/// A small generator (splitmix64), enough for weights.
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `[0, 1)`.
    pub(crate) fn uniform(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u32 << 24) as f32
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
