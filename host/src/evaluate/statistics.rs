//! Means, medians and the paired bootstrap.

use std::fmt;

use rand::RngExt;

use engram_plants::{Stream, random_stream};

/// Resamples of a bootstrap.
const RESAMPLES: usize = 10_000;
/// Relative difference of two returns that rounding explains: they are sums of f32 rewards.
const SAME_RETURN: f64 = 1e-6;

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
    /// `(reference - other) / (reference - floor)` of the mean returns; negative when the other is better. `None` where
    /// the reference gains nothing over the floor, which a part could be lost of.
    pub cost: Option<f64>,
    /// Its 95 % bootstrap interval over tasks.
    pub interval: Option<Interval>,
    /// Reference and floor earn the same on every single task: what is earned does not depend on who acts.
    #[serde(default)]
    pub indifferent: bool,
    /// Mean return of the reference.
    pub reference: f64,
    /// Mean return of the other.
    pub other: f64,
    /// Mean return of the floor.
    pub floor: f64,
}

impl PairedCost {
    /// The cost, where it is more than `limit` and the interval says that it is no accident of the tasks that were drawn.
    #[must_use]
    pub fn beyond(&self, limit: f64) -> Option<f64> {
        let certain = self.interval.is_some_and(|interval| interval.low > 0.0);
        self.cost.filter(|cost| certain && *cost > limit)
    }
}

impl fmt::Display for PairedCost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.cost, self.interval) {
            (Some(cost), Some(Interval { low, high })) => write!(
                f,
                "quantization costs {:.2} % of the return above that of random actions, 95 % interval {:.2} to {:.2} %",
                100.0 * cost,
                100.0 * low,
                100.0 * high
            ),
            _ if self.indifferent => f.write_str(
                "the reward does not depend on the action: random actions earn the same on every task, and quantization has \
                 nothing to lose",
            ),
            _ => f.write_str(
                "the policy earns no more than random actions (95 %), so that there is no gain that quantization could lose a \
                 part of; train longer, or look at the reward",
            ),
        }
    }
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
/// of the same tasks in the same order. Tasks are resampled as triples, from a fixed seed. There is a cost where the
/// reference is above the floor in 97.5 % of the resamples; otherwise the denominator may be zero or less.
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
    let (mut costs, mut gains): (Vec<f64>, Vec<f64>) = (0..RESAMPLES)
        .map(|_| {
            let mut sums = [0.0; 3];
            for _ in 0..tasks {
                let task = random.random_range(0..tasks);
                for (sum, values) in sums.iter_mut().zip([reference, other, floor]) {
                    *sum += values[task];
                }
            }
            (cost(sums[0], sums[1], sums[2]), sums[0] - sums[2])
        })
        .unzip();
    costs.sort_by(f64::total_cmp);
    gains.sort_by(f64::total_cmp);
    let at = |sorted: &[f64], share: f64| {
        sorted[((share * RESAMPLES as f64) as usize).min(RESAMPLES - 1)]
    };
    let same = |(a, b): (&f64, &f64)| (a - b).abs() <= SAME_RETURN * a.abs().max(b.abs());
    let indifferent = reference.iter().zip(floor).all(same);
    let gain = !indifferent && at(&gains, 0.025) > 0.0;
    let (reference, other, floor) = (mean(reference), mean(other), mean(floor));
    PairedCost {
        cost: gain.then(|| cost(reference, other, floor)),
        interval: gain.then(|| Interval {
            low: at(&costs, 0.025),
            high: at(&costs, 0.975),
        }),
        indifferent,
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
        let (cost, interval) = (result.cost.unwrap(), result.interval.unwrap());
        assert!((cost - 0.003).abs() < 2e-4, "{result:?}");
        assert!(interval.low < cost && cost < interval.high);
        assert!(interval.high - interval.low < 1e-3);
        assert_eq!(result.beyond(0.01), None);
        assert_eq!(result.beyond(0.002), Some(cost));
    }

    #[test]
    fn without_a_gain_there_is_no_share_of_it() {
        let same = paired_cost(&[100.0; 16], &[100.0; 16], &[100.0; 16]);
        assert!(same.indifferent && same.cost.is_none() && same.interval.is_none());
        let said = same.to_string();
        assert!(
            said.contains("does not depend on the action") && !said.contains("NaN"),
            "{said}"
        );
        // Nothing at all is earned.
        assert!(paired_cost(&[0.0; 4], &[0.0; 4], &[0.0; 4]).indifferent);
        // As good as random actions, and worse: the reward tells them apart, the policy has learned nothing.
        for shift in [0.0, -5.0] {
            let reference: Vec<f64> = (0..64).map(|k| shift + f64::from((k * 7) % 13)).collect();
            let floor: Vec<f64> = (0..64).map(|k| f64::from((k * 5 + 3) % 13)).collect();
            let cost = paired_cost(&reference, &floor, &floor);
            assert!(!cost.indifferent && cost.cost.is_none(), "{cost:?}");
            assert_eq!(cost.beyond(0.01), None);
            assert!(cost.to_string().contains("no more than random"), "{cost}");
        }
        let json = serde_json::to_string(&same).unwrap();
        assert!(json.contains("\"cost\":null"), "{json}");
    }

    #[test]
    fn a_loss_counts_where_the_tasks_agree_on_it() {
        let reference = [100.0; 64];
        let floor = [0.0; 64];
        let worse: Vec<f64> = (0..64).map(|k| 55.0 + f64::from(k % 3)).collect();
        assert!(
            paired_cost(&reference, &worse, &floor)
                .beyond(0.01)
                .unwrap()
                > 0.4
        );
        // Better on one half, worse on the other by a little more: 2 % that more tasks may take back.
        let noisy: Vec<f64> = (0..64)
            .map(|k| if k % 2 == 0 { 130.0 } else { 66.0 })
            .collect();
        let noisy = paired_cost(&reference, &noisy, &floor);
        assert!((noisy.cost.unwrap() - 0.02).abs() < 1e-9 && noisy.beyond(0.01).is_none());
    }
}
