//! f32 arithmetic of the streaming policy, written so that the compiler vectorises it.
//!
//! No platform `libm` and no fused multiply-add: a rollout has the same bits on every machine and
//! for every number of threads. Sums are split over fixed lanes, so their order is fixed too.

/// Values that one pass of an inner loop handles.
pub(super) const LANES: usize = 16;

/// A matrix in the order in which a step reads it: `[block][column][LANES rows]`, rows padded with zeros.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    columns: usize,
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Packed {
    /// Packs a row-major `[rows][columns]` matrix; an empty bias is zero.
    pub(super) fn new(rows: usize, columns: usize, weight: &[f32], bias: &[f32]) -> Self {
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
    pub(super) fn apply(&self, input: &[f32], out: &mut [f32]) {
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

/// `e^x` for finite `x`, relative error below 2e-7 in `-87..=88`, clamped outside.
#[inline]
pub(super) fn exp(x: f32) -> f32 {
    // 1.5 * 2^23: adding it rounds to the nearest integer, which then sits in the low bits.
    const MAGIC: f32 = 12_582_912.0;
    // ln 2 in two parts: the high one has few enough bits for `n * HIGH` to be exact.
    const HIGH: f32 = 0.693_359_4;
    const LOW: f32 = -2.121_944_4e-4;
    let x = if x > 88.0 { 88.0 } else { x };
    let x = if x < -87.0 { -87.0 } else { x };
    let shifted = x * core::f32::consts::LOG2_E + MAGIC;
    let n = shifted - MAGIC;
    let r = (x - n * HIGH) - n * LOW;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_2e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    let y = p * (r * r) + r + 1.0;
    let exponent = shifted
        .to_bits()
        .wrapping_sub(MAGIC.to_bits())
        .wrapping_add(127)
        << 23;
    y * f32::from_bits(exponent)
}

/// Replaces every value by its hyperbolic tangent, absolute error below 2e-7.
#[inline]
pub(super) fn tanh(values: &mut [f32]) {
    for x in values {
        let clamped = if *x > 20.0 { 20.0 } else { *x };
        *x = 1.0 - 2.0 / (exp(2.0 * clamped) + 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_and_tanh_stay_within_their_bounds() {
        let mut worst = (0.0_f64, 0.0_f64);
        for step in -870_000..=880_000 {
            let x = step as f32 * 1e-4;
            let exact = f64::from(x).exp();
            worst.0 = worst.0.max((f64::from(exp(x)) - exact).abs() / exact);
            let mut y = [x];
            tanh(&mut y);
            worst.1 = worst.1.max((f64::from(y[0]) - f64::from(x).tanh()).abs());
        }
        assert!(worst.0 < 2e-7 && worst.1 < 2e-7, "{worst:?}");
        assert_eq!(exp(-1e30), exp(-87.0));
        assert_eq!(exp(0.0), 1.0);
    }

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
