//! What exists in training only and is never exported: the value function and the belief.
//!
//! The value function is a small tanh network that may see what the policy must find out: its inputs are the
//! normalised working memory and, if allowed, the true state and the hidden task; or, as in the paper's code
//! for some plants, the output of the policy's encoder. The belief is a linear map
//! from the encoder's output to that same truth; asking for it makes the encoder identify the system.

use candle_core::{Device, Result, Tensor};
use engram_export::tensors::{Tensor as Values, Tensors};
use rand::RngExt;

use super::config::{Critic as CriticSettings, CriticLoss};
use super::fused::{Mlp, linear};
use super::init::xavier_bound;
use super::variables::Variables;
use engram_plants::Random;

const BELIEF_WEIGHT: &str = "critic.belief.weight";
const BELIEF_BIAS: &str = "critic.belief.bias";
const LOG_STD: &str = "critic.log_std";

/// The variables of value function and belief, and their forward passes.
#[derive(Clone, Debug)]
pub struct Critic {
    variables: Variables,
    network: Mlp,
    believes: bool,
    deviates: bool,
}

/// Xavier-uniform weights of a critic with `features` inputs; names as in `trainer.safetensors`.
///
/// `belief`, if asked for, is the belief's `(outputs, inputs)`; it starts from zero. A critic that minimises
/// the likelihood has a standard deviation, which starts from 1.
#[must_use]
pub fn initial_critic(
    features: usize,
    settings: &CriticSettings,
    belief: Option<(usize, usize)>,
    random: &mut Random,
) -> Tensors {
    let mut tensors = Tensors::new();
    let hidden = settings.hidden;
    for (index, (rows, columns)) in [(hidden, features), (hidden, hidden), (1, hidden)]
        .into_iter()
        .enumerate()
    {
        let bound = xavier_bound(&[rows, columns]);
        let values = (0..rows * columns)
            .map(|_| random.random_range(-bound..bound))
            .collect();
        tensors.insert(
            format!("critic.{index}.weight"),
            Values {
                shape: vec![rows, columns],
                values,
            },
        );
        tensors.insert(
            format!("critic.{index}.bias"),
            Values {
                shape: vec![rows],
                values: vec![0.0; rows],
            },
        );
    }
    if let Some((outputs, inputs)) = belief {
        let zeros = |shape: Vec<usize>| Values {
            values: vec![0.0; shape.iter().product()],
            shape,
        };
        tensors.insert(BELIEF_WEIGHT.to_owned(), zeros(vec![outputs, inputs]));
        tensors.insert(BELIEF_BIAS.to_owned(), zeros(vec![outputs]));
    }
    if settings.loss == CriticLoss::Likelihood {
        let log_std = Values {
            shape: vec![1],
            values: vec![0.0],
        };
        tensors.insert(LOG_STD.to_owned(), log_std);
    }
    tensors
}

impl Critic {
    /// Makes the variables.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn new(tensors: &Tensors, device: &Device) -> Result<Self> {
        Ok(Self {
            variables: Variables::new(tensors, device)?,
            network: Mlp::default(),
            believes: tensors.contains_key(BELIEF_WEIGHT),
            deviates: tensors.contains_key(LOG_STD),
        })
    }

    /// The trainable tensors.
    #[must_use]
    pub fn variables(&self) -> &Variables {
        &self.variables
    }

    /// What the encoder's outputs `[rows, model]` say of true state and task, `[rows, privileged]`; nothing
    /// if the run has no belief.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn belief(&self, encoded: &Tensor) -> Result<Option<Tensor>> {
        if !self.believes {
            return Ok(None);
        }
        let (weight, bias) = (
            self.variables.get(BELIEF_WEIGHT)?,
            self.variables.get(BELIEF_BIAS)?,
        );
        linear(encoded, weight, bias).map(Some)
    }

    /// The logarithm of the standard deviation `[1]`, if this critic has one.
    ///
    /// # Errors
    /// When it should have one and has not.
    pub fn log_std(&self) -> Result<Option<&Tensor>> {
        self.deviates
            .then(|| self.variables.get(LOG_STD))
            .transpose()
    }

    /// Values `[rows]` of features `[rows, features]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn values(&self, features: &Tensor) -> Result<Tensor> {
        let layers = self.variables.layers("critic", 3)?;
        self.network.forward(features, &layers)?.squeeze(1)
    }
}
