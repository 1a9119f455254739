//! Images and working memories at the ends of what a reader admits: what saturates, wraps, or is not a number.

use std::vec::Vec;

use engram_image::ModelConfig;
use engram_image::random::{SplitMix64, spec};
use engram_image::write::{ImageSpec, LayerSpec, MatrixSpec};
use engram_kernels::Requant;

use crate::policy::{Moment, random_moments};

/// Largest multiplier with the smallest shift: everything saturates.
const LARGEST: Requant = Requant {
    multiplier: i32::MAX,
    shift: 1,
};
/// Smallest multiplier with the largest shift: everything becomes 0, or 1 where it is negative by a half.
const SMALLEST: Requant = Requant {
    multiplier: 1 << 30,
    shift: 62,
};

/// A random image of which about so many parts in eight, all of them with 8, are at an end.
pub(super) fn extreme(config: ModelConfig, seed: u64, parts: u64) -> ImageSpec<'static> {
    let mut spec = spec(&config, seed);
    let mut ends = Ends {
        random: SplitMix64::new(!seed),
        parts,
    };
    let weights = &mut spec.weights;
    ends.matrix(&mut weights.embed, 32_768);
    for position in &mut weights.positions {
        if ends.come() {
            *position = ends.one_of(&[-32_767, 32_767]);
        }
    }
    for layer in weights.layers.iter_mut().flatten() {
        ends.layer(layer);
    }
    let head = &mut weights.head;
    ends.factor(&mut head.input);
    for matrix in [&mut head.first, &mut head.second, &mut head.third] {
        ends.matrix(matrix, 128);
    }
    if let Some(raw) = &mut head.raw {
        ends.matrix(raw, 32_768);
    }
    spec
}

/// What takes numbers to their ends.
struct Ends {
    random: SplitMix64,
    parts: u64,
}

impl Ends {
    /// Whether the next part is at an end.
    fn come(&mut self) -> bool {
        self.random.below(8) < self.parts
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.random.below(choices.len() as u64) as usize]
    }

    fn factor(&mut self, factor: &mut Requant) {
        if self.come() {
            *factor = self.one_of(&[LARGEST, LARGEST, SMALLEST]);
        }
    }

    fn layer(&mut self, layer: &mut LayerSpec) {
        for factor in [
            &mut layer.attention_input,
            &mut layer.logit,
            &mut layer.attention_output,
            &mut layer.ff_input,
        ] {
            self.factor(factor);
        }
        for matrix in [
            &mut layer.qkv,
            &mut layer.out,
            &mut layer.ff1,
            &mut layer.ff2,
        ] {
            self.matrix(matrix, 128);
        }
        if self.come() {
            let ends = [i32::MIN, i32::MAX, 1 << 29, -(1 << 29), (1 << 29) + 1, 0];
            for bias in &mut layer.age_bias {
                *bias = self.one_of(&ends);
            }
        }
    }

    /// Weights, biases and factors each on their own. A reader wants `|bias| + input * sum |weight|` below 2^31.
    fn matrix(&mut self, matrix: &mut MatrixSpec, input: i64) {
        if self.come() {
            let kind = self.random.below(4);
            for (index, weight) in matrix.weight.iter_mut().enumerate() {
                *weight = match kind {
                    0 => 127,
                    1 => -127,
                    2 => [127, -127][index % 2],
                    _ => self.one_of(&[127, -127]),
                };
            }
        }
        let biases_at_ends = self.come();
        for (bias, weights) in matrix
            .bias
            .iter_mut()
            .zip(matrix.weight.chunks(matrix.columns))
        {
            let sum: i64 = weights.iter().map(|&weight| i64::from(weight).abs()).sum();
            let most = i64::from(i32::MAX) - input * sum;
            if biases_at_ends {
                *bias = self.one_of(&[most, -most]) as i32;
            }
        }
        if self.come() {
            for factor in &mut matrix.requant {
                *factor = self.one_of(&[LARGEST, LARGEST, SMALLEST]);
            }
        }
    }
}

/// Working memories of which every second one holds numbers that no sensor should give.
pub(super) fn contrary_moments(config: &ModelConfig, seed: u64, steps: usize) -> Vec<Moment> {
    const CONTRARY: [f32; 8] = [
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::MAX,
        f32::MIN,
        f32::MIN_POSITIVE,
        -0.0,
        1e6,
    ];
    let mut ends = Ends {
        random: SplitMix64::new(seed ^ 0xe0d5),
        parts: 3,
    };
    let mut moments = random_moments(config, seed, steps);
    for moment in moments.iter_mut().step_by(2) {
        for observation in &mut moment.observation {
            if ends.come() {
                *observation = ends.one_of(&CONTRARY);
            }
        }
        for word in &mut moment.issued {
            if ends.come() {
                *word = ends.one_of(&[-32_767, 32_767, i16::MIN]);
            }
        }
        if ends.come() {
            moment.reward = ends.one_of(&CONTRARY);
        }
    }
    moments
}
