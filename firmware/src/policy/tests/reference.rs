//! The policy once more, in f64, straight from the formulas: unbounded history instead of rings,
//! lists instead of buffers, powers and quotients instead of tables.
//!
//! It saturates where the integer policy does. With `rounding` it rounds there as well; without, it
//! is the real network that the integers approximate.

use std::vec::Vec;

use engram_image::limits::MAX_COLUMNS;
use engram_image::{Image, Layer, MatrixName, Positions};
use engram_kernels::Requant;
use engram_kernels::portable::Rows;

use crate::policy::Moment;

pub(super) struct Reference<'a> {
    image: Image<'a>,
    rounding: bool,
    /// `age`: keys and values of every step so far, `[layer][step][model]`.
    keys: Vec<Vec<Vec<f64>>>,
    values: Vec<Vec<Vec<f64>>>,
    /// `slot`: every embedding so far.
    embedded: Vec<Vec<f64>>,
}

impl<'a> Reference<'a> {
    pub(super) fn new(image: &Image<'a>, rounding: bool) -> Self {
        let layers = std::vec![Vec::new(); image.config.layers];
        Self {
            image: *image,
            rounding,
            keys: layers.clone(),
            values: layers,
            embedded: Vec::new(),
        }
    }

    pub(super) fn step(&mut self, moment: &Moment) -> Vec<f64> {
        let image = self.image;
        let embedded = self.embed(moment);
        self.embedded.push(embedded.clone());
        let encoded = match image.config.positions {
            Positions::Age => self.token(embedded.clone()),
            Positions::Slot => {
                self.keys.iter_mut().for_each(Vec::clear);
                self.values.iter_mut().for_each(Vec::clear);
                let first = self.embedded.len().saturating_sub(image.config.window);
                let window = self.embedded[first..].to_vec();
                let positions = image.weights.positions.chunks_exact(image.config.model);
                let tokens = window.iter().zip(positions).map(|(token, position)| {
                    let position = position.iter().map(|&p| f64::from(i16::from_le_bytes(p)));
                    let sum = token
                        .iter()
                        .zip(position)
                        .map(|(x, p)| (x + p).clamp(-32_767.0, 32_767.0));
                    sum.collect::<Vec<_>>()
                });
                let tokens: Vec<_> = tokens.collect();
                tokens
                    .into_iter()
                    .map(|token| self.token(token))
                    .last()
                    .unwrap()
            }
        };
        self.head(&encoded, &embedded)
    }

    /// Halves up, where the integer policy rounds.
    fn round(&self, x: f64, limit: f64) -> f64 {
        let rounded = if self.rounding { (x + 0.5).floor() } else { x };
        rounded.clamp(-limit, limit)
    }

    fn narrow(&self, x: &[f64], requant: Requant) -> Vec<f64> {
        x.iter()
            .map(|x| self.round(x * factor(requant), 127.0))
            .collect()
    }

    fn product(&self, name: MatrixName, x: &[f64], limit: f64) -> Vec<f64> {
        let matrices = &mut self.image.matrices();
        let matrix = matrices.find(|matrix| matrix.name == name).unwrap();
        let mut room = [0; MAX_COLUMNS];
        let mut results = Vec::new();
        for row in 0..matrix.rows.rows {
            let row = matrix.row(row, &mut room).unwrap();
            let products = row.weight.iter().zip(x).map(|(&w, x)| f64::from(w) * x);
            let sum = products.sum::<f64>() + f64::from(row.bias);
            results.push(self.round(sum * factor(row.requant), limit));
        }
        results
    }

    fn embed(&self, moment: &Moment) -> Vec<f64> {
        let scales = self.image.input.mean.iter().zip(&self.image.input.inverse);
        let entries = moment.observation.iter().copied();
        let entries = entries
            .chain(moment.issued.iter().map(|&word| f32::from(word) / 32_767.0))
            .chain([moment.reward, f32::from(u8::from(moment.done))]);
        // The definition is in f32: its rounding belongs to the input, not to the network.
        let input: Vec<f64> = entries
            .zip(scales)
            .map(|(x, (mean, inverse))| {
                f64::from(
                    ((x - mean) * inverse)
                        .round_ties_even()
                        .clamp(-32_767.0, 32_767.0),
                )
            })
            .collect();
        self.product(MatrixName::Embed, &input, 32_767.0)
    }

    fn add(x: &mut [f64], y: &[f64]) {
        for (x, y) in x.iter_mut().zip(y) {
            *x = (*x + y).clamp(-32_767.0, 32_767.0);
        }
    }

    fn token(&mut self, mut x: Vec<f64>) -> Vec<f64> {
        let image = self.image;
        for (number, layer) in (0..).zip(image.weights.layers()) {
            let index = usize::from(number);
            let input = self.narrow(&x, layer.attention_input);
            let qkv = self.product(MatrixName::Qkv(number), &input, 127.0);
            let [queries, keys, values] = [0, 1, 2].map(|part| {
                let model = image.config.model;
                qkv[part * model..(part + 1) * model].to_vec()
            });
            self.keys[index].push(keys);
            self.values[index].push(values);
            let mean = self.attend(index, layer, &queries);
            Self::add(
                &mut x,
                &self.product(MatrixName::Out(number), &mean, 32_767.0),
            );
            let input = self.narrow(&x, layer.ff_input);
            let wide: Vec<f64> = self
                .product(MatrixName::Ff1(number), &input, 127.0)
                .iter()
                .map(|x| x.max(0.0))
                .collect();
            Self::add(
                &mut x,
                &self.product(MatrixName::Ff2(number), &wide, 32_767.0),
            );
        }
        x
    }

    fn attend(
        &self,
        index: usize,
        layer: &Layer<Rows<'_>, &[[u8; 4]]>,
        queries: &[f64],
    ) -> Vec<f64> {
        let config = &self.image.config;
        let mut mean = Vec::new();
        for head in 0..config.heads {
            let channels = head * config.head_dim()..(head + 1) * config.head_dim();
            let query = &queries[channels.clone()];
            let newest_first = || {
                self.keys[index]
                    .iter()
                    .rev()
                    .zip(self.values[index].iter().rev())
                    .take(config.window)
            };
            let logits: Vec<f64> = newest_first()
                .enumerate()
                .map(|(age, (keys, _))| {
                    let product: f64 = query
                        .iter()
                        .zip(&keys[channels.clone()])
                        .map(|(q, k)| q * k)
                        .sum();
                    let bias = layer.age_bias.get(head * config.window + age);
                    self.round(product * factor(layer.logit), f64::MAX)
                        + bias.map_or(0.0, |&b| f64::from(i32::from_le_bytes(b)))
                })
                .collect();
            let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = logits
                .iter()
                .map(|logit| ((logit - max) / 1024.0).exp2())
                .collect();
            let total: f64 = weights.iter().sum();
            for channel in channels.clone() {
                let sum: f64 = newest_first()
                    .zip(&weights)
                    .map(|((_, v), weight)| v[channel] * weight)
                    .sum();
                mean.push(sum / total * 65_536.0);
            }
        }
        self.narrow(&mean, layer.attention_output)
    }

    fn head(&self, encoded: &[f64], embedded: &[f64]) -> Vec<f64> {
        let head = &self.image.weights.head;
        let mut x = self.product(
            MatrixName::First,
            &self.narrow(encoded, head.input),
            f64::MAX,
        );
        if head.raw.is_some() {
            for (x, y) in x
                .iter_mut()
                .zip(self.product(MatrixName::Raw, embedded, f64::MAX))
            {
                *x += y;
            }
        }
        let tanh = |x: &[f64]| -> Vec<f64> {
            x.iter()
                .map(|x| self.round(127.0 * (x / 4_096.0).tanh(), 127.0))
                .collect()
        };
        let x = self.product(MatrixName::Second, &tanh(&x), f64::MAX);
        self.product(MatrixName::Third, &tanh(&x), 32_767.0)
    }
}

fn factor(requant: Requant) -> f64 {
    f64::from(requant.multiplier) / f64::from(requant.shift).exp2()
}
