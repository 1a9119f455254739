//! From f32 parameters and measured ranges to the integers of an image.
//!
//! Nothing here runs the integer policy: what these integers do is defined in `engram-firmware`, and
//! `export` asks it before anything is written.

mod integer;
mod matrix;
mod options;
mod scales;

use engram_image::limits::MAX_LAYERS;
use engram_image::{Head, Positions, Weights};
use engram_kernels::{
    CONTEXT_FRACTION_BITS, LOGIT_FRACTION_BITS, PREACTIVATION_FRACTION_BITS, Requant, WORD_MAX,
};

use crate::calibrate::{Activation, Calibration};
use crate::float::Site;
use crate::parameters::{Linear, Parameters, slot_positions};

pub use integer::{IntegerLayer, IntegerPolicy};
pub use matrix::IntegerMatrix;
pub(crate) use matrix::decibel;
use matrix::{Surroundings, quantize as quantize_matrix};
pub use options::{Options, QuantizeError};
use scales::{LayerScales, Scales};

/// One unit of a preactivation of the head.
const PREACTIVATION: f64 = 1.0 / (1_u32 << PREACTIVATION_FRACTION_BITS) as f64;
/// One unit of a hyperbolic tangent (int8, 127 = 1).
const TANH: f64 = 1.0 / 127.0;
/// One unit of a command word.
const COMMAND: f64 = 1.0 / WORD_MAX as f64;
/// Units of a logit per natural-log logit.
const LOGIT: f64 = std::f64::consts::LOG2_E * (1_u32 << LOGIT_FRACTION_BITS) as f64;
/// Units of a weighted mean per unit of the values.
const MEAN: f64 = (1_u32 << CONTEXT_FRACTION_BITS) as f64;
/// Smallest positive factor that multiplier and shift can express.
const SMALLEST_FACTOR: f64 = 1.0 / (1_u64 << 32) as f64;
/// Largest magnitude of an age bias in Q10: 1024 octaves, far beyond what the exponential tells from 0.
const AGE_BIAS_LIMIT: f64 = (1_u32 << 20) as f64;

/// Quantizes checked parameters by the ranges of `calibration`.
///
/// # Errors
/// An option out of range, or the first matrix and row that cannot be represented.
pub fn quantize(
    parameters: &Parameters,
    calibration: &Calibration,
    options: &Options,
) -> Result<IntegerPolicy, QuantizeError> {
    options.check()?;
    let config = parameters.config;
    let scales = Scales::choose(parameters, calibration, options);
    let seen = |site: Site| calibration.activations(site);
    let inputs = vec![scales.input; config.inputs()];
    let matrix = |name: &str,
                  linear: &Linear,
                  input_scale: &[f64],
                  input: &[Activation],
                  output_scale: &[f64],
                  input_max| {
        quantize_matrix(
            linear,
            &Surroundings {
                name,
                input_scale,
                input,
                output_scale,
                input_max,
            },
        )
    };
    let mut layers = [const { None }; MAX_LAYERS];
    for (l, place) in layers.iter_mut().enumerate().take(config.layers) {
        *place = Some(layer(parameters, calibration, &scales, l)?);
    }
    let [h0, h1] = config.hidden;
    let (q12, tanh) = (vec![PREACTIVATION; h0.max(h1)], vec![TANH; h0.max(h1)]);
    let (first, raw) = parameters.head_parts();
    let first = matrix(
        "head.first",
        &first,
        &scales.head,
        &seen(Site::Encoder),
        &q12[..h0],
        128,
    )?;
    let raw = match &raw {
        Some(raw) => Some(matrix(
            "head.raw",
            raw,
            &scales.residual,
            &seen(Site::Embedded),
            &q12[..h0],
            32_768,
        )?),
        None => None,
    };
    let second = matrix(
        "head.second",
        &parameters.head[1],
        &tanh[..h0],
        &seen(Site::HeadHidden(0)),
        &q12[..h1],
        128,
    )?;
    let command = vec![COMMAND; config.actions];
    let third = matrix(
        "head.third",
        &parameters.head[2],
        &tanh[..h1],
        &seen(Site::HeadHidden(1)),
        &command,
        128,
    )?;
    let clip = parameters.normalizer.clip;
    let residual_steps = |(i, value): (usize, &f32)| {
        (f64::from(*value) / scales.residual[i % config.model])
            .round_ties_even()
            .clamp(-32_767.0, 32_767.0) as i16
    };
    Ok(IntegerPolicy {
        config,
        input_mean: parameters.normalizer.mean.clone(),
        input_inverse: parameters
            .normalizer
            .std
            .iter()
            .map(|std| (32_767.0 / (f64::from(clip) * f64::from(*std))) as f32)
            .collect(),
        residual_scale: scales.residual_scale() as f32,
        weights: Weights {
            embed: matrix(
                "embed",
                &parameters.embed,
                &inputs,
                &seen(Site::Input),
                &scales.residual,
                32_768,
            )?,
            positions: match config.positions {
                Positions::Age => Vec::new(),
                Positions::Slot => slot_positions(config.window, config.model)
                    .iter()
                    .enumerate()
                    .map(residual_steps)
                    .collect(),
            },
            layers,
            head: Head {
                input: ratio("head.input", scales.residual[0], scales.head[0])?,
                first,
                raw,
                second,
                third,
            },
        },
        limits: scales.limits(),
    })
}

fn layer(
    parameters: &Parameters,
    calibration: &Calibration,
    scales: &Scales,
    l: usize,
) -> Result<IntegerLayer, QuantizeError> {
    let LayerScales {
        attention_input,
        qkv,
        product,
        attention_output,
        ff_input,
        hidden,
    } = &scales.layers[l];
    let source = &parameters.layers[l];
    let d = parameters.config.model;
    let matrix =
        |name: &str, linear: &Linear, input_scale: &[f64], site: Site, output_scale: &[f64]| {
            let (name, input) = (format!("layers.{l}.{name}"), calibration.activations(site));
            let around = Surroundings {
                name: &name,
                input_scale,
                input: &input,
                output_scale,
                input_max: 128,
            };
            quantize_matrix(linear, &around)
        };
    let width = parameters.config.head_dim() as f64;
    let base_2 = |bias: &f32| {
        (f64::from(*bias) * LOGIT)
            .round_ties_even()
            .clamp(-AGE_BIAS_LIMIT, AGE_BIAS_LIMIT) as i32
    };
    let named = |name: &str| format!("layers.{l}.{name}");
    Ok(IntegerLayer {
        attention_input: ratio(
            &named("attention_input"),
            scales.residual[0],
            attention_input[0],
        )?,
        qkv: matrix(
            "qkv",
            &source.in_proj,
            attention_input,
            Site::LayerInput(l),
            qkv,
        )?,
        logit: ratio(&named("logit"), product * LOGIT / width.sqrt(), 1.0)?,
        age_bias: source.age_bias.iter().map(base_2).collect(),
        attention_output: ratio(
            &named("attention_output"),
            qkv[2 * d] / MEAN,
            attention_output[0],
        )?,
        out: matrix(
            "out",
            &source.out_proj,
            attention_output,
            Site::AttentionOutput(l),
            &scales.residual,
        )?,
        ff_input: ratio(&named("ff_input"), scales.residual[0], ff_input[0])?,
        ff1: matrix(
            "ff1",
            &source.linear1,
            ff_input,
            Site::FeedForwardInput(l),
            hidden,
        )?,
        ff2: matrix(
            "ff2",
            &source.linear2,
            hidden,
            Site::Hidden(l),
            &scales.residual,
        )?,
    })
}

/// The factor from a scale to another. A scale that says "nothing ever happens here" may be far off: the
/// nearest end of what a factor can express serves it.
fn ratio(place: &str, from: f64, to: f64) -> Result<Requant, QuantizeError> {
    let ratio = (from / to).clamp(SMALLEST_FACTOR, f64::from(1 << 29));
    Requant::from_f64(ratio).map_err(|_| QuantizeError::Factor {
        place: place.to_owned(),
        ratio,
    })
}
