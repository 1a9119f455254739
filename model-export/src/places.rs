//! Where the integers are coarse: how finely each int8 place resolves its channels, and which of them takes the range
//! from the others.
//!
//! A place has one factor for all its channels, whose relative scales the residual stream fixes. A channel that reaches
//! far beyond the others (an outlier) therefore leaves them few of the 255 steps, and no error of a weight tells of it.

use core::fmt;

use crate::calibrate::{Activation, Calibration};
use crate::float::Site;
use crate::quantize::decibel;

/// Steps of an int8 activation on one side, rounding included: a limit over this is the size of a step.
const STEPS: f64 = 127.5;

/// What int8 leaves of one place's channels, by the calibration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Which.
    pub site: Site,
    /// Signal (the variance over the calibration) to the noise of rounding: the median of the channels that move, dB.
    pub snr_db: f64,
    /// The channel that takes the most of its range.
    pub channel: usize,
    /// Its largest magnitude, in the activation's own unit.
    pub largest: f64,
    /// The median of all channels' largest magnitudes.
    pub median: f64,
}

impl Place {
    /// What `limits` (largest magnitude that each channel can hold) do to what was seen at `site`; `None` where nothing
    /// moves.
    fn of(site: Site, limits: &[f64], seen: &[Activation]) -> Option<Self> {
        let channels = || seen.iter().zip(limits);
        let mut ratios: Vec<f64> = channels()
            .map(|(one, limit)| decibel(variance(one), (limit / STEPS).powi(2) / 12.0))
            .filter(|ratio| ratio.is_finite())
            .collect();
        let snr_db = median(&mut ratios)?;
        let used = |(one, limit): (&Activation, &f64)| one.max_abs / limit;
        let (channel, _) = channels()
            .map(used)
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(&b.1))?;
        let mut largest: Vec<f64> = seen.iter().map(|one| one.max_abs).collect();
        Some(Self {
            site,
            snr_db,
            channel,
            largest: seen[channel].max_abs,
            median: median(&mut largest)?,
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            site,
            snr_db,
            channel,
            largest,
            median,
        } = self;
        let residual = match site {
            Site::LayerInput(_) | Site::FeedForwardInput(_) | Site::Encoder => {
                " of the residual stream"
            }
            _ => "",
        };
        write!(
            f,
            "{}, where int8 leaves the median channel {snr_db:.1} dB: channel {channel}{residual} reaches {largest:.3} and takes \
             the range, the median channel reaches {median:.3}",
            name(*site)
        )
    }
}

/// A place by the matrix that reads it, as reports name matrices.
fn name(site: Site) -> String {
    match site {
        Site::LayerInput(l) => format!("the input of layers.{l}.qkv"),
        Site::Qkv(l) => format!("the output of layers.{l}.qkv"),
        Site::AttentionOutput(l) => format!("the input of layers.{l}.out"),
        Site::FeedForwardInput(l) => format!("the input of layers.{l}.ff1"),
        Site::Hidden(l) => format!("the input of layers.{l}.ff2"),
        Site::Encoder => "the input of head.first".to_owned(),
        other => format!("{other:?}"),
    }
}

/// Every int8 place by its channels' limits, in the order of computation.
pub(crate) fn places(limits: &[(Site, Vec<f64>)], calibration: &Calibration) -> Vec<Place> {
    limits
        .iter()
        .filter_map(|(site, limits)| Place::of(*site, limits, &calibration.activations(*site)))
        .collect()
}

/// Moments are sums over many steps: what is below their rounding does not move.
fn variance(activation: &Activation) -> f64 {
    let variance = activation.mean_square - activation.mean * activation.mean;
    if variance > 1e-9 * activation.mean_square {
        variance
    } else {
        0.0
    }
}

/// The upper one of the two in the middle; `None` of nothing.
fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outlier_is_found_and_costs_the_others_their_steps() {
        let moves = |max_abs: f64| Activation {
            max_abs,
            mean: 0.0,
            mean_square: max_abs * max_abs / 9.0,
        };
        let even = [moves(1.0), moves(1.1), moves(0.9), moves(1.0)];
        let fair = Place::of(Site::Encoder, &[1.1; 4], &even).unwrap();
        // 127.5 steps, a third of them for one deviation: 20 log10(42.5 / 1.1 * sqrt(12)).
        assert!((fair.snr_db - 42.5).abs() < 0.2, "{fair:?}");
        let mut spoiled = even;
        spoiled[2] = moves(100.0);
        let coarse = Place::of(Site::Encoder, &[100.0; 4], &spoiled).unwrap();
        assert_eq!((coarse.channel, coarse.largest), (2, 100.0));
        assert!(coarse.snr_db < fair.snr_db - 30.0, "{coarse:?}");
        let said = coarse.to_string();
        for words in ["head.first", "channel 2 of the residual stream", "100.000"] {
            assert!(said.contains(words), "no '{words}' in: {said}");
        }
        let still = [Activation {
            max_abs: 2.0,
            mean: 2.0,
            mean_square: 4.0,
        }];
        assert_eq!(Place::of(Site::Encoder, &[2.0], &still), None);
    }
}
