//! What became of an iteration's episodes: how many ended in a fall, and what an episode that nothing disturbs earns.
//!
//! An episode also ends by itself where its goal is reached, or where the simulation diverges; each of them ends its return.
//! In a trial the next episode begins at once where a robot fell, so that the mean reward of the trial's steps tells
//! nothing of falls. A return ends with the fall. But most episodes of a trial are cut off by its end, by a time-out or
//! by a new start, and who only looked at those that came to their end would mostly see falls. Therefore the return is
//! put together from what is known of every age, by the product-limit estimate (Kaplan and Meier, 1958): the mean reward
//! of the steps of that age, times the share of the episodes that reach it.

use super::rollout::Trajectory;

/// The episodes of an iteration, exploration included.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Episodes {
    /// Return of an episode of the plant's protocol that ends with its time, or before that by itself.
    pub undisturbed_return: f64,
    /// Episodes that ended because the robot fell, over all that began: from 0 to 1.
    pub falls: f64,
    /// Steps whose simulation diverged.
    pub diverged_steps: u64,
}

/// What was seen of one age.
#[derive(Clone, Copy, Default)]
struct Age {
    steps: f64,
    rewards: f64,
    ends: f64,
}

impl Age {
    fn add(&mut self, reward: f32, ended: bool) {
        self.steps += 1.0;
        self.rewards += f64::from(reward);
        self.ends += f64::from(u8::from(ended));
    }
}

impl Episodes {
    /// Looks through the trials of an iteration; an episode of the plant's protocol has `episode_steps` steps. Ages that
    /// no episode reached are taken for the mean of all ages.
    #[must_use]
    pub fn of(trajectories: &[Trajectory], episode_steps: usize) -> Self {
        let mut ages = vec![Age::default(); episode_steps];
        let (mut all, mut begun) = (Age::default(), 0.0);
        let falls: u64 = trajectories.iter().map(|trial| trial.falls).sum();
        for trajectory in trajectories {
            let mut age = 0;
            let steps = trajectory.rewards.iter().zip(&trajectory.ended);
            for ((reward, ended), began) in steps.zip(&trajectory.began) {
                if *began {
                    begun += 1.0;
                    age = 0;
                }
                if let Some(seen) = ages.get_mut(age) {
                    seen.add(*reward, *ended);
                }
                all.add(*reward, *ended);
                age += 1;
            }
        }
        let (mut undisturbed_return, mut reached) = (0.0, 1.0);
        for age in ages {
            let seen = if age.steps > 0.0 { age } else { all };
            let steps = seen.steps.max(1.0);
            undisturbed_return += reached * seen.rewards / steps;
            reached *= 1.0 - seen.ends / steps;
        }
        Self {
            undisturbed_return,
            falls: falls as f64 / f64::max(begun, 1.0),
            diverged_steps: trajectories.iter().map(|trial| trial.diverged_steps).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A trial by its rewards; `falls` and `starts` are steps, and a new episode begins after a fall.
    fn trial(rewards: Vec<f32>, falls: &[usize], starts: &[usize]) -> Trajectory {
        let steps = rewards.len();
        let after_fall = |step: &usize| falls.contains(&step.wrapping_sub(1));
        Trajectory {
            memories: Vec::new(),
            actions: Vec::new(),
            log_probabilities: Vec::new(),
            ended: (0..steps).map(|step| falls.contains(&step)).collect(),
            began: (0..steps)
                .map(|step| step == 0 || after_fall(&step) || starts.contains(&step))
                .collect(),
            rewards,
            cleared: Vec::new(),
            privileged: Vec::new(),
            falls: falls.len() as u64,
            diverged_steps: 0,
        }
    }

    #[test]
    fn a_return_ends_with_the_fall_although_the_next_episode_begins_at_once() {
        // One point per step, a fall every 10 steps: 100 steps of an episode would seem to earn 100.
        let falls: Vec<usize> = (9..200).step_by(10).collect();
        let found = Episodes::of(&[trial(vec![1.0; 200], &falls, &[])], 100);
        assert_eq!((found.undisturbed_return, found.falls), (10.0, 1.0));
    }

    #[test]
    fn what_diverges_ends_the_return_and_is_no_fall() {
        let mut trials = [trial(vec![1.0; 100], &[9, 19], &[])];
        (trials[0].falls, trials[0].diverged_steps) = (1, 1);
        let found = Episodes::of(&trials, 100);
        // Three episodes began, one fell; of the second, 10 steps counted, too.
        assert!((found.falls - 1.0 / 3.0).abs() < 1e-12, "{found:?}");
        assert_eq!(found.diverged_steps, 1);
        let fell = Episodes::of(&[trial(vec![1.0; 100], &[9, 19], &[])], 100);
        assert_eq!(found.undisturbed_return, fell.undisturbed_return);
    }

    #[test]
    fn without_falls_it_is_the_sum_of_an_episodes_rewards() {
        let rewards: Vec<f32> = (0..200).map(|step| (step % 100) as f32).collect();
        let found = Episodes::of(&[trial(rewards, &[], &[100])], 100);
        assert_eq!((found.undisturbed_return, found.falls), (4950.0, 0.0));
    }

    #[test]
    fn what_is_cut_off_counts_as_far_as_it_went() {
        // Falls at a constant rate: an episode of 100 steps earns the geometric sum. Trials of 60 steps cut off every
        // episode that does not fall.
        let rate = 0.02;
        let mut random = engram_plants::random_stream(7, engram_plants::Stream::Training, 0);
        let trials: Vec<Trajectory> = (0..4000)
            .map(|_| {
                use rand::RngExt;
                let falls: Vec<usize> = (0..60).filter(|_| random.random_bool(rate)).collect();
                trial(vec![1.0; 60], &falls, &[])
            })
            .collect();
        let expected = (1.0 - (1.0 - rate).powi(100)) / rate;
        let found = Episodes::of(&trials, 100);
        let error = (found.undisturbed_return - expected).abs();
        assert!(error < 0.02 * expected, "{found:?} instead of {expected}");
        // Who counted whole episodes alone would see those that fell within 60 steps, half as long.
        assert!(found.falls > 0.3 && found.falls < 0.7, "{found:?}");
    }

    #[test]
    fn nothing_seen_is_nothing_earned() {
        assert_eq!(Episodes::of(&[], 100), Episodes::default());
    }
}
