//! f32 arithmetic of the streaming policy, in vector instructions or written so that the compiler finds them.
//!
//! No platform `libm` and no fused multiply-add: a rollout has the same bits on every machine and
//! for every number of threads. Sums are split over fixed lanes, so their order is fixed too, whatever
//! the width of the registers.

use pulp::{Arch, Simd, WithSimd};

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
    pub fn apply(&self, input: &[f32], out: &mut [f32]) {
        self.apply_all(1, input, out);
    }

    /// [`Packed::apply`] of so many inputs, one behind the other, as are the outputs. Every weight is read once for
    /// several inputs; the order in which an output is summed up does not depend on how many there are.
    pub fn apply_all(&self, count: usize, inputs: &[f32], out: &mut [f32]) {
        if count == 0 {
            return;
        }
        let packed = self;
        let (columns, rows) = (inputs.len() / count, out.len() / count);
        Arch::new().dispatch(Apply {
            packed,
            columns,
            rows,
            inputs,
            out,
        });
    }

    /// All rows for the first `T` inputs.
    #[inline(always)]
    fn rows<S: Simd, const T: usize>(&self, simd: S, inputs: [&[f32]; T], out: [&mut [f32]; T]) {
        // As many blocks at once as keep the adders busy and fit into the registers.
        let mut out = out;
        let _ = match (S::F32_LANES, T) {
            (16, 1) => {
                let rest = self.blocks::<S, T, 8, 1>(simd, 0, inputs, &mut out);
                self.blocks::<S, T, 1, 1>(simd, rest, inputs, &mut out)
            }
            (16, _) => {
                let rest = self.blocks::<S, T, 4, 1>(simd, 0, inputs, &mut out);
                self.blocks::<S, T, 1, 1>(simd, rest, inputs, &mut out)
            }
            (8, 1) => {
                let rest = self.blocks::<S, T, 4, 2>(simd, 0, inputs, &mut out);
                self.blocks::<S, T, 1, 2>(simd, rest, inputs, &mut out)
            }
            (8, _) => self.blocks::<S, T, 1, 2>(simd, 0, inputs, &mut out),
            (4, 1) => {
                let rest = self.blocks::<S, T, 2, 4>(simd, 0, inputs, &mut out);
                self.blocks::<S, T, 1, 4>(simd, rest, inputs, &mut out)
            }
            (4, _) => self.blocks::<S, T, 1, 4>(simd, 0, inputs, &mut out),
            _ => self.blocks::<S, T, 1, LANES>(simd, 0, inputs, &mut out),
        };
    }

    /// Blocks from number `first` on, `G` at a time, as long as there are so many, for `T` inputs; returns the number
    /// of the first one left over. `V` registers hold a block's rows.
    #[inline(always)]
    fn blocks<S: Simd, const T: usize, const G: usize, const V: usize>(
        &self,
        simd: S,
        first: usize,
        inputs: [&[f32]; T],
        out: &mut [&mut [f32]; T],
    ) -> usize {
        let count = inputs
            .iter()
            .fold(self.columns, |count, input| count.min(input.len()));
        let inputs = inputs.map(|input| &input[..count]);
        let biases = self.bias.as_chunks::<LANES>().0;
        let groups = (biases.len() - first) / G;
        let size = self.columns * LANES;
        for block in (first..first + groups * G).step_by(G) {
            let weights = self.weight[block * size..][..G * size]
                .as_chunks::<LANES>()
                .0;
            let mut columns: [&[[f32; LANES]]; G] = [&[]; G];
            for (number, columns) in columns.iter_mut().enumerate() {
                *columns = &weights[number * self.columns..][..count];
            }
            let mut sums = [[[simd.splat_f32s(0.0); V]; G]; T];
            for sums in &mut sums {
                for (sums, bias) in sums.iter_mut().zip(&biases[block..]) {
                    sums.copy_from_slice(S::as_simd_f32s(bias).0);
                }
            }
            for column in 0..count {
                for (sums, input) in sums.iter_mut().zip(&inputs) {
                    let x = simd.splat_f32s(input[column]);
                    for (sums, columns) in sums.iter_mut().zip(&columns) {
                        let weights = &S::as_simd_f32s(&columns[column]).0[..V];
                        for (sum, weight) in sums.iter_mut().zip(weights) {
                            *sum = simd.add_f32s(*sum, simd.mul_f32s(*weight, x));
                        }
                    }
                }
            }
            for (out, sums) in out.iter_mut().zip(&sums) {
                for (out, sums) in out.chunks_mut(LANES).skip(block).zip(sums) {
                    let mut values = [0.0; LANES];
                    S::as_mut_simd_f32s(&mut values).0.copy_from_slice(sums);
                    out.copy_from_slice(&values[..out.len()]);
                }
            }
        }
        first + groups * G
    }
}

/// [`Packed::apply_all`] with whatever vector registers the processor has.
struct Apply<'a> {
    packed: &'a Packed,
    /// Entries of an input.
    columns: usize,
    /// Entries of an output.
    rows: usize,
    inputs: &'a [f32],
    out: &'a mut [f32],
}

/// Inputs that share a reading of the weights.
const TOGETHER: usize = 4;

impl WithSimd for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            packed,
            columns,
            rows,
            inputs,
            out,
        } = self;
        let mut inputs = inputs.chunks_exact(columns.max(1));
        let mut out = out.chunks_exact_mut(rows.max(1));
        while inputs.len() >= TOGETHER && out.len() >= TOGETHER {
            let four = core::array::from_fn(|_| inputs.next().unwrap_or_default());
            let results = core::array::from_fn(|_| out.next().unwrap_or_default());
            packed.rows::<S, TOGETHER>(simd, four, results);
        }
        for (input, out) in inputs.zip(out) {
            packed.rows::<S, 1>(simd, [input], [out]);
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
        for (rows, columns) in [(1, 1), (3, 7), (16, 16), (33, 20), (150, 9)] {
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

    #[test]
    fn many_inputs_give_the_bits_of_each_alone() {
        let number = |i: usize| ((i * 7919 + 13) % 1009) as f32 / 331.0 - 1.5;
        for (rows, columns) in [(1, 1), (3, 7), (48, 33), (150, 9), (130, 64)] {
            let weight: Vec<f32> = (0..rows * columns).map(number).collect();
            let bias: Vec<f32> = (0..rows).map(number).collect();
            let packed = Packed::new(rows, columns, &weight, &bias);
            for count in 0..11 {
                let inputs: Vec<f32> = (0..count * columns).map(|i| number(i + 77)).collect();
                let mut alone = vec![0.0; count * rows];
                let pairs = inputs
                    .chunks_exact(columns)
                    .zip(alone.chunks_exact_mut(rows));
                for (input, out) in pairs {
                    packed.apply(input, out);
                }
                let mut together = vec![0.0; count * rows];
                packed.apply_all(count, &inputs, &mut together);
                assert_eq!(together, alone, "{rows} x {columns}, {count} inputs");
            }
        }
    }
}
