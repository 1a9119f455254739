//! An iteration's trials, laid out for the learner, with advantages and targets.

use candle_core::{Device, Result, Tensor};
use engram_export::Normalizer;

use super::config::{CriticInput, CriticTargets, Settings};
use super::gae;
use super::rollout::Trajectory;
use super::statistics::Statistics;
use engram_export::network::NetworkConfig;

/// Rows are control steps, trial after trial.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Control steps of every trial.
    pub steps: usize,
    /// Entries of a working memory.
    pub inputs: usize,
    /// Action channels.
    pub actions: usize,
    /// Entries of the critic's input.
    pub features: usize,
    /// Normalised working memories `[rows][inputs]`.
    pub memories: Vec<f32>,
    /// The oldest row that the policy could remember `[rows]`.
    pub oldest: Vec<usize>,
    /// Sampled actions `[rows][actions]`.
    pub sampled: Vec<f32>,
    /// Their logarithmic probabilities when they were sampled `[rows]`.
    pub log_probabilities: Vec<f32>,
    /// What the critic sees `[rows][features]`; empty if it reads the encoder's output.
    pub critic: Vec<f32>,
    /// What it sees after the last step of every trial `[trials][features]`.
    pub critic_last: Vec<f32>,
    /// Entries of true state and hidden task.
    pub privileged: usize,
    /// True state and hidden task `[rows][privileged]`.
    pub truth: Vec<f32>,
    /// Advantages `[rows]`.
    pub advantages: Vec<f32>,
    /// What the critic should say `[rows]`.
    pub targets: Vec<f32>,
    /// Share of the targets' variance that the critic explained before the update.
    pub explained: f32,
    /// How far the trials' returns differ from each other, over how far the advantages do; 1 for a single trial.
    pub signal: f64,
    /// Whether the returns differ at all; where not, all advantages are 0.
    pub tells: bool,
}

/// The least [`Batch::signal`] with which the critic is asked what an action is worth.
///
/// What an action is worth cannot differ more than what is earned differs, and the returns of trials that took other
/// actions (and began elsewhere) differ by at least that. Where advantages spread twice as much, three quarters of their
/// variance can only be the critic's error; to scale that up is to learn noise, and what noise teaches is less
/// exploration. There, what each trial earned from a step on is compared with what the others did: that holds no error of
/// the critic, however large a constant part of the reward is.
pub const LEAST_SIGNAL: f64 = 0.5;

/// Returns that differ by less than this share of their size differ by rounding alone: an f32 has 6e-8, and sums have more.
const ROUNDING: f64 = 1e-6;

/// Entries of the critic's input.
#[must_use]
pub fn critic_features(settings: &Settings, config: &NetworkConfig, privileged: usize) -> usize {
    match settings.critic.input {
        CriticInput::Encoder => config.encoded(),
        CriticInput::Memory if settings.critic.sees_task => config.inputs() + privileged,
        CriticInput::Memory => config.inputs(),
    }
}

/// Takes the trials' discounted returns into `returns`, whose deviation scales the rewards.
pub fn add_returns(trajectories: &[Trajectory], gamma: f32, returns: &mut Statistics) {
    for trajectory in trajectories {
        // Last first: the order in which they are added belongs to the result.
        let mut discounted = gae::returns(&trajectory.rewards, &trajectory.ended, gamma);
        discounted.reverse();
        returns.add(&discounted);
    }
}

impl Batch {
    /// Normalises and lays out the trials; [`judge`](Self::judge) makes it complete.
    #[must_use]
    pub fn new(
        trajectories: &[Trajectory],
        settings: &Settings,
        config: &NetworkConfig,
        normalizer: &Normalizer,
    ) -> Self {
        let (inputs, steps) = (config.inputs(), settings.trial.steps);
        let privileged = trajectories
            .first()
            .map_or(0, |t| t.privileged.len() / (steps + 1));
        let features = critic_features(settings, config, privileged);
        let mut batch = Self {
            steps,
            inputs,
            actions: config.actions(),
            features,
            memories: Vec::with_capacity(trajectories.len() * steps * inputs),
            oldest: Vec::with_capacity(trajectories.len() * steps),
            sampled: Vec::new(),
            log_probabilities: Vec::new(),
            critic: Vec::new(),
            critic_last: Vec::new(),
            privileged,
            truth: Vec::new(),
            advantages: Vec::new(),
            targets: Vec::new(),
            explained: 0.0,
            signal: 0.0,
            tells: true,
        };
        for trajectory in trajectories {
            batch.add(trajectory, settings, normalizer);
        }
        batch
    }

    fn add(&mut self, trajectory: &Trajectory, settings: &Settings, normalizer: &Normalizer) {
        let mut memory = vec![0.0; self.inputs];
        let mut oldest = self.oldest.len();
        let raw = trajectory.memories.chunks_exact(self.inputs);
        let seen = trajectory.privileged.chunks_exact(self.privileged.max(1));
        for (step, (raw, privileged)) in raw.zip(seen).enumerate() {
            normalizer.apply(raw, &mut memory);
            let last = step == self.steps;
            if settings.critic.input == CriticInput::Memory {
                let critic = if last {
                    &mut self.critic_last
                } else {
                    &mut self.critic
                };
                critic.extend(&memory);
                if settings.critic.sees_task {
                    critic.extend(privileged);
                }
            }
            if last {
                break;
            }
            if trajectory.cleared[step] {
                oldest = self.oldest.len();
            }
            self.oldest.push(oldest);
            self.memories.extend(&memory);
            self.truth.extend(privileged);
        }
        self.sampled.extend(&trajectory.actions);
        self.log_probabilities.extend(&trajectory.log_probabilities);
    }

    /// Advantages and targets from the critic's `values`: of every step and, for each trial, of what follows
    /// its last, `[trials][steps + 1]`. Rewards are divided by `reward_scale`.
    pub fn judge(
        &mut self,
        trajectories: &[Trajectory],
        settings: &Settings,
        values: &[f32],
        reward_scale: f32,
    ) {
        let ppo = &settings.ppo;
        let (gamma, lambda) = (ppo.gamma as f32, ppo.lambda as f32);
        let mut errors = Vec::with_capacity(self.oldest.len());
        let mut earned = Vec::with_capacity(trajectories.len());
        let never = vec![false; self.steps];
        for (trajectory, values) in trajectories.iter().zip(values.chunks_exact(self.steps + 1)) {
            let rewards: Vec<f32> = trajectory
                .rewards
                .iter()
                .map(|reward| reward / reward_scale)
                .collect();
            let ended = if ppo.cut_at_falls {
                &trajectory.ended
            } else {
                &never
            };
            let returns = gae::returns(&rewards, ended, gamma);
            let mut values = values.to_vec();
            if !ppo.bootstrap {
                values[self.steps] = 0.0;
            }
            let advantages = gae::advantages(&rewards, &values, ended, gamma, lambda);
            let targets: Vec<f32> = match settings.critic.targets {
                CriticTargets::Advantages => advantages
                    .iter()
                    .zip(&values)
                    .map(|(advantage, value)| advantage + value)
                    .collect(),
                CriticTargets::Returns => returns.clone(),
            };
            earned.push(returns);
            errors.extend(
                targets
                    .iter()
                    .zip(&values)
                    .map(|(target, value)| target - value),
            );
            self.targets.extend(targets);
            self.advantages.extend(advantages);
        }
        self.explained = explained(&self.targets, &errors);
        self.signal = signal(&self.advantages, &earned);
        if ppo.normalize_advantages {
            // A signal that is no number is the divergence's to tell.
            self.tells = self.signal != 0.0;
            if self.signal < LEAST_SIGNAL {
                compare(&mut self.advantages, &earned);
            }
            if self.tells {
                normalize(&mut self.advantages);
            } else {
                self.advantages.fill(0.0);
            }
        }
    }

    /// The `rows` of one of the batch's vectors that has `width` entries per row, as a tensor.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn gather(
        &self,
        values: &[f32],
        width: usize,
        rows: &[usize],
        device: &Device,
    ) -> Result<Tensor> {
        let mut gathered = Vec::with_capacity(rows.len() * width);
        for row in rows {
            gathered.extend_from_slice(&values[row * width..(row + 1) * width]);
        }
        Tensor::from_vec(gathered, (rows.len(), width), device)
    }

    /// The windows of up to `window` working memories that end with `rows`, slot after slot from the oldest
    /// on, `[rows * window, inputs]`; and the slot of each window's newest. Slots after that hold zeros.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn gather_windows(
        &self,
        rows: &[usize],
        window: usize,
        device: &Device,
    ) -> Result<(Tensor, Vec<usize>)> {
        let mut gathered = vec![0.0; rows.len() * window * self.inputs];
        let mut newest = Vec::with_capacity(rows.len());
        for (row, slots) in rows
            .iter()
            .zip(gathered.chunks_exact_mut(window * self.inputs))
        {
            let first = self.oldest[*row].max((row + 1).saturating_sub(window));
            let seen = &self.memories[first * self.inputs..(row + 1) * self.inputs];
            slots[..seen.len()].copy_from_slice(seen);
            newest.push(row - first);
        }
        let shape = (rows.len() * window, self.inputs);
        Ok((Tensor::from_vec(gathered, shape, device)?, newest))
    }

    /// Trials in the batch.
    #[must_use]
    pub fn trials(&self) -> usize {
        self.log_probabilities.len() / self.steps
    }
}

/// `1 - var(errors) / var(targets)`.
fn explained(targets: &[f32], errors: &[f32]) -> f32 {
    let variance = |values: &[f32]| {
        let (mean, std) = moments(values);
        if mean.is_finite() {
            std * std
        } else {
            f64::NAN
        }
    };
    (1.0 - variance(errors) / variance(targets).max(1e-12)) as f32
}

fn normalize(values: &mut [f32]) {
    let (mean, std) = moments(values);
    for value in values {
        *value = ((f64::from(*value) - mean) / (std + 1e-8)) as f32;
    }
}

/// Standard deviation of the returns of different trials from the same step on, over that of the advantages; 0 where the
/// returns are the same but for rounding. Trials are compared with each other and not steps: towards a trial's end there
/// is less and less to earn, whatever is done.
fn signal(advantages: &[f32], returns: &[Vec<f32>]) -> f64 {
    let [first, _, ..] = returns else { return 1.0 };
    let (mut variance, mut square) = (0.0, 0.0);
    for step in 0..first.len() {
        let (mean, std) = moments(&column(returns, step));
        variance += std.powi(2);
        square += mean.powi(2);
    }
    if variance.sqrt() <= ROUNDING * square.sqrt() {
        return 0.0;
    }
    (variance / first.len() as f64).sqrt() / moments(advantages).1
}

/// Makes advantages of what each trial earned from a step on, compared with the mean of all trials from the same step on.
fn compare(advantages: &mut [f32], returns: &[Vec<f32>]) {
    let steps = returns.first().map_or(0, Vec::len);
    let means: Vec<f64> = (0..steps)
        .map(|step| moments(&column(returns, step)).0)
        .collect();
    let compared = returns.iter().flat_map(|trial| trial.iter().zip(&means));
    for (advantage, (earned, mean)) in advantages.iter_mut().zip(compared) {
        *advantage = (f64::from(*earned) - mean) as f32;
    }
}

fn column(returns: &[Vec<f32>], step: usize) -> Vec<f32> {
    returns.iter().map(|trial| trial[step]).collect()
}

/// Mean and standard deviation.
fn moments(values: &[f32]) -> (f64, f64) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
    let square = values
        .iter()
        .map(|v| (f64::from(*v) - mean).powi(2))
        .sum::<f64>()
        / count;
    (mean, square.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advantages_are_normalised() {
        let mut values = [1.0, 2.0, 3.0, 6.0];
        normalize(&mut values);
        let (mean, std) = moments(&values);
        assert!(mean.abs() < 1e-6 && (std - 1.0).abs() < 1e-6);
    }

    #[test]
    fn returns_are_compared_between_trials_and_not_along_them() {
        let falling: Vec<f32> = (0..50).rev().map(|left| left as f32).collect();
        let better: Vec<f32> = falling.iter().map(|value| value + 3.0).collect();
        let advantages = [1.0, -1.0, 1.0, -1.0];
        let of = |returns: &[Vec<f32>]| signal(&advantages, returns);
        assert_eq!(of(&[falling.clone(), falling.clone()]), 0.0);
        assert_eq!(of(&[falling.clone(), better.clone()]), 1.5);
        assert_eq!(of(std::slice::from_ref(&falling)), 1.0);
        assert_eq!(signal(&[0.0; 4], &[falling.clone(), falling.clone()]), 0.0);
        assert!(signal(&[f32::NAN; 4], &[falling, better]).is_nan());
    }

    /// Two trials of four steps with these rewards, judged by a critic that errs by up to a quarter.
    fn judged(rewards: [[f32; 4]; 2]) -> Batch {
        let mut settings = Settings::preset("pendulum").unwrap();
        settings.trial.steps = 4;
        let trajectory = |rewards: [f32; 4]| Trajectory {
            memories: vec![0.0; 5 * 6],
            actions: vec![0.0; 4],
            log_probabilities: vec![0.0; 4],
            rewards: rewards.to_vec(),
            ended: vec![false; 4],
            began: vec![true, false, false, false],
            falls: 0,
            diverged_steps: 0,
            cleared: vec![true, false, false, false, false],
            privileged: vec![0.0; 5 * 7],
        };
        let trajectories = rewards.map(trajectory);
        let plant = engram_plants::by_name("pendulum").unwrap();
        let config = settings.network_config(plant.spec(), engram_export::checkpoint::Agent::Trmrl);
        let normalizer = Normalizer::identity(config.inputs(), 10.0);
        let mut batch = Batch::new(&trajectories, &settings, &config, &normalizer);
        let values = [
            0.25, -0.25, 0.125, 0.25, -0.125, 0.0, 0.25, 0.25, -0.25, 0.125,
        ];
        batch.judge(&trajectories, &settings, &values, 1.0);
        batch
    }

    #[test]
    fn what_only_the_critic_says_is_not_scaled_up() {
        for constant in [0.0, 1.0, -3.7] {
            let batch = judged([[constant; 4]; 2]);
            assert_eq!((batch.signal, batch.tells), (0.0, false));
            assert_eq!(batch.advantages, [0.0; 8]);
        }
        // One reward that only one trial found is a signal like any other.
        let sparse = judged([[0.0; 4], [0.0, 0.0, 1.0, 0.0]]);
        assert!(
            sparse.tells && sparse.signal > LEAST_SIGNAL,
            "{}",
            sparse.signal
        );
        let (mean, std) = moments(&sparse.advantages);
        assert!(mean.abs() < 1e-6 && (std - 1.0).abs() < 1e-6);
    }

    /// However large the constant part of a reward and with it the critic's error, what is earned besides says which
    /// trial did better, and from which step on.
    #[test]
    fn a_small_part_of_the_reward_is_heard_beside_a_large_constant() {
        let batch = judged([[1.0; 4], [1.0, 1.0, 1.01, 1.0]]);
        assert!(
            batch.tells && batch.signal > 0.0 && batch.signal < LEAST_SIGNAL,
            "{}",
            batch.signal
        );
        let (mean, std) = moments(&batch.advantages);
        assert!(mean.abs() < 1e-5 && (std - 1.0).abs() < 1e-4);
        let (worse, better) = batch.advantages.split_at(4);
        for (worse, better) in worse.iter().zip(better) {
            assert!((worse + better).abs() < 1e-5, "{worse} {better}");
        }
        assert!(
            better[0] > 0.0 && better[1] > better[0] && better[2] > better[1],
            "{better:?}"
        );
        // After the last difference nothing is left to tell.
        assert!(better[3].abs() < 1e-5, "{better:?}");
        // The last bit of an f32 is no difference.
        let rounded = judged([[1.0; 4], [1.0, 1.0, 1.0 + f32::EPSILON, 1.0]]);
        assert_eq!((rounded.signal, rounded.tells), (0.0, false));
        assert_eq!(rounded.advantages, [0.0; 8]);
    }

    #[test]
    fn a_perfect_critic_explains_everything() {
        assert!((explained(&[1.0, 2.0, 3.0], &[0.1, 0.1, 0.1]) - 1.0).abs() < 1e-6);
        assert!(explained(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]).abs() < 1e-6);
    }
}
