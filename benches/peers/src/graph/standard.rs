//! An int8 linear map in the operators of ONNX itself, for engines that have none of ONNX Runtime's.
//!
//! Weights are i8 with a scale per row in all of them. Nothing here rounds the result of a map: where it is wanted
//! in 8 bits, the next map rounds it.

use engram_export::parameters::Linear;

use super::builder::{Builder, Name, int};
use super::linear::{bias, quantized, step};
use super::protobuf::FLOAT;

/// The range of the inputs is found at every step: `DynamicQuantizeLinear`, `MatMulInteger`.
pub(super) fn dynamic(builder: &mut Builder, linear: &Linear, input: &str) -> Name {
    let (weights, scales) = quantized(linear);
    let weights = builder.bytes(&[linear.columns, linear.rows], &weights);
    let scales = builder.floats(&[1, linear.rows], &scales);
    let [input, scale, zero] = builder.nodes("", "DynamicQuantizeLinear", &[input], vec![]);
    let sums = builder.node("MatMulInteger", &[&input, &weights, &zero], vec![]);
    let scales = builder.node("Mul", &[&scales, &scale], vec![]);
    dequantized(builder, linear, &sums, &scales)
}

/// The range of the inputs is that of the calibration: `QuantizeLinear`, `MatMulInteger`.
pub(super) fn fixed(builder: &mut Builder, linear: &Linear, input: &str, range: f32) -> Name {
    let (weights, scales) = quantized(linear);
    let weights = builder.bytes(&[linear.columns, linear.rows], &weights);
    let scales: Vec<f32> = scales.iter().map(|scale| scale * step(range)).collect();
    let scales = builder.floats(&[1, linear.rows], &scales);
    let input = quantize(builder, input, range);
    let sums = builder.node("MatMulInteger", &[&input, &weights], vec![]);
    dequantized(builder, linear, &sums, &scales)
}

/// i8 with its zero at 0, so that no sum of weights must be taken off the products.
fn quantize(builder: &mut Builder, input: &str, range: f32) -> Name {
    let scale = builder.floats(&[], &[step(range)]);
    let zero = builder.bytes(&[], &[0]);
    builder.node("QuantizeLinear", &[input, &scale, &zero], vec![])
}

/// i32 sums as f32, with their bias.
fn dequantized(builder: &mut Builder, linear: &Linear, sums: &str, scales: &str) -> Name {
    let sums = builder.node("Cast", &[sums], vec![int("to", i64::from(FLOAT))]);
    let product = builder.node("Mul", &[&sums, scales], vec![]);
    let bias = builder.floats(&[1, linear.rows], &bias(linear));
    builder.node("Add", &[&product, &bias], vec![])
}

#[cfg(all(test, feature = "tract"))]
mod tests {
    use tract_onnx::prelude::*;

    use super::*;
    use crate::graph::linear::float;

    const INPUTS: usize = 64;
    const ROWS: usize = 48;
    const TOKENS: usize = 3;

    fn map() -> Linear {
        let value = |index: usize| ((index * 37 + 11) % 101) as f32 / 50.0 - 1.0;
        Linear {
            rows: ROWS,
            columns: INPUTS,
            weight: (0..ROWS * INPUTS).map(value).collect(),
            bias: (0..ROWS).map(value).collect(),
        }
    }

    fn inputs() -> Vec<f32> {
        (0..TOKENS * INPUTS)
            .map(|index| (index as f32 * 0.7).sin())
            .collect()
    }

    /// What tract makes of a graph, and the operators that it runs.
    fn run(make: impl Fn(&mut Builder, &str) -> Name) -> TractResult<(Vec<f32>, String)> {
        let mut builder = Builder::default();
        let input = builder.input("input", &[TOKENS, INPUTS]);
        let output = make(&mut builder, &input);
        builder.output(&output, "output", &[TOKENS, ROWS]);
        let model = tract_onnx::onnx()
            .model_for_read(&mut builder.finish().as_slice())?
            .into_optimized()?;
        let names: Vec<_> = model
            .nodes()
            .iter()
            .map(|node| format!("{}", node.op))
            .collect();
        let input = Tensor::from_shape(&[TOKENS, INPUTS], &inputs())?;
        let output = model.into_runnable()?.run(tvec!(input.into_tvalue()))?;
        let values = output[0].to_plain_array_view::<f32>()?;
        Ok((values.iter().copied().collect(), names.join(" ")))
    }

    fn furthest(found: &[f32], wanted: &[f32]) -> f32 {
        let pairs = found.iter().zip(wanted);
        pairs
            .map(|(found, wanted)| (found - wanted).abs())
            .fold(0.0, f32::max)
    }

    /// `MatMul` of inputs and weights that `DequantizeLinear` makes f32.
    fn qdq(builder: &mut Builder, linear: &Linear, input: &str) -> Name {
        let scale = builder.floats(&[], &[step(1.0)]);
        let zero = builder.bytes(&[], &[0]);
        let input = builder.node("QuantizeLinear", &[input, &scale, &zero], vec![]);
        let input = builder.node("DequantizeLinear", &[&input, &scale, &zero], vec![]);
        let (weights, scales) = quantized(linear);
        let weights = builder.bytes(&[linear.columns, linear.rows], &weights);
        let scales = builder.floats(&[linear.rows], &scales);
        let zeros = builder.bytes(&[linear.rows], &vec![0; linear.rows]);
        let weights = builder.node(
            "DequantizeLinear",
            &[&weights, &scales, &zeros],
            vec![int("axis", 1)],
        );
        let product = builder.node("MatMul", &[&input, &weights], vec![]);
        let bias = builder.floats(&[1, linear.rows], &bias(linear));
        builder.node("Add", &[&product, &bias], vec![])
    }

    #[test]
    fn int8_is_close_to_f32() {
        let map = map();
        let (wanted, _) = run(|builder, input| float(builder, &map, input)).expect("f32");
        let largest = wanted
            .iter()
            .fold(0.0, |most: f32, value| most.max(value.abs()));
        for (found, operators) in [
            run(|builder, input| dynamic(builder, &map, input)).expect("dynamic ranges"),
            run(|builder, input| fixed(builder, &map, input, 1.0)).expect("fixed ranges"),
        ] {
            let furthest = furthest(&found, &wanted);
            assert!(
                furthest > 0.0 && furthest < 0.02 * largest,
                "{furthest} of {largest}"
            );
            let dequantized = operators.find("DequantizeLinear");
            assert_eq!(
                dequantized, None,
                "the product is not that of integers: {operators}"
            );
        }
    }

    /// Why there is no such form among the contenders.
    #[test]
    fn what_is_dequantized_first_is_multiplied_in_f32() {
        let (_, operators) = run(|builder, input| qdq(builder, &map(), input)).expect("a graph");
        let dequantized = operators.find("DequantizeLinearF32").expect("f32");
        let product = operators.find("OptMatMul").expect("a product");
        assert!(dequantized < product, "tract fuses them now: {operators}");
    }
}
