//! The integer network as plain values: an image without contract and golden trace.

use engram_image::ModelConfig;
use engram_kernels::Requant;

use super::IntegerMatrix;
use crate::float::Site;

/// One layer in integers; the image's fields of the same names.
#[derive(Clone, Debug)]
pub struct IntegerLayer {
    /// Residual to the input of `qkv`.
    pub attention_input: Requant,
    /// Queries, keys, values.
    pub qkv: IntegerMatrix,
    /// Product to logit.
    pub logit: Requant,
    /// `[heads][window]`, Q10 base 2; empty for `slot`.
    pub age_bias: Vec<i32>,
    /// Mean of values to the input of `out`.
    pub attention_output: Requant,
    /// To the residual.
    pub out: IntegerMatrix,
    /// Residual to the input of `ff1`.
    pub ff_input: Requant,
    /// Hidden activations.
    pub ff1: IntegerMatrix,
    /// To the residual.
    pub ff2: IntegerMatrix,
}

/// The policy in integers, without contract and golden trace.
#[derive(Clone, Debug)]
pub struct IntegerPolicy {
    /// Dimensions and variants.
    pub config: ModelConfig,
    /// Mean of every entry of the raw working memory.
    pub input_mean: Vec<f32>,
    /// Integer steps per unit of every entry.
    pub input_inverse: Vec<f32>,
    /// Geometric mean of the residual stream's scales; the channels' own are folded into the matrices.
    pub residual_scale: f32,
    /// Largest magnitude that every int8 activation can hold, per channel, in real units (for reports; not in
    /// the image).
    pub limits: Vec<(Site, Vec<f64>)>,
    /// To the residual.
    pub embed: IntegerMatrix,
    /// `slot`: `[window][d]` in residual units; else empty.
    pub positions: Vec<i16>,
    /// The encoder.
    pub layers: Vec<IntegerLayer>,
    /// Encoder output to the input of `first`.
    pub head_input: Requant,
    /// First matrix of the head, encoder part, with the bias.
    pub first: IntegerMatrix,
    /// First matrix of the head, embedded part (`mixed`).
    pub raw: Option<IntegerMatrix>,
    /// Second matrix of the head.
    pub second: IntegerMatrix,
    /// Third matrix of the head.
    pub third: IntegerMatrix,
}

impl IntegerPolicy {
    /// Every matrix with its name.
    pub fn matrices(&self) -> impl Iterator<Item = (String, &IntegerMatrix)> {
        let layers = self.layers.iter().enumerate().flat_map(|(l, layer)| {
            [
                ("qkv", &layer.qkv),
                ("out", &layer.out),
                ("ff1", &layer.ff1),
                ("ff2", &layer.ff2),
            ]
            .map(|(name, matrix)| (format!("layers.{l}.{name}"), matrix))
        });
        let head = [
            ("head.first", Some(&self.first)),
            ("head.raw", self.raw.as_ref()),
        ]
        .into_iter()
        .chain([
            ("head.second", Some(&self.second)),
            ("head.third", Some(&self.third)),
        ])
        .filter_map(|(name, matrix)| matrix.map(|matrix| (name.to_owned(), matrix)));
        std::iter::once(("embed".to_owned(), &self.embed))
            .chain(layers)
            .chain(head)
    }
}
