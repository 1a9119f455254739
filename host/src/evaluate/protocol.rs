//! The held-out evaluation: the same trials for every controller, spread over all cores.

use rand::{Rng, RngExt};
use rayon::prelude::*;

use super::trial::{Outcome, TrialPlan, run};
use super::{Controller, Summary};
use engram_plants::{Driven, PlantFactory, Task, TaskSet, Text, UnknownChange, random_stream};

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

    /// The same trials on these tasks instead of those that were drawn, one after the other and from the front again.
    #[must_use]
    pub fn on(mut self, tasks: &[Task]) -> Self {
        for (trial, task) in self.trials.iter_mut().zip(tasks.iter().cycle()) {
            trial.task.clone_from(task);
        }
        self
    }
}

/// Flies every trial of `plan`. `plant` and `controller` make what a worker needs; the controller is given
/// its trial, for those that draw random numbers or know the robot.
///
/// # Errors
/// [`UnknownChange`] when the plants do not know the plan's change.
pub fn evaluate<'a>(
    plan: &Plan,
    plant: &PlantFactory,
    controller: impl Fn(&TrialPlan) -> Box<dyn Controller + 'a> + Sync,
) -> Result<Results, UnknownChange> {
    let outcomes = plan
        .trials
        .par_iter()
        .map_init(
            || Driven::new(plant.make()),
            |driven, trial| run(driven, trial, controller(trial).as_mut(), |_| ()),
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
        let random = |plan: &Plan| {
            evaluate(plan, &plant(), |trial| Box::new(Random::new(trial.seed))).unwrap()
        };
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
        let random = evaluate(&plan(4), &plant(), |trial| {
            Box::new(Random::new(trial.seed))
        })
        .unwrap();
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
            evaluate(&plan, &plant, |trial| Box::new(Random::new(trial.seed))).unwrap()
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

        /// A cart on a rail whose servo is told where to go; beyond the rail's end it is lost.
        const RAIL: &str = r#"<mujoco><option timestep="0.01" integrator="implicitfast" gravity="0 0 0"/><worldbody>
            <body name="cart"><joint name="x" type="slide" axis="1 0 0"/><geom size="0.1" mass="1"/></body></worldbody>
            <actuator><position name="servo" joint="x" kp="2000" kv="200" ctrlrange="-1 1"/></actuator></mujoco>"#;
        const CART: &str = r#"
            name = "cart"
            model = "rail.xml"
            period_us = 20000
            episode_steps = 100
            observation = [{ name = "x", unit = "m", min = -2.0, max = 2.0, qpos = { joint = "x" } }]
            action = [{ name = "x", actuator = "servo", unit = "m", min = -1.0, max = 1.0, slew_per_s = 100.0, safe = 0.0 }]
            reward = [{ weight = 1.0, reached = {} }]
            ended = [{ all = [{ qpos = { joint = "x" }, below = -0.5 }] }]
            hidden = [{ name = "mass", training = [0.5, 2.0], mass_scale = { bodies = ["cart"] } }]
            change = [{ name = "mass", summary = "twice as heavy", multiply = { mass = 2.0 } }]
            [goal]
            all = [{ qpos = { joint = "x" }, target = 0.5, within = 0.05 }]
            hold_steps = 18
            change_steps = [40, 40]
            recovery_steps = 20
        "#;

        /// Goes to 0.5 m from a step of each episode on, and 60 steps later to the middle again.
        struct Goes {
            from: usize,
            step: usize,
        }

        impl Controller for Goes {
            fn clear(&mut self) {}

            fn step(&mut self, moment: &crate::evaluate::Moment<'_>, words: &mut [i16]) {
                self.step = if moment.done { 0 } else { self.step + 1 };
                let there = (self.from..self.from + 60).contains(&self.step);
                words.fill(if there { i16::MAX / 2 } else { 0 });
            }
        }

        /// Goes beyond the rail's end.
        struct Leaves;

        impl Controller for Leaves {
            fn clear(&mut self) {}

            fn step(&mut self, _moment: &crate::evaluate::Moment<'_>, words: &mut [i16]) {
                words.fill(-i16::MAX);
            }
        }

        #[test]
        fn a_goal_that_is_reached_is_a_success_and_no_fall() {
            // `then` of the goal, when it goes there, and the shares: success, recovered, fell, ended.
            let cases = [
                // Reached in each episode, in the second one before the change; it went away later, or would have.
                ("end", Some(5), [1.0, 1.0, 0.0, 1.0]),
                ("count", Some(5), [1.0, 1.0, 0.0, 0.0]),
                // Reached within the last steps, through which it has not held: the end of an episode counts as it is.
                ("end", Some(80), [1.0, 1.0, 0.0, 1.0]),
                ("count", Some(80), [0.0, 0.0, 0.0, 0.0]),
                // Out of time, and lost.
                ("end", Some(99), [0.0, 0.0, 0.0, 0.0]),
                ("end", None, [0.0, 0.0, 1.0, 1.0]),
            ];
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("rail.xml"), RAIL).unwrap();
            let file = folder.path().join("cart.toml");
            for (then, from, shares) in cases {
                let goal = format!("{CART}\nreached = {{ steps = 5, then = \"{then}\" }}");
                std::fs::write(&file, goal).unwrap();
                let plant = PlantFactory::open(&file.display().to_string()).unwrap();
                let plan = Plan::new(&plant, TaskSet::HeldOut, 16, "mass", 0).unwrap();
                let goes = |heavy: bool| -> Box<dyn Controller> {
                    match from {
                        Some(from) if heavy => Box::new(Goes { from, step: 0 }),
                        _ => Box::new(Leaves),
                    }
                };
                let of = |results: &Results| {
                    let of = &results.summary;
                    assert_eq!(of.ended_episode_1, of.ended_episode_2);
                    // Reaching pays once an episode, and what is lost reaches nothing.
                    assert_eq!(
                        of.return_episode_1,
                        if from == Some(99) {
                            0.0
                        } else {
                            of.return_episode_2
                        }
                    );
                    [
                        of.success.unwrap(),
                        of.recovered.unwrap(),
                        of.fell,
                        of.ended_episode_1,
                    ]
                };
                let all = evaluate(&plan, &plant, |_| goes(true)).unwrap();
                assert_eq!(of(&all), shares, "{then}, from step {from:?}");
                // Who does it on heavy carts only is counted on heavy carts only.
                let is_heavy = |trial: &TrialPlan| trial.task.values[0] > 1.0;
                let some = evaluate(&plan, &plant, |trial| goes(is_heavy(trial))).unwrap();
                let heavy =
                    plan.trials.iter().filter(|trial| is_heavy(trial)).count() as f64 / 16.0;
                assert!((0.2..0.9).contains(&heavy));
                let lost = [0.0, 0.0, 1.0, 1.0];
                let mixed = std::array::from_fn(|i| heavy * shares[i] + (1.0 - heavy) * lost[i]);
                assert_eq!(of(&some), mixed, "{then}, from step {from:?}");
            }
        }
    }
}
