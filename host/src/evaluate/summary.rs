//! The numbers of one controller over many trials.

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
    /// Share of tasks in which the goal was lost altogether after the change.
    pub fell: f64,
    /// Median time from the change until the goal was held for good, over the tasks in which it was, s.
    pub recovery_s_median: Option<f64>,
    /// Share of tasks that held the goal, per step since the change, as far as all tasks reach.
    pub adaptation: Vec<f64>,
}

impl Summary {
    /// Sums up trials of a plant with the given control period in seconds.
    #[must_use]
    pub fn new(outcomes: &[Outcome], period_s: f64) -> Self {
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
        Self {
            return_episode_1: returns(|outcome| outcome.returns.first()),
            return_episode_2: returns(|outcome| outcome.returns.last()),
            success: share(|outcome| outcome.success),
            recovered: share(|outcome| outcome.recovered),
            fell: share(|outcome| outcome.fell),
            recovery_s_median: median(&recoveries),
            adaptation,
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
            success: good,
            recovered: good,
            fell: !good,
            recovery_steps: good.then_some(10),
            holds: vec![good; steps],
        };
        let summary = Summary::new(&[outcome(true, 5), outcome(false, 3)], 0.02);
        assert_eq!(summary.return_episode_2, 2.0);
        assert_eq!(
            (summary.success, summary.recovered, summary.fell),
            (0.5, 0.5, 0.5)
        );
        assert_eq!(summary.recovery_s_median, Some(0.2));
        assert_eq!(summary.adaptation, vec![0.5; 3]);
    }
}
