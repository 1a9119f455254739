//! One encoder layer, whatever its attention attends to.

use std::ops::Range;

use engram_export::parameters::{LayerParameters, Linear};
use engram_export::{Calibration, Parameters, Site};
use engram_image::ModelConfig;

use super::builder::{Builder, MICROSOFT, Name, int, real};
use super::linear::{Precision, feed_forward, linear, range};
use super::{MEAN, Style};

/// A logit that no softmax sees.
pub(super) const MASKED: f32 = -1e9;

/// What all parts of a graph are made from.
pub(super) struct Source<'a> {
    pub(super) parameters: &'a Parameters,
    pub(super) calibration: &'a Calibration,
    pub(super) precision: Precision,
    pub(super) style: Style,
}

/// `rows` of what makes queries, keys and values; the queries with the scale of the logits.
pub(crate) fn projection(parameters: &Parameters, layer: usize, rows: Range<usize>) -> Linear {
    let in_proj = &parameters.layers[layer].in_proj;
    let (d, columns) = (parameters.config.model, in_proj.columns);
    let scale = 1.0 / (parameters.config.head_dim() as f32).sqrt();
    let scaled = |row: usize, value: &f32| if row < d { value * scale } else { *value };
    Linear {
        rows: rows.len(),
        columns,
        weight: rows
            .clone()
            .flat_map(|row| {
                let weights = &in_proj.weight[row * columns..][..columns];
                weights.iter().map(move |weight| scaled(row, weight))
            })
            .collect(),
        bias: rows.map(|row| scaled(row, &in_proj.bias[row])).collect(),
    }
}

impl Source<'_> {
    pub(super) fn config(&self) -> &ModelConfig {
        &self.parameters.config
    }

    pub(super) fn layer(&self, index: usize) -> &LayerParameters {
        &self.parameters.layers[index]
    }

    /// The largest magnitude at `site`.
    fn range(&self, site: Site) -> f32 {
        range(&self.calibration.activations(site))
    }

    /// Queries, keys and values of `input`, `[tokens, d]` each.
    pub(super) fn project(&self, builder: &mut Builder, layer: usize, input: &str) -> [Name; 3] {
        let d = self.config().model;
        let map = projection(self.parameters, layer, 0..3 * d);
        let range = self.range(Site::LayerInput(layer));
        let all = linear(builder, self.precision, &map, input, range);
        builder.nodes("", "Split", &[&all], vec![int("axis", 1)])
    }

    /// [`Self::project`] with queries of `newest` alone.
    pub(super) fn project_newest(
        &self,
        builder: &mut Builder,
        layer: usize,
        input: &str,
        newest: &str,
    ) -> [Name; 3] {
        let d = self.config().model;
        let range = self.range(Site::LayerInput(layer));
        let [queries, others] =
            [0..d, d..3 * d].map(|rows| projection(self.parameters, layer, rows));
        let queries = linear(builder, self.precision, &queries, newest, range);
        let others = linear(builder, self.precision, &others, input, range);
        let [keys, values] = builder.nodes("", "Split", &[&others], vec![int("axis", 1)]);
        [queries, keys, values]
    }

    /// ONNX Runtime's attention of `queries` tokens over `[keys, values]`, `[1, tokens, d]` each after a reshape,
    /// with `cache` before them; what it gives, and the keys and values with the cache.
    pub(super) fn fused<const N: usize>(
        &self,
        builder: &mut Builder,
        [queries, keys, values]: [(&str, usize); 3],
        bias: &str,
        cache: &[&str],
    ) -> [Name; N] {
        let d = self.config().model;
        let [query, key, value] =
            [queries, keys, values].map(|(name, tokens)| builder.reshape(name, &[1, tokens, d]));
        let mut inputs = vec![query.as_str(), &key, &value, "", "", bias];
        inputs.extend(cache);
        let attributes = vec![
            int("num_heads", self.config().heads as i64),
            real("scale", 1.0),
        ];
        let mut outputs: [Name; N] =
            builder.nodes(MICROSOFT, "MultiHeadAttention", &inputs, attributes);
        outputs[0] = builder.reshape(&outputs[0], &[queries.1, d]);
        outputs
    }

    /// What follows attention: its projection, the feed-forward block, and the sums.
    pub(super) fn finish(
        &self,
        builder: &mut Builder,
        layer: usize,
        residual: &str,
        mixed: &str,
    ) -> Name {
        let LayerParameters {
            out_proj,
            linear1,
            linear2,
            ..
        } = self.layer(layer);
        let mixed_range = self.range(Site::AttentionOutput(layer));
        let branch = linear(builder, self.precision, out_proj, mixed, mixed_range);
        let residual = builder.node("Add", &[residual, &branch], vec![]);
        let ranges = (
            self.range(Site::FeedForwardInput(layer)),
            self.range(Site::Hidden(layer)),
        );
        let branch = feed_forward(
            builder,
            self.precision,
            (linear1, linear2),
            &residual,
            ranges,
        );
        builder.node("Add", &[&residual, &branch], vec![])
    }

    /// The embedding. It stays f32: Engram gives its inputs 16 bits.
    pub(super) fn embed(&self, builder: &mut Builder, input: &str) -> Name {
        linear(
            builder,
            Precision::Float,
            &self.parameters.embed,
            input,
            1.0,
        )
    }

    /// The head on one token's output: `[1, actions]`.
    pub(super) fn head(&self, builder: &mut Builder, encoded: &str) -> Name {
        let sites = [Site::Encoder, Site::HeadHidden(0), Site::HeadHidden(1)];
        let mut value = encoded.to_owned();
        for (index, (map, site)) in self.parameters.head.iter().zip(sites).enumerate() {
            value = linear(builder, self.precision, map, &value, self.range(site));
            if index < 2 {
                value = builder.node("Tanh", &[&value], vec![]);
            }
        }
        value
    }

    /// Makes `mean` the graph's output.
    pub(super) fn output(&self, builder: &mut Builder, mean: &str) {
        builder.output(mean, MEAN, &[1, self.config().actions]);
    }
}
