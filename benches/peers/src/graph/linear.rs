//! A linear map in f32 or int8.

use engram_export::calibrate::Activation;
use engram_export::parameters::Linear;

use super::builder::{Builder, Name, int};
use super::standard;

/// What the matrices are computed in. Attention, tanh and sums between them are f32 in all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Precision {
    /// f32.
    Float,
    /// int8 weights, one scale per row; the range of the inputs is found at every step.
    Dynamic,
    /// int8 weights, one scale per row; the range of the inputs is that of the calibration.
    Static,
    /// [`Self::Dynamic`] without the operators of ONNX Runtime.
    StandardDynamic,
    /// [`Self::Static`] without the operators of ONNX Runtime.
    StandardStatic,
}

impl Precision {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Float => "f32",
            Self::Dynamic | Self::StandardDynamic => "int8 dynamic",
            Self::Static | Self::StandardStatic => "int8 static",
        }
    }
}

/// The largest magnitude over all channels.
pub(super) fn range(activations: &[Activation]) -> f32 {
    let largest = activations.iter().map(|activation| activation.max_abs);
    largest.fold(1e-6, f64::max) as f32
}

/// Weights as int8, `[columns][rows]`, and the scale of every row.
pub(super) fn quantized(linear: &Linear) -> (Vec<i8>, Vec<f32>) {
    let scales: Vec<f32> = linear
        .weight
        .chunks_exact(linear.columns)
        .map(|row| row.iter().fold(1e-9_f32, |most, w| most.max(w.abs())) / 127.0)
        .collect();
    let transposed = transposed(linear);
    let weights = transposed
        .chunks_exact(linear.rows)
        .flat_map(|row| row.iter().zip(&scales))
        .map(|(weight, scale)| (weight / scale).round() as i8)
        .collect();
    (weights, scales)
}

/// `[columns][rows]`.
pub(crate) fn transposed(linear: &Linear) -> Vec<f32> {
    (0..linear.columns)
        .flat_map(|column| {
            let rows = linear.weight.chunks_exact(linear.columns);
            rows.map(move |row| row[column])
        })
        .collect()
}

/// The bias of every row, 0 where there is none.
pub(super) fn bias(linear: &Linear) -> Vec<f32> {
    if linear.bias.is_empty() {
        vec![0.0; linear.rows]
    } else {
        linear.bias.clone()
    }
}

/// The step of a symmetric i8, or u8 with its zero at 128.
pub(super) fn step(range: f32) -> f32 {
    range / 127.0
}

/// `linear` of `input`, a matrix whose rows are inputs; `range` is the largest magnitude of an input.
pub(super) fn linear(
    builder: &mut Builder,
    precision: Precision,
    linear: &Linear,
    input: &str,
    range: f32,
) -> Name {
    match precision {
        Precision::Float => float(builder, linear, input),
        Precision::Dynamic => dynamic(builder, linear, input),
        Precision::Static => {
            let input = quantize(builder, input, range);
            static_product(builder, linear, &input, (step(range), 128), None)
        }
        Precision::StandardDynamic => standard::dynamic(builder, linear, input),
        Precision::StandardStatic => standard::fixed(builder, linear, input, range),
    }
}

/// `second` of what `first` gives, rectified.
pub(super) fn feed_forward(
    builder: &mut Builder,
    precision: Precision,
    maps: (&Linear, &Linear),
    input: &str,
    ranges: (f32, f32),
) -> Name {
    let (first, second) = maps;
    match precision {
        Precision::Float
        | Precision::Dynamic
        | Precision::StandardDynamic
        | Precision::StandardStatic => {
            let hidden = linear(builder, precision, first, input, ranges.0);
            let hidden = builder.node("Relu", &[&hidden], vec![]);
            linear(builder, precision, second, &hidden, ranges.1)
        }
        // A u8 with its zero at 0 rectifies by itself.
        Precision::Static => {
            let input = quantize(builder, input, ranges.0);
            let hidden = ranges.1 / 255.0;
            let rectified =
                static_product(builder, first, &input, (step(ranges.0), 128), Some(hidden));
            static_product(builder, second, &rectified, (hidden, 0), None)
        }
    }
}

pub(super) fn float(builder: &mut Builder, linear: &Linear, input: &str) -> Name {
    let weights = builder.floats(&[linear.columns, linear.rows], &transposed(linear));
    if linear.bias.is_empty() {
        return builder.node("MatMul", &[input, &weights], vec![]);
    }
    let bias = builder.floats(&[linear.rows], &linear.bias);
    builder.node("Gemm", &[input, &weights, &bias], vec![])
}

fn dynamic(builder: &mut Builder, linear: &Linear, input: &str) -> Name {
    let (weights, scales) = quantized(linear);
    let weights = builder.bytes(&[linear.columns, linear.rows], &weights);
    let scales = builder.floats(&[linear.rows], &scales);
    let bias = builder.floats(&[linear.rows], &bias(linear));
    builder.microsoft(
        "DynamicQuantizeMatMul",
        &[input, &weights, &scales, "", &bias],
        vec![],
    )
}

fn quantize(builder: &mut Builder, input: &str, range: f32) -> Name {
    let scale = builder.floats(&[], &[step(range)]);
    let zero = builder.unsigned_byte(128);
    builder.node("QuantizeLinear", &[input, &scale, &zero], vec![])
}

/// The product of u8 inputs with `(scale, zero)`: f32, or u8 with the scale `output` and its zero at 0.
fn static_product(
    builder: &mut Builder,
    linear: &Linear,
    input: &str,
    (scale, zero): (f32, u8),
    output: Option<f32>,
) -> Name {
    let (weights, scales) = quantized(linear);
    let bias: Vec<i32> = bias(linear)
        .iter()
        .zip(&scales)
        .map(|(bias, weight)| (bias / (weight * scale)).round() as i32)
        .collect();
    let weights = builder.bytes(&[linear.columns, linear.rows], &weights);
    let weight_scales = builder.floats(&[linear.rows], &scales);
    let weight_zeros = builder.bytes(&[linear.rows], &vec![0; linear.rows]);
    let input_scale = builder.floats(&[], &[scale]);
    let input_zero = builder.unsigned_byte(zero);
    let bias = builder.sums(&bias);
    let mut inputs = vec![
        input,
        &input_scale,
        &input_zero,
        &weights,
        &weight_scales,
        &weight_zeros,
        &bias,
    ];
    let output = output.map(|scale| (builder.floats(&[], &[scale]), builder.unsigned_byte(0)));
    if let Some((scale, zero)) = &output {
        inputs.extend([scale.as_str(), zero]);
    }
    builder.microsoft("QGemm", &inputs, vec![int("transA", 0), int("transB", 0)])
}
