//! candle: the same policy by hand on its tensors, in f32 on the CPU.
//!
//! The cache of the one-token form is written in place, as candle's own caches are.

use candle_core::{Device, Tensor};
use candle_nn::ops::softmax_last_dim;
use engram_export::parameters::Linear;
use engram_export::{Parameters, slot_positions};
use engram_image::{ModelConfig, Positions};

use super::{Engine, Function, push};
use crate::cache::Filled;
use crate::graph::transposed;
use crate::reference::{Moment, Reference};

/// A logit that no softmax sees.
const MASKED: f32 = -1e9;

struct Map {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Map {
    fn new(linear: &Linear) -> candle_core::Result<Self> {
        let weights = transposed(linear);
        let weight = Tensor::from_vec(weights, (linear.columns, linear.rows), &Device::Cpu)?;
        let bias = match linear.bias.as_slice() {
            [] => None,
            bias => Some(Tensor::new(bias, &Device::Cpu)?),
        };
        Ok(Self { weight, bias })
    }

    fn apply(&self, input: &Tensor) -> candle_core::Result<Tensor> {
        let product = input.matmul(&self.weight)?;
        match &self.bias {
            Some(bias) => product.broadcast_add(bias),
            None => Ok(product),
        }
    }
}

struct Layer {
    in_proj: Map,
    out_proj: Map,
    linear1: Map,
    linear2: Map,
    /// A window: `[heads, window, window]`. One token: `[heads, 1, 2 * window]`, entry `k` of a head is the bias
    /// of age `-k mod window`.
    bias: Tensor,
    /// One token: keys and values, `[heads, window, width]`.
    caches: Option<[Tensor; 2]>,
}

/// The policy on candle.
pub(crate) struct Candle {
    config: ModelConfig,
    embed: Map,
    positions: Option<Tensor>,
    layers: Vec<Layer>,
    head: Vec<Map>,
    rows: Vec<f32>,
    ages: Vec<Vec<f32>>,
    filled: Filled,
    next: usize,
}

impl Candle {
    pub(crate) fn new(reference: &Reference, function: Function) -> anyhow::Result<Self> {
        let config = reference.config;
        let parameters = reference.policy.parameters();
        let is_window = function == Function::Window;
        let rows = if is_window { config.window } else { 1 };
        let positions = match config.positions {
            Positions::Age => None,
            Positions::Slot => {
                let table = slot_positions(config.window, config.model);
                Some(Tensor::from_vec(
                    table,
                    (config.window, config.model),
                    &Device::Cpu,
                )?)
            }
        };
        let layers: candle_core::Result<Vec<_>> = (0..config.layers)
            .map(|index| layer(parameters, index, is_window))
            .collect();
        let head: candle_core::Result<Vec<_>> = parameters.head.iter().map(Map::new).collect();
        let ages = parameters.layers.iter().map(|layer| layer.age_bias.clone());
        Ok(Self {
            config,
            embed: Map::new(&parameters.embed)?,
            positions,
            layers: layers?,
            head: head?,
            rows: vec![0.0; rows * config.inputs()],
            ages: if is_window {
                Vec::new()
            } else {
                ages.collect()
            },
            filled: Filled(0),
            next: 0,
        })
    }

    /// Queries, keys and values by head: `[heads, tokens, width]`.
    fn by_head(&self, qkv: &Tensor) -> candle_core::Result<[Tensor; 3]> {
        let (tokens, d) = (qkv.dim(0)?, self.config.model);
        let part = |index: usize| {
            qkv.narrow(1, index * d, d)?
                .reshape((tokens, self.config.heads, self.config.head_dim()))?
                .transpose(0, 1)?
                .contiguous()
        };
        Ok([part(0)?, part(1)?, part(2)?])
    }

    fn attention(&self, layer: &Layer, residual: &Tensor) -> candle_core::Result<Tensor> {
        let [q, mut k, mut v] = self.by_head(&layer.in_proj.apply(residual)?)?;
        let mut bias = layer.bias.clone();
        if let Some([keys, values]) = &layer.caches {
            keys.slice_set(&k, 1, self.next)?;
            values.slice_set(&v, 1, self.next)?;
            (k, v) = (keys.clone(), values.clone());
            let window = self.config.window;
            bias = bias.narrow(2, window - self.next, window)?;
        }
        let logits = q.matmul(&k.t()?)?.add(&bias)?;
        let mixed = softmax_last_dim(&logits)?.matmul(&v)?;
        let tokens = residual.dim(0)?;
        layer.out_proj.apply(
            &mixed
                .transpose(0, 1)?
                .reshape((tokens, self.config.model))?,
        )
    }

    fn run(&self) -> candle_core::Result<Tensor> {
        let inputs = self.config.inputs();
        let shape = (self.rows.len() / inputs, inputs);
        let rows = Tensor::from_slice(&self.rows, shape, &Device::Cpu)?;
        let mut residual = self.embed.apply(&rows)?;
        if let Some(positions) = &self.positions {
            residual = residual.add(positions)?;
        }
        for layer in &self.layers {
            residual = residual.add(&self.attention(layer, &residual)?)?;
            let hidden = layer.linear1.apply(&residual)?.relu()?;
            residual = residual.add(&layer.linear2.apply(&hidden)?)?;
        }
        let mut value = residual.narrow(0, shape.0 - 1, 1)?;
        for (index, map) in self.head.iter().enumerate() {
            value = map.apply(&value)?;
            if index < 2 {
                value = value.tanh()?;
            }
        }
        Ok(value)
    }

    /// The biases for the memories held now.
    fn set_biases(&mut self) -> candle_core::Result<()> {
        let (heads, window) = (self.config.heads, self.config.window);
        for (ages, layer) in self.ages.iter().zip(&mut self.layers) {
            let doubled: Vec<f32> = ages
                .chunks_exact(window)
                .flat_map(|ages| {
                    (0..2 * window).map(|k| {
                        let age = (window - k % window) % window;
                        if age < self.filled.0 {
                            ages[age]
                        } else {
                            MASKED
                        }
                    })
                })
                .collect();
            layer.bias = Tensor::from_vec(doubled, (heads, 1, 2 * window), &Device::Cpu)?;
        }
        Ok(())
    }
}

fn layer(parameters: &Parameters, index: usize, is_window: bool) -> candle_core::Result<Layer> {
    let config = parameters.config;
    let (heads, window, width) = (config.heads, config.window, config.head_dim());
    let source = &parameters.layers[index];
    let mut in_proj = source.in_proj.clone();
    let scale = 1.0 / (width as f32).sqrt();
    let queries = config.model * in_proj.columns;
    in_proj.weight[..queries]
        .iter_mut()
        .for_each(|w| *w *= scale);
    in_proj.bias[..config.model]
        .iter_mut()
        .for_each(|b| *b *= scale);
    let mut biases = Vec::new();
    for head in 0..heads {
        for token in 0..window {
            biases.extend((0..window).map(|other| {
                match token.checked_sub(other) {
                    Some(age) => source
                        .age_bias
                        .get(head * window + age)
                        .copied()
                        .unwrap_or(0.0),
                    None => MASKED,
                }
            }));
        }
    }
    let zeros = || {
        Tensor::zeros(
            (heads, window, width),
            candle_core::DType::F32,
            &Device::Cpu,
        )
    };
    Ok(Layer {
        in_proj: Map::new(&in_proj)?,
        out_proj: Map::new(&source.out_proj)?,
        linear1: Map::new(&source.linear1)?,
        linear2: Map::new(&source.linear2)?,
        bias: Tensor::from_vec(biases, (heads, window, window), &Device::Cpu)?,
        caches: if is_window {
            None
        } else {
            Some([zeros()?, zeros()?])
        },
    })
}

impl Engine for Candle {
    fn clear(&mut self) -> anyhow::Result<()> {
        (self.filled, self.next) = (Filled(0), 0);
        Ok(())
    }

    fn step(&mut self, moment: &Moment, mean: &mut [f32]) -> anyhow::Result<()> {
        push(&mut self.rows, &moment.input);
        if !self.ages.is_empty() && self.filled.grow(self.config.window) {
            self.set_biases()?;
        }
        let value = self.run()?;
        self.next = (self.next + 1) % self.config.window;
        let value = value.squeeze(0)?.to_vec1::<f32>()?;
        mean.copy_from_slice(&value);
        Ok(())
    }
}
