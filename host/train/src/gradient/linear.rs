//! Linear maps over the columns of a tape: forwards, backwards, and the sums that are the gradients of their weights.

use std::ops::Range;

use super::LANES;
use super::places::LinearPlace;
use crate::fused::product::{After, GROUP, Matrix, Outer, Product, RowSums, Transposed, Weights};

/// One step of a trial on a tape.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    /// Steps of the trial before the tape's first.
    pub(super) past: usize,
    /// Counted on the tape.
    pub(super) step: usize,
    /// Its first column.
    pub(super) column: usize,
}

impl At {
    /// Its columns, one for each craft.
    pub(super) fn columns(self) -> Range<usize> {
        self.column..self.column + LANES
    }
}

/// One matrix in the orders that both directions read, and its bias.
#[derive(Clone, Debug, Default)]
pub(super) struct Linear {
    forward: Weights,
    backward: Weights,
    bias: Vec<f32>,
}

impl Linear {
    /// Takes matrix and bias, if there is one, out of the parameters.
    pub(super) fn set(&mut self, place: LinearPlace, parameters: &[f32]) {
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
        if let Some(bias) = bias {
            self.bias.extend_from_slice(&parameters[bias..][..rows]);
        }
    }

    /// The columns of one step: `out = after(weights * x + bias)`.
    pub(super) fn forward(&self, at: At, x: &Matrix, after: After<'_>, out: &mut Matrix) {
        product(&self.forward, &self.bias, at, x, after, out);
    }

    /// The columns of one step: `out = after(transposed weights * y)`.
    pub(super) fn backward(&self, at: At, y: &Matrix, after: After<'_>, out: &mut Matrix) {
        product(&self.backward, &[], at, y, after, out);
    }
}

fn product(
    weights: &Weights,
    bias: &[f32],
    at: At,
    x: &Matrix,
    after: After<'_>,
    out: &mut Matrix,
) {
    Product {
        weights,
        bias,
        x,
        from: 0,
        columns: at.columns(),
        after,
        out,
        first: 0,
    }
    .run();
}

/// Sums up the gradients of weights over some columns.
#[derive(Debug)]
pub(super) struct Sums {
    pub(super) columns: Range<usize>,
    transposed: Transposed,
    /// Sums with rows padded to multiples of [`GROUP`].
    padded: Vec<f32>,
    /// Gradient of the parameters, in the order of [`Places`](super::places::Places).
    pub(super) gradient: Vec<f32>,
}

impl Sums {
    /// None yet of so many parameters.
    pub(super) fn new(count: usize) -> Self {
        Self {
            columns: 0..0,
            transposed: Transposed::default(),
            padded: Vec::new(),
            gradient: vec![0.0; count],
        }
    }

    /// Adds the gradient of the map at `place`, whose inputs were `x` and whose results have the gradient `y`.
    pub(super) fn add(&mut self, place: LinearPlace, y: &Matrix, x: &Matrix) {
        let LinearPlace {
            weight,
            bias,
            rows,
            columns: width,
        } = place;
        let (columns, gradient) = (self.columns.clone(), &mut self.gradient);
        let stride = width.next_multiple_of(GROUP);
        self.padded.clear();
        self.padded.resize(rows * stride, 0.0);
        self.transposed.set(x, 0, width, columns.clone());
        Outer {
            y,
            from: 0,
            rows,
            column: columns.start,
            x: &self.transposed,
            sums: &mut self.padded,
        }
        .run();
        let out = gradient[weight..][..rows * width].chunks_exact_mut(width);
        for (out, sums) in out.zip(self.padded.chunks_exact(stride)) {
            out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum);
        }
        if let Some(bias) = bias {
            RowSums {
                y,
                from: 0,
                columns,
                sums: &mut gradient[bias..][..rows],
            }
            .run();
        }
    }
}
