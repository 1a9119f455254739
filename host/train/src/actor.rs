//! The policy as the learner sees it: whole trials in one differentiable pass.
//!
//! It must compute what `engram_export::FloatPolicy` computes step by step; tests hold them together.

use candle_core::{Device, Result, Tensor};
use engram_export::slot_positions;
use engram_export::tensors::Tensors;
use engram_image::{HeadInput, ModelConfig, Positions};

use super::fused::{
    Band, Encoder, EncoderShape, Mlp, Tokens, Window, banded_attention, linear, on_cpu,
};
use super::variables::Variables;

/// The policy's variables and its forward pass.
#[derive(Clone, Debug)]
pub struct Actor {
    config: ModelConfig,
    variables: Variables,
    /// `slot`: the encodings `[window, model]`, and zero biases in place of the learned ones of `age`.
    positions: Option<(Tensor, Tensor)>,
    /// All layers in one operation, on the CPU.
    encoder: Encoder,
    head: Mlp,
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
            positions,
            encoder: Encoder::new(EncoderShape {
                layers: config.layers,
                heads: config.heads,
                model: config.model,
                ff: config.ff,
                window: config.window,
                age_bias: config.positions == Positions::Age,
            }),
            head: Mlp::default(),
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

    /// Action means `[windows, actions]` and encoder's outputs `[windows, model]` at the newest memory of every
    /// window. `inputs` are normalised working memories `[windows * window, inputs]`, slot after slot from the
    /// oldest on; what lies in the slots after a window's `newest` is of no consequence.
    ///
    /// With one layer of one memory, `age` and `slot` are the same but for the encodings, so that this serves
    /// both; with longer windows `age` has no windows to compute from nothing.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward_windows(&self, inputs: &Tensor, newest: &[usize]) -> Result<(Tensor, Tensor)> {
        let ModelConfig { heads, window, .. } = self.config;
        let embedded = inputs.matmul(&self.variables.get("embed.weight")?.t()?)?;
        let encoded = if on_cpu(&embedded) {
            self.encode_windows(&embedded, newest)?
        } else {
            let x = match &self.positions {
                None => embedded.clone(),
                Some((encodings, _)) => embedded
                    .reshape((newest.len(), window, ()))?
                    .broadcast_add(encodings)?
                    .reshape(embedded.shape())?,
            };
            let band = Band {
                sequences: newest.len(),
                steps: window,
                heads,
                window,
            };
            self.encode(x, band, Some(newest))?
        };
        let latest = || pick(&embedded, newest, window);
        Ok((self.head(&encoded, latest)?, encoded))
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
        let ModelConfig { heads, window, .. } = self.config;
        if self.positions.is_some() {
            let (tokens, newest) = slots(trials, steps, window);
            let tokens = Tensor::from_vec(tokens, trials * steps * window, inputs.device())?;
            return self.forward_windows(&inputs.index_select(&tokens, 0)?, &newest);
        }
        let embedded = inputs.matmul(&self.variables.get("embed.weight")?.t()?)?;
        let encoded = if on_cpu(&embedded) {
            let tokens = Tokens::Trials { trials, steps };
            self.encoder
                .forward(&embedded, &self.encoder_parameters()?, tokens)?
        } else {
            let band = Band {
                sequences: trials,
                steps,
                heads,
                window,
            };
            self.encode(embedded.clone(), band, None)?
        };
        Ok((self.head(&encoded, || Ok(embedded))?, encoded))
    }

    fn head(&self, encoded: &Tensor, latest: impl FnOnce() -> Result<Tensor>) -> Result<Tensor> {
        let x = match self.config.head_input {
            HeadInput::Encoder => encoded.clone(),
            HeadInput::Mixed => Tensor::cat(&[encoded, &latest()?], 1)?,
        };
        self.head.forward(&x, &self.variables.layers("head", 3)?)
    }

    /// The encoder's outputs at the newest memory of every window, as one operation.
    fn encode_windows(&self, embedded: &Tensor, newest: &[usize]) -> Result<Tensor> {
        let ModelConfig { window, model, .. } = self.config;
        let windows = newest.iter().enumerate().map(|(number, newest)| Window {
            newest: number * window + newest,
            present: newest + 1,
        });
        let encodings = match self.config.positions {
            Positions::Age => vec![0.0; window * model],
            Positions::Slot => slot_positions(window, model),
        };
        let tokens = Tokens::Windows {
            windows: windows.collect(),
            encodings,
        };
        self.encoder
            .forward(embedded, &self.encoder_parameters()?, tokens)
    }

    /// The layers' variables in one vector, in the order that [`Encoder::forward`] wants.
    fn encoder_parameters(&self) -> Result<Tensor> {
        let mut parts = Vec::new();
        for layer in 0..self.config.layers {
            let mut take = |name: &str| -> Result<()> {
                let variable = self.variables.get(&format!("layers.{layer}.{name}"))?;
                parts.push(variable.flatten_all()?);
                Ok(())
            };
            for block in [
                "attention.in_proj",
                "attention.out_proj",
                "ff.linear1",
                "ff.linear2",
            ] {
                take(&format!("{block}.weight"))?;
                take(&format!("{block}.bias"))?;
            }
            if self.config.positions == Positions::Age {
                take("attention.age_bias")?;
            }
        }
        Tensor::cat(&parts, 0)
    }

    /// The encoder's outputs for all tokens `x`, or for the `newest` of every sequence alone.
    fn encode(&self, mut x: Tensor, band: Band, newest: Option<&[usize]>) -> Result<Tensor> {
        for layer in 0..self.config.layers {
            let name = |part: &str| format!("layers.{layer}.{part}");
            let qkv = self.linear(&x, &name("attention.in_proj"))?;
            let mut attended = match &self.positions {
                None => {
                    banded_attention(&qkv, self.variables.get(&name("attention.age_bias"))?, band)?
                }
                Some((_, zeros)) => banded_attention(&qkv, zeros, band)?,
            };
            if let Some(newest) = newest
                && layer + 1 == self.config.layers
            {
                // What the last layer makes of older tokens nobody reads.
                x = pick(&x, newest, band.steps)?;
                attended = pick(&attended, newest, band.steps)?;
            }
            x = (x + self.linear(&attended, &name("attention.out_proj"))?)?;
            let hidden = self.linear(&x, &name("ff.linear1"))?.relu()?;
            x = (x + self.linear(&hidden, &name("ff.linear2"))?)?;
        }
        Ok(x)
    }

    fn linear(&self, x: &Tensor, name: &str) -> Result<Tensor> {
        let weight = self.variables.get(&format!("{name}.weight"))?;
        linear(x, weight, self.variables.get(&format!("{name}.bias"))?)
    }
}

/// The windows of all steps of trials that lie one after the other: the row of every slot, and the slot of
/// each window's newest. Slots fill from the front, so that in a window not yet full the unused slots come
/// after the newest token, where the causal mask hides them.
fn slots(trials: usize, steps: usize, window: usize) -> (Vec<u32>, Vec<usize>) {
    let mut tokens = Vec::with_capacity(trials * steps * window);
    let mut newest = Vec::with_capacity(trials * steps);
    for trial in 0..trials {
        for step in 0..steps {
            let first = (step + 1).saturating_sub(window);
            tokens
                .extend((0..window).map(|slot| (trial * steps + (first + slot).min(step)) as u32));
            newest.push(step - first);
        }
    }
    (tokens, newest)
}

/// Row number `newest` of each of the sequences of `steps` rows that `x` consists of. Its gradient has no
/// slow loop over indices on any device, unlike that of `index_select`.
fn pick(x: &Tensor, newest: &[usize], steps: usize) -> Result<Tensor> {
    let width = x.dim(1)?;
    let x = x.reshape((newest.len(), steps, width))?;
    if newest.iter().all(|place| place + 1 == steps) {
        return x.narrow(1, steps - 1, 1)?.squeeze(1)?.contiguous();
    }
    let places = newest.iter().map(|place| *place as u32);
    let places: Vec<u32> = places
        .flat_map(|place| std::iter::repeat_n(place, width))
        .collect();
    let places = Tensor::from_vec(places, (newest.len(), 1, width), x.device())?;
    x.gather(&places, 1)?.squeeze(1)
}
