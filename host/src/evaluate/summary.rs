//! The numbers of one controller over many trials.

use std::collections::BTreeMap;

use super::adaptation::{metrics, reward_curve, steps_to_90_percent};
use super::statistics::{mean, median};
use super::trial::Outcome;

/// Means over tasks; shares lie in `[0, 1]`.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Summary {
    /// Mean sum of rewards of the first episode.
    pub return_episode_1: f64,
    /// Mean sum of rewards of the last episode.
    pub return_episode_2: f64,
    /// Share of tasks with the goal held throughout the end of the first episode.
    pub success: f64,
    /// Share of tasks with the goal held from the allowed time after the change to the end.
    pub recovered: f64,
    /// Share of tasks in which the goal was lost altogether after the change, or an episode ended by itself.
    pub fell: f64,
    /// Median time from the change until the goal was held for good, over the tasks in which it was, s.
    pub recovery_s_median: Option<f64>,
    /// Share of tasks that held the goal, per step since the change, as far as all tasks reach.
    pub adaptation: Vec<f64>,
    /// Share of first episodes that ended by themselves.
    #[serde(default)]
    pub ended_episode_1: f64,
    /// The same of last episodes.
    #[serde(default)]
    pub ended_episode_2: f64,
    /// Control steps of the first episode until 90 % of the final reward per step; `None` where that never is.
    #[serde(default)]
    pub steps_to_90_percent: Option<usize>,
    /// The plant's own numbers over the first episode, by name; empty for a plant without a metric.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, f64>,
    /// Mean reward in each control step of the first episode.
    #[serde(default)]
    pub reward_curve_1: Vec<f64>,
    /// The same of the last episode.
    #[serde(default)]
    pub reward_curve_2: Vec<f64>,
}

impl Summary {
    /// Sums up trials of a plant with the given control period in seconds and metric.
    #[must_use]
    pub fn new(outcomes: &[Outcome], period_s: f64, metric_name: Option<&str>) -> Self {
        let share = |of: fn(&Outcome) -> bool| {
            outcomes.iter().filter(|outcome| of(outcome)).count() as f64 / outcomes.len() as f64
        };
        let returns = |episode: fn(&Outcome) -> Option<&f64>| {
            mean(
                &outcomes
                    .iter()
                    .filter_map(episode)
                    .copied()
                    .collect::<Vec<_>>(),
            )
        };
        let recoveries: Vec<f64> = outcomes
            .iter()
            .filter_map(|outcome| outcome.recovery_steps)
            .map(|steps| steps as f64 * period_s)
            .collect();
        let common = outcomes
            .iter()
            .map(|outcome| outcome.holds.len())
            .min()
            .unwrap_or(0);
        let adaptation = (0..common)
            .map(|step| {
                let holding = outcomes
                    .iter()
                    .filter(|outcome| outcome.holds[step])
                    .count();
                holding as f64 / outcomes.len() as f64
            })
            .collect();
        let last = outcomes
            .iter()
            .map(|outcome| outcome.rewards.len())
            .max()
            .map_or(0, |episodes| episodes.saturating_sub(1));
        let reward_curve_1 = reward_curve(outcomes, 0);
        Self {
            return_episode_1: returns(|outcome| outcome.returns.first()),
            return_episode_2: returns(|outcome| outcome.returns.last()),
            success: share(|outcome| outcome.success),
            recovered: share(|outcome| outcome.recovered),
            fell: share(|outcome| outcome.fell),
            recovery_s_median: median(&recoveries),
            adaptation,
            ended_episode_1: share(|outcome| outcome.ended.first() == Some(&true)),
            ended_episode_2: share(|outcome| outcome.ended.last() == Some(&true)),
            steps_to_90_percent: steps_to_90_percent(&reward_curve_1),
            metrics: metrics(outcomes, metric_name),
            reward_curve_1,
            reward_curve_2: reward_curve(outcomes, last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_curves() {
        let outcome = |good: bool, steps: usize| Outcome {
            returns: vec![1.0, if good { 3.0 } else { 1.0 }],
            rewards: vec![vec![1.0], vec![if good { 3.0 } else { 1.0 }]],
            metric: vec![0.5],
            ended: vec![false, !good],
            success: good,
            recovered: good,
            fell: !good,
            recovery_steps: good.then_some(10),
            holds: vec![good; steps],
        };
        let summary = Summary::new(
            &[outcome(true, 5), outcome(false, 3)],
            0.02,
            Some("error_1"),
        );
        assert_eq!(summary.return_episode_2, 2.0);
        assert_eq!(
            (summary.success, summary.recovered, summary.fell),
            (0.5, 0.5, 0.5)
        );
        assert_eq!(summary.recovery_s_median, Some(0.2));
        assert_eq!(summary.adaptation, vec![0.5; 3]);
        assert_eq!(
            (summary.ended_episode_1, summary.ended_episode_2),
            (0.0, 0.5)
        );
        assert_eq!(
            (summary.reward_curve_1, summary.reward_curve_2),
            (vec![1.0], vec![2.0])
        );
        assert_eq!(summary.metrics["error_1"], 0.5);
    }
}
