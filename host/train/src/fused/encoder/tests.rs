//! The encoder as one operation against the same made of plain candle operations, and finite differences.

use candle_core::{Device, Result, Tensor, Var};

use super::super::tests::{agree, compare, variable};
use super::super::{Band, banded_attention, linear};
use super::*;
use engram_plants::{Random, Stream, random_stream};

/// Layers of plain candle operations, for sequences of `steps` tokens each.
fn layers_plain(
    shape: &EncoderShape,
    parameters: &Tensor,
    mut x: Tensor,
    steps: usize,
) -> Result<Tensor> {
    let EncoderShape {
        heads,
        model,
        ff,
        window,
        ..
    } = *shape;
    let mut start = 0;
    let mut next = |shape: &[usize]| {
        let length: usize = shape.iter().product();
        let part = parameters.narrow(0, start, length)?.reshape(shape);
        start += length;
        part
    };
    let band = Band {
        sequences: x.dim(0)? / steps,
        steps,
        heads,
        window,
    };
    for _ in 0..shape.layers {
        let (in_weight, in_bias) = (next(&[3 * model, model])?, next(&[3 * model])?);
        let qkv = linear(&x, &in_weight, &in_bias)?;
        // The age bias comes last in a layer: first everything that does not need it.
        let (out_weight, out_bias) = (next(&[model, model])?, next(&[model])?);
        let (up, up_bias) = (next(&[ff, model])?, next(&[ff])?);
        let (down, down_bias) = (next(&[model, ff])?, next(&[model])?);
        let bias = if shape.age_bias {
            next(&[heads, window])?
        } else {
            Tensor::zeros((heads, window), candle_core::DType::F32, &Device::Cpu)?
        };
        let attended = banded_attention(&qkv, &bias, band)?;
        x = (x + linear(&attended, &out_weight, &out_bias)?)?;
        let hidden = linear(&x, &up, &up_bias)?.relu()?;
        x = (x + linear(&hidden, &down, &down_bias)?)?;
    }
    Ok(x)
}

/// Parameters so small, and hidden biases so large, that the encoder is smooth: a finite difference over the kink
/// of a ReLU means nothing.
fn smooth(shape: &EncoderShape, random: &mut Random) -> Var {
    let EncoderShape { model, ff, .. } = *shape;
    let count = parameters::count(shape);
    let mut values = super::super::tests::random_values(count, random);
    values.iter_mut().for_each(|value| *value *= 0.3);
    for layer in values.chunks_exact_mut(count / shape.layers) {
        let start = 4 * model * (model + 1) + ff * model;
        for (number, bias) in layer[start..start + ff].iter_mut().enumerate() {
            *bias = if number % 3 == 0 { -6.0 } else { 6.0 };
        }
    }
    Var::from_vec(values, count, &Device::Cpu).unwrap()
}

fn shape(heads: usize, model: usize, window: usize, age_bias: bool) -> EncoderShape {
    EncoderShape {
        layers: 2,
        heads,
        model,
        ff: 10,
        window,
        age_bias,
    }
}

#[test]
fn trials_agree() {
    let mut random = random_stream(5, Stream::Weights, 0);
    for (trials, steps, heads, model, window) in [
        (2, 9, 2, 6, 4),
        (1, 40, 1, 8, 17),
        (2, 20, 2, 8, 32),
        (3, 7, 2, 4, 1),
    ] {
        let shape = shape(heads, model, window, true);
        let encoder = Encoder::new(shape);
        let x = variable(&[trials * steps, model], &mut random);
        let fused = |p: &Tensor| encoder.forward(&x, p, Tokens::Trials { trials, steps });
        let plain = |p: &Tensor| layers_plain(&shape, p, x.as_tensor().clone(), steps);
        let large = variable(&[encoder.count()], &mut random);
        let both = [x.clone(), large.clone()];
        agree(&both, || fused(&large), || plain(&large));
        let small = smooth(&shape, &mut random);
        let both = [x.clone(), small.clone()];
        compare(&both, || fused(&small), || plain(&small));
    }
}

/// A window that is not yet full is computed from the front by plain operations, and from the back by the fused
/// ones; the results must be the same.
#[test]
fn windows_agree() {
    let mut random = random_stream(6, Stream::Weights, 0);
    let (tokens, length, model) = (12, 3, 6);
    let shape = shape(2, model, length, false);
    let encoder = Encoder::new(shape);
    let x = variable(&[tokens, model], &mut random);
    let parameters = smooth(&shape, &mut random);
    let encodings = super::super::tests::random_values(length * model, &mut random);
    let windows: Vec<Window> = (0..tokens)
        .map(|newest| Window {
            newest,
            present: length.min(newest % 8 + 1),
        })
        .collect();
    let plain = || {
        let mut rows = Vec::new();
        let mut newest = Vec::new();
        for (number, window) in windows.iter().enumerate() {
            let first = window.newest + 1 - window.present;
            rows.extend((0..length).map(|slot| (first + slot).min(window.newest) as u32));
            newest.push((number * length + window.present - 1) as u32);
        }
        let count = windows.len();
        let encodings = Tensor::from_slice(&encodings, (length, model), &Device::Cpu)?;
        let x = x
            .index_select(&Tensor::from_vec(rows, count * length, &Device::Cpu)?, 0)?
            .reshape((count, length, model))?
            .broadcast_add(&encodings)?
            .reshape((count * length, model))?;
        layers_plain(&shape, &parameters, x, length)?
            .index_select(&Tensor::from_vec(newest, count, &Device::Cpu)?, 0)
    };
    let fused = || {
        let tokens = Tokens::Windows {
            windows: windows.clone(),
            encodings: encodings.clone(),
        };
        encoder.forward(&x, &parameters, tokens)
    };
    compare(&[x.clone(), parameters.clone()], fused, plain);
}

#[test]
fn memory_is_used_again_and_results_stay() {
    let mut random = random_stream(7, Stream::Weights, 0);
    let shape = shape(2, 8, 5, true);
    let encoder = Encoder::new(shape);
    let x = variable(&[60, 8], &mut random);
    let parameters = variable(&[encoder.count()], &mut random);
    let run = |trials, steps| {
        let result = encoder
            .forward(&x, &parameters, Tokens::Trials { trials, steps })
            .unwrap();
        let gradients = result.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        let gradient = gradients.get(&parameters).unwrap();
        (
            super::super::tests::flat(&result),
            super::super::tests::flat(gradient),
        )
    };
    let first = run(3, 20);
    run(1, 60);
    assert_eq!(first, run(3, 20));
    assert_eq!(encoder.idle.0.lock().unwrap().len(), 1);
}

#[test]
fn wrong_tokens_are_errors() {
    let mut random = random_stream(8, Stream::Weights, 0);
    let encoder = Encoder::new(shape(2, 8, 3, false));
    let x = variable(&[6, 8], &mut random);
    let parameters = variable(&[encoder.count()], &mut random);
    let window = |newest, present| Tokens::Windows {
        windows: vec![Window { newest, present }],
        encodings: vec![0.0; 24],
    };
    assert!(encoder.forward(&x, &parameters, window(5, 3)).is_ok());
    for wrong in [
        window(6, 1),
        window(5, 4),
        window(1, 3),
        window(1, 0),
        Tokens::Trials {
            trials: 2,
            steps: 4,
        },
    ] {
        assert!(encoder.forward(&x, &parameters, wrong).is_err());
    }
    assert!(
        encoder
            .forward(&x, &x.flatten_all().unwrap(), window(5, 3))
            .is_err()
    );
}
