//! The value function: a small tanh network that may see what the policy must find out.
//!
//! Its inputs are the normalised working memory and, if allowed, the true state and the hidden task.
//! It exists in training only and is never exported.

use candle_core::{Device, Result, Tensor};
use engram_export::tensors::{Tensor as Values, Tensors};
use rand::RngExt;

use super::fused::{Activation, linear};
use super::init::xavier_bound;
use super::variables::Variables;
use crate::plant::Random;

/// The value function's variables and its forward pass.
#[derive(Clone, Debug)]
pub struct Critic {
    variables: Variables,
}

/// Xavier-uniform weights of a critic with `features` inputs; names as in `trainer.safetensors`.
#[must_use]
pub fn initial_critic(features: usize, hidden: usize, random: &mut Random) -> Tensors {
    let mut tensors = Tensors::new();
    for (index, (rows, columns)) in [(hidden, features), (hidden, hidden), (1, hidden)].into_iter().enumerate() {
        let bound = xavier_bound(&[rows, columns]);
        let values = (0..rows * columns).map(|_| random.random_range(-bound..bound)).collect();
        tensors.insert(format!("critic.{index}.weight"), Values { shape: vec![rows, columns], values });
        tensors.insert(format!("critic.{index}.bias"), Values { shape: vec![rows], values: vec![0.0; rows] });
    }
    tensors
}

impl Critic {
    /// Makes the variables.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn new(tensors: &Tensors, device: &Device) -> Result<Self> {
        Ok(Self { variables: Variables::new(tensors, device)? })
    }

    /// The trainable tensors.
    #[must_use]
    pub fn variables(&self) -> &Variables {
        &self.variables
    }

    /// Values `[rows]` of features `[rows, features]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn values(&self, features: &Tensor) -> Result<Tensor> {
        let mut x = features.clone();
        for (index, activation) in [Activation::Tanh, Activation::Tanh, Activation::None].into_iter().enumerate() {
            let weight = self.variables.get(&format!("critic.{index}.weight"))?;
            x = linear(&x, weight, self.variables.get(&format!("critic.{index}.bias"))?, activation)?;
        }
        x.squeeze(1)
    }
}
