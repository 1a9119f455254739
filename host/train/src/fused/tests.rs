//! The fused operations against plain candle operations and against finite differences.

use candle_core::{Device, Result, Tensor, Var};
use rand::RngExt;

use super::*;
use engram_plants::{Random, Stream, random_stream};

pub(super) fn random_values(count: usize, random: &mut Random) -> Vec<f32> {
    (0..count)
        .map(|_| random.random_range(-1.0f32..1.0))
        .collect()
}

pub(super) fn variable(shape: &[usize], random: &mut Random) -> Var {
    Var::from_vec(
        random_values(shape.iter().product(), random),
        shape,
        &Device::Cpu,
    )
    .unwrap()
}

pub(super) fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

pub(super) fn assert_close(a: &[f32], b: &[f32], tolerance: f32, what: &str) {
    let largest = b.iter().fold(1e-3f32, |max, x| max.max(x.abs()));
    assert_eq!(a.len(), b.len(), "{what}");
    for (index, (a, b)) in a.iter().zip(b).enumerate() {
        assert!(
            (a - b).abs() <= tolerance * largest,
            "{what}[{index}]: {a} against {b}"
        );
    }
}

/// Compares values and gradients of two versions of one function, and the first version's gradients
/// with central differences. The loss is a fixed random combination of the results.
pub(super) fn compare(
    variables: &[Var],
    fused: impl Fn() -> Result<Tensor>,
    plain: impl Fn() -> Result<Tensor>,
) {
    agree(variables, &fused, plain);
    differ(variables, &fused);
}

/// The weights of the loss that gradients are compared for.
fn loss_weights(result: &Tensor) -> Tensor {
    let mut random = random_stream(9, Stream::Weights, 9);
    let weights = random_values(result.elem_count(), &mut random);
    Tensor::from_vec(weights, result.shape(), &Device::Cpu).unwrap()
}

/// Compares values and gradients of two versions of one function.
pub(super) fn agree(
    variables: &[Var],
    fused: impl Fn() -> Result<Tensor>,
    plain: impl Fn() -> Result<Tensor>,
) {
    let result = fused().unwrap();
    let weights = loss_weights(&result);
    let loss = |result: Tensor| (result * &weights).unwrap().sum_all().unwrap();
    assert_close(&flat(&result), &flat(&plain().unwrap()), 2e-6, "value");
    let fused_gradients = loss(result).backward().unwrap();
    let plain_gradients = loss(plain().unwrap()).backward().unwrap();
    for variable in variables {
        let gradient = flat(fused_gradients.get(variable).expect("a gradient"));
        let plain = flat(plain_gradients.get(variable).unwrap());
        assert_close(&gradient, &plain, 1e-5, "gradient");
    }
}

/// Compares gradients with central differences; the function must be smooth for that.
fn differ(variables: &[Var], fused: impl Fn() -> Result<Tensor>) {
    let result = fused().unwrap();
    let weights = loss_weights(&result);
    let loss = (result * &weights).unwrap().sum_all().unwrap();
    let gradients = loss.backward().unwrap();
    for (number, variable) in variables.iter().enumerate() {
        let gradient = flat(gradients.get(variable).expect("a gradient"));
        let before = flat(variable);
        let numeric: Vec<f32> = (0..before.len())
            .map(|index| {
                let at = |step: f32| {
                    let mut moved = before.clone();
                    moved[index] += step;
                    variable
                        .set(&Tensor::from_vec(moved, variable.shape(), &Device::Cpu).unwrap())
                        .unwrap();
                    // Summed in f64: f32 would lose the small difference.
                    let result = flat(&fused().unwrap());
                    result
                        .iter()
                        .zip(flat(&weights))
                        .map(|(a, b)| f64::from(*a) * f64::from(b))
                        .sum::<f64>()
                };
                ((at(1e-2) - at(-1e-2)) / 2e-2) as f32
            })
            .collect();
        variable
            .set(&Tensor::from_vec(before, variable.shape(), &Device::Cpu).unwrap())
            .unwrap();
        assert_close(
            &gradient,
            &numeric,
            2e-3,
            &format!("finite difference of variable {number}"),
        );
    }
}

/// Banded attention as its definition says, token by token.
fn attention_by_definition(qkv: &Tensor, bias: &Tensor, band: Band) -> Vec<f32> {
    let (rows, bias): (Vec<Vec<f32>>, Vec<Vec<f32>>) =
        (qkv.to_vec2().unwrap(), bias.to_vec2().unwrap());
    let width = rows[0].len() / 3;
    let size = width / band.heads;
    let mut result = Vec::new();
    for (row, query) in rows.iter().enumerate() {
        let step = row % band.steps;
        for head in 0..band.heads {
            let of = |row: &[f32], part: usize| row[part * width + head * size..][..size].to_vec();
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
            let ages = 0..band.window.min(step + 1);
            let logits = ages.clone().map(|age| {
                let product = dot(&of(query, 0), &of(&rows[row - age], 1));
                product / (size as f32).sqrt() + bias[head][age]
            });
            let weights: Vec<f32> = logits.map(f32::exp).collect();
            let total: f32 = weights.iter().sum();
            result.extend((0..size).map(|column| {
                let values = ages.clone().map(|age| of(&rows[row - age], 2)[column]);
                let sum: f32 = values.zip(&weights).map(|(value, w)| value * w).sum();
                sum / total
            }));
        }
    }
    result
}

#[test]
fn banded_attention_is_what_its_definition_says() {
    let mut random = random_stream(2, Stream::Weights, 0);
    for (steps, window) in [
        (9, 4),
        (3, 5),
        (4, 1),
        (12, 12),
        (5, 3),
        (40, 17),
        (20, 32),
        (48, 16),
        (50, 5),
        (9, 5),
        (7, 2),
    ] {
        let (heads, width) = if window % 2 == 0 { (2, 6) } else { (1, 8) };
        let band = Band {
            sequences: 2,
            steps,
            heads,
            window,
        };
        let qkv = variable(&[2 * steps, 3 * width], &mut random);
        let bias = variable(&[heads, window], &mut random);
        let attend = || banded_attention(&qkv, &bias, band);
        let expected = attention_by_definition(&qkv, &bias, band);
        assert_close(&flat(&attend().unwrap()), &expected, 1e-5, "attention");
        differ(&[qkv.clone(), bias.clone()], attend);
    }
}

#[test]
fn gru_agrees() {
    let mut random = random_stream(3, Stream::Weights, 0);
    // Widths below, at and above a panel; one sequence, a pair, and a rest.
    for (count, steps, width) in [(1, 5, 3), (2, 9, 4), (3, 4, 11), (5, 1, 2), (2, 3, 32)] {
        let gates = variable(&[count * steps, 3 * width], &mut random);
        let weight = variable(&[3 * width, width], &mut random);
        let bias = variable(&[3 * width], &mut random);
        let sequences = Sequences { count, steps };
        compare(
            &[gates.clone(), weight.clone(), bias.clone()],
            || gru(&gates, &weight, &bias, sequences),
            || gru_plain(&gates, &weight, &bias, sequences),
        );
    }
}

#[test]
fn wrong_shapes_are_errors() {
    let tensor = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    assert!(linear(&tensor(&[2, 3]), &tensor(&[4, 5]), &tensor(&[4])).is_err());
    let band = Band {
        sequences: 1,
        steps: 2,
        heads: 2,
        window: 3,
    };
    assert!(banded_attention(&tensor(&[2, 12]), &tensor(&[2, 4]), band).is_err());
    assert!(banded_attention(&tensor(&[3, 12]), &tensor(&[2, 3]), band).is_err());
    let sequences = Sequences { count: 1, steps: 2 };
    assert!(
        gru(
            &tensor(&[2, 12]),
            &tensor(&[12, 3]),
            &tensor(&[12]),
            sequences
        )
        .is_err()
    );
    assert!(
        gru(
            &tensor(&[3, 12]),
            &tensor(&[12, 4]),
            &tensor(&[12]),
            sequences
        )
        .is_err()
    );
}

#[test]
fn a_small_network_agrees() {
    let mut random = random_stream(3, Stream::Weights, 0);
    let network = Mlp::default();
    for (rows, sizes) in [
        (5, vec![3, 4, 2]),
        (40, vec![17, 5, 18, 1]),
        (300, vec![2, 3]),
    ] {
        let x = variable(&[rows, sizes[0]], &mut random);
        let mut variables = vec![x.clone()];
        for pair in sizes.windows(2) {
            variables.push(variable(&[pair[1], pair[0]], &mut random));
            variables.push(variable(&[pair[1]], &mut random));
        }
        let layers: Vec<(&Tensor, &Tensor)> = variables[1..]
            .as_chunks::<2>()
            .0
            .iter()
            .map(|[weight, bias]| (weight.as_tensor(), bias.as_tensor()))
            .collect();
        compare(
            &variables,
            || network.forward(&x, &layers),
            || with_plain(true, || network.forward(&x, &layers)),
        );
        assert!(network.forward(layers[0].0, &layers[..0]).is_err());
    }
}

#[test]
fn functions_are_those_of_rollouts() {
    struct Functions<'a>(&'a mut [f32], &'a mut [f32]);
    impl pulp::WithSimd for Functions<'_> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: pulp::Simd>(self, simd: S) {
            let pairs = S::as_mut_simd_f32s(self.0).0.iter_mut();
            for (x, y) in pairs.zip(S::as_mut_simd_f32s(self.1).0) {
                *x = functions::exp(simd, *x);
                *y = functions::tanh(simd, *y);
            }
        }
    }
    let xs: Vec<f32> = (-1600..1600).map(|i| i as f32 * 0.0625).collect();
    let (mut exp, mut tanh) = (xs.clone(), xs.clone());
    pulp::Arch::new().dispatch(Functions(&mut exp, &mut tanh));
    for ((x, exp), tanh) in xs.iter().zip(exp).zip(tanh) {
        assert_eq!(exp, engram_export::elementary::exp(*x), "exp({x})");
        assert_eq!(tanh, engram_export::elementary::tanh(*x), "tanh({x})");
    }
}
