//! Means, medians and the paired bootstrap.

use rand::RngExt;

use crate::plant::{Stream, random_stream};

/// Resamples of a bootstrap.
const RESAMPLES: usize = 10_000;

/// A 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Interval {
    /// 2.5th percentile.
    pub low: f64,
    /// 97.5th percentile.
    pub high: f64,
}

/// What replacing one controller by another costs, over the same tasks.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PairedCost {
    /// `(reference - other) / (reference - floor)` of the mean returns; negative when the other is better.
    pub cost: f64,
    /// Its 95 % bootstrap interval over tasks.
    pub interval: Interval,
    /// Mean return of the reference.
    pub reference: f64,
    /// Mean return of the other.
    pub other: f64,
    /// Mean return of the floor.
    pub floor: f64,
}

/// Arithmetic mean; NaN of nothing.
#[must_use]
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Median (mean of the middle two of an even number); `None` of nothing.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted.get(middle).copied()
    } else {
        Some(0.5 * (sorted.get(middle.checked_sub(1)?)? + sorted.get(middle)?))
    }
}

/// The relative cost of `other` against `reference`, both measured from `floor`; the three hold the returns
/// of the same tasks in the same order. Tasks are resampled as triples, from a fixed seed.
///
/// # Panics
/// When the three differ in length.
#[must_use]
pub fn paired_cost(reference: &[f64], other: &[f64], floor: &[f64]) -> PairedCost {
    assert!(
        reference.len() == other.len() && other.len() == floor.len(),
        "the same tasks"
    );
    let cost = |reference: f64, other: f64, floor: f64| (reference - other) / (reference - floor);
    let tasks = reference.len();
    let mut random = random_stream(0, Stream::Shuffle, 0);
    let mut costs: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let mut sums = [0.0; 3];
            for _ in 0..tasks {
                let task = random.random_range(0..tasks);
                for (sum, values) in sums.iter_mut().zip([reference, other, floor]) {
                    *sum += values[task];
                }
            }
            cost(sums[0], sums[1], sums[2])
        })
        .collect();
    costs.sort_by(f64::total_cmp);
    let at = |share: f64| costs[((share * RESAMPLES as f64) as usize).min(RESAMPLES - 1)];
    let (reference, other, floor) = (mean(reference), mean(other), mean(floor));
    PairedCost {
        cost: cost(reference, other, floor),
        interval: Interval {
            low: at(0.025),
            high: at(0.975),
        },
        reference,
        other,
        floor,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn the_interval_holds_the_true_cost_and_is_narrow_for_paired_differences() {
        let reference: Vec<f64> = (0..256).map(|k| 100.0 + f64::from(k % 17)).collect();
        let other: Vec<f64> = reference
            .iter()
            .enumerate()
            .map(|(k, r)| r - 0.5 + 0.1 * f64::from((k % 5) as u8))
            .collect();
        let floor = vec![8.0; 256];
        let result = paired_cost(&reference, &other, &floor);
        assert!((result.cost - 0.003).abs() < 2e-4, "{result:?}");
        assert!(result.interval.low < result.cost && result.cost < result.interval.high);
        assert!(result.interval.high - result.interval.low < 1e-3);
    }
}
