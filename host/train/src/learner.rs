//! The update: minibatches of whole trials or, where every step is a window of its own, of steps; each is
//! split into a fixed number of shards that are differentiated in parallel and summed in order.
//!
//! A critic of its own learns beside the policy. A critic on the policy's encoder learns after it, in passes
//! of its own and with its own optimiser over critic and encoder, as in the paper's code.
//!
//! The number of shards belongs to the settings and not to the machine, and each shard runs candle on one
//! thread, so that the curve does not depend on the number of cores. A GPU gets each minibatch in one piece:
//! its sums have another order anyway.

use candle_core::{Device, Result, Tensor};
use rand::seq::SliceRandom;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::batch::Batch;
use super::config::{CriticInput, CriticLoss, Settings};
use super::critic::Critic;
use super::divergence::{self, Divergence};
use super::fused;
use super::optimizer::AdamW;
use super::policy::Policy;
use super::ppo;
use engram_plants::Random;

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
    /// The critic reads the policy's encoder.
    shared: bool,
    /// Every step is a window of its own.
    windowed: bool,
}

/// What an iteration's updates told, averaged over them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Update {
    /// Estimated divergence between the policies before and after, per step, at the last pass; where the updates ended early
    /// ([`Ppo::target_kl`](super::config::Ppo::target_kl)), at the last minibatch that was within it.
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

impl Update {
    /// Makes means over all updates of an iteration means over those that were done.
    fn scale(&mut self, factor: f64) {
        for mean in [
            &mut self.clipped,
            &mut self.entropy,
            &mut self.value_loss,
            &mut self.belief_error,
            &mut self.gradient,
        ] {
            *mean *= factor;
        }
    }
}

/// Why an iteration's updates cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum LearnerError {
    /// A tensor operation failed.
    #[error("the learner failed: {0}")]
    Candle(candle_core::Error),
    /// The weights are not worth keeping.
    #[error(transparent)]
    Diverged(#[from] Divergence),
}

impl From<candle_core::Error> for LearnerError {
    fn from(error: candle_core::Error) -> Self {
        Self::Candle(error)
    }
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

/// All weights in flat vectors.
struct Weights {
    actor: Vec<f32>,
    critic: Vec<f32>,
}

/// What a pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    /// The policy, and a critic of its own beside it.
    Policy,
    /// A critic on the policy's encoder.
    Value,
}

#[derive(Default)]
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
        let shared = settings.critic.input == CriticInput::Encoder;
        let encoder = if shared { actor.variables().count() } else { 0 };
        let windowed = settings.windowed() && matches!(actor, Policy::Transformer(_));
        Ok(Self {
            actor_optimizer: AdamW::new(actor.variables().count()),
            critic_optimizer: AdamW::new(critic.variables().count() + encoder),
            actor,
            critic,
            settings: settings.clone(),
            device: device.clone(),
            pools,
            shared,
            windowed,
        })
    }

    /// The critic's values of every step and, for each trial, of what follows its last: `[trials][steps + 1]`.
    ///
    /// # Errors
    /// When the device fails.
    pub fn values(&self, batch: &Batch) -> Result<Vec<f32>> {
        let trials: Vec<usize> = (0..batch.trials()).collect();
        let size = trials.len().div_ceil(self.pools.len());
        let values = self.in_parallel(trials.chunks(size), |trials| {
            let mut values = Vec::with_capacity(trials.len() * (batch.steps + 1));
            // One by one, because windows of many steps take much memory.
            for trial in trials {
                values.extend(self.values_of(batch, *trial)?);
            }
            Ok(values)
        })?;
        Ok(values.concat())
    }

    fn values_of(&self, batch: &Batch, trial: usize) -> Result<Vec<f32>> {
        let rows: Vec<usize> = (trial * batch.steps..(trial + 1) * batch.steps).collect();
        if self.shared {
            let (_, encoded) = self.forward(batch, &rows)?;
            let mut values = self.critic.values(&encoded)?.to_vec1::<f32>()?;
            // The settings exclude a bootstrap here.
            values.push(0.0);
            return Ok(values);
        }
        let (critic, features) = (&batch.critic, batch.features);
        let mut seen = critic[rows[0] * features..(trial + 1) * batch.steps * features].to_vec();
        seen.extend(&batch.critic_last[trial * features..(trial + 1) * features]);
        let seen = Tensor::from_vec(seen, (batch.steps + 1, features), &self.device)?;
        self.critic.values(&seen)?.to_vec1()
    }

    /// All passes over an iteration's trials. Learning rates depend on the number of the `iteration`;
    /// `random` orders the trials.
    ///
    /// # Errors
    /// When a variable gets no gradient, the device fails, or the policy diverges; actor, critic and
    /// optimisers are not worth keeping then.
    pub fn update(
        &mut self,
        batch: &Batch,
        iteration: u64,
        random: &mut Random,
    ) -> std::result::Result<Update, LearnerError> {
        let ppo = &self.settings.ppo;
        let (unit, size) = match ppo.minibatch_steps {
            0 => (batch.steps, batch.trials().div_ceil(ppo.minibatches)),
            steps => (1, steps),
        };
        let mut order: Vec<usize> = (0..batch.trials() * batch.steps / unit).collect();
        let minibatches = order.len().div_ceil(size) as f64;
        let updates = ppo.epochs as f64 * minibatches;
        let (epochs, target_kl, max_kl) = (ppo.epochs, ppo.target_kl, ppo.max_kl);
        let rates = self.rates(iteration);
        let mut weights = Weights {
            actor: self.actor.variables().flat()?,
            critic: self.critic.variables().flat()?,
        };
        let mut told = Update::default();
        let mut done = 0.0;
        // The policy's weights before the last update, and the last divergence that was within the target.
        let (mut before, mut within) = (Vec::new(), 0.0);
        'passes: for epoch in 0..epochs {
            order.shuffle(random);
            for units in order.chunks(size) {
                let part = self.minibatch(batch, units, unit, Goal::Policy)?;
                let rows = (units.len() * unit) as f64;
                let kl = part.kl / rows;
                if target_kl > 0.0 {
                    if kl > target_kl && kl.is_finite() && done > 0.0 {
                        // A single update can go any distance. (Where the divergence is no number, `follow` says why.)
                        self.actor.variables().set_flat(&before)?;
                        weights.actor = before;
                        told.kl = within;
                        told.scale(updates / done);
                        break 'passes;
                    }
                    within = kl;
                    before.clone_from(&weights.actor);
                }
                told.gradient += self.follow(&part, &mut weights, rates)? / updates;
                done += 1.0;
                if epoch + 1 == epochs {
                    told.kl += kl / minibatches;
                }
                told.clipped += part.clipped / rows / updates;
                told.entropy += part.entropy / updates;
                told.value_loss += part.value_loss / updates;
                told.belief_error += part.belief_error / updates;
            }
        }
        for _ in 0..if self.shared { epochs } else { 0 } {
            order.shuffle(random);
            for units in order.chunks(size) {
                let part = self.minibatch(batch, units, unit, Goal::Value)?;
                self.follow_value(&part, &mut weights, rates)?;
                told.value_loss += part.value_loss / updates;
            }
        }
        let spoiled = divergence::in_weights(self.actor.variables(), &weights.actor)
            .or_else(|| divergence::in_weights(self.critic.variables(), &weights.critic));
        if let Some(spoiled) = spoiled {
            return Err(spoiled.into());
        }
        if told.kl.is_nan() || told.kl > max_kl {
            let (kl, bound) = (told.kl, max_kl);
            return Err(Divergence::Kl { kl, bound }.into());
        }
        Ok(told)
    }

    /// Learning rates of policy and critic.
    fn rates(&self, iteration: u64) -> (f64, f64) {
        let (factor, critic_factor) = self.settings.rate_factors(iteration);
        let Settings { ppo, critic, .. } = &self.settings;
        (
            ppo.learning_rate * factor,
            critic.learning_rate * critic_factor,
        )
    }

    /// One step of policy and, unless it comes later, critic; returns the norm of the policy's gradient.
    fn follow(
        &mut self,
        part: &Part,
        weights: &mut Weights,
        (rate, critic_rate): (f64, f64),
    ) -> std::result::Result<f64, LearnerError> {
        let (decay, bound) = (
            self.settings.ppo.weight_decay,
            self.settings.ppo.max_gradient,
        );
        let norm = self
            .actor_optimizer
            .update(&mut weights.actor, &part.actor, rate, decay, bound);
        let mut finite = norm.is_finite();
        if !self.shared {
            finite &= self
                .critic_optimizer
                .update(&mut weights.critic, &part.critic, critic_rate, decay, bound)
                .is_finite();
        }
        if !finite {
            return Err(self.diverged(&part.actor, &part.critic)?.into());
        }
        self.keep_exploring(&mut weights.actor);
        self.actor.variables().set_flat(&weights.actor)?;
        self.critic.variables().set_flat(&weights.critic)?;
        Ok(norm)
    }

    /// One step of a critic on the policy's encoder, and of that encoder.
    fn follow_value(
        &mut self,
        part: &Part,
        weights: &mut Weights,
        (_, rate): (f64, f64),
    ) -> std::result::Result<(), LearnerError> {
        let own = weights.critic.len();
        let mut both = [&weights.critic[..], &weights.actor].concat();
        let ppo = &self.settings.ppo;
        let norm = self.critic_optimizer.update(
            &mut both,
            &part.critic,
            rate,
            ppo.weight_decay,
            ppo.max_gradient,
        );
        if !norm.is_finite() {
            let (critic, actor) = part.critic.split_at(own);
            return Err(self.diverged(actor, critic)?.into());
        }
        weights.critic.copy_from_slice(&both[..own]);
        weights.actor.copy_from_slice(&both[own..]);
        self.keep_exploring(&mut weights.actor);
        self.actor.variables().set_flat(&weights.actor)?;
        self.critic.variables().set_flat(&weights.critic)?;
        Ok(())
    }

    /// What made the norm of these gradients infinite or no number.
    fn diverged(&self, actor_gradient: &[f32], critic_gradient: &[f32]) -> Result<Divergence> {
        let (actor, critic) = (self.actor.variables(), self.critic.variables());
        let (weights, critic_weights) = (actor.flat()?, critic.flat()?);
        Ok(divergence::in_update(
            [(actor, &weights), (critic, &critic_weights)],
            [(actor, actor_gradient), (critic, critic_gradient)],
        ))
    }

    /// Holds the standard deviation of the exploration above its least.
    fn keep_exploring(&self, parameters: &mut [f32]) {
        let least = self.settings.ppo.min_std;
        if let Some(place) = self.actor.variables().place("log_std")
            && least > 0.0
        {
            for log_std in &mut parameters[place] {
                *log_std = log_std.max(least.ln() as f32);
            }
        }
    }

    /// Does `body` for every part on a thread of its own; results are in the parts' order.
    fn in_parallel<P: Send, R: Send>(
        &self,
        parts: impl Iterator<Item = P>,
        body: impl Fn(P) -> Result<R> + Sync,
    ) -> Result<Vec<R>> {
        let body = &body;
        let plain = fused::plain_asked();
        std::thread::scope(|scope| {
            let started: Vec<_> = parts
                .zip(&self.pools)
                .map(|(part, pool)| {
                    scope.spawn(move || pool.install(|| fused::with_plain(plain, || body(part))))
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
        })
    }

    /// Gradients of one minibatch: its shards in parallel, summed in their order. A unit is as many steps as
    /// `unit` says.
    fn minibatch(&self, batch: &Batch, units: &[usize], unit: usize, goal: Goal) -> Result<Part> {
        let total = units.len() * unit;
        let size = units.len().div_ceil(self.pools.len()).max(1);
        let parts = self.in_parallel(units.chunks(size), |units| {
            let rows: Vec<usize> = units
                .iter()
                .flat_map(|index| index * unit..(index + 1) * unit)
                .collect();
            match goal {
                Goal::Policy => self.policy_shard(batch, &rows, total),
                Goal::Value => self.value_shard(batch, &rows, total),
            }
        })?;
        let mut parts = parts.into_iter();
        let Some(mut sum) = parts.next() else {
            candle_core::bail!("an empty minibatch")
        };
        let add = |sum: &mut [f32], part: &[f32]| {
            sum.iter_mut()
                .zip(part)
                .for_each(|(sum, value)| *sum += value);
        };
        for part in parts {
            add(&mut sum.actor, &part.actor);
            add(&mut sum.critic, &part.critic);
            sum.kl += part.kl;
            sum.clipped += part.clipped;
            sum.value_loss += part.value_loss;
            sum.belief_error += part.belief_error;
        }
        Ok(sum)
    }

    /// Action means and the encoder's outputs of `rows`, which are whole trials unless every step is a window.
    fn forward(&self, batch: &Batch, rows: &[usize]) -> Result<(Tensor, Tensor)> {
        if self.windowed {
            let window = self.settings.model.window;
            let (inputs, newest) = batch.gather_windows(rows, window, &self.device)?;
            return self.actor.forward_windows(&inputs, &newest);
        }
        let memories = batch.gather(&batch.memories, batch.inputs, rows, &self.device)?;
        let trials = rows.len() / batch.steps;
        self.actor.forward(&memories, trials, batch.steps)
    }

    /// The critic's loss, and half its mean squared error, of the values of `rows`.
    fn value_loss(
        &self,
        batch: &Batch,
        rows: &[usize],
        values: &Tensor,
        total: usize,
    ) -> Result<(Tensor, f64)> {
        let targets = batch.gather(&batch.targets, 1, rows, &self.device)?;
        let targets = targets.squeeze(1)?;
        let squared = ppo::value_loss(values, &targets, total)?;
        let error = f64::from(squared.to_scalar::<f32>()?);
        let loss = match (self.settings.critic.loss, self.critic.log_std()?) {
            (CriticLoss::Likelihood, Some(log_std)) => {
                ppo::likelihood_loss(values, &targets, log_std, total)?
            }
            _ => squared,
        };
        Ok((loss, error))
    }

    fn policy_shard(&self, batch: &Batch, rows: &[usize], total: usize) -> Result<Part> {
        let device = &self.device;
        let column = |values| batch.gather(values, 1, rows, device)?.squeeze(1);
        let sampled = batch.gather(&batch.sampled, batch.actions, rows, device)?;
        let (means, encoded) = self.forward(batch, rows)?;
        let log_std = self.actor.log_std()?;
        let policy = ppo::policy_loss(
            &ppo::log_probabilities(&sampled, &means, log_std)?,
            &column(&batch.log_probabilities)?,
            &column(&batch.advantages)?,
            log_std,
            self.settings.ppo.clip,
            // Where no action is better than another there is no reason to explore more either.
            if batch.tells {
                self.settings.ppo.entropy
            } else {
                0.0
            },
            total,
        )?;
        let mut part = Part {
            actor: vec![0.0; self.actor.variables().count()],
            kl: policy.kl,
            clipped: policy.clipped,
            entropy: policy.entropy,
            ..Part::default()
        };
        let mut loss = policy.loss;
        if !self.shared {
            let seen = batch.gather(&batch.critic, batch.features, rows, device)?;
            let values = self.critic.values(&seen)?;
            let (value_loss, error) = self.value_loss(batch, rows, &values, total)?;
            part.value_loss = error;
            loss = (loss + value_loss)?;
        }
        if let Some(belief) = self.critic.belief(&encoded)? {
            let truth = batch.gather(&batch.truth, batch.privileged, rows, device)?;
            let belief_loss = ppo::belief_loss(&belief, &truth, total)?;
            part.belief_error = f64::from(belief_loss.to_scalar::<f32>()?);
            loss = (loss + (belief_loss * self.settings.belief.weight)?)?;
        }
        // Value function and policy share no variable here, so one pass serves both.
        let gradients = loss.backward()?;
        let actor = self.actor.variables();
        actor.add_gradients(&gradients, &mut part.actor)?;
        if !self.shared {
            let critic = self.critic.variables();
            part.critic = vec![0.0; critic.count()];
            critic.add_gradients(&gradients, &mut part.critic)?;
        }
        Ok(part)
    }

    /// The gradient of a critic on the policy's encoder: critic's variables first, then the policy's.
    fn value_shard(&self, batch: &Batch, rows: &[usize], total: usize) -> Result<Part> {
        let (_, encoded) = self.forward(batch, rows)?;
        let values = self.critic.values(&encoded)?;
        let (loss, value_loss) = self.value_loss(batch, rows, &values, total)?;
        let gradients = loss.backward()?;
        let (critic, actor) = (self.critic.variables(), self.actor.variables());
        let mut gradient = vec![0.0; critic.count() + actor.count()];
        let (first, second) = gradient.split_at_mut(critic.count());
        critic.add_gradients(&gradients, first)?;
        actor.add_gradients_except(&gradients, second, |name| {
            name.starts_with("head.") || name == "log_std"
        })?;
        Ok(Part {
            critic: gradient,
            value_loss,
            ..Part::default()
        })
    }
}
