//! How a policy gets better within an episode: reward per step over many tasks, and the plant's own metric.
//!
//! `docs/src/notebook/locomotion.md` defines every number here in words. Only outcomes are read: nothing here flies.

use std::collections::BTreeMap;

use super::statistics::{mean, median};
use super::trial::Outcome;

/// Steps that the reward is averaged over before it is compared, centred, so that what remains is the trend and not
/// the gait.
pub const SMOOTHING_STEPS: usize = 11;
/// Steps at the end of the episode whose mean reward is the final one.
pub const FINAL_STEPS: usize = 50;
/// Share of the way from the first step's reward to the final one that counts as adapted.
pub const ADAPTED_SHARE: f64 = 0.9;
/// From this step on a robot with a direction as its goal is expected to move that way.
pub const SETTLED_STEP: usize = 50;
/// The metric of plants that are judged by their speed along the goal's direction.
pub const SPEED: &str = "speed_m_per_s";

/// Mean over tasks of the reward in each control step of an episode; an episode that ended by itself earns nothing more.
#[must_use]
pub fn reward_curve(outcomes: &[Outcome], episode: usize) -> Vec<f64> {
    let rewards = || {
        outcomes
            .iter()
            .filter_map(|outcome| outcome.rewards.get(episode))
    };
    let steps = rewards().map(Vec::len).max().unwrap_or(0);
    let tasks = rewards().count() as f64;
    let mut curve = vec![0.0; steps];
    for rewards in rewards() {
        for (sum, reward) in curve.iter_mut().zip(rewards) {
            *sum += f64::from(*reward);
        }
    }
    for sum in &mut curve {
        *sum /= tasks;
    }
    curve
}

/// Control steps that pass until the smoothed reward has gone 90 % of the way from the first step's to the final one
/// and does not fall below that any more; `None` where it never settles there, or the reward does not rise at all.
#[must_use]
pub fn steps_to_90_percent(curve: &[f64]) -> Option<usize> {
    let start = *curve.first()?;
    let last = mean(&curve[curve.len().saturating_sub(FINAL_STEPS)..]);
    if last <= start {
        return None;
    }
    let threshold = start + ADAPTED_SHARE * (last - start);
    let below = smoothed(curve)
        .iter()
        .rposition(|reward| *reward < threshold);
    let first = below.map_or(0, |step| step + 1);
    (first < curve.len()).then_some(first)
}

/// The centred moving average; the window is cut at the ends.
fn smoothed(curve: &[f64]) -> Vec<f64> {
    let half = SMOOTHING_STEPS / 2;
    (0..curve.len())
        .map(|step| {
            let from = step.saturating_sub(half);
            let to = (step + half + 1).min(curve.len());
            mean(&curve[from..to])
        })
        .collect()
}

/// The plant's own numbers by name, empty for a plant without a metric. Of an error: its mean over the second half of the first
/// episode; and as `NAME_end_rms` its root mean square over the last fifth of the last one, the median of the trials that came so far.
#[must_use]
pub fn metrics(outcomes: &[Outcome], name: Option<&str>) -> BTreeMap<String, f64> {
    let mut metrics = BTreeMap::new();
    let Some(name) = name else {
        return metrics;
    };
    let steps = outcomes
        .iter()
        .filter_map(|outcome| outcome.rewards.first())
        .map(Vec::len)
        .max()
        .unwrap_or(0);
    if name == SPEED {
        // A robot that fell goes nowhere.
        metrics.insert(name.to_owned(), mean_speed(outcomes, steps / 2, steps));
        metrics.insert(
            format!("speed_from_step_{SETTLED_STEP}_m_per_s"),
            mean_speed(outcomes, SETTLED_STEP, steps),
        );
        let right = outcomes
            .iter()
            .filter(|outcome| advance(outcome, SETTLED_STEP, steps) > 0.0)
            .count();
        metrics.insert(
            "right_way_share".to_owned(),
            right as f64 / outcomes.len() as f64,
        );
    } else {
        // An error of zero must not be had by falling: only steps that were made count.
        let made: Vec<f64> = outcomes
            .iter()
            .flat_map(|outcome| outcome.metric.iter().skip(steps / 2))
            .map(|value| f64::from(*value))
            .collect();
        if !made.is_empty() {
            metrics.insert(name.to_owned(), mean(&made));
        }
        let ends: Vec<f64> = outcomes
            .iter()
            .filter(|outcome| steps > 0 && outcome.last_metric.len() == steps)
            .map(|outcome| root_mean_square(&outcome.last_metric[steps - steps.div_ceil(5)..]))
            .collect();
        if let Some(end) = median(&ends) {
            metrics.insert(format!("{name}_end_rms"), end);
        }
    }
    metrics
}

fn root_mean_square(values: &[f32]) -> f64 {
    let squares: Vec<f64> = values.iter().map(|x| f64::from(*x).powi(2)).collect();
    mean(&squares).sqrt()
}

/// Sum of the metric over the steps `from..to` of the first episode.
fn advance(outcome: &Outcome, from: usize, to: usize) -> f64 {
    let made = outcome.metric.iter().take(to).skip(from);
    made.map(|value| f64::from(*value)).sum()
}

fn mean_speed(outcomes: &[Outcome], from: usize, to: usize) -> f64 {
    let sum: f64 = outcomes
        .iter()
        .map(|outcome| advance(outcome, from, to))
        .sum();
    sum / (outcomes.len() * to.saturating_sub(from).max(1)) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(rewards: Vec<f32>, metric: Vec<f32>) -> Outcome {
        Outcome {
            returns: vec![0.0],
            ended: vec![metric.len() < rewards.len()],
            rewards: vec![rewards],
            last_metric: metric.iter().map(|x| 0.5 * x).collect(),
            metric,
            success: false,
            recovered: false,
            fell: false,
            recovery_steps: None,
            holds: Vec::new(),
            diverged_steps: 0,
        }
    }

    #[test]
    fn a_step_in_the_reward_is_found_where_it_is() {
        // From -2 to 0 at step 20: the centred window of 11 lies wholly behind it from step 25 on, and 90 % of
        // the way allows one of its entries to lie before it.
        let curve: Vec<f64> = (0..200).map(|k| if k < 20 { -2.0 } else { 0.0 }).collect();
        assert_eq!(steps_to_90_percent(&curve), Some(24));
        // Noise of one stride changes nothing.
        let noisy: Vec<f64> = curve
            .iter()
            .enumerate()
            .map(|(k, r)| r + if k % 11 < 5 { 0.1 } else { -0.083 })
            .collect();
        let found = steps_to_90_percent(&noisy).unwrap();
        assert!((23..=26).contains(&found), "{found}");
    }

    #[test]
    fn what_never_rises_or_never_settles_has_no_such_step() {
        assert_eq!(steps_to_90_percent(&[1.0; 200]), None);
        assert_eq!(steps_to_90_percent(&[]), None);
        let falling: Vec<f64> = (0..200).map(|k| -f64::from(k)).collect();
        assert_eq!(steps_to_90_percent(&falling), None);
        let linear: Vec<f64> = (0..200).map(f64::from).collect();
        // The final reward is the mean of steps 150 to 199, 174.5; 90 % of it is reached for good at 157.05 rounded up.
        assert_eq!(steps_to_90_percent(&linear), Some(158));
        let dip: Vec<f64> = (0..200)
            .map(|k| match k {
                0 => 0.0,
                180..190 => -5.0,
                _ => 1.0,
            })
            .collect();
        assert_eq!(steps_to_90_percent(&dip), None, "ends below its start");
    }

    #[test]
    fn nothing_is_earned_after_a_fall_and_an_error_is_not_made_small_by_it() {
        let mut fallen = vec![1.0; 100];
        fallen.resize(200, 0.0);
        let outcomes = [
            outcome(vec![1.0; 200], vec![2.0; 200]),
            outcome(fallen, vec![2.0; 100]),
        ];
        let curve = reward_curve(&outcomes, 0);
        assert_eq!((curve[0], curve[150], curve.len()), (1.0, 0.5, 200));
        let speed = metrics(&outcomes, Some(SPEED));
        assert_eq!(speed[SPEED], 1.0);
        assert_eq!(speed["right_way_share"], 1.0);
        assert!((speed["speed_from_step_50_m_per_s"] - 2.0 * 200.0 / 300.0).abs() < 1e-12);
        let error = metrics(&outcomes, Some("velocity_error_m_per_s"));
        assert_eq!(error["velocity_error_m_per_s"], 2.0);
        assert_eq!(error["velocity_error_m_per_s_end_rms"], 1.0);
        assert_eq!(error.len(), 2);
        assert!(metrics(&outcomes, None).is_empty());
    }

    #[test]
    fn the_wrong_way_is_told() {
        let outcomes = [
            outcome(vec![0.0; 200], vec![1.0; 200]),
            outcome(vec![0.0; 200], vec![-0.5; 200]),
            outcome(vec![0.0; 200], vec![1.0; 30]),
        ];
        let share = metrics(&outcomes, Some(SPEED))["right_way_share"];
        assert!(
            (share - 1.0 / 3.0).abs() < 1e-12,
            "fell at step 30: {share}"
        );
    }
}
