//! What 1 means at every place of the integer network, chosen from the calibration.
//!
//! Three places get a scale per channel although the image holds one number for them: the factors are
//! folded into the rows and columns of the matrices on both sides, which changes nothing in real
//! numbers and costs nothing on the board.
//! - the residual stream: nothing but additions and matrices touches it (there is no LayerNorm),
//! - the values of attention: a weighted mean acts on each channel alone,
//! - the hidden activations of a feed-forward block: ReLU commutes with positive factors.
//!
//! Queries and keys share one product scale per layer; within it, each pair of channels is balanced.

use engram_image::{ModelConfig, Positions};

use crate::calibrate::{Activation, Calibration};
use crate::float::Site;
use crate::parameters::{Parameters, slot_positions};

use super::Options;

/// Scales of one layer, in real units per integer step.
#[derive(Clone, Debug)]
pub(super) struct LayerScales {
    /// `[d]`, int8 input of `qkv`.
    pub(super) attention_input: Vec<f64>,
    /// `[3d]`, int8 queries, keys, values.
    pub(super) qkv: Vec<f64>,
    /// Real value of one unit of `q . k`, the same for every channel and head.
    pub(super) product: f64,
    /// `[d]`, int8 input of `out`.
    pub(super) attention_output: Vec<f64>,
    /// `[d]`, int8 input of `ff1`.
    pub(super) ff_input: Vec<f64>,
    /// `[ff]`, int8 hidden activations.
    pub(super) hidden: Vec<f64>,
}

/// Scales of the whole network, in real units per integer step.
#[derive(Clone, Debug)]
pub(super) struct Scales {
    /// Normalised working memory, the same for every entry.
    pub(super) input: f64,
    /// `[d]`, int16 residual stream.
    pub(super) residual: Vec<f64>,
    pub(super) layers: Vec<LayerScales>,
    /// `[d]`, int8 input of the head.
    pub(super) head: Vec<f64>,
}

/// A channel's range is never taken for less than this part of the largest one beside it: a channel that
/// slept through the calibration may wake up.
const LEAST_SHARE: f64 = 1.0 / 16.0;

impl Scales {
    pub(super) fn choose(
        parameters: &Parameters,
        calibration: &Calibration,
        options: &Options,
    ) -> Self {
        let config = &parameters.config;
        let residual = residual(config, calibration, options);
        let common = |site: Site| {
            let ranges = maxima(&calibration.activations(site));
            let steps = ranges
                .iter()
                .zip(&residual)
                .map(|(range, scale)| range / scale);
            let factor = steps.fold(0.0, f64::max) * options.activation_margin / 127.0;
            let factor = if factor > 0.0 { factor } else { 1.0 };
            residual
                .iter()
                .map(|scale| scale * factor)
                .collect::<Vec<_>>()
        };
        let layers = (0..config.layers)
            .map(|l| {
                let (qkv, product) = qkv(
                    config,
                    &calibration.activations(Site::Qkv(l)),
                    options.activation_margin,
                );
                let means = maxima(&calibration.activations(Site::AttentionOutput(l)));
                let values = &qkv[2 * config.model..];
                let share = means
                    .iter()
                    .zip(values)
                    .map(|(mean, scale)| mean / (127.0 * scale))
                    .fold(0.0, f64::max);
                let share = if share > 0.0 {
                    (share * options.activation_margin).min(1.0)
                } else {
                    1.0
                };
                let hidden = floored(&maxima(&calibration.activations(Site::Hidden(l))));
                LayerScales {
                    attention_input: common(Site::LayerInput(l)),
                    attention_output: values.iter().map(|scale| scale * share).collect(),
                    ff_input: common(Site::FeedForwardInput(l)),
                    hidden: hidden
                        .iter()
                        .map(|range| range * options.activation_margin / 127.0)
                        .collect(),
                    qkv,
                    product,
                }
            })
            .collect();
        let input = f64::from(parameters.normalizer.clip) / 32_767.0;
        Self {
            input,
            head: common(Site::Encoder),
            layers,
            residual,
        }
    }

    /// Largest magnitude that every int8 activation can hold, rounding included.
    pub(super) fn limits(&self) -> Vec<(Site, Vec<f64>)> {
        let limit = |site, scales: &[f64]| {
            (
                site,
                scales.iter().map(|scale| 127.5 * scale).collect::<Vec<_>>(),
            )
        };
        let layers = self.layers.iter().enumerate().flat_map(|(l, layer)| {
            [
                limit(Site::LayerInput(l), &layer.attention_input),
                limit(Site::Qkv(l), &layer.qkv),
                limit(Site::AttentionOutput(l), &layer.attention_output),
                limit(Site::FeedForwardInput(l), &layer.ff_input),
                limit(Site::Hidden(l), &layer.hidden),
            ]
        });
        layers.chain([limit(Site::Encoder, &self.head)]).collect()
    }

    /// Geometric mean of the residual stream's scales: the one number that stands in the image.
    pub(super) fn residual_scale(&self) -> f64 {
        (self.residual.iter().map(|scale| scale.ln()).sum::<f64>() / self.residual.len() as f64)
            .exp()
    }
}

/// Residual scales: ranges equalised by `options.equalization`, then the whole stream moved so that the
/// largest value seen anywhere, branches before their addition included, keeps the headroom.
fn residual(config: &ModelConfig, calibration: &Calibration, options: &Options) -> Vec<f64> {
    let mut inputs = vec![Site::Encoder];
    let mut all = vec![Site::Embedded, Site::Encoder];
    for l in 0..config.layers {
        inputs.extend([Site::LayerInput(l), Site::FeedForwardInput(l)]);
        all.extend([Site::LayerInput(l), Site::FeedForwardInput(l)]);
        all.extend([Site::AttentionBranch(l), Site::FeedForwardBranch(l)]);
    }
    let widest = |sites: &[Site]| {
        let mut ranges = vec![0.0_f64; config.model];
        for site in sites {
            for (range, seen) in ranges
                .iter_mut()
                .zip(maxima(&calibration.activations(*site)))
            {
                *range = range.max(seen);
            }
        }
        ranges
    };
    let mut shape: Vec<f64> = floored(&widest(&inputs))
        .iter()
        .map(|r| r.powf(options.equalization))
        .collect();
    let mut extreme = widest(&all);
    if config.positions == Positions::Slot {
        let table = slot_positions(config.window, config.model);
        for (i, value) in table.iter().enumerate() {
            let range = &mut extreme[i % config.model];
            *range = range.max(f64::from(value.abs()));
        }
    }
    let most = extreme
        .iter()
        .zip(&shape)
        .map(|(range, shape)| range / shape)
        .fold(0.0, f64::max);
    let unit = if most > 0.0 {
        most * options.residual_headroom / 32_767.0
    } else {
        1.0 / 32_767.0
    };
    shape.iter_mut().for_each(|shape| *shape *= unit);
    shape
}

/// Scales of queries, keys and values, and the scale of the product of the first two.
fn qkv(config: &ModelConfig, seen: &[Activation], margin: f64) -> (Vec<f64>, f64) {
    let d = config.model;
    let ranges: Vec<f64> = maxima(seen).iter().map(|range| range * margin).collect();
    let (queries, rest) = ranges.split_at(d);
    let (keys, values) = rest.split_at(d);
    let (queries, keys, values) = (floored(queries), floored(keys), floored(values));
    let largest = queries
        .iter()
        .zip(&keys)
        .map(|(q, k)| q * k)
        .fold(0.0, f64::max);
    let product = largest / (127.0 * 127.0);
    // s_q s_k = product, and both use the same share of their 127 steps.
    let balanced = |a: &[f64], b: &[f64]| -> Vec<f64> {
        a.iter()
            .zip(b)
            .map(|(a, b)| (product * a / b).sqrt())
            .collect()
    };
    let mut scales = balanced(&queries, &keys);
    scales.extend(balanced(&keys, &queries));
    scales.extend(values.iter().map(|range| range / 127.0));
    (scales, product)
}

fn maxima(seen: &[Activation]) -> Vec<f64> {
    seen.iter().map(|activation| activation.max_abs).collect()
}

/// Ranges, none less than [`LEAST_SHARE`] of the largest; all 1 when nothing was seen.
fn floored(ranges: &[f64]) -> Vec<f64> {
    let largest = ranges.iter().copied().fold(0.0, f64::max);
    if largest == 0.0 {
        return vec![1.0; ranges.len()];
    }
    ranges
        .iter()
        .map(|range| range.max(largest * LEAST_SHARE))
        .collect()
}
