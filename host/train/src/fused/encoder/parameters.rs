//! Where the parameters of each layer lie in the flat vector, and the form in which products read them.

use super::super::product::{GROUP, Weights};
use super::EncoderShape;

/// Numbers in the parameters of all layers.
pub(super) fn count(shape: &EncoderShape) -> usize {
    let EncoderShape {
        layers, model, ff, ..
    } = *shape;
    layers * (4 * model * (model + 1) + 2 * model * ff + ff + model + age_biases(shape))
}

fn age_biases(shape: &EncoderShape) -> usize {
    if shape.age_bias {
        shape.heads * shape.window
    } else {
        0
    }
}

/// One layer's parameters.
pub(super) struct Layer<'a> {
    pub(super) in_weight: &'a [f32],
    pub(super) in_bias: &'a [f32],
    pub(super) out_weight: &'a [f32],
    pub(super) out_bias: &'a [f32],
    pub(super) ff1_weight: &'a [f32],
    pub(super) ff1_bias: &'a [f32],
    pub(super) ff2_weight: &'a [f32],
    pub(super) ff2_bias: &'a [f32],
    /// Empty if there is none.
    pub(super) age_bias: &'a [f32],
}

/// The lengths of a layer's parameters, in their order.
fn lengths(shape: &EncoderShape) -> [usize; 9] {
    let EncoderShape { model, ff, .. } = *shape;
    [
        3 * model * model,
        3 * model,
        model * model,
        model,
        ff * model,
        ff,
        model * ff,
        model,
        age_biases(shape),
    ]
}

/// The parameters, layer by layer.
pub(super) fn layers<'a>(shape: &EncoderShape, parameters: &'a [f32]) -> Vec<Layer<'a>> {
    let mut rest = parameters;
    (0..shape.layers)
        .map(|_| {
            let [
                in_weight,
                in_bias,
                out_weight,
                out_bias,
                ff1_weight,
                ff1_bias,
                ff2_weight,
                ff2_bias,
                age_bias,
            ] = lengths(shape).map(|length| {
                let (part, later) = rest.split_at(length);
                rest = later;
                part
            });
            Layer {
                in_weight,
                in_bias,
                out_weight,
                out_bias,
                ff1_weight,
                ff1_bias,
                ff2_weight,
                ff2_bias,
                age_bias,
            }
        })
        .collect()
}

/// One layer's weights, packed for the forward pass.
#[derive(Debug, Default)]
pub(super) struct ForwardWeights {
    pub(super) queries: Weights,
    pub(super) keys_values: Weights,
    pub(super) out: Weights,
    pub(super) ff1: Weights,
    pub(super) ff2: Weights,
}

impl ForwardWeights {
    pub(super) fn set(&mut self, shape: &EncoderShape, layer: &Layer) {
        let EncoderShape { model, ff, .. } = *shape;
        let (queries, keys_values) = layer.in_weight.split_at(model * model);
        self.queries.set(queries, model, model);
        self.keys_values.set(keys_values, 2 * model, model);
        self.out.set(layer.out_weight, model, model);
        self.ff1.set(layer.ff1_weight, ff, model);
        self.ff2.set(layer.ff2_weight, model, ff);
    }
}

/// One layer's weights, transposed and packed for the backward pass.
#[derive(Debug, Default)]
pub(super) struct BackwardWeights {
    pub(super) queries: Weights,
    pub(super) keys_values: Weights,
    pub(super) out: Weights,
    pub(super) ff1: Weights,
    pub(super) ff2: Weights,
}

impl BackwardWeights {
    pub(super) fn set(&mut self, shape: &EncoderShape, layer: &Layer) {
        let EncoderShape { model, ff, .. } = *shape;
        let (queries, keys_values) = layer.in_weight.split_at(model * model);
        self.queries.set_transposed(queries, model, model);
        self.keys_values
            .set_transposed(keys_values, model, 2 * model);
        self.out.set_transposed(layer.out_weight, model, model);
        self.ff1.set_transposed(layer.ff1_weight, model, ff);
        self.ff2.set_transposed(layer.ff2_weight, ff, model);
    }
}

/// Gradients of one layer, as sums over blocks. Rows of matrices are padded to a multiple of [`GROUP`].
#[derive(Debug, Default)]
pub(super) struct Sums {
    pub(super) in_weight: Vec<f32>,
    pub(super) in_bias: Vec<f32>,
    pub(super) out_weight: Vec<f32>,
    pub(super) out_bias: Vec<f32>,
    pub(super) ff1_weight: Vec<f32>,
    pub(super) ff1_bias: Vec<f32>,
    /// Transposed, `[ff][model]`.
    pub(super) ff2_weight: Vec<f32>,
    pub(super) ff2_bias: Vec<f32>,
    pub(super) age_bias: Vec<f32>,
}

impl Sums {
    pub(super) fn clear(&mut self, shape: &EncoderShape) {
        let EncoderShape {
            model,
            ff,
            heads,
            window,
            ..
        } = *shape;
        let width = model.next_multiple_of(GROUP);
        for (sums, length) in [
            (&mut self.in_weight, 3 * model * width),
            (&mut self.in_bias, 3 * model),
            (&mut self.out_weight, model * width),
            (&mut self.out_bias, model),
            (&mut self.ff1_weight, ff * width),
            (&mut self.ff1_bias, ff),
            (&mut self.ff2_weight, ff * width),
            (&mut self.ff2_bias, model),
            (&mut self.age_bias, heads * window),
        ] {
            sums.clear();
            sums.resize(length, 0.0);
        }
    }

    /// Writes the gradients in the parameters' order and returns the rest of `out`.
    pub(super) fn write<'a>(&self, shape: &EncoderShape, out: &'a mut [f32]) -> &'a mut [f32] {
        let EncoderShape { model, ff, .. } = *shape;
        let width = model.next_multiple_of(GROUP);
        let mut rest = out;
        let mut parts = lengths(shape).map(|length| {
            let (part, later) = std::mem::take(&mut rest).split_at_mut(length);
            rest = later;
            part
        });
        for (part, sums) in [
            (0, &self.in_weight),
            (2, &self.out_weight),
            (4, &self.ff1_weight),
        ] {
            let rows = parts[part].chunks_exact_mut(model);
            for (row, sums) in rows.zip(sums.chunks_exact(width)) {
                row.copy_from_slice(&sums[..model]);
            }
        }
        for (k, sums) in self.ff2_weight.chunks_exact(width).enumerate() {
            for (row, sum) in parts[6].chunks_exact_mut(ff).zip(sums) {
                row[k] = *sum;
            }
        }
        for (part, sums) in [
            (1, &self.in_bias),
            (3, &self.out_bias),
            (5, &self.ff1_bias),
            (7, &self.ff2_bias),
        ] {
            parts[part].copy_from_slice(sums);
        }
        let age_bias = &mut parts[8];
        let length = age_bias.len();
        age_bias.copy_from_slice(&self.age_bias[..length]);
        rest
    }
}
