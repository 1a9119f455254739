//! The forward and the backward pass of all layers.

use std::ops::Range;

use super::super::product::{After, GROUP, Matrix, Outer, Product, RowSums, Transposed, Weights};
use super::EncoderShape;
use super::attention::{Backward, Forward, Layout};
use super::parameters::{self, BackwardWeights, ForwardWeights, Sums};
use super::plan::{Block, Plan, Tokens};

/// What one layer's forward pass leaves for its backward pass, of one block.
#[derive(Debug)]
struct Saved {
    x: Matrix,
    /// Queries, keys and values, one above the other.
    qkv: Matrix,
    /// Attention weights, `[heads * window]` rows.
    weights: Matrix,
    attended: Matrix,
    /// After attention and its residual.
    middle: Matrix,
    hidden: Matrix,
}

/// What passes work with; of one block at a time.
#[derive(Debug, Default)]
struct Scratch {
    /// The last layer's result; in the backward pass the gradient that travels down the residual stream.
    stream: Matrix,
    hidden: Matrix,
    attended: Matrix,
    qkv: Matrix,
    logits: Matrix,
    by_age: Vec<f32>,
    transposed: Transposed,
    no_bias: Vec<f32>,
}

/// Memory and packed weights of one pass.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    key: Option<(EncoderShape, usize, usize)>,
    plan: Plan,
    /// `[block][layer]`.
    saved: Vec<Vec<Saved>>,
    scratch: Scratch,
    forward: Vec<ForwardWeights>,
    backward: Vec<BackwardWeights>,
    sums: Vec<Sums>,
}

impl Workspace {
    /// Takes memory where what there is does not fit.
    fn prepare(&mut self, shape: &EncoderShape, tokens: &Tokens) {
        let EncoderShape {
            layers,
            heads,
            model,
            ff,
            window,
            ..
        } = *shape;
        self.plan = Plan::new(shape, tokens);
        let (pad, columns) = (self.plan.pad, self.plan.layout.columns);
        let matrix = |rows| Matrix::new(rows, pad, columns);
        let key = Some((*shape, columns, pad));
        if self.key != key {
            self.key = key;
            self.saved.clear();
            self.scratch = Scratch {
                stream: matrix(model),
                hidden: matrix(ff),
                attended: matrix(model),
                qkv: matrix(3 * model),
                logits: matrix(window),
                by_age: vec![0.0; window * GROUP],
                transposed: Transposed::default(),
                no_bias: vec![0.0; heads * window],
            };
            self.forward.resize_with(layers, Default::default);
            self.backward.resize_with(layers, Default::default);
            self.sums.resize_with(layers, Default::default);
        }
        while self.saved.len() < self.plan.blocks.len() {
            let saved = || Saved {
                x: matrix(model),
                qkv: matrix(3 * model),
                weights: matrix(heads * window),
                attended: matrix(model),
                middle: matrix(model),
                hidden: matrix(ff),
            };
            self.saved.push((0..layers).map(|_| saved()).collect());
        }
    }

    /// From `x`, `[tokens][model]`, to `out`, `[results][model]`.
    pub(super) fn forward(
        &mut self,
        shape: &EncoderShape,
        tokens: &Tokens,
        x: &[f32],
        parameters: &[f32],
        out: &mut [f32],
    ) {
        self.prepare(shape, tokens);
        let layers = parameters::layers(shape, parameters);
        for (weights, layer) in self.forward.iter_mut().zip(&layers) {
            weights.set(shape, layer);
        }
        let Self {
            plan,
            saved,
            scratch,
            forward,
            ..
        } = self;
        for (block, saved) in plan.blocks.iter().zip(saved) {
            if let Some(first) = saved.first_mut() {
                gather(x, shape.model, block, &plan.encodings, &mut first.x);
            }
            for (number, (weights, layer)) in forward.iter().zip(&layers).enumerate() {
                let Some((here, later)) = saved[number..].split_first_mut() else {
                    continue;
                };
                let (layout, out) = match later.first_mut() {
                    Some(next) => (&plan.layout, &mut next.x),
                    None => (&plan.last, &mut scratch.stream),
                };
                let age_bias = if shape.age_bias {
                    layer.age_bias
                } else {
                    &scratch.no_bias
                };
                here.forward(layout, weights, layer, age_bias, &block.present, out);
            }
            let wanted = block.results.iter().zip(plan.last.active.clone());
            for (result, column) in wanted {
                let Some(row) = result else { continue };
                let out = &mut out[row * shape.model..][..shape.model];
                for (feature, out) in out.iter_mut().enumerate() {
                    *out = scratch.stream.row(feature)[column];
                }
            }
        }
    }

    /// From the gradient of the last forward pass's result to those of its arguments; `x_gradient` holds zeros.
    pub(super) fn backward(
        &mut self,
        shape: &EncoderShape,
        parameters: &[f32],
        gradient: &[f32],
        x_gradient: &mut [f32],
        parameter_gradient: &mut [f32],
    ) {
        let model = shape.model;
        let layers = parameters::layers(shape, parameters);
        for ((weights, sums), layer) in self.backward.iter_mut().zip(&mut self.sums).zip(&layers) {
            weights.set(shape, layer);
            sums.clear(shape);
        }
        let Self {
            plan,
            saved,
            scratch,
            backward,
            sums,
            ..
        } = self;
        for (block, saved) in plan.blocks.iter().zip(saved) {
            let wanted = block.results.iter().zip(plan.last.active.clone());
            for (result, column) in wanted {
                let row = result.map(|row| &gradient[row * model..][..model]);
                for feature in 0..model {
                    scratch.stream.row_mut(feature)[column] = row.map_or(0.0, |row| row[feature]);
                }
            }
            for (number, saved) in saved.iter().enumerate().rev() {
                let layout = if number + 1 == shape.layers {
                    &plan.last
                } else {
                    &plan.layout
                };
                saved.backward(layout, &backward[number], scratch, &mut sums[number]);
            }
            for (token, column) in block.tokens.iter().zip(0..) {
                let Some(row) = token else { continue };
                let out = &mut x_gradient[row * model..][..model];
                for (feature, out) in out.iter_mut().enumerate() {
                    *out += scratch.stream.row(feature)[column];
                }
            }
        }
        let mut rest = parameter_gradient;
        for sums in sums {
            rest = sums.write(shape, rest);
        }
    }
}

/// Fills a block's columns with its tokens and their encodings.
fn gather(x: &[f32], model: usize, block: &Block, encodings: &[f32], out: &mut Matrix) {
    for (column, token) in block.tokens.iter().enumerate() {
        let row = token.map(|token| &x[token * model..][..model]);
        let encoding = block
            .slots
            .get(column)
            .map(|slot| &encodings[slot * model..][..model]);
        for feature in 0..model {
            let value = row.map_or(0.0, |row| row[feature]);
            out.row_mut(feature)[column] = value + encoding.map_or(0.0, |e| e[feature]);
        }
    }
}

impl Saved {
    /// One layer: attention and its residual, feed-forward and its residual.
    fn forward(
        &mut self,
        layout: &Layout,
        weights: &ForwardWeights,
        layer: &parameters::Layer,
        age_bias: &[f32],
        present: &[f32],
        out: &mut Matrix,
    ) {
        let (model, all, active) = (layout.width(), 0..layout.columns, layout.active.clone());
        let (query_bias, key_value_bias) = layer.in_bias.split_at(model);
        let parts = [
            (&weights.queries, query_bias, &active, 0),
            (&weights.keys_values, key_value_bias, &all, model),
        ];
        for (weights, bias, columns, first) in parts {
            Product {
                weights,
                bias,
                x: &self.x,
                from: 0,
                columns: columns.clone(),
                after: After::Store,
                out: &mut self.qkv,
                first,
            }
            .run();
        }
        Forward {
            layout,
            qkv: &self.qkv,
            bias: age_bias,
            present,
            weights: &mut self.weights,
            attended: &mut self.attended,
        }
        .run();
        let Self {
            x,
            attended,
            middle,
            hidden,
            ..
        } = self;
        product(
            &weights.out,
            layer.out_bias,
            attended,
            &active,
            After::Add(x),
            middle,
        );
        product(
            &weights.ff1,
            layer.ff1_bias,
            middle,
            &active,
            After::Relu,
            hidden,
        );
        product(
            &weights.ff2,
            layer.ff2_bias,
            hidden,
            &active,
            After::Add(middle),
            out,
        );
    }

    /// Turns the gradient of the layer's result, in `scratch.stream`, into that of its argument.
    fn backward(
        &self,
        layout: &Layout,
        weights: &BackwardWeights,
        scratch: &mut Scratch,
        sums: &mut Sums,
    ) {
        let (model, active) = (layout.width(), layout.active.clone());
        let ff = sums.ff1_bias.len();
        let Scratch {
            stream,
            hidden,
            attended,
            qkv,
            logits,
            by_age,
            transposed,
            ..
        } = scratch;
        let start = active.start;
        let outer = |y: &Matrix, from, rows, column, x: &Transposed, sums: &mut [f32]| {
            Outer {
                y,
                from,
                rows,
                column,
                x,
                sums,
            }
            .run();
        };
        transposed.set(stream, 0, model, active.clone());
        outer(&self.hidden, 0, ff, start, transposed, &mut sums.ff2_weight);
        row_sums(stream, &active, &mut sums.ff2_bias);
        let inner = After::Where(&self.hidden);
        product(&weights.ff2, &[], stream, &active, inner, hidden);
        transposed.set(&self.middle, 0, model, active.clone());
        outer(hidden, 0, ff, start, transposed, &mut sums.ff1_weight);
        row_sums(hidden, &active, &mut sums.ff1_bias);
        product(
            &weights.ff1,
            &[],
            hidden,
            &active,
            After::Accumulate,
            stream,
        );

        transposed.set(&self.attended, 0, model, active.clone());
        outer(stream, 0, model, start, transposed, &mut sums.out_weight);
        row_sums(stream, &active, &mut sums.out_bias);
        product(&weights.out, &[], stream, &active, After::Store, attended);
        Backward {
            layout,
            qkv: &self.qkv,
            weights: &self.weights,
            gradient: attended,
            logits,
            qkv_gradient: qkv,
            bias_gradient: &mut sums.age_bias,
            by_age,
        }
        .run();
        for feature in 0..model {
            // Tokens whose own result nobody wanted count as memories only.
            stream.row_mut(feature)[..start].fill(0.0);
        }
        let parts = [
            (&weights.queries, active, 0, model),
            (&weights.keys_values, 0..layout.columns, model, 2 * model),
        ];
        let width = sums.in_weight.len() / (3 * model);
        for (weights, columns, from, rows) in parts {
            if from == 0 || transposed.columns != columns {
                transposed.set(&self.x, 0, model, columns.clone());
            }
            let in_weight = &mut sums.in_weight[from * width..][..rows * width];
            outer(qkv, from, rows, columns.start, transposed, in_weight);
            RowSums {
                y: qkv,
                from,
                columns: columns.clone(),
                sums: &mut sums.in_bias[from..from + rows],
            }
            .run();
            Product {
                weights,
                bias: &[],
                x: qkv,
                from,
                columns,
                after: After::Accumulate,
                out: stream,
                first: 0,
            }
            .run();
        }
    }
}

fn product(
    weights: &Weights,
    bias: &[f32],
    x: &Matrix,
    columns: &Range<usize>,
    after: After,
    out: &mut Matrix,
) {
    Product {
        weights,
        bias,
        x,
        from: 0,
        columns: columns.clone(),
        after,
        out,
        first: 0,
    }
    .run();
}

fn row_sums(y: &Matrix, columns: &Range<usize>, sums: &mut [f32]) {
    RowSums {
        y,
        from: 0,
        columns: columns.clone(),
        sums,
    }
    .run();
}
