//! f32 arithmetic of the streaming policy, written so that the compiler vectorises it.
//!
//! No platform `libm` and no fused multiply-add: a rollout has the same bits on every machine and
//! for every number of threads. Sums are split over fixed lanes, so their order is fixed too.

use crate::elementary::{self, exp};

/// Values that one pass of an inner loop handles.
pub(super) const LANES: usize = 16;

/// A matrix in the order in which a step reads it: `[block][column][LANES rows]`, rows padded with zeros.
#[derive(Clone, Debug)]
pub struct Packed {
    columns: usize,
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Packed {
    /// Packs a row-major `[rows][columns]` matrix; an empty bias is zero.
    #[must_use]
    pub fn new(rows: usize, columns: usize, weight: &[f32], bias: &[f32]) -> Self {
        let blocks = rows.div_ceil(LANES);
        let mut packed = vec![0.0; blocks * columns * LANES];
        for (row, values) in weight.chunks_exact(columns).enumerate() {
            for (column, value) in values.iter().enumerate() {
                packed[((row / LANES) * columns + column) * LANES + row % LANES] = *value;
            }
        }
        let mut padded = vec![0.0; blocks * LANES];
        padded[..bias.len()].copy_from_slice(bias);
        Self {
            columns,
            weight: packed,
            bias: padded,
        }
    }

    /// `out = weight * input + bias`; `out` has `rows` entries.
    #[inline]
    pub fn apply(&self, input: &[f32], out: &mut [f32]) {
        let blocks = self.weight.chunks_exact(self.columns * LANES);
        let biases = self.bias.as_chunks::<LANES>().0;
        for ((block, bias), out) in blocks.zip(biases).zip(out.chunks_mut(LANES)) {
            let mut sum = *bias;
            for (weights, x) in block.as_chunks::<LANES>().0.iter().zip(input) {
                for (sum, weight) in sum.iter_mut().zip(weights) {
                    *sum += weight * x;
                }
            }
            out.copy_from_slice(&sum[..out.len()]);
        }
    }
}

/// `sum a[i] * b[i]` over the shorter length, in [`LANES`] partial sums.
#[inline]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    let mut lanes = [0.0_f32; LANES];
    for (a, b) in a.iter().zip(b) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    for ((lane, a), b) in lanes.iter_mut().zip(a_rest).zip(b_rest) {
        *lane += a * b;
    }
    fold(lanes)
}

/// Sum of all lanes, pairwise.
#[inline]
fn fold(mut lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// `out[i] += scale * row[i]`.
#[inline]
pub(super) fn add_scaled(out: &mut [f32], scale: f32, row: &[f32]) {
    for (out, x) in out.iter_mut().zip(row) {
        *out += scale * x;
    }
}

/// Replaces logits by `exp(logit - max)`, unnormalised, and returns their sum (0 for an empty slice).
#[inline]
pub(super) fn exponentials(logits: &mut [f32]) -> f32 {
    let mut highest = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = logits.as_chunks::<LANES>();
    for chunk in chunks {
        for (high, x) in highest.iter_mut().zip(chunk) {
            *high = if *x > *high { *x } else { *high };
        }
    }
    let max = highest.iter().chain(rest).fold(
        f32::NEG_INFINITY,
        |high, x| if *x > high { *x } else { high },
    );
    let mut sums = [0.0_f32; LANES];
    let (chunks, rest) = logits.as_chunks_mut::<LANES>();
    for chunk in chunks {
        for (x, sum) in chunk.iter_mut().zip(&mut sums) {
            *x = exp(*x - max);
            *sum += *x;
        }
    }
    for (x, sum) in rest.iter_mut().zip(&mut sums) {
        *x = exp(*x - max);
        *sum += *x;
    }
    fold(sums)
}

/// Replaces every value by its hyperbolic tangent.
#[inline]
pub(super) fn tanh(values: &mut [f32]) {
    for x in values {
        *x = elementary::tanh(*x);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_product_and_dot_match_a_plain_loop() {
        for (rows, columns) in [(1, 1), (3, 7), (16, 16), (33, 20)] {
            let weight: Vec<f32> = (0..rows * columns)
                .map(|i| ((i * 37) % 19) as f32 - 9.0)
                .collect();
            let bias: Vec<f32> = (0..rows).map(|i| i as f32).collect();
            let x: Vec<f32> = (0..columns).map(|i| ((i * 5) % 11) as f32 - 5.0).collect();
            let mut out = vec![0.0; rows];
            Packed::new(rows, columns, &weight, &bias).apply(&x, &mut out);
            for (row, out) in out.iter().enumerate() {
                // Small integers: exact in any order.
                let plain: f32 = (0..columns).map(|c| weight[row * columns + c] * x[c]).sum();
                assert_eq!(*out, plain + bias[row]);
                assert_eq!(dot(&weight[row * columns..(row + 1) * columns], &x), plain);
            }
        }
    }
}
