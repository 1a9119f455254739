//! One f32 matrix to int8 rows, int32 biases and a fixed-point factor per row.

use engram_kernels::Requant;

use super::{QuantizeError, SMALLEST_FACTOR};
use crate::calibrate::Activation;
use crate::parameters::Linear;

/// An int8 matrix as the image holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct IntegerMatrix {
    /// Outputs.
    pub rows: usize,
    /// Inputs.
    pub columns: usize,
    /// Row major, in `[-127, 127]`.
    pub weight: Vec<i8>,
    /// Per row, in units of the accumulator; empty without bias.
    pub bias: Vec<i32>,
    /// Per row, from the accumulator to the output's integer.
    pub factor: Vec<Requant>,
    /// Per row: largest magnitude the accumulator can reach, whatever the input.
    pub bound: Vec<u64>,
    /// Signal to noise of the outputs under the calibration's moments, from rounding the weights alone, in dB.
    pub weight_snr_db: f64,
}

/// What a matrix stands between.
pub(super) struct Surroundings<'a> {
    /// Name for errors, for example `layers.0.qkv`.
    pub(super) name: &'a str,
    /// What 1 means at every input, in real units.
    pub(super) input_scale: &'a [f64],
    /// What the inputs do, in real units.
    pub(super) input: &'a [Activation],
    /// What 1 means at every output, in real units.
    pub(super) output_scale: &'a [f64],
    /// Largest magnitude of an input: 128 for int8, 32768 for int16.
    pub(super) input_max: u32,
}

/// How far below the full range a row's scale is tried: clipping one outlier may serve all the others.
const SHRINK_STEPS: u32 = 30;
const SHRINK_PER_STEP: f64 = 0.01;
/// No bias may take more than this of the accumulator.
const BIAS_LIMIT: f64 = (1_u32 << 30) as f64;

/// Rounds `matrix`. The scale of each row is the one whose rounding costs least under the inputs' second
/// moments; what remains of the error on average is taken back through the bias, where there is one.
pub(super) fn quantize(
    matrix: &Linear,
    around: &Surroundings<'_>,
) -> Result<IntegerMatrix, QuantizeError> {
    let has_bias = !matrix.bias.is_empty();
    let mut result = IntegerMatrix {
        rows: matrix.rows,
        columns: matrix.columns,
        weight: Vec::with_capacity(matrix.weight.len()),
        bias: Vec::new(),
        factor: Vec::with_capacity(matrix.rows),
        bound: Vec::with_capacity(matrix.rows),
        weight_snr_db: 0.0,
    };
    // Inputs in integer units: the accumulator's view.
    let mean: Vec<f64> = around
        .input
        .iter()
        .zip(around.input_scale)
        .map(|(a, s)| a.mean / s)
        .collect();
    let square: Vec<f64> = around
        .input
        .iter()
        .zip(around.input_scale)
        .map(|(a, s)| a.mean_square / (s * s))
        .collect();
    let (mut signal, mut noise) = (0.0, 0.0);
    for (row, weights) in matrix.weight.chunks_exact(matrix.columns).enumerate() {
        let real: Vec<f64> = weights
            .iter()
            .zip(around.input_scale)
            .map(|(w, s)| f64::from(*w) * s)
            .collect();
        let bias = matrix.bias.get(row).copied().map_or(0.0, f64::from);
        let scale = row_scale(&real, &square, bias);
        let integers: Vec<i8> = real.iter().map(|w| rounded(w / scale)).collect();
        let left: Vec<f64> = real
            .iter()
            .zip(&integers)
            .map(|(w, q)| w - f64::from(*q) * scale)
            .collect();
        signal += real
            .iter()
            .zip(&square)
            .map(|(w, s)| w * w * s)
            .sum::<f64>();
        noise += left
            .iter()
            .zip(&square)
            .map(|(e, s)| e * e * s)
            .sum::<f64>();
        let correction: f64 = left.iter().zip(&mean).map(|(e, m)| e * m).sum();
        let in_units = if has_bias {
            ((bias + correction) / scale).round()
        } else {
            0.0
        };
        let output = around.output_scale[row];
        let ratio = scale / output;
        let zero = integers.iter().all(|w| *w == 0) && in_units == 0.0;
        if !ratio.is_finite() || in_units.abs() > 2.0 * BIAS_LIMIT {
            return Err(QuantizeError::Row {
                matrix: around.name.to_owned(),
                row,
                scale,
                output,
            });
        }
        // Below the smallest factor a full accumulator does not reach half a unit of the output.
        let silent = zero || ratio < SMALLEST_FACTOR;
        let sum: u64 = integers.iter().map(|w| u64::from(w.unsigned_abs())).sum();
        let bound = in_units.abs() as u64 + sum * u64::from(around.input_max);
        if bound >= 1 << 31 {
            return Err(QuantizeError::Accumulator {
                matrix: around.name.to_owned(),
                row,
                bound,
            });
        }
        if silent {
            result.weight.extend(std::iter::repeat_n(0, matrix.columns));
            result.factor.push(Requant::ZERO);
            result.bound.push(0);
        } else {
            result.weight.extend(&integers);
            let named = |ratio| QuantizeError::Factor {
                place: format!("{} row {row}", around.name),
                ratio,
            };
            result
                .factor
                .push(Requant::from_f64(ratio).map_err(|_| named(ratio))?);
            result.bound.push(bound);
        }
        if has_bias {
            result.bias.push(if silent { 0 } else { in_units as i32 });
        }
    }
    result.weight_snr_db = decibel(signal, noise);
    Ok(result)
}

/// The real value of one unit of the row's accumulator.
fn row_scale(real: &[f64], square: &[f64], bias: f64) -> f64 {
    let largest = real.iter().fold(0.0_f64, |max, w| max.max(w.abs()));
    let least = bias.abs() / BIAS_LIMIT;
    if largest <= least {
        // Nothing but a bias (or nothing at all): any unit that holds it will do.
        return if bias == 0.0 {
            1.0
        } else {
            bias.abs() / f64::from(1_u32 << 20)
        };
    }
    let full = largest / 127.0;
    let cost = |scale: f64| -> f64 {
        let error = |(w, s): (&f64, &f64)| (w - f64::from(rounded(w / scale)) * scale).powi(2) * s;
        real.iter().zip(square).map(error).sum()
    };
    let mut best = (cost(full), full);
    for step in 1..=SHRINK_STEPS {
        let scale = full * (1.0 - SHRINK_PER_STEP * f64::from(step));
        let cost = cost(scale);
        if cost < best.0 {
            best = (cost, scale);
        }
    }
    best.1.max(least)
}

fn rounded(value: f64) -> i8 {
    value.round_ties_even().clamp(-127.0, 127.0) as i8
}

/// `10 log10(signal / noise)`; infinite without noise.
pub(crate) fn decibel(signal: f64, noise: f64) -> f64 {
    10.0 * (signal / noise).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings<'a>(
        input: &'a [Activation],
        scale: &'a [f64],
        output: &'a [f64],
    ) -> Surroundings<'a> {
        Surroundings {
            name: "test",
            input_scale: scale,
            input,
            output_scale: output,
            input_max: 128,
        }
    }

    const UNIT: Activation = Activation {
        max_abs: 2.0,
        mean: 0.5,
        mean_square: 1.0,
    };

    #[test]
    fn reproduces_the_real_product() {
        let matrix = Linear {
            rows: 2,
            columns: 3,
            weight: vec![0.5, -1.0, 0.25, 1e-3, 2e-3, 0.0],
            bias: vec![0.1, -7.0],
        };
        let (scale, output) = ([0.02, 0.01, 0.03], [1e-3, 2e-3]);
        let input = [UNIT; 3];
        let q = quantize(&matrix, &surroundings(&input, &scale, &output)).expect("a matrix");
        let x = [50_i32, -100, 20];
        for (row, output) in output.iter().enumerate() {
            let acc: i32 = (0..3)
                .map(|c| i32::from(q.weight[row * 3 + c]) * x[c])
                .sum::<i32>()
                + q.bias[row];
            let got = f64::from(acc) * q.factor[row].to_f64() * output;
            let real: f64 = (0..3)
                .map(|c| f64::from(matrix.weight[row * 3 + c]) * f64::from(x[c]) * scale[c])
                .sum();
            let expected = real + f64::from(matrix.bias[row]);
            assert!(
                (got - expected).abs() < 0.02,
                "row {row}: {got} for {expected}"
            );
            assert!(q.bound[row] < 1 << 31);
        }
    }

    #[test]
    fn rows_without_weights_keep_their_bias_and_empty_rows_are_silent() {
        let matrix = Linear {
            rows: 3,
            columns: 1,
            weight: vec![0.0, 0.0, 1e-20],
            bias: vec![0.0, 3.0, 0.0],
        };
        let (scale, output, input) = ([0.01], [1e-3; 3], [UNIT]);
        let q = quantize(&matrix, &surroundings(&input, &scale, &output)).expect("a matrix");
        assert_eq!(q.weight, [0, 0, 0]);
        assert_eq!(q.factor[0], Requant::ZERO);
        assert_eq!((q.factor[2], q.bias[2]), (Requant::ZERO, 0));
        let bias = f64::from(q.bias[1]) * q.factor[1].to_f64() * 1e-3;
        assert!((bias - 3.0).abs() < 1e-5, "{bias}");
    }

    #[test]
    fn a_huge_bias_does_not_overflow_the_accumulator() {
        let matrix = Linear {
            rows: 1,
            columns: 1,
            weight: vec![1e-6],
            bias: vec![1e6],
        };
        let (scale, output, input) = ([0.01], [100.0], [UNIT]);
        let q = quantize(&matrix, &surroundings(&input, &scale, &output)).expect("a matrix");
        let got = f64::from(q.bias[0]) * q.factor[0].to_f64() * 100.0;
        assert!((got - 1e6).abs() < 100.0 && q.bound[0] < 1 << 31, "{got}");
    }
}
