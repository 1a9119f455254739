//! The encoder's layers over a block of craft, step by step, forwards and backwards.

use engram_image::ModelConfig;

use super::LANES;
use super::attention::{Backward, Forward, Step};
use super::linear::{At, Linear, Sums};
use super::places::{LinearPlace, Places};
use super::policy::{Encoder, Past};
use super::settings::GradientSettings;
use crate::fused::product::{After, Matrix};

/// One layer, packed.
#[derive(Clone, Debug, Default)]
struct Layer {
    in_proj: Linear,
    out_proj: Linear,
    age_bias: Vec<f32>,
    linear1: Linear,
    linear2: Linear,
}

/// Where one layer's parts stand among the parameters.
#[derive(Clone, Copy, Debug)]
struct LayerPlaces {
    in_proj: LinearPlace,
    out_proj: LinearPlace,
    age_bias: usize,
    linear1: LinearPlace,
    linear2: LinearPlace,
}

/// Attention over a window, layer upon layer.
#[derive(Clone, Debug)]
pub(super) struct Transformer {
    config: ModelConfig,
    places: Vec<LayerPlaces>,
    layers: Vec<Layer>,
}

/// What a layer leaves for the way back.
#[derive(Debug)]
struct Saved {
    x: Matrix,
    /// Queries, keys, values.
    qkv: Matrix,
    /// `[step][heads][age][LANES]`.
    weights: Vec<f32>,
    attended: Matrix,
    middle: Matrix,
    hidden: Matrix,
}

/// Gradients of one layer.
#[derive(Debug)]
struct Gradients {
    x: Matrix,
    qkv: Matrix,
    middle: Matrix,
    hidden: Matrix,
    /// `[heads][window][LANES]`.
    age_bias: Vec<f32>,
}

/// Activations and gradients. The first columns of keys and values are those of the steps before.
#[derive(Debug)]
pub(super) struct Tape {
    /// Columns before those of step 0, and of all steps.
    before: usize,
    columns: usize,
    layers: Vec<Saved>,
    gradients: Vec<Gradients>,
    attended_gradient: Matrix,
    scratch: Vec<f32>,
}

impl Transformer {
    /// The attention of a step.
    fn attention(&self, at: At) -> Step {
        Step {
            heads: self.config.heads,
            width: self.config.head_dim(),
            window: self.config.window,
            filled: self.config.window.min(at.past + at.step + 1),
            column: at.column,
        }
    }
}

impl Encoder for Transformer {
    type Config = ModelConfig;
    type Tape = Tape;

    fn config(settings: &GradientSettings, observations: usize, actions: usize) -> ModelConfig {
        settings.model.dimensions(observations, actions)
    }

    fn new(config: ModelConfig, places: &Places) -> Self {
        let layer_places = (0..config.layers).map(|layer| {
            let linear = |part: &str| places.linear(&format!("layers.{layer}.{part}"));
            LayerPlaces {
                in_proj: linear("attention.in_proj"),
                out_proj: linear("attention.out_proj"),
                age_bias: places
                    .find(&format!("layers.{layer}.attention.age_bias"))
                    .unwrap_or_default(),
                linear1: linear("ff.linear1"),
                linear2: linear("ff.linear2"),
            }
        });
        Self {
            places: layer_places.collect(),
            config,
            layers: vec![Layer::default(); config.layers],
        }
    }

    fn set(&mut self, parameters: &[f32]) {
        let biases = self.config.heads * self.config.window;
        for (layer, places) in self.layers.iter_mut().zip(&self.places) {
            layer.in_proj.set(places.in_proj, parameters);
            layer.out_proj.set(places.out_proj, parameters);
            layer.linear1.set(places.linear1, parameters);
            layer.linear2.set(places.linear2, parameters);
            layer.age_bias.clear();
            layer
                .age_bias
                .extend_from_slice(&parameters[places.age_bias..][..biases]);
        }
    }

    fn before(&self) -> usize {
        self.config.window - 1
    }

    fn tape(&self, capacity: usize) -> Tape {
        let ModelConfig {
            layers,
            heads,
            model,
            ff,
            window,
            ..
        } = self.config;
        let before = (window - 1) * LANES;
        let columns = before + capacity * LANES;
        let matrix = |rows| Matrix::new(rows, 0, columns);
        Tape {
            before,
            columns,
            layers: (0..layers)
                .map(|_| Saved {
                    x: matrix(model),
                    qkv: matrix(3 * model),
                    weights: vec![0.0; capacity * heads * window * LANES],
                    attended: matrix(model),
                    middle: matrix(model),
                    hidden: matrix(ff),
                })
                .collect(),
            gradients: (0..layers)
                .map(|_| Gradients {
                    x: matrix(model),
                    qkv: matrix(3 * model),
                    middle: matrix(model),
                    hidden: matrix(ff),
                    age_bias: vec![0.0; heads * window * LANES],
                })
                .collect(),
            attended_gradient: matrix(model),
            scratch: vec![0.0; window * LANES],
        }
    }

    fn input(tape: &mut Tape) -> &mut Matrix {
        &mut tape.layers[0].x
    }

    fn input_gradient(tape: &Tape) -> &Matrix {
        &tape.gradients[0].x
    }

    fn begin(&self, tape: &mut Tape, past: &Past) {
        let d = self.config.model;
        for (layer, values) in tape.layers.iter_mut().zip(&past.values) {
            for (row, values) in values.chunks_exact(tape.before.max(1)).enumerate() {
                layer.qkv.row_mut(d + row)[..tape.before].copy_from_slice(values);
            }
        }
        for gradients in &mut tape.gradients {
            gradients.age_bias.fill(0.0);
            for row in d..3 * d {
                gradients.qkv.row_mut(row)[..tape.columns].fill(0.0);
            }
        }
    }

    /// Keys and values of every layer, `[2 * d][window - 1][LANES]`.
    fn leave(&self, tape: &Tape, steps: usize, past: &mut Past) {
        let d = self.config.model;
        past.values.resize_with(self.config.layers, Vec::new);
        for (layer, values) in tape.layers.iter().zip(&mut past.values) {
            values.clear();
            for row in d..3 * d {
                values.extend_from_slice(&layer.qkv.row(row)[steps * LANES..][..tape.before]);
            }
        }
    }

    fn forward(&self, tape: &mut Tape, at: At, out: &mut Matrix) {
        let attention = self.attention(at);
        let size = attention.weights();
        for (number, layer) in self.layers.iter().enumerate() {
            let Some((here, later)) = tape.layers[number..].split_first_mut() else {
                continue;
            };
            let in_proj = &layer.in_proj;
            in_proj.forward(at, &here.x, After::Store, &mut here.qkv);
            Forward {
                step: attention,
                bias: &layer.age_bias,
                qkv: &here.qkv,
                weights: &mut here.weights[at.step * size..][..size],
                attended: &mut here.attended,
            }
            .run();
            let (after, out_proj) = (After::Add(&here.x), &layer.out_proj);
            out_proj.forward(at, &here.attended, after, &mut here.middle);
            let linear1 = &layer.linear1;
            linear1.forward(at, &here.middle, After::Relu, &mut here.hidden);
            let out = match later.first_mut() {
                Some(next) => &mut next.x,
                None => &mut *out,
            };
            let (after, linear2) = (After::Add(&here.middle), &layer.linear2);
            linear2.forward(at, &here.hidden, after, out);
        }
    }

    fn backward(&self, tape: &mut Tape, at: At, gradient: &Matrix) {
        let attention = self.attention(at);
        let size = attention.weights();
        for (number, layer) in self.layers.iter().enumerate().rev() {
            let saved = &tape.layers[number];
            let (here, later) = tape.gradients[number..].split_at_mut(1);
            let here = &mut here[0];
            let out = later.first().map_or(gradient, |next| &next.x);
            let (after, linear2) = (After::Where(&saved.hidden), &layer.linear2);
            linear2.backward(at, out, after, &mut here.hidden);
            let (after, linear1) = (After::Add(out), &layer.linear1);
            linear1.backward(at, &here.hidden, after, &mut here.middle);
            let attended = &mut tape.attended_gradient;
            let out_proj = &layer.out_proj;
            out_proj.backward(at, &here.middle, After::Store, attended);
            Backward {
                step: attention,
                qkv: &saved.qkv,
                weights: &saved.weights[at.step * size..][..size],
                attended,
                qkv_gradient: &mut here.qkv,
                bias_gradient: &mut here.age_bias,
                scratch: &mut tape.scratch,
            }
            .run();
            let (after, in_proj) = (After::Add(&here.middle), &layer.in_proj);
            in_proj.backward(at, &here.qkv, after, &mut here.x);
        }
    }

    fn weight_gradients(&self, tape: &Tape, gradient: &Matrix, sums: &mut Sums) {
        for (number, places) in self.places.iter().enumerate() {
            let (saved, here) = (&tape.layers[number], &tape.gradients[number]);
            let later = tape.gradients.get(number + 1);
            let out = later.map_or(gradient, |next| &next.x);
            sums.add(places.in_proj, &here.qkv, &saved.x);
            sums.add(places.out_proj, &here.middle, &saved.attended);
            sums.add(places.linear1, &here.hidden, &saved.middle);
            sums.add(places.linear2, out, &saved.hidden);
        }
    }

    /// Those of the age biases.
    fn finish(&self, tape: &Tape, gradient: &mut [f32]) {
        for (places, layer) in self.places.iter().zip(&tape.gradients) {
            let out = &mut gradient[places.age_bias..];
            for (out, lanes) in out.iter_mut().zip(layer.age_bias.as_chunks::<LANES>().0) {
                *out += lanes.iter().sum::<f32>();
            }
        }
    }
}
