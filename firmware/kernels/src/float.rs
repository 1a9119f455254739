//! f32 kernels for hosts: inner product, matrix times vector, scaled sum.
//!
//! Sums run over a fixed number of lanes in a fixed order, without fused multiply-add: the result
//! has the same bits on every target, and the lanes give the compiler its vectors.

/// Partial sums of one inner product.
const LANES: usize = 16;

/// `sum_i a[i] * b[i]` over the shorter of both slices.
#[inline]
#[must_use]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let length = if a.len() < b.len() { a.len() } else { b.len() };
    let (a, b) = (
        a.get(..length).unwrap_or(&[]),
        b.get(..length).unwrap_or(&[]),
    );
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    let mut lanes = [0.0_f32; LANES];
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    for ((lane, a), b) in lanes.iter_mut().zip(a_rest).zip(b_rest) {
        *lane += a * b;
    }
    pairwise(lanes)
}

/// `out[r] = sum_c weight[r][c] * input[c]`, with `weight` row major, `[out.len()][input.len()]`.
///
/// Rows that `weight` does not hold become 0; surplus weights are ignored.
#[inline]
pub fn matvec(weight: &[f32], input: &[f32], out: &mut [f32]) {
    out.fill(0.0);
    if input.is_empty() {
        return;
    }
    for (out, row) in out.iter_mut().zip(weight.chunks_exact(input.len())) {
        *out = dot(row, input);
    }
}

/// `out[i] += scale * row[i]` over the shorter of both slices.
#[inline]
pub fn add_scaled(out: &mut [f32], scale: f32, row: &[f32]) {
    for (out, x) in out.iter_mut().zip(row) {
        *out += scale * x;
    }
}

/// Sum of all lanes: lane `i` takes lane `i + width`, for `width` = 8, 4, 2, 1.
#[inline]
fn pairwise(lanes: [f32; LANES]) -> f32 {
    let fold = |lanes: [f32; LANES], width: usize| {
        let mut folded = lanes;
        let (low, high) = folded.split_at_mut(width);
        for (low, high) in low.iter_mut().zip(high) {
            *low += *high;
        }
        folded
    };
    let [sum, ..] = fold(fold(fold(fold(lanes, 8), 4), 2), 1);
    sum
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn dot_is_near_the_f64_sum(pairs in proptest::collection::vec((-10.0_f32..10.0, -10.0_f32..10.0), 0..300)) {
            let (a, b): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            let products = || a.iter().zip(&b).map(|(&a, &b)| f64::from(a) * f64::from(b));
            let scale: f64 = products().map(f64::abs).sum();
            // One rounding per product, and per addition of a chain of n / 16 + 5.
            let steps = a.len() as f64 / 16.0 + 7.0;
            prop_assert!((f64::from(dot(&a, &b)) - products().sum::<f64>()).abs() <= scale * steps * 6e-8);
        }

        #[test]
        fn matvec_is_one_dot_per_row(rows in 0_usize..9, columns in 0_usize..40, seed in any::<u32>()) {
            let weight: Vec<f32> = (0..rows * columns).map(|i| ((i as u32 ^ seed) % 17) as f32 - 8.0).collect();
            let input: Vec<f32> = (0..columns).map(|i| (i % 7) as f32 - 3.0).collect();
            let mut out = vec![f32::NAN; rows];
            matvec(&weight, &input, &mut out);
            for (r, &value) in out.iter().enumerate() {
                // Small integers: exact in any order.
                let plain: f32 = (0..columns).map(|c| weight[r * columns + c] * input[c]).sum();
                prop_assert_eq!(value, plain);
            }
        }
    }

    #[test]
    fn unequal_lengths_stop_at_the_shorter() {
        assert_eq!(dot(&[1.0; 40], &[2.0; 33]), 66.0);
        let mut out = [7.0; 3];
        matvec(&[1.0, 2.0, 3.0], &[1.0, 1.0], &mut out);
        assert_eq!(out, [3.0, 0.0, 0.0]);
        add_scaled(&mut out, 2.0, &[1.0]);
        assert_eq!(out, [5.0, 0.0, 0.0]);
    }
}
