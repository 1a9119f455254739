//! burn: the same policy by hand on its tensors, in f32 on its CPU backend `flex`, with burn's own linear map and
//! attention.
//!
//! The cache of the one-token form is written in place: burn copies a tensor that is written while another refers to it,
//! and here none does.

use burn_tensor::activation::relu;
use burn_tensor::module::{attention, linear};
use burn_tensor::ops::AttentionModuleOptions;
use burn_tensor::{Device, Tensor, TensorData};
use engram_export::parameters::Linear;
use engram_export::{Parameters, slot_positions};
use engram_image::{ModelConfig, Positions};

use super::{Engine, Function, push};
use crate::cache::{Filled, doubled};
use crate::graph::{projection, transposed, window_biases};
use crate::reference::{Moment, Reference};

/// A tensor of `values`.
fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

struct Map {
    /// `[columns, rows]`.
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
}

impl Map {
    fn new(linear: &Linear) -> Self {
        let bias = match linear.bias.as_slice() {
            [] => None,
            bias => Some(tensor(bias.to_vec(), [linear.rows])),
        };
        Self {
            weight: tensor(transposed(linear), [linear.columns, linear.rows]),
            bias,
        }
    }

    fn apply(&self, input: Tensor<2>) -> Tensor<2> {
        linear(input, self.weight.clone(), self.bias.clone())
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
    /// A window: `[1, heads, queries, window]`. One token: `[1, heads, 1, 2 * window]`, as [`doubled`] gives it.
    bias: Tensor<4>,
    /// One token: keys and values, `[1, heads, window, width]`; none while a step writes them.
    caches: Option<[Tensor<4>; 2]>,
}

/// The policy on burn.
pub(crate) struct Burn {
    config: ModelConfig,
    embed: Map,
    positions: Option<Tensor<2>>,
    layers: Vec<Layer>,
    head: Vec<Map>,
    rows: Vec<f32>,
    ages: Vec<Vec<f32>>,
    filled: Filled,
    next: usize,
}

impl Burn {
    pub(crate) fn new(reference: &Reference, function: Function) -> Self {
        let config = reference.config;
        let parameters = reference.policy.parameters();
        let is_window = function == Function::Window;
        let rows = if is_window { config.window } else { 1 };
        let positions = match config.positions {
            Positions::Age => None,
            Positions::Slot => {
                let table = slot_positions(config.window, config.model);
                Some(tensor(table, [config.window, config.model]))
            }
        };
        let layers = (0..config.layers).map(|index| Layer::new(parameters, index, is_window));
        let ages = parameters.layers.iter().map(|layer| layer.age_bias.clone());
        Self {
            config,
            embed: Map::new(&parameters.embed),
            positions,
            layers: layers.collect(),
            head: parameters.head.iter().map(Map::new).collect(),
            rows: vec![0.0; rows * config.inputs()],
            ages: if is_window {
                Vec::new()
            } else {
                ages.collect()
            },
            filled: Filled(0),
            next: 0,
        }
    }

    fn run(&mut self) -> Tensor<2> {
        let inputs = self.config.inputs();
        let shape = [self.rows.len() / inputs, inputs];
        let mut tokens = self.embed.apply(tensor(self.rows.clone(), shape));
        if let Some(positions) = &self.positions {
            tokens = tokens + positions.clone();
        }
        for layer in &mut self.layers {
            let branch = layer.attention(&self.config, self.next, &tokens);
            if layer.queries.is_some() {
                tokens = newest(&tokens);
            }
            tokens = tokens + branch;
            let hidden = relu(layer.linear1.apply(tokens.clone()));
            tokens = tokens + layer.linear2.apply(hidden);
        }
        let mut value = tokens;
        for (index, map) in self.head.iter().enumerate() {
            value = map.apply(value);
            if index < 2 {
                value = value.tanh();
            }
        }
        value
    }

    /// The biases for the memories held now.
    fn set_biases(&mut self) {
        let (heads, window) = (self.config.heads, self.config.window);
        for (ages, layer) in self.ages.iter().zip(&mut self.layers) {
            let table = doubled(ages, window, self.filled);
            layer.bias = tensor(table, [1, heads, 1, 2 * window]);
        }
    }
}

/// The last of `tokens`.
fn newest(tokens: &Tensor<2>) -> Tensor<2> {
    let count = tokens.dims()[0];
    tokens.clone().narrow(0, count - 1, 1)
}

/// Part `index` of `side`, `[tokens, parts * d]`, by head: `[1, heads, tokens, width]`.
fn by_head(config: &ModelConfig, side: &Tensor<2>, index: usize) -> Tensor<4> {
    let (d, heads, tokens) = (config.model, config.heads, side.dims()[0]);
    side.clone()
        .narrow(1, index * d, d)
        .reshape([1, tokens, heads, config.head_dim()])
        .swap_dims(1, 2)
}

impl Layer {
    fn new(parameters: &Parameters, index: usize, is_window: bool) -> Self {
        let config = parameters.config;
        let (d, heads, window) = (config.model, config.heads, config.window);
        let source = &parameters.layers[index];
        let map = |rows| Map::new(&projection(parameters, index, rows));
        let is_newest = is_window && index + 1 == config.layers;
        let (queries, first, count) = if is_newest {
            (Some(map(0..d)), d, 1)
        } else {
            (None, 0, window)
        };
        let biases = window_biases(parameters, index, window - count);
        let zeros = || Tensor::zeros([1, heads, window, config.head_dim()], &Device::flex());
        Self {
            queries,
            projection: map(first..3 * d),
            out_proj: Map::new(&source.out_proj),
            linear1: Map::new(&source.linear1),
            linear2: Map::new(&source.linear2),
            bias: tensor(biases, [1, heads, count, window]),
            caches: (!is_window).then(|| [zeros(), zeros()]),
        }
    }

    /// What attention adds to the tokens, of the last layer of a window to the newest.
    fn attention(&mut self, config: &ModelConfig, next: usize, tokens: &Tensor<2>) -> Tensor<2> {
        let all = self.projection.apply(tokens.clone());
        let part = |index| by_head(config, &all, index);
        let [q, mut k, mut v] = match &self.queries {
            None => [part(0), part(1), part(2)],
            Some(map) => {
                let queries = map.apply(newest(tokens));
                [by_head(config, &queries, 0), part(0), part(1)]
            }
        };
        let mut bias = self.bias.clone();
        if let Some([keys, values]) = self.caches.take() {
            let (heads, window, width) = (config.heads, config.window, config.head_dim());
            let place = [0..1, 0..heads, next..next + 1, 0..width];
            k = keys.slice_assign(place.clone(), k);
            v = values.slice_assign(place, v);
            self.caches = Some([k.clone(), v.clone()]);
            bias = bias.narrow(3, window - next, window);
        }
        let queries = q.dims()[2];
        let options = AttentionModuleOptions {
            scale: Some(1.0),
            ..AttentionModuleOptions::default()
        };
        let mixed = attention(q, k, v, None, Some(bias), options);
        let mixed = mixed.swap_dims(1, 2).reshape([queries, config.model]);
        self.out_proj.apply(mixed)
    }
}

impl Engine for Burn {
    fn clear(&mut self) -> anyhow::Result<()> {
        (self.filled, self.next) = (Filled(0), 0);
        Ok(())
    }

    fn step(&mut self, moment: &Moment, mean: &mut [f32]) -> anyhow::Result<()> {
        push(&mut self.rows, &moment.input);
        if !self.ages.is_empty() && self.filled.grow(self.config.window) {
            self.set_biases();
        }
        let value = self.run().try_into_data()?;
        self.next = (self.next + 1) % self.config.window;
        let value = value
            .as_slice::<f32>()
            .map_err(|error| anyhow::anyhow!("{error:?}"))?;
        mean.copy_from_slice(value);
        Ok(())
    }
}
