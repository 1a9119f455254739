//! The update: minibatches of whole trials, each split into a fixed number of shards that are
//! differentiated in parallel and summed in order.
//!
//! The number of shards belongs to the settings and not to the machine, and each shard runs candle on one
//! thread, so that the curve does not depend on the number of cores. A GPU gets each minibatch in one piece:
//! its sums have another order anyway.

use candle_core::{Device, Result};
use rand::seq::SliceRandom;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::batch::Batch;
use super::config::Settings;
use super::critic::Critic;
use super::divergence::{self, Divergence};
use super::fused;
use super::optimizer::AdamW;
use super::policy::Policy;
use super::ppo;
use crate::plant::Random;

/// Actor, critic and their optimisers.
pub struct Learner {
    /// The policy.
    pub actor: Policy,
    /// The value function.
    pub critic: Critic,
    /// The policy's optimiser.
    pub actor_optimizer: AdamW,
    /// The value function's optimiser.
    pub critic_optimizer: AdamW,
    settings: Settings,
    device: Device,
    /// One pool of one thread per shard: inside it candle's own parallelism has nowhere to go.
    pools: Vec<ThreadPool>,
}

/// What an iteration's updates told, averaged over them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Update {
    /// Estimated divergence between the policies before and after, per step, at the last pass.
    pub kl: f64,
    /// Share of the steps whose ratio was clipped.
    pub clipped: f64,
    /// Entropy of the action distribution.
    pub entropy: f64,
    /// Half the critic's mean squared error, in units of the scaled reward.
    pub value_loss: f64,
    /// Half the belief's mean squared error; 0 without a belief.
    pub belief_error: f64,
    /// Norm of the policy's gradient before clipping.
    pub gradient: f64,
}

/// Why an iteration's updates cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum LearnerError {
    /// A tensor operation failed.
    #[error("the learner failed: {0}")]
    Candle(#[from] candle_core::Error),
    /// The weights are not worth keeping.
    #[error(transparent)]
    Diverged(#[from] Divergence),
}

/// Makes glibc's allocator keep what a shard frees instead of returning it to the system, to fault it in
/// again a moment later (a sixth of the learner's time): freeing one large block raises its threshold for
/// that, which is documented in mallopt(3). Other allocators are none the worse for it.
fn keep_freed_memory() {
    const LARGEST_DYNAMIC_THRESHOLD: usize = 32 << 20;
    drop(std::hint::black_box(vec![
        0u8;
        LARGEST_DYNAMIC_THRESHOLD
            - (64 << 10)
    ]));
}

struct Part {
    actor: Vec<f32>,
    critic: Vec<f32>,
    kl: f64,
    clipped: f64,
    entropy: f64,
    value_loss: f64,
    belief_error: f64,
}

impl Learner {
    /// A learner with fresh optimisers.
    ///
    /// # Errors
    /// When no threads can be started.
    pub fn new(
        actor: impl Into<Policy>,
        critic: Critic,
        settings: &Settings,
        device: &Device,
    ) -> Result<Self> {
        let actor = actor.into();
        keep_freed_memory();
        let shards = if device.is_cpu() {
            settings.ppo.shards
        } else {
            1
        };
        let pools = (0..shards)
            .map(|_| {
                ThreadPoolBuilder::new()
                    .num_threads(1)
                    .build()
                    .map_err(candle_core::Error::wrap)
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            actor_optimizer: AdamW::new(actor.variables().count()),
            critic_optimizer: AdamW::new(critic.variables().count()),
            actor,
            critic,
            settings: settings.clone(),
            device: device.clone(),
            pools,
        })
    }

    /// All passes over an iteration's trials. `progress` is the share of the training that is done; the
    /// learning rates fall with it. `random` orders the trials.
    ///
    /// # Errors
    /// When a variable gets no gradient, the device fails, or the policy diverges; actor, critic and
    /// optimisers are not worth keeping then.
    pub fn update(
        &mut self,
        batch: &Batch,
        progress: f64,
        random: &mut Random,
    ) -> std::result::Result<Update, LearnerError> {
        let ppo = self.settings.ppo.clone();
        let factor = 1.0 + (ppo.final_learning_rate - 1.0) * progress.clamp(0.0, 1.0);
        let mut order: Vec<usize> = (0..batch.trials()).collect();
        let mut parameters = self.actor.variables().flat()?;
        let mut critic_parameters = self.critic.variables().flat()?;
        let mut told = Update::default();
        let updates = (ppo.epochs * ppo.minibatches) as f64;
        for epoch in 0..ppo.epochs {
            order.shuffle(random);
            for trials in order.chunks(batch.trials().div_ceil(ppo.minibatches)) {
                let part = self.minibatch(batch, trials)?;
                let norm = self.actor_optimizer.update(
                    &mut parameters,
                    &part.actor,
                    ppo.learning_rate * factor,
                    ppo.weight_decay,
                    ppo.max_gradient,
                );
                let critic_norm = self.critic_optimizer.update(
                    &mut critic_parameters,
                    &part.critic,
                    self.settings.critic.learning_rate * factor,
                    ppo.weight_decay,
                    ppo.max_gradient,
                );
                if !(norm.is_finite() && critic_norm.is_finite()) {
                    return Err(self.diverged(&part)?.into());
                }
                told.gradient += norm / updates;
                self.actor.variables().set_flat(&parameters)?;
                self.critic.variables().set_flat(&critic_parameters)?;
                let rows = (trials.len() * batch.steps) as f64;
                if epoch + 1 == ppo.epochs {
                    told.kl += part.kl / rows / ppo.minibatches as f64;
                }
                told.clipped += part.clipped / rows / updates;
                told.entropy += part.entropy / updates;
                told.value_loss += part.value_loss / updates;
                told.belief_error += part.belief_error / updates;
            }
        }
        let spoiled = divergence::in_weights(self.actor.variables(), &parameters)
            .or_else(|| divergence::in_weights(self.critic.variables(), &critic_parameters));
        if let Some(spoiled) = spoiled {
            return Err(spoiled.into());
        }
        if told.kl.is_nan() || told.kl > ppo.max_kl {
            let (kl, bound) = (told.kl, ppo.max_kl);
            return Err(Divergence::Kl { kl, bound }.into());
        }
        Ok(told)
    }

    /// What made the norm of `part`'s gradient infinite or no number.
    fn diverged(&self, part: &Part) -> Result<Divergence> {
        let (actor, critic) = (self.actor.variables(), self.critic.variables());
        let (weights, critic_weights) = (actor.flat()?, critic.flat()?);
        Ok(divergence::in_update(
            [(actor, &weights), (critic, &critic_weights)],
            [(actor, &part.actor), (critic, &part.critic)],
        ))
    }

    /// Gradients of one minibatch: its shards in parallel, summed in their order.
    fn minibatch(&self, batch: &Batch, trials: &[usize]) -> Result<Part> {
        let rows = trials.len() * batch.steps;
        let size = trials.len().div_ceil(self.pools.len());
        let plain = fused::plain_asked();
        let parts: Vec<Result<Part>> = std::thread::scope(|scope| {
            let started: Vec<_> = trials
                .chunks(size)
                .zip(&self.pools)
                .map(|(shard, pool)| {
                    let part = move || self.shard(batch, shard, rows);
                    scope.spawn(move || pool.install(|| fused::with_plain(plain, part)))
                })
                .collect();
            started
                .into_iter()
                .map(|thread| {
                    thread.join().unwrap_or_else(|_| {
                        Err(candle_core::Error::Msg("a learner thread panicked".into()))
                    })
                })
                .collect()
        });
        let mut parts = parts.into_iter();
        let mut sum = match parts.next() {
            Some(part) => part?,
            None => candle_core::bail!("an empty minibatch"),
        };
        for part in parts {
            let part = part?;
            sum.actor
                .iter_mut()
                .zip(&part.actor)
                .for_each(|(sum, value)| *sum += value);
            sum.critic
                .iter_mut()
                .zip(&part.critic)
                .for_each(|(sum, value)| *sum += value);
            sum.kl += part.kl;
            sum.clipped += part.clipped;
            sum.value_loss += part.value_loss;
            sum.belief_error += part.belief_error;
        }
        Ok(sum)
    }

    fn shard(&self, batch: &Batch, trials: &[usize], rows: usize) -> Result<Part> {
        let device = &self.device;
        let column = |values| batch.gather(values, 1, trials, device)?.squeeze(1);
        let memories = batch.gather(&batch.memories, batch.inputs, trials, device)?;
        let sampled = batch.gather(&batch.sampled, batch.actions, trials, device)?;
        let (means, encoded) = self.actor.forward(&memories, trials.len(), batch.steps)?;
        let log_std = self.actor.log_std()?;
        let policy = ppo::policy_loss(
            &ppo::log_probabilities(&sampled, &means, log_std)?,
            &column(&batch.log_probabilities)?,
            &column(&batch.advantages)?,
            log_std,
            self.settings.ppo.clip,
            self.settings.ppo.entropy,
            rows,
        )?;
        let values =
            self.critic
                .values(&batch.gather(&batch.critic, batch.features, trials, device)?)?;
        let value_loss = ppo::value_loss(&values, &column(&batch.targets)?, rows)?;
        let mut loss = (&policy.loss + &value_loss)?;
        let mut belief_error = 0.0;
        if let Some(belief) = self.critic.belief(&encoded)? {
            let truth = batch.gather(&batch.truth, batch.privileged, trials, device)?;
            let belief_loss = ppo::belief_loss(&belief, &truth, rows)?;
            belief_error = f64::from(belief_loss.to_scalar::<f32>()?);
            loss = (loss + (belief_loss * self.settings.belief.weight)?)?;
        }
        // Value function and policy share no variable, so one pass serves both.
        let gradients = loss.backward()?;
        let mut actor = vec![0.0; self.actor.variables().count()];
        self.actor
            .variables()
            .add_gradients(&gradients, &mut actor)?;
        let mut critic = vec![0.0; self.critic.variables().count()];
        self.critic
            .variables()
            .add_gradients(&gradients, &mut critic)?;
        Ok(Part {
            actor,
            critic,
            kl: policy.kl,
            clipped: policy.clipped,
            entropy: policy.entropy,
            value_loss: f64::from(value_loss.to_scalar::<f32>()?),
            belief_error,
        })
    }
}
