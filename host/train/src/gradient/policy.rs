//! The policy over a block of craft, step by step, forwards and backwards: what `engram_export::Network` computes, in the
//! learner's layout, with every step's activations kept. Embedding and head are here, what remembers is an [`Encoder`].
//!
//! A [`Tape`] has one row per feature, and [`LANES`] columns per step, one for each craft. Its first columns belong to the
//! steps before, of which an encoder may read what it remembers.

use std::fmt::Debug;

use engram_export::network::NetworkConfig;
use engram_image::HeadInput;

use super::LANES;
use super::linear::{At, Linear, Sums};
use super::places::{LinearPlace, Places};
use super::settings::GradientSettings;
use super::transformer::Transformer;
use crate::fused::product::{After, Matrix};

/// Steps whose gradients of weights are summed up together, while they are still in the processor's memory.
const CHUNK: usize = 8;

/// What a trial brings along of the steps before, as its encoder writes and reads it.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    pub(super) values: Vec<Vec<f32>>,
    /// Steps of the trial so far.
    pub(super) steps: usize,
}

/// The part of a policy that remembers: from embedded working memories to what the head reads.
pub(super) trait Encoder: Sized + Clone + Debug + Send + Sync {
    /// Dimensions of the whole network.
    type Config: Copy + Into<NetworkConfig> + Debug + Send + Sync;
    /// Activations and gradients.
    type Tape: Debug + Send;

    /// The network's dimensions on a plant of so many channels.
    fn config(settings: &GradientSettings, observations: usize, actions: usize) -> Self::Config;
    /// Nothing is set before [`set`](Self::set).
    fn new(config: Self::Config, places: &Places) -> Self;
    /// Packs its share of the parameters.
    fn set(&mut self, parameters: &[f32]);
    /// Steps before the tape's first that have columns.
    fn before(&self) -> usize;
    /// Room for so many steps.
    fn tape(&self, capacity: usize) -> Self::Tape;
    /// Embedded working memories, which the embedding writes.
    fn input(tape: &mut Self::Tape) -> &mut Matrix;
    /// Their gradient.
    fn input_gradient(tape: &Self::Tape) -> &Matrix;
    /// Puts a trial's past before step 0, and clears what gradients are added to.
    fn begin(&self, tape: &mut Self::Tape, past: &Past);
    /// Takes the past of the step after the first `steps`.
    fn leave(&self, tape: &Self::Tape, steps: usize, past: &mut Past);
    /// One step, into the first rows of `out`.
    fn forward(&self, tape: &mut Self::Tape, at: At, out: &mut Matrix);
    /// One step back, from the gradient of what `forward` wrote, given that all later steps were done.
    fn backward(&self, tape: &mut Self::Tape, at: At, gradient: &Matrix);
    /// Adds the gradients of weights.
    fn weight_gradients(&self, tape: &Self::Tape, gradient: &Matrix, sums: &mut Sums);
    /// Adds what can be summed up after the last step alone.
    fn finish(&self, _tape: &Self::Tape, _gradient: &mut [f32]) {}
}

/// The policy's weights, packed.
#[derive(Clone, Debug)]
pub(super) struct LanePolicy<E: Encoder = Transformer> {
    places: Places,
    embed_place: LinearPlace,
    head_places: [LinearPlace; 3],
    /// Rows of the encoder's result, and whether those of the embedding follow.
    encoded: usize,
    mixed: bool,
    embed: Linear,
    encoder: E,
    head: [Linear; 3],
}

/// Activations and gradients of a block's steps, and the sums of the gradients of weights.
#[derive(Debug)]
pub(super) struct Tape<E: Encoder = Transformer> {
    /// Columns before those of step 0.
    before: usize,
    /// Normalised working memories.
    pub(super) input: Matrix,
    encoder: E::Tape,
    /// The head's input: the encoder's result, and under it the embedded working memory.
    top: Matrix,
    hidden: [Matrix; 2],
    /// Action means.
    pub(super) mean: Matrix,
    /// Gradient of the means, written by who judges them.
    pub(super) mean_gradient: Matrix,
    hidden_gradient: [Matrix; 2],
    top_gradient: Matrix,
    embed_gradient: Matrix,
    /// Gradient of the normalised working memories.
    pub(super) input_gradient: Matrix,
    sums: Sums,
}

impl<E: Encoder> LanePolicy<E> {
    /// Nothing is set before [`set`](Self::set).
    #[must_use]
    pub(super) fn new(config: E::Config) -> Self {
        let network = config.into();
        let places = Places::new(&network);
        let head_input = match network {
            NetworkConfig::Transformer(config) => config.head_input,
            NetworkConfig::Gru(config) => config.head_input,
        };
        Self {
            embed_place: places.linear("embed"),
            head_places: ["head.0", "head.1", "head.2"].map(|name| places.linear(name)),
            encoded: network.encoded(),
            mixed: head_input == HeadInput::Mixed,
            embed: Linear::default(),
            encoder: E::new(config, &places),
            head: Default::default(),
            places,
        }
    }

    /// Where each tensor stands among the parameters.
    #[must_use]
    pub(super) fn places(&self) -> &Places {
        &self.places
    }

    /// Packs parameters.
    pub(super) fn set(&mut self, parameters: &[f32]) {
        self.embed.set(self.embed_place, parameters);
        self.encoder.set(parameters);
        for (head, place) in self.head.iter_mut().zip(self.head_places) {
            head.set(place, parameters);
        }
    }

    /// Room for so many steps.
    #[must_use]
    pub(super) fn tape(&self, capacity: usize) -> Tape<E> {
        let before = self.encoder.before() * LANES;
        let matrix = |rows| Matrix::new(rows, 0, before + capacity * LANES);
        let [first, second, last] = self.head_places.map(|place| place.rows);
        let (model, inputs) = (self.embed_place.rows, self.embed_place.columns);
        Tape {
            before,
            input: matrix(inputs),
            encoder: self.encoder.tape(capacity),
            top: matrix(self.encoded + model),
            hidden: [first, second].map(matrix),
            mean: matrix(last),
            mean_gradient: matrix(last),
            hidden_gradient: [first, second].map(matrix),
            top_gradient: matrix(self.encoded + model),
            embed_gradient: matrix(model),
            input_gradient: matrix(inputs),
            sums: Sums::new(self.places.count),
        }
    }

    /// Puts a trial's past before step 0.
    pub(super) fn begin(&self, tape: &mut Tape<E>, past: &Past) {
        tape.sums.gradient.fill(0.0);
        self.encoder.begin(&mut tape.encoder, past);
    }

    /// Takes the past of the step after the first `steps`.
    pub(super) fn leave(&self, tape: &Tape<E>, steps: usize, past: &mut Past) {
        past.steps += steps;
        self.encoder.leave(&tape.encoder, steps, past);
    }

    /// From the inputs of step `step` to its means, in a trial that had `past` steps before the tape's.
    pub(super) fn forward(&self, tape: &mut Tape<E>, past: usize, step: usize) {
        let at = tape.at(past, step);
        let (encoder, top) = (&mut tape.encoder, &mut tape.top);
        let embedded = E::input(encoder);
        self.embed.forward(at, &tape.input, After::Store, embedded);
        for row in 0..self.embed_place.rows {
            let out = &mut top.row_mut(self.encoded + row)[at.columns()];
            out.copy_from_slice(&embedded.row(row)[at.columns()]);
        }
        self.encoder.forward(encoder, at, top);
        let [first, second] = &mut tape.hidden;
        self.head[0].forward(at, top, After::Tanh, first);
        self.head[1].forward(at, first, After::Tanh, second);
        self.head[2].forward(at, second, After::Store, &mut tape.mean);
    }

    /// From the gradient of step `step`'s means to that of its inputs, given that all later steps were done.
    pub(super) fn backward(&self, tape: &mut Tape<E>, past: usize, step: usize) {
        let at = tape.at(past, step);
        let ([first, second], top) = (&mut tape.hidden_gradient, &mut tape.top_gradient);
        let after = |number: usize| After::TanhGradient(&tape.hidden[number]);
        self.head[2].backward(at, &tape.mean_gradient, after(1), second);
        self.head[1].backward(at, second, after(0), first);
        self.head[0].backward(at, first, After::Store, top);
        self.encoder.backward(&mut tape.encoder, at, top);
        let gradient = E::input_gradient(&tape.encoder);
        for row in 0..self.embed_place.rows {
            let out = &mut tape.embed_gradient.row_mut(row)[at.columns()];
            out.copy_from_slice(&gradient.row(row)[at.columns()]);
            if self.mixed {
                let direct = &top.row(self.encoded + row)[at.columns()];
                out.iter_mut()
                    .zip(direct)
                    .for_each(|(out, direct)| *out += direct);
            }
        }
        let (from, to) = (&tape.embed_gradient, &mut tape.input_gradient);
        self.embed.backward(at, from, After::Store, to);
    }

    /// Adds to the tape's gradient what the steps `from..to` make of the weights.
    pub(super) fn weight_gradients(&self, tape: &mut Tape<E>, from: usize, to: usize) {
        for first in (from..to).step_by(CHUNK) {
            let columns = tape.column(first)..tape.column(to.min(first + CHUNK));
            let sums = &mut tape.sums;
            sums.columns = columns;
            sums.add(self.embed_place, &tape.embed_gradient, &tape.input);
            self.encoder
                .weight_gradients(&tape.encoder, &tape.top_gradient, sums);
            let [first, second] = &tape.hidden_gradient;
            let inputs = [&tape.top, &tape.hidden[0], &tape.hidden[1]];
            let gradients = [first, second, &tape.mean_gradient];
            for (place, (y, x)) in self
                .head_places
                .into_iter()
                .zip(gradients.into_iter().zip(inputs))
            {
                sums.add(place, y, x);
            }
        }
    }

    /// Adds the gradients that are summed up after the last step of the way back.
    pub(super) fn finish(&self, tape: &mut Tape<E>) {
        self.encoder.finish(&tape.encoder, &mut tape.sums.gradient);
    }
}

impl<E: Encoder> Tape<E> {
    /// First column of step `step`.
    #[must_use]
    pub(super) fn column(&self, step: usize) -> usize {
        self.before + step * LANES
    }

    /// Gradient of the parameters, in the order of [`Places`].
    #[must_use]
    pub(super) fn gradient(&self) -> &[f32] {
        &self.sums.gradient
    }

    fn at(&self, past: usize, step: usize) -> At {
        At {
            past,
            step,
            column: self.column(step),
        }
    }
}
