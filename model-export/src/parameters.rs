//! The policy's parameters as typed row-major matrices: what the f32 policy packs and the quantizer rounds.

use engram_image::{ConfigError, HeadInput, ModelConfig, Positions};
use thiserror::Error;

use crate::normalizer::Normalizer;
use crate::tensors::{self, Tensor, TensorError, Tensors};

/// A matrix with an optional bias, `y = weight x + bias`.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// Outputs.
    pub rows: usize,
    /// Inputs.
    pub columns: usize,
    /// Row major `[rows][columns]`.
    pub weight: Vec<f32>,
    /// One per row, or empty.
    pub bias: Vec<f32>,
}

impl Linear {
    /// The matrix of columns `from..to`, with the bias or without.
    #[must_use]
    pub fn columns(&self, from: usize, to: usize, with_bias: bool) -> Self {
        let weight = self
            .weight
            .chunks_exact(self.columns)
            .flat_map(|row| &row[from..to])
            .copied()
            .collect();
        let bias = if with_bias {
            self.bias.clone()
        } else {
            Vec::new()
        };
        Self {
            rows: self.rows,
            columns: to - from,
            weight,
            bias,
        }
    }
}

/// One encoder layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerParameters {
    /// Query, key and value stacked: `[3d][d]`.
    pub in_proj: Linear,
    /// `[d][d]`.
    pub out_proj: Linear,
    /// Natural-log logits by age, `[heads][window]`; empty with `slot` positions.
    pub age_bias: Vec<f32>,
    /// `[ff][d]`.
    pub linear1: Linear,
    /// `[d][ff]`.
    pub linear2: Linear,
}

/// All parameters of a policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    /// Dimensions and variants.
    pub config: ModelConfig,
    /// Scaling of the working memory.
    pub normalizer: Normalizer,
    /// `[d][inputs]`, no bias.
    pub embed: Linear,
    /// `config.layers` of them.
    pub layers: Vec<LayerParameters>,
    /// `[h0][d or 2d]`, `[h1][h0]`, `[actions][h1]`.
    pub head: [Linear; 3],
    /// Natural logarithm of the action's standard deviation, per action; training only.
    pub log_std: Vec<f32>,
}

/// Why parameters cannot be made of a configuration and tensors.
#[derive(Debug, Error)]
pub enum ParametersError {
    /// The configuration is not one that this version can run.
    #[error("model configuration: {0}")]
    Config(ConfigError),
    /// The tensors do not fit the configuration.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// The clip of the normalizer is not a finite number above 0.
    #[error("normalizer clip is {0}; it must be finite and above 0")]
    Clip(f32),
}

impl Parameters {
    /// Checks and sorts named tensors (see `docs/src/checkpoint-format.md`).
    ///
    /// # Errors
    /// The first thing that does not fit, by name.
    pub fn from_tensors(
        config: ModelConfig,
        clip: f32,
        tensors: &Tensors,
    ) -> Result<Self, ParametersError> {
        config.validate().map_err(ParametersError::Config)?;
        if !(clip.is_finite() && clip > 0.0) {
            return Err(ParametersError::Clip(clip));
        }
        tensors::check(&config, tensors)?;
        let take = |name: &str| {
            tensors
                .get(name)
                .map(|tensor| tensor.values.clone())
                .unwrap_or_default()
        };
        let linear = |name: &str| {
            let shape = tensors
                .get(&format!("{name}.weight"))
                .map(|t| t.shape.clone())
                .unwrap_or_default();
            Linear {
                rows: shape.first().copied().unwrap_or(0),
                columns: shape.get(1).copied().unwrap_or(0),
                weight: take(&format!("{name}.weight")),
                bias: take(&format!("{name}.bias")),
            }
        };
        let layers = (0..config.layers)
            .map(|l| LayerParameters {
                in_proj: linear(&format!("layers.{l}.attention.in_proj")),
                out_proj: linear(&format!("layers.{l}.attention.out_proj")),
                age_bias: take(&format!("layers.{l}.attention.age_bias")),
                linear1: linear(&format!("layers.{l}.ff.linear1")),
                linear2: linear(&format!("layers.{l}.ff.linear2")),
            })
            .collect();
        Ok(Self {
            config,
            normalizer: Normalizer {
                mean: take("normalizer.mean"),
                std: take("normalizer.std"),
                clip,
            },
            embed: linear("embed"),
            layers,
            head: [linear("head.0"), linear("head.1"), linear("head.2")],
            log_std: take("log_std"),
        })
    }

    /// The same parameters as named tensors: the inverse of [`Self::from_tensors`].
    #[must_use]
    pub fn to_tensors(&self) -> Tensors {
        let mut found: Vec<(String, Vec<f32>)> = vec![
            ("normalizer.mean".into(), self.normalizer.mean.clone()),
            ("normalizer.std".into(), self.normalizer.std.clone()),
            ("embed.weight".into(), self.embed.weight.clone()),
            ("log_std".into(), self.log_std.clone()),
        ];
        let mut linear = |name: String, matrix: &Linear| {
            found.push((format!("{name}.weight"), matrix.weight.clone()));
            found.push((format!("{name}.bias"), matrix.bias.clone()));
        };
        for (l, layer) in self.layers.iter().enumerate() {
            linear(format!("layers.{l}.attention.in_proj"), &layer.in_proj);
            linear(format!("layers.{l}.attention.out_proj"), &layer.out_proj);
            linear(format!("layers.{l}.ff.linear1"), &layer.linear1);
            linear(format!("layers.{l}.ff.linear2"), &layer.linear2);
        }
        for (index, matrix) in self.head.iter().enumerate() {
            linear(format!("head.{index}"), matrix);
        }
        if self.config.positions == Positions::Age {
            for (l, layer) in self.layers.iter().enumerate() {
                found.push((
                    format!("layers.{l}.attention.age_bias"),
                    layer.age_bias.clone(),
                ));
            }
        }
        let mut shapes: std::collections::BTreeMap<_, _> =
            tensors::expected(&self.config).into_iter().collect();
        found
            .into_iter()
            .filter_map(|(name, values)| {
                shapes
                    .remove(&name)
                    .map(|shape| (name, Tensor { shape, values }))
            })
            .collect()
    }

    /// The part of the head's first matrix that reads the encoder (with the bias), and, for `mixed`,
    /// the part that reads the embedded working memory.
    #[must_use]
    pub fn head_parts(&self) -> (Linear, Option<Linear>) {
        let d = self.config.model;
        match self.config.head_input {
            HeadInput::Encoder => (self.head[0].clone(), None),
            HeadInput::Mixed => (
                self.head[0].columns(0, d, true),
                Some(self.head[0].columns(d, 2 * d, false)),
            ),
        }
    }
}

/// The fixed sinusoids of `slot` positions, row major `[window][model]`:
/// `sin(slot / 10000^(2i/model))` at column `2i`, the cosine at `2i + 1`.
#[must_use]
pub fn slot_positions(window: usize, model: usize) -> Vec<f32> {
    let mut table = Vec::with_capacity(window * model);
    for slot in 0..window {
        for column in 0..model {
            let exponent = (column - column % 2) as f64 / model as f64;
            let angle = slot as f64 / 10_000.0_f64.powf(exponent);
            table.push(if column % 2 == 0 {
                angle.sin()
            } else {
                angle.cos()
            } as f32);
        }
    }
    table
}
