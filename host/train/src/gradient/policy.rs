//! The policy over a block of craft, step by step, forwards and backwards: what `engram_export::FloatPolicy` computes, in
//! the learner's layout, with every step's activations kept.
//!
//! A [`Tape`] has one row per feature, and [`LANES`] columns per step, one for each craft. Its first columns hold the keys
//! and values of the steps before, which a trial that goes on brings along.

use std::ops::Range;

use engram_image::{HeadInput, ModelConfig};

use super::LANES;
use super::attention::{Backward, Forward, Step};
use super::places::{LayerPlaces, LinearPlace, Places};
use crate::fused::product::{After, GROUP, Matrix, Outer, Product, RowSums, Transposed, Weights};

/// Steps whose gradients of weights are summed up together, while they are still in the processor's memory.
const CHUNK: usize = 8;

/// One matrix in the orders that both directions read, and its bias.
#[derive(Clone, Debug, Default)]
struct Both {
    forward: Weights,
    backward: Weights,
    bias: Vec<f32>,
}

impl Both {
    fn set(&mut self, place: LinearPlace, with_bias: bool, parameters: &[f32]) {
        let LinearPlace {
            weight,
            bias,
            rows,
            columns,
        } = place;
        let values = &parameters[weight..][..rows * columns];
        self.forward.set(values, rows, columns);
        self.backward.set_transposed(values, columns, rows);
        self.bias.clear();
        if with_bias {
            self.bias.extend_from_slice(&parameters[bias..][..rows]);
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Layer {
    in_proj: Both,
    out_proj: Both,
    age_bias: Vec<f32>,
    linear1: Both,
    linear2: Both,
}

/// The policy's weights, packed.
#[derive(Clone, Debug)]
pub struct LanePolicy {
    config: ModelConfig,
    places: Places,
    layer_places: Vec<LayerPlaces>,
    embed: Both,
    layers: Vec<Layer>,
    head: [Both; 3],
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

/// Activations and gradients of a block's steps, and the sums of the gradients of weights.
#[derive(Debug)]
pub struct Tape {
    /// Columns before those of step 0.
    before: usize,
    /// Steps that it has room for.
    pub capacity: usize,
    /// Normalised working memories.
    pub(crate) input: Matrix,
    layers: Vec<Saved>,
    /// The head's input: the encoder's output, and under it the embedded working memory.
    top: Matrix,
    hidden: [Matrix; 2],
    /// Action means.
    pub(crate) mean: Matrix,
    /// Gradient of the means, written by who judges them.
    pub(crate) mean_gradient: Matrix,
    hidden_gradient: [Matrix; 2],
    top_gradient: Matrix,
    layer_gradients: Vec<Gradients>,
    attended_gradient: Matrix,
    embed_gradient: Matrix,
    /// Gradient of the normalised working memories.
    pub(crate) input_gradient: Matrix,
    scratch: Vec<f32>,
    transposed: Transposed,
    /// Sums with rows padded to multiples of [`GROUP`].
    padded: Vec<f32>,
    /// Gradient of the parameters, in the order of [`Places`].
    pub gradient: Vec<f32>,
}

/// Keys and values that a trial brings along, of every layer `[2 * d][window - 1][LANES]`.
#[derive(Clone, Debug, Default)]
pub struct Past {
    values: Vec<Vec<f32>>,
    /// Steps of the trial so far.
    pub steps: usize,
}

impl LanePolicy {
    /// Nothing is set before [`set`](Self::set).
    #[must_use]
    pub fn new(config: ModelConfig) -> Self {
        let places = Places::new(&config);
        let layer_places = (0..config.layers).map(|layer| {
            let linear = |part: &str| places.linear(&format!("layers.{layer}.{part}"));
            LayerPlaces {
                in_proj: linear("attention.in_proj"),
                out_proj: linear("attention.out_proj"),
                age_bias: places.find(&format!("layers.{layer}.attention.age_bias")),
                linear1: linear("ff.linear1"),
                linear2: linear("ff.linear2"),
            }
        });
        Self {
            layer_places: layer_places.collect(),
            config,
            places,
            embed: Both::default(),
            layers: vec![Layer::default(); config.layers],
            head: Default::default(),
        }
    }

    /// Where each tensor stands among the parameters.
    #[must_use]
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// Packs parameters.
    pub fn set(&mut self, parameters: &[f32]) {
        self.embed
            .set(self.places.linear("embed"), false, parameters);
        let biases = self.config.heads * self.config.window;
        for (layer, places) in self.layers.iter_mut().zip(&self.layer_places) {
            layer.in_proj.set(places.in_proj, true, parameters);
            layer.out_proj.set(places.out_proj, true, parameters);
            layer.linear1.set(places.linear1, true, parameters);
            layer.linear2.set(places.linear2, true, parameters);
            layer.age_bias.clear();
            layer
                .age_bias
                .extend_from_slice(&parameters[places.age_bias..][..biases]);
        }
        for (number, head) in self.head.iter_mut().enumerate() {
            head.set(
                self.places.linear(&format!("head.{number}")),
                true,
                parameters,
            );
        }
    }

    /// Room for so many steps.
    #[must_use]
    pub fn tape(&self, capacity: usize) -> Tape {
        let ModelConfig {
            layers,
            heads,
            model,
            ff,
            window,
            hidden,
            actions,
            ..
        } = self.config;
        let before = (window - 1) * LANES;
        let columns = before + capacity * LANES;
        let matrix = |rows| Matrix::new(rows, 0, columns);
        let top = self.head_rows();
        Tape {
            before,
            capacity,
            input: matrix(self.config.inputs()),
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
            top: matrix(2 * model),
            hidden: hidden.map(matrix),
            mean: matrix(actions),
            mean_gradient: matrix(actions),
            hidden_gradient: hidden.map(matrix),
            top_gradient: matrix(top),
            layer_gradients: (0..layers)
                .map(|_| Gradients {
                    x: matrix(model),
                    qkv: matrix(3 * model),
                    middle: matrix(model),
                    hidden: matrix(ff),
                    age_bias: vec![0.0; heads * window * LANES],
                })
                .collect(),
            attended_gradient: matrix(model),
            embed_gradient: matrix(model),
            input_gradient: matrix(self.config.inputs()),
            scratch: vec![0.0; window * LANES],
            transposed: Transposed::default(),
            padded: Vec::new(),
            gradient: vec![0.0; self.places.count],
        }
    }

    /// Rows of the head's input.
    fn head_rows(&self) -> usize {
        match self.config.head_input {
            HeadInput::Encoder => self.config.model,
            HeadInput::Mixed => 2 * self.config.model,
        }
    }

    /// Puts a trial's past before step 0.
    pub fn begin(&self, tape: &mut Tape, past: &Past) {
        let d = self.config.model;
        tape.gradient.fill(0.0);
        for (layer, values) in tape.layers.iter_mut().zip(&past.values) {
            for (row, values) in values.chunks_exact(tape.before.max(1)).enumerate() {
                layer.qkv.row_mut(d + row)[..tape.before].copy_from_slice(values);
            }
        }
        for gradients in &mut tape.layer_gradients {
            gradients.age_bias.fill(0.0);
            for row in d..3 * d {
                gradients.qkv.row_mut(row)[..tape.before + tape.capacity * LANES].fill(0.0);
            }
        }
    }

    /// Takes the past of the step after the tape's last.
    pub fn leave(&self, tape: &Tape, steps: usize, past: &mut Past) {
        let d = self.config.model;
        past.steps += steps;
        past.values.resize_with(self.config.layers, Vec::new);
        for (layer, values) in tape.layers.iter().zip(&mut past.values) {
            values.clear();
            for row in d..3 * d {
                values.extend_from_slice(&layer.qkv.row(row)[steps * LANES..][..tape.before]);
            }
        }
    }

    /// The attention of step `step` of a trial that had `past` steps before.
    fn attention(&self, tape: &Tape, past: usize, step: usize) -> Step {
        Step {
            heads: self.config.heads,
            width: self.config.head_dim(),
            window: self.config.window,
            filled: self.config.window.min(past + step + 1),
            column: tape.column(step),
        }
    }

    /// From the inputs of step `step` to its means.
    pub fn forward(&self, tape: &mut Tape, past: usize, step: usize) {
        let d = self.config.model;
        let attention = self.attention(tape, past, step);
        let columns = attention.column..attention.column + LANES;
        let product = |both: &Both, x: &Matrix, after: After<'_>, out: &mut Matrix| {
            product(&both.forward, &both.bias, x, columns.clone(), after, out);
        };
        let Tape {
            layers,
            top,
            input,
            hidden,
            mean,
            ..
        } = tape;
        let first = &mut layers[0].x;
        product(&self.embed, input, After::Store, first);
        for row in 0..d {
            let out = &mut top.row_mut(d + row)[columns.clone()];
            out.copy_from_slice(&first.row(row)[columns.clone()]);
        }
        for (number, layer) in self.layers.iter().enumerate() {
            let Some((here, later)) = layers[number..].split_first_mut() else {
                continue;
            };
            product(&layer.in_proj, &here.x, After::Store, &mut here.qkv);
            let size = attention.weights();
            Forward {
                step: attention,
                bias: &layer.age_bias,
                qkv: &here.qkv,
                weights: &mut here.weights[step * size..][..size],
                attended: &mut here.attended,
            }
            .run();
            product(
                &layer.out_proj,
                &here.attended,
                After::Add(&here.x),
                &mut here.middle,
            );
            product(&layer.linear1, &here.middle, After::Relu, &mut here.hidden);
            let out = match later.first_mut() {
                Some(next) => &mut next.x,
                None => &mut *top,
            };
            product(&layer.linear2, &here.hidden, After::Add(&here.middle), out);
        }
        let [first, second] = hidden;
        product(&self.head[0], top, After::Tanh, first);
        product(&self.head[1], first, After::Tanh, second);
        product(&self.head[2], second, After::Store, mean);
    }

    /// From the gradient of step `step`'s means to that of its inputs, given that all later steps were done.
    pub fn backward(&self, tape: &mut Tape, past: usize, step: usize) {
        let d = self.config.model;
        let attention = self.attention(tape, past, step);
        let column = attention.column;
        let columns = column..column + LANES;
        let product = |both: &Both, x: &Matrix, after: After<'_>, out: &mut Matrix| {
            product(&both.backward, &[], x, columns.clone(), after, out);
        };
        let Tape {
            layers,
            hidden,
            mean_gradient,
            hidden_gradient: [first, second],
            top_gradient,
            layer_gradients,
            attended_gradient,
            embed_gradient,
            input_gradient,
            scratch,
            ..
        } = tape;
        product(
            &self.head[2],
            mean_gradient,
            After::TanhGradient(&hidden[1]),
            second,
        );
        product(
            &self.head[1],
            second,
            After::TanhGradient(&hidden[0]),
            first,
        );
        product(&self.head[0], first, After::Store, top_gradient);
        for (number, layer) in self.layers.iter().enumerate().rev() {
            let saved = &layers[number];
            let (here, later) = layer_gradients[number..].split_at_mut(1);
            let here = &mut here[0];
            let out = later.first().map_or(&*top_gradient, |next| &next.x);
            product(
                &layer.linear2,
                out,
                After::Where(&saved.hidden),
                &mut here.hidden,
            );
            product(
                &layer.linear1,
                &here.hidden,
                After::Add(out),
                &mut here.middle,
            );
            product(
                &layer.out_proj,
                &here.middle,
                After::Store,
                attended_gradient,
            );
            let size = attention.weights();
            Backward {
                step: attention,
                qkv: &saved.qkv,
                weights: &saved.weights[step * size..][..size],
                attended: attended_gradient,
                qkv_gradient: &mut here.qkv,
                bias_gradient: &mut here.age_bias,
                scratch,
            }
            .run();
            product(
                &layer.in_proj,
                &here.qkv,
                After::Add(&here.middle),
                &mut here.x,
            );
        }
        let mixed = self.config.head_input == HeadInput::Mixed;
        for row in 0..d {
            let out = &mut embed_gradient.row_mut(row)[columns.clone()];
            out.copy_from_slice(&layer_gradients[0].x.row(row)[columns.clone()]);
            if mixed {
                let direct = &top_gradient.row(d + row)[columns.clone()];
                out.iter_mut()
                    .zip(direct)
                    .for_each(|(out, direct)| *out += direct);
            }
        }
        product(&self.embed, embed_gradient, After::Store, input_gradient);
    }

    /// Adds to the tape's gradient what the steps `from..to` make of the weights.
    pub fn weight_gradients(&self, tape: &mut Tape, from: usize, to: usize) {
        let head = self.head_rows();
        for first in (from..to).step_by(CHUNK) {
            let columns = tape.column(first)..tape.column(to.min(first + CHUNK));
            let Tape {
                layers,
                top,
                input,
                hidden,
                mean_gradient,
                hidden_gradient,
                top_gradient,
                layer_gradients,
                embed_gradient,
                transposed,
                padded,
                gradient,
                ..
            } = tape;
            let mut add = |place: LinearPlace, with_bias: bool, y: &Matrix, x: &Matrix| {
                let LinearPlace {
                    weight,
                    bias,
                    rows,
                    columns: width,
                } = place;
                let stride = width.next_multiple_of(GROUP);
                padded.clear();
                padded.resize(rows * stride, 0.0);
                transposed.set(x, 0, width, columns.clone());
                Outer {
                    y,
                    from: 0,
                    rows,
                    column: columns.start,
                    x: transposed,
                    sums: padded,
                }
                .run();
                let out = gradient[weight..][..rows * width].chunks_exact_mut(width);
                for (out, sums) in out.zip(padded.chunks_exact(stride)) {
                    out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum);
                }
                if with_bias {
                    RowSums {
                        y,
                        from: 0,
                        columns: columns.clone(),
                        sums: &mut gradient[bias..][..rows],
                    }
                    .run();
                }
            };
            add(self.places.linear("embed"), false, embed_gradient, input);
            for (number, places) in self.layer_places.iter().enumerate() {
                let (saved, here) = (&layers[number], &layer_gradients[number]);
                let out = layer_gradients
                    .get(number + 1)
                    .map_or(&*top_gradient, |next| &next.x);
                add(places.in_proj, true, &here.qkv, &saved.x);
                add(places.out_proj, true, &here.middle, &saved.attended);
                add(places.linear1, true, &here.hidden, &saved.middle);
                add(places.linear2, true, out, &saved.hidden);
            }
            let mut place = self.places.linear("head.0");
            place.columns = head;
            add(place, true, &hidden_gradient[0], top);
            add(
                self.places.linear("head.1"),
                true,
                &hidden_gradient[1],
                &hidden[0],
            );
            add(
                self.places.linear("head.2"),
                true,
                mean_gradient,
                &hidden[1],
            );
        }
    }

    /// Adds the gradients of the age biases, after the last step of the way back.
    pub fn finish(&self, tape: &mut Tape) {
        for (places, layer) in self.layer_places.iter().zip(&tape.layer_gradients) {
            let out = &mut tape.gradient[places.age_bias..];
            for (out, lanes) in out.iter_mut().zip(layer.age_bias.as_chunks::<LANES>().0) {
                *out += lanes.iter().sum::<f32>();
            }
        }
    }
}

/// The columns of one step: `out = after(weights * x + bias)`.
fn product(
    weights: &Weights,
    bias: &[f32],
    x: &Matrix,
    columns: Range<usize>,
    after: After<'_>,
    out: &mut Matrix,
) {
    Product {
        weights,
        bias,
        x,
        from: 0,
        columns,
        after,
        out,
        first: 0,
    }
    .run();
}

impl Tape {
    /// First column of step `step`.
    #[must_use]
    pub fn column(&self, step: usize) -> usize {
        self.before + step * LANES
    }
}
