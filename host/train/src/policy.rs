//! The trained policy, whichever network it is.
//!
//! What is asked of a network here is all that rollouts, losses and checkpoints know of it.

use candle_core::{Device, Result, Tensor};
use engram_export::tensors::Tensors;

use super::actor::Actor;
use super::config::Initial;
use super::init::initial_tensors;
use super::recurrent::{Recurrent, initial_recurrent};
use super::variables::Variables;
use engram_export::network::NetworkConfig;
use engram_plants::Random;

/// A network's variables and forward pass.
#[derive(Clone, Debug)]
pub enum Policy {
    /// Attention over a window of working memories.
    Transformer(Box<Actor>),
    /// A gated recurrent unit.
    Gru(Box<Recurrent>),
}

/// Draws all tensors of a policy before the first update; the normalizer is the identity.
#[must_use]
pub fn initial_policy(config: &NetworkConfig, initial: &Initial, random: &mut Random) -> Tensors {
    match config {
        NetworkConfig::Transformer(config) => initial_tensors(config, initial, random),
        NetworkConfig::Gru(config) => initial_recurrent(config, initial, random),
    }
}

impl Policy {
    /// Makes the variables of a policy's tensors; the normalizer's are not trained and left out.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn new(config: &NetworkConfig, tensors: &Tensors, device: &Device) -> Result<Self> {
        Ok(match config {
            NetworkConfig::Transformer(config) => Actor::new(*config, tensors, device)?.into(),
            NetworkConfig::Gru(config) => {
                Self::Gru(Box::new(Recurrent::new(*config, tensors, device)?))
            }
        })
    }

    /// The trainable tensors.
    #[must_use]
    pub fn variables(&self) -> &Variables {
        match self {
            Self::Transformer(actor) => actor.variables(),
            Self::Gru(recurrent) => recurrent.variables(),
        }
    }

    /// The logarithm of the action's standard deviation, `[actions]`.
    ///
    /// # Errors
    /// When the checkpoint lacks it.
    pub fn log_std(&self) -> Result<&Tensor> {
        self.variables().get("log_std")
    }

    /// Action means `[trials * steps, actions]` of normalised working memories `[trials * steps, inputs]`, trial
    /// after trial, each from an empty memory; and what the memory said to the head, `[trials * steps, encoded]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(
        &self,
        inputs: &Tensor,
        trials: usize,
        steps: usize,
    ) -> Result<(Tensor, Tensor)> {
        match self {
            Self::Transformer(actor) => actor.forward(inputs, trials, steps),
            Self::Gru(recurrent) => recurrent.forward(inputs, trials, steps),
        }
    }

    /// [`forward`](Self::forward) of windows, each from an empty memory: see `Actor::forward_windows`.
    ///
    /// # Errors
    /// When the shapes do not fit, or the network has no windows.
    pub fn forward_windows(&self, inputs: &Tensor, newest: &[usize]) -> Result<(Tensor, Tensor)> {
        match self {
            Self::Transformer(actor) => actor.forward_windows(inputs, newest),
            Self::Gru(_) => candle_core::bail!("a recurrent network has no windows"),
        }
    }

    /// The means of [`forward`](Self::forward).
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn means(&self, inputs: &Tensor, trials: usize, steps: usize) -> Result<Tensor> {
        Ok(self.forward(inputs, trials, steps)?.0)
    }
}

impl From<Actor> for Policy {
    fn from(actor: Actor) -> Self {
        Self::Transformer(Box::new(actor))
    }
}
