//! The numbers of one controller over many trials.

use std::collections::BTreeMap;

use super::adaptation::{metrics, reward_curve, steps_to_90_percent};
use super::statistics::{mean, median};
use super::trial::Outcome;

/// Means over tasks; shares lie in `[0, 1]`.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Summary {
    /// Mean sum of rewards of the first episode.
    pub return_episode_1: f64,
    /// Mean sum of rewards of the last episode.
    pub return_episode_2: f64,
    /// Share of tasks with the goal held throughout the end of the first episode; `None` on a plant without a goal.
    pub success: Option<f64>,
    /// Share of tasks with the goal held from the allowed time after the change to the end; `None` likewise.
    pub recovered: Option<f64>,
    /// Share of tasks in which the goal was lost altogether after the change, or an episode ended by itself; a simulation that
    /// diverged is no fall.
    pub fell: f64,
    /// Median time from the change until the goal was held for good, over the tasks in which it was, s.
    pub recovery_s_median: Option<f64>,
    /// Share of tasks that held the goal, per step since the change, as far as all tasks reach; empty likewise.
    pub adaptation: Vec<f64>,
    /// Share of first episodes that ended by themselves, be it with a fall or because the simulation diverged.
    #[serde(default)]
    pub ended_episode_1: f64,
    /// The same of last episodes.
    #[serde(default)]
    pub ended_episode_2: f64,
    /// Control steps of all tasks whose simulation diverged; each ended its episode and paid nothing.
    #[serde(default)]
    pub diverged_steps: u64,
    /// Control steps of the first episode until 90 % of the final reward per step; `None` where that never is.
    #[serde(default)]
    pub steps_to_90_percent: Option<usize>,
    /// The plant's own numbers, by name, over the first episode, and at the end of the last; empty for a plant without a metric.
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
    /// Sums up trials of a plant with the given control period in seconds and metric. Without a goal nothing is held,
    /// and no share of it is known.
    #[must_use]
    pub fn new(
        outcomes: &[Outcome],
        period_s: f64,
        metric_name: Option<&str>,
        has_goal: bool,
    ) -> Self {
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
            .filter_map(|outcome| outcome.recovery_steps.filter(|_| has_goal))
            .map(|steps| steps as f64 * period_s)
            .collect();
        let common = outcomes
            .iter()
            .map(|outcome| outcome.holds.len())
            .min()
            .filter(|_| has_goal)
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
            success: has_goal.then(|| share(|outcome| outcome.success)),
            recovered: has_goal.then(|| share(|outcome| outcome.recovered)),
            fell: share(|outcome| outcome.fell),
            recovery_s_median: median(&recoveries),
            adaptation,
            ended_episode_1: share(|outcome| outcome.ended.first() == Some(&true)),
            ended_episode_2: share(|outcome| outcome.ended.last() == Some(&true)),
            diverged_steps: outcomes.iter().map(|outcome| outcome.diverged_steps).sum(),
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
            last_metric: vec![0.2],
            ended: vec![false, !good],
            success: good,
            recovered: good,
            fell: !good,
            recovery_steps: good.then_some(10),
            holds: vec![good; steps],
            diverged_steps: if good { 0 } else { 2 },
        };
        let outcomes = [outcome(true, 5), outcome(false, 3)];
        let summary = Summary::new(&outcomes, 0.02, Some("error_1"), true);
        assert_eq!(summary.return_episode_2, 2.0);
        assert_eq!(
            (summary.success, summary.recovered, summary.fell),
            (Some(0.5), Some(0.5), 0.5)
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
        assert_eq!(summary.diverged_steps, 2);
    }

    #[test]
    fn without_a_goal_no_share_of_it_is_told() {
        // A plant without a goal holds it in every step, as `judge` must say something.
        let outcome = Outcome {
            returns: vec![1.0, 2.0],
            rewards: vec![vec![1.0], vec![2.0]],
            metric: Vec::new(),
            last_metric: Vec::new(),
            ended: vec![false, true],
            success: true,
            recovered: true,
            fell: true,
            recovery_steps: Some(0),
            holds: vec![true; 4],
            diverged_steps: 0,
        };
        let summary = Summary::new(&[outcome], 0.02, None, false);
        assert_eq!((summary.success, summary.recovered), (None, None));
        assert_eq!(summary.recovery_s_median, None);
        assert!(summary.adaptation.is_empty());
        assert_eq!((summary.fell, summary.return_episode_2), (1.0, 2.0));
        let json = serde_json::to_value(&summary).unwrap();
        assert!(
            json["success"].is_null() && json["recovered"].is_null(),
            "{json}"
        );
    }
}
