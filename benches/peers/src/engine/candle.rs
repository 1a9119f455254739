//! candle: the same policy by hand on its tensors, on the CPU; in f32, or with its int8 matrices: blocks of 32 weights
//! with a scale each (`Q8_0`), inputs rounded the same way at every step.
//!
//! The cache of the one-token form is written in place, as candle's own caches are.

use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{Device, Module, Tensor};
use candle_nn::ops::softmax_last_dim;
use engram_export::parameters::Linear;
use engram_export::{Parameters, slot_positions};
use engram_image::{ModelConfig, Positions};

use super::{Engine, Function, push};
use crate::cache::{Filled, doubled};
use crate::graph::{projection, transposed, window_biases};
use crate::reference::{Moment, Reference};

/// Makes this thread the only one of rayon's: candle's softmax would otherwise hand its rows to a thread beside it and
/// wait, which takes longer than the rows do. Once in a process.
pub(crate) fn stay_on_this_thread() -> anyhow::Result<()> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1);
    Ok(pool.use_current_thread().build_global()?)
}

/// What the matrices are kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weights {
    Float,
    /// Wherever the inputs are whole blocks, as they are in all matrices but the embedding.
    Blocks,
}

enum Weight {
    /// `[columns, rows]`.
    Float(Tensor),
    Blocks(QMatMul),
}

struct Map {
    weight: Weight,
    bias: Option<Tensor>,
}

impl Map {
    fn new(linear: &Linear, weights: Weights) -> candle_core::Result<Self> {
        let weight = match weights {
            Weights::Float => {
                let shape = (linear.columns, linear.rows);
                Weight::Float(Tensor::from_vec(transposed(linear), shape, &Device::Cpu)?)
            }
            Weights::Blocks => {
                let shape = (linear.rows, linear.columns);
                let plain = Tensor::from_slice(&linear.weight, shape, &Device::Cpu)?;
                let blocks = QTensor::quantize(&plain, GgmlDType::Q8_0)?;
                Weight::Blocks(QMatMul::from_qtensor(blocks)?)
            }
        };
        let bias = match linear.bias.as_slice() {
            [] => None,
            bias => Some(Tensor::new(bias, &Device::Cpu)?),
        };
        Ok(Self { weight, bias })
    }

    fn apply(&self, input: &Tensor) -> candle_core::Result<Tensor> {
        let product = match &self.weight {
            Weight::Float(weight) => input.matmul(weight)?,
            Weight::Blocks(weight) => weight.forward(input)?,
        };
        match &self.bias {
            Some(bias) => product.broadcast_add(bias),
            None => Ok(product),
        }
    }
}

struct Layer {
    /// Queries of the newest token alone, in the last layer of a window: nobody reads the others.
    queries: Option<Map>,
    /// Keys and values; before them the queries that have no map of their own.
    projection: Map,
    out_proj: Map,
    linear1: Map,
    linear2: Map,
    /// A window: `[heads, queries, window]`. One token: `[heads, 1, 2 * window]`, as [`doubled`] gives it.
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
    pub(crate) fn new(
        reference: &Reference,
        function: Function,
        weights: Weights,
    ) -> anyhow::Result<Self> {
        let config = reference.config;
        let parameters = reference.policy.parameters();
        let is_window = function == Function::Window;
        let rows = if is_window { config.window } else { 1 };
        let positions = match config.positions {
            Positions::Age => None,
            Positions::Slot => {
                let shape = (config.window, config.model);
                let table = slot_positions(config.window, config.model);
                Some(Tensor::from_vec(table, shape, &Device::Cpu)?)
            }
        };
        let layers: candle_core::Result<Vec<_>> = (0..config.layers)
            .map(|index| layer(parameters, index, is_window, weights))
            .collect();
        let head: candle_core::Result<Vec<_>> = parameters
            .head
            .iter()
            .map(|map| Map::new(map, weights))
            .collect();
        let ages = parameters.layers.iter().map(|layer| layer.age_bias.clone());
        Ok(Self {
            config,
            embed: Map::new(&parameters.embed, Weights::Float)?,
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

    /// Part `index` of `side`, `[tokens, parts * d]`, by head: `[heads, tokens, width]`.
    fn by_head(&self, side: &Tensor, index: usize) -> candle_core::Result<Tensor> {
        let d = self.config.model;
        side.narrow(1, index * d, d)?
            .reshape((side.dim(0)?, self.config.heads, self.config.head_dim()))?
            .transpose(0, 1)?
            .contiguous()
    }

    /// What attention adds to the tokens, of the last layer of a window to the newest.
    fn attention(&self, layer: &Layer, tokens: &Tensor) -> candle_core::Result<Tensor> {
        let all = layer.projection.apply(tokens)?;
        let part = |index| self.by_head(&all, index);
        let [q, mut k, mut v] = match &layer.queries {
            None => [part(0)?, part(1)?, part(2)?],
            Some(map) => {
                let queries = map.apply(&newest(tokens)?)?;
                [self.by_head(&queries, 0)?, part(0)?, part(1)?]
            }
        };
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
        let shape = (q.dim(1)?, self.config.model);
        layer
            .out_proj
            .apply(&mixed.transpose(0, 1)?.reshape(shape)?)
    }

    fn run(&self) -> candle_core::Result<Tensor> {
        let inputs = self.config.inputs();
        let shape = (self.rows.len() / inputs, inputs);
        let rows = Tensor::from_slice(&self.rows, shape, &Device::Cpu)?;
        let mut tokens = self.embed.apply(&rows)?;
        if let Some(positions) = &self.positions {
            tokens = tokens.add(positions)?;
        }
        for layer in &self.layers {
            let branch = self.attention(layer, &tokens)?;
            if layer.queries.is_some() {
                tokens = newest(&tokens)?;
            }
            tokens = tokens.add(&branch)?;
            let hidden = layer.linear1.apply(&tokens)?.relu()?;
            tokens = tokens.add(&layer.linear2.apply(&hidden)?)?;
        }
        let mut value = tokens;
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
            let table = doubled(ages, window, self.filled);
            layer.bias = Tensor::from_vec(table, (heads, 1, 2 * window), &Device::Cpu)?;
        }
        Ok(())
    }
}

/// The last of `tokens`.
fn newest(tokens: &Tensor) -> candle_core::Result<Tensor> {
    tokens.narrow(0, tokens.dim(0)? - 1, 1)
}

fn layer(
    parameters: &Parameters,
    index: usize,
    is_window: bool,
    weights: Weights,
) -> candle_core::Result<Layer> {
    let config = parameters.config;
    let (d, heads, window) = (config.model, config.heads, config.window);
    let source = &parameters.layers[index];
    let map = |rows| Map::new(&projection(parameters, index, rows), weights);
    let is_newest = is_window && index + 1 == config.layers;
    let (queries, first, count) = if is_newest {
        (Some(map(0..d)?), d, 1)
    } else {
        (None, 0, window)
    };
    let biases = window_biases(parameters, index, window - count);
    let zeros = || {
        let shape = (heads, window, config.head_dim());
        Tensor::zeros(shape, candle_core::DType::F32, &Device::Cpu)
    };
    Ok(Layer {
        queries,
        projection: map(first..3 * d)?,
        out_proj: Map::new(&source.out_proj, weights)?,
        linear1: Map::new(&source.linear1, weights)?,
        linear2: Map::new(&source.linear2, weights)?,
        bias: Tensor::from_vec(biases, (heads, count, window), &Device::Cpu)?,
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
