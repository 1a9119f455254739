//! The held-out evaluation: the same trials for every controller, spread over all cores.

use rand::{Rng, RngExt};
use rayon::prelude::*;

use super::trial::{Outcome, TrialPlan, run};
use super::{Controller, Summary};
use engram_plants::{Driven, PlantFactory, TaskSet, Text, UnknownChange, random_stream};

/// The trials of an evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// One per task.
    pub trials: Vec<TrialPlan>,
    period_s: f64,
    metric_name: Option<Text>,
    has_goal: bool,
}

/// What came of the trials of a plan, in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct Results {
    /// One per task.
    pub outcomes: Vec<Outcome>,
    /// Their summary.
    pub summary: Summary,
}

impl Results {
    /// Return of each whole trial.
    #[must_use]
    pub fn returns(&self) -> Vec<f64> {
        self.outcomes
            .iter()
            .map(|outcome| outcome.returns.iter().sum())
            .collect()
    }
}

impl Plan {
    /// Draws `tasks` trials of a set, with the change at a random time. Task number `i` is the same for every
    /// number of tasks.
    ///
    /// # Errors
    /// [`UnknownChange`] names the changes that the plant knows.
    pub fn new(
        plant: &PlantFactory,
        set: TaskSet,
        tasks: usize,
        change: &str,
        seed: u64,
    ) -> Result<Self, UnknownChange> {
        let spec = plant.spec();
        let mut plant = plant.make();
        plant.apply(change)?;
        let (first, last) = spec.protocol.change_steps;
        let trials = (0..tasks as u64)
            .map(|index| {
                let mut random = random_stream(seed, set.stream(), index);
                TrialPlan {
                    task: plant.sample_task(set, &mut random),
                    seed: random.next_u64(),
                    change: change.to_owned(),
                    change_step: random.random_range(first..=last),
                }
            })
            .collect();
        Ok(Self {
            trials,
            period_s: spec.period_s(),
            metric_name: spec.metric_name.clone(),
            has_goal: spec.has_goal,
        })
    }
}

/// Flies every trial of `plan`. `plant` and `controller` make what a worker needs; the controller is given
/// the trial's seed, for those that draw random numbers.
///
/// # Errors
/// [`UnknownChange`] when the plants do not know the plan's change.
pub fn evaluate<'a>(
    plan: &Plan,
    plant: &PlantFactory,
    controller: impl Fn(u64) -> Box<dyn Controller + 'a> + Sync,
) -> Result<Results, UnknownChange> {
    let outcomes = plan
        .trials
        .par_iter()
        .map_init(
            || Driven::new(plant.make()),
            |driven, trial| run(driven, trial, controller(trial.seed).as_mut(), |_| ()),
        )
        .collect::<Result<Vec<_>, _>>()?;
    let summary = Summary::new(
        &outcomes,
        plan.period_s,
        plan.metric_name.as_deref(),
        plan.has_goal,
    );
    Ok(Results { outcomes, summary })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::{Classic, Random, Zero};
    use engram_plants::pendulum;

    fn plant() -> PlantFactory {
        PlantFactory::open(pendulum::NAME).expect("built in")
    }

    fn plan(tasks: usize) -> Plan {
        Plan::new(&plant(), TaskSet::HeldOut, tasks, "polarity", 0).expect("known")
    }

    #[test]
    fn doing_nothing_never_succeeds_and_the_classical_controller_mostly_does() {
        let plant = plant();
        let contract = plant.spec().contract();
        let zero = evaluate(&plan(8), &plant, |_| Box::new(Zero::new(&contract))).unwrap();
        assert_eq!(
            (zero.summary.success, zero.summary.recovered),
            (Some(0.0), Some(0.0))
        );
        let classic = evaluate(&plan(32), &plant, |_| Box::new(Classic::new(&contract))).unwrap();
        assert!(classic.summary.success > Some(0.9), "{:?}", classic.summary);
        assert!(
            classic.summary.recovered > Some(0.8),
            "{:?}",
            classic.summary
        );
        assert!(classic.summary.return_episode_1 > zero.summary.return_episode_1);
    }

    #[test]
    fn results_do_not_depend_on_threads_or_on_how_many_tasks_there_are() {
        let random =
            |plan: &Plan| evaluate(plan, &plant(), |seed| Box::new(Random::new(seed))).unwrap();
        let many = random(&plan(12));
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .unwrap();
        let alone = pool.install(|| random(&plan(12)));
        assert_eq!(many, alone);
        assert_eq!(random(&plan(5)).outcomes[..], many.outcomes[..5]);
    }

    #[test]
    fn an_unknown_change_is_refused() {
        assert!(Plan::new(&plant(), TaskSet::HeldOut, 1, "gravity", 0).is_err());
    }

    #[test]
    fn a_plant_without_metric_or_end_has_neither_in_its_summary() {
        let random = evaluate(&plan(4), &plant(), |seed| Box::new(Random::new(seed))).unwrap();
        let summary = random.summary;
        assert!(summary.metrics.is_empty());
        assert_eq!(
            (summary.ended_episode_1, summary.ended_episode_2),
            (0.0, 0.0)
        );
        let sum: f64 = summary.reward_curve_2.iter().sum();
        assert!((sum - summary.return_episode_2).abs() < 1e-6, "{sum}");
        assert_eq!(summary.reward_curve_1.len(), 300);
    }

    #[cfg(feature = "mujoco")]
    mod mujoco {
        use super::*;

        fn of(name: &'static str) -> Results {
            let plant = PlantFactory::open(name).expect("built in");
            let plan = Plan::new(&plant, TaskSet::HeldOut, 16, "none", 0).unwrap();
            evaluate(&plan, &plant, |seed| Box::new(Random::new(seed))).unwrap()
        }

        #[test]
        fn who_moves_at_random_is_as_far_from_the_wanted_velocity_as_the_velocity_is_large() {
            let summary = of("half-cheetah-vel").summary;
            let error = summary.metrics["velocity_error_m_per_s"];
            assert!((0.8..2.2).contains(&error), "{error}");
            assert_eq!((summary.fell, summary.ended_episode_2), (0.0, 0.0));
            assert_eq!(summary.reward_curve_1.len(), 200);
            // The reward is minus the error, less a little for the effort.
            let late = summary.reward_curve_1[100..].iter().sum::<f64>() / 100.0;
            assert!(-late > error && -late < error + 0.35, "{late} {error}");
        }

        #[test]
        fn a_direction_is_judged_by_the_way_that_was_gone() {
            let metrics = of("half-cheetah-dir").summary.metrics;
            let names: Vec<_> = metrics.keys().map(String::as_str).collect();
            assert_eq!(
                names,
                [
                    "right_way_share",
                    "speed_from_step_50_m_per_s",
                    "speed_m_per_s"
                ]
            );
            assert!(metrics["speed_m_per_s"].abs() < 0.5, "{metrics:?}");
        }

        #[test]
        fn who_falls_earns_nothing_for_the_rest_of_the_episode() {
            let results = of("hopper-params");
            let summary = &results.summary;
            assert_eq!((summary.fell, summary.ended_episode_1), (1.0, 1.0));
            assert_eq!(summary.reward_curve_1.last(), Some(&0.0));
            assert!(summary.steps_to_90_percent.is_none());
            for outcome in &results.outcomes {
                assert!(outcome.metric.len() < 200);
                let sum: f64 = outcome.rewards[0].iter().map(|r| f64::from(*r)).sum();
                assert_eq!(sum, outcome.returns[0]);
            }
        }
    }
}
