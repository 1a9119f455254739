//! Finding the first number that is no longer one, and naming it.
//!
//! A run that diverged stops before anything of it is saved. Nothing here changes a value, and no value that
//! is only large is a divergence, but for the policy's, which the settings bound (`ppo.max_kl`).

use engram_plants::PlantSpec;

use super::rollout::Trajectory;
use super::variables::Variables;

/// What went wrong.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Divergence {
    /// A number is infinite or none at all.
    #[error("{what} is {value}; try a smaller ppo.learning_rate or critic.learning_rate")]
    Number {
        /// Whose.
        what: String,
        /// The number.
        value: f64,
    },
    /// A plant gave a number that is infinite or none at all.
    #[error(
        "{what} is {value} in trial {trial} at its step {step}; the plant's simulation is at fault"
    )]
    Plant {
        /// Which channel.
        what: String,
        /// The number.
        value: f64,
        /// Trial of the iteration.
        trial: usize,
        /// Step of the trial.
        step: usize,
    },
    /// The plant's simulation failed in many steps.
    #[error(
        "the simulation of '{plant}' diverged in {diverged} of {steps} steps, of which at most {} may; such a step ends \
         the episode and pays nothing, and nothing can be learned from so many. Give the model a smaller timestep, weaker \
         actuators (gear, forcerange) or more armature and damping, or narrow [start] and the [[hidden]] ranges", most_diverged(*.steps)
    )]
    Simulation {
        /// The plant.
        plant: String,
        /// Steps of the iteration that diverged.
        diverged: u64,
        /// All its steps.
        steps: u64,
    },
    /// No gradient of an iteration could be followed.
    #[error(
        "no gradient of the iteration was a finite number; try a smaller gradient.learning_rate or gradient.max_state_gradient"
    )]
    Gradient,
    /// The policy moved too far in one iteration.
    #[error(
        "the policy moved by a divergence (kl) of {kl:.3} per step; ppo.max_kl allows {bound}. Try a smaller \
         ppo.learning_rate or fewer ppo.epochs"
    )]
    Kl {
        /// How far it moved.
        kl: f64,
        /// How far it may.
        bound: f64,
    },
}

/// One in how many steps may diverge. A robot that is driven to its limits may blow up now and then, and learns to leave
/// that alone because it ends the episode; where it happens more often, the model is at fault and not the policy.
const DIVERGED_ONE_IN: u64 = 100;

/// Steps of an iteration that may diverge.
const fn most_diverged(steps: u64) -> u64 {
    steps / DIVERGED_ONE_IN
}

/// More diverged steps than an iteration on `plant` may have.
#[must_use]
pub(crate) fn in_simulation(trajectories: &[Trajectory], plant: &str) -> Option<Divergence> {
    let diverged = trajectories.iter().map(|trial| trial.diverged_steps).sum();
    let steps = trajectories
        .iter()
        .map(|one| one.rewards.len() as u64)
        .sum();
    (diverged > most_diverged(steps)).then(|| Divergence::Simulation {
        plant: plant.to_owned(),
        diverged,
        steps,
    })
}

/// The first tensor with a number that is none, among an update's: weights first, because one of them
/// spoils all gradients.
#[must_use]
pub(crate) fn in_update(
    weights: [(&Variables, &[f32]); 2],
    gradients: [(&Variables, &[f32]); 2],
) -> Divergence {
    let of = |kind: &str, (variables, values): (&Variables, &[f32])| {
        let (name, value) = variables.not_finite(values)?;
        Some(Divergence::Number {
            what: format!("{kind} '{name}'"),
            value: f64::from(value),
        })
    };
    weights
        .into_iter()
        .find_map(|one| of("weight", one))
        .or_else(|| gradients.into_iter().find_map(|one| of("gradient of", one)))
        .unwrap_or_else(|| Divergence::Number {
            what: "norm of the gradient".to_owned(),
            value: f64::INFINITY,
        })
}

/// The first tensor of the updated weights with a number that is none.
#[must_use]
pub(crate) fn in_weights(variables: &Variables, values: &[f32]) -> Option<Divergence> {
    variables
        .not_finite(values)
        .map(|(name, value)| Divergence::Number {
            what: format!("weight '{name}' after the update"),
            value: f64::from(value),
        })
}

/// The first number of the trials that is none. `spec` has the channels' names.
#[must_use]
pub(crate) fn in_trials(trajectories: &[Trajectory], spec: &PlantSpec) -> Option<Divergence> {
    trajectories.iter().enumerate().find_map(|(trial, one)| {
        let steps = one.rewards.len();
        let channel = |index: usize| {
            let channel = spec.channels.observations.get(index);
            channel.map_or_else(
                || format!("entry {index} of the working memory"),
                |channel| format!("observation '{}'", channel.name),
            )
        };
        let rows = |values: &[f32], rows: usize| {
            let index = values.iter().position(|value| !value.is_finite())?;
            let width = values.len() / rows.max(1);
            Some((
                index % width.max(1),
                index / width.max(1),
                f64::from(values[index]),
            ))
        };
        let plant = |what: String, step: usize, value: f64| Divergence::Plant {
            what,
            value,
            trial,
            step,
        };
        // An action first: the plant answers it.
        rows(&one.actions, steps)
            .map(|(index, step, value)| Divergence::Number {
                what: format!("action {index} of trial {trial} at its step {step}"),
                value,
            })
            .or_else(|| {
                rows(&one.rewards, steps)
                    .map(|(_, step, value)| plant("reward".to_owned(), step, value))
            })
            .or_else(|| {
                rows(&one.memories, steps + 1)
                    .map(|(index, step, value)| plant(channel(index), step, value))
            })
            .or_else(|| {
                rows(&one.privileged, steps + 1).map(|(index, step, value)| {
                    plant(format!("true state or task {index}"), step, value)
                })
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use engram_plants::by_name;

    #[test]
    fn many_diverged_steps_stop_a_run_and_a_few_do_not() {
        let trial = |diverged| Trajectory {
            memories: Vec::new(),
            actions: Vec::new(),
            log_probabilities: Vec::new(),
            rewards: vec![0.0; 200],
            ended: Vec::new(),
            began: Vec::new(),
            falls: 0,
            diverged_steps: diverged,
            cleared: Vec::new(),
            privileged: Vec::new(),
        };
        assert_eq!(in_simulation(&[trial(0), trial(4)], "arm"), None);
        let said = in_simulation(&[trial(3), trial(2)], "arm")
            .unwrap()
            .to_string();
        for words in ["'arm'", "5 of 400 steps", "at most 4", "timestep", "gear"] {
            assert!(said.contains(words), "no '{words}' in: {said}");
        }
    }

    #[test]
    fn the_first_bad_number_of_the_trials_is_named() {
        let good = Trajectory {
            memories: vec![0.0; 3 * 6],
            actions: vec![0.0; 2],
            log_probabilities: vec![0.0; 2],
            rewards: vec![0.0; 2],
            ended: vec![false; 2],
            began: vec![true, false],
            falls: 0,
            diverged_steps: 0,
            cleared: vec![true, false, false],
            privileged: vec![0.0; 3 * 4],
        };
        let said = |change: fn(&mut Trajectory)| {
            let mut bad = good.clone();
            change(&mut bad);
            let plant = by_name("pendulum").unwrap();
            in_trials(&[good.clone(), bad], plant.spec()).map(|found| found.to_string())
        };
        assert_eq!(said(|_| {}), None);
        for (change, expected) in [
            (
                (|bad| bad.rewards[1] = f32::NAN) as fn(&mut Trajectory),
                "reward is NaN in trial 1 at its step 1",
            ),
            (
                |bad| bad.memories[2 * 6 + 4] = f32::INFINITY,
                "entry 4 of the working memory is inf",
            ),
            (
                |bad| bad.actions[1] = f32::NAN,
                "action 0 of trial 1 at its step 1 is NaN",
            ),
            (
                |bad| bad.privileged[5] = f32::NAN,
                "true state or task 1 is NaN in trial 1 at its step 1",
            ),
        ] {
            let said = said(change).unwrap();
            assert!(said.contains(expected), "{said}");
        }
        let plant = by_name("pendulum").unwrap();
        let first = &plant.spec().channels.observations[0].name;
        let said = said(|bad| bad.memories[6] = f32::NAN).unwrap();
        assert!(
            said.contains(&format!(
                "observation '{first}' is NaN in trial 1 at its step 1"
            )),
            "{said}"
        );
    }
}
