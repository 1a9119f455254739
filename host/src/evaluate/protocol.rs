//! The held-out evaluation: the same trials for every controller, spread over all cores.

use rand::{Rng, RngExt};
use rayon::prelude::*;

use super::trial::{Outcome, TrialPlan, run};
use super::{Controller, Summary};
use crate::plant::{Driven, Plant, TaskSet, UnknownChange, random_stream};

/// The trials of an evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// One per task.
    pub trials: Vec<TrialPlan>,
    period_s: f64,
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
        plant: &mut dyn Plant,
        set: TaskSet,
        tasks: usize,
        change: &str,
        seed: u64,
    ) -> Result<Self, UnknownChange> {
        plant.apply(change)?;
        let (first, last) = plant.protocol().change_steps;
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
            period_s: f64::from(plant.contract().period_us) * 1e-6,
        })
    }
}

/// Flies every trial of `plan`. `plant` and `controller` make what one worker needs; the controller is given
/// the trial's seed, for those that draw random numbers.
///
/// # Errors
/// [`UnknownChange`] when the plants do not know the plan's change.
pub fn evaluate<'a>(
    plan: &Plan,
    plant: impl Fn() -> Box<dyn Plant> + Sync,
    controller: impl Fn(u64) -> Box<dyn Controller + 'a> + Sync,
) -> Result<Results, UnknownChange> {
    let outcomes = plan
        .trials
        .par_iter()
        .map_init(
            || Driven::new(plant()),
            |driven, trial| run(driven, trial, controller(trial.seed).as_mut(), |_| ()),
        )
        .collect::<Result<Vec<_>, _>>()?;
    let summary = Summary::new(&outcomes, plan.period_s);
    Ok(Results { outcomes, summary })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::{Classic, Random, Zero};
    use crate::plant::{by_name, pendulum};

    fn plant() -> Box<dyn Plant> {
        by_name(pendulum::NAME).expect("built in")
    }

    fn plan(tasks: usize) -> Plan {
        Plan::new(plant().as_mut(), TaskSet::HeldOut, tasks, "polarity", 0).expect("known")
    }

    #[test]
    fn doing_nothing_never_succeeds_and_the_classical_controller_mostly_does() {
        let contract = plant().contract();
        let zero = evaluate(&plan(8), plant, |_| Box::new(Zero::new(&contract))).unwrap();
        assert_eq!((zero.summary.success, zero.summary.recovered), (0.0, 0.0));
        let classic = evaluate(&plan(32), plant, |_| Box::new(Classic::new(&contract))).unwrap();
        assert!(classic.summary.success > 0.9, "{:?}", classic.summary);
        assert!(classic.summary.recovered > 0.8, "{:?}", classic.summary);
        assert!(classic.summary.return_episode_1 > zero.summary.return_episode_1);
    }

    #[test]
    fn results_do_not_depend_on_threads_or_on_how_many_tasks_there_are() {
        let random =
            |plan: &Plan| evaluate(plan, plant, |seed| Box::new(Random::new(seed))).unwrap();
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
        assert!(Plan::new(plant().as_mut(), TaskSet::HeldOut, 1, "gravity", 0).is_err());
    }
}
