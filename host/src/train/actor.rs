//! The policy as the learner sees it: whole trials in one differentiable pass.
//!
//! It must compute what `engram_export::FloatPolicy` computes step by step; tests hold them together.

use candle_core::{Device, Result, Tensor};
use engram_export::slot_positions;
use engram_export::tensors::Tensors;
use engram_image::{HeadInput, ModelConfig, Positions};

use super::fused::{Activation, Band, banded_attention, linear};
use super::variables::Variables;

/// The policy's variables and its forward pass.
#[derive(Clone, Debug)]
pub struct Actor {
    config: ModelConfig,
    variables: Variables,
    no_bias: Tensor,
    /// `slot`: the encodings `[window, model]`, and zero biases in place of the learned ones of `age`.
    positions: Option<(Tensor, Tensor)>,
}

impl Actor {
    /// Makes the variables of a policy's tensors; the normalizer's are not trained and left out.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn new(config: ModelConfig, tensors: &Tensors, device: &Device) -> Result<Self> {
        let trained = tensors
            .iter()
            .filter(|(name, _)| !name.starts_with("normalizer."));
        let positions = match config.positions {
            Positions::Age => None,
            Positions::Slot => {
                let encodings = slot_positions(config.window, config.model);
                Some((
                    Tensor::from_vec(encodings, (config.window, config.model), device)?,
                    Tensor::zeros(
                        (config.heads, config.window),
                        candle_core::DType::F32,
                        device,
                    )?,
                ))
            }
        };
        Ok(Self {
            config,
            variables: Variables::new(trained, device)?,
            no_bias: Tensor::zeros(config.model, candle_core::DType::F32, device)?,
            positions,
        })
    }

    /// The trainable tensors.
    #[must_use]
    pub fn variables(&self) -> &Variables {
        &self.variables
    }

    /// The logarithm of the action's standard deviation, `[actions]`.
    ///
    /// # Errors
    /// When the checkpoint lacks it.
    pub fn log_std(&self) -> Result<&Tensor> {
        self.variables.get("log_std")
    }

    /// Action means `[trials * steps, actions]` of normalised working memories `[trials * steps, inputs]`,
    /// trial after trial, each from an empty memory.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn means(&self, inputs: &Tensor, trials: usize, steps: usize) -> Result<Tensor> {
        Ok(self.forward(inputs, trials, steps)?.0)
    }

    /// [`means`](Self::means), and the encoder's outputs `[trials * steps, model]` that they were made from.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(
        &self,
        inputs: &Tensor,
        trials: usize,
        steps: usize,
    ) -> Result<(Tensor, Tensor)> {
        let embedded = linear(
            inputs,
            self.variables.get("embed.weight")?,
            &self.no_bias,
            Activation::None,
        )?;
        let encoded = match &self.positions {
            None => {
                let Self {
                    config: ModelConfig { heads, window, .. },
                    ..
                } = *self;
                self.encode(
                    embedded.clone(),
                    Band {
                        sequences: trials,
                        steps,
                        heads,
                        window,
                    },
                )?
            }
            Some((encodings, _)) => self.encode_windows(&embedded, encodings, trials, steps)?,
        };
        let mut x = match self.config.head_input {
            HeadInput::Encoder => encoded.clone(),
            HeadInput::Mixed => Tensor::cat(&[&encoded, &embedded], 1)?,
        };
        for (index, activation) in [Activation::Tanh, Activation::Tanh, Activation::None]
            .into_iter()
            .enumerate()
        {
            x = self.linear(&x, &format!("head.{index}"), activation)?;
        }
        Ok((x, encoded))
    }

    /// The paper's way: every step's window is a sequence of its own, and its newest token is kept.
    /// Slots fill from the front, so that in a window not yet full the unused slots come after the newest
    /// token, where the causal mask hides them.
    fn encode_windows(
        &self,
        embedded: &Tensor,
        encodings: &Tensor,
        trials: usize,
        steps: usize,
    ) -> Result<Tensor> {
        let Self {
            config:
                ModelConfig {
                    heads,
                    window,
                    model,
                    ..
                },
            ..
        } = *self;
        let mut tokens = Vec::with_capacity(trials * steps * window);
        let mut newest = Vec::with_capacity(trials * steps);
        for trial in 0..trials {
            for step in 0..steps {
                let first = (step + 1).saturating_sub(window);
                tokens.extend(
                    (0..window).map(|slot| (trial * steps + (first + slot).min(step)) as u32),
                );
                newest.push((tokens.len() - window + step - first) as u32);
            }
        }
        let sequences = trials * steps;
        let device = embedded.device();
        let tokens = Tensor::from_vec(tokens, sequences * window, device)?;
        let newest = Tensor::from_vec(newest, sequences, device)?;
        let x = embedded
            .index_select(&tokens, 0)?
            .reshape((sequences, window, model))?;
        let x = x
            .broadcast_add(encodings)?
            .reshape((sequences * window, model))?;
        self.encode(
            x,
            Band {
                sequences,
                steps: window,
                heads,
                window,
            },
        )?
        .index_select(&newest, 0)
    }

    fn encode(&self, mut x: Tensor, band: Band) -> Result<Tensor> {
        for layer in 0..self.config.layers {
            let name = |part: &str| format!("layers.{layer}.{part}");
            let qkv = self.linear(&x, &name("attention.in_proj"), Activation::None)?;
            let attended = match &self.positions {
                None => {
                    banded_attention(&qkv, self.variables.get(&name("attention.age_bias"))?, band)?
                }
                Some((_, zeros)) => banded_attention(&qkv, zeros, band)?,
            };
            x = (x + self.linear(&attended, &name("attention.out_proj"), Activation::None)?)?;
            let hidden = self.linear(&x, &name("ff.linear1"), Activation::Relu)?;
            x = (x + self.linear(&hidden, &name("ff.linear2"), Activation::None)?)?;
        }
        Ok(x)
    }

    fn linear(&self, x: &Tensor, name: &str, activation: Activation) -> Result<Tensor> {
        let weight = self.variables.get(&format!("{name}.weight"))?;
        linear(
            x,
            weight,
            self.variables.get(&format!("{name}.bias"))?,
            activation,
        )
    }
}
