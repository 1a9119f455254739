//! A small network of affine maps with hyperbolic tangents between them, as one operation.
//!
//! Like the encoder it works through blocks of tokens that fit the cache and keeps what the backward pass needs
//! in memory that later updates use again. Nothing here knows what its outputs mean.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use super::product::{After, GROUP, Matrix, Outer, Product, RowSums, Transposed, Weights};
use super::{Kept, Pool, linear, on_cpu, slice, with_values};

/// Tokens of a block.
const BLOCK: usize = 256;

/// A network of affine maps, and the memory that its passes use again and again.
#[derive(Clone, Debug, Default)]
pub struct Mlp {
    idle: Arc<Pool<Workspace>>,
}

impl Mlp {
    /// `[rows, outputs]` of `x`, `[rows, inputs]`. `layers` are weight `[outputs, inputs]` and bias of each layer; there
    /// is no tangent after the last.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, x: &Tensor, layers: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
        if !on_cpu(x) {
            let mut x = x.clone();
            for (number, (weight, bias)) in layers.iter().enumerate() {
                x = linear(&x, weight, bias)?;
                if number + 1 < layers.len() {
                    x = x.tanh()?;
                }
            }
            return Ok(x);
        }
        let mut sizes = vec![x.dim(1)?];
        let mut parameters = Vec::with_capacity(2 * layers.len());
        for (weight, bias) in layers {
            sizes.push(weight.dim(0)?);
            parameters.extend([weight.flatten_all()?, bias.flatten_all()?]);
        }
        x.contiguous()?.apply_op2(
            &Tensor::cat(&parameters, 0)?,
            Pass {
                sizes,
                kept: Kept::new(self.idle.clone()),
                x_gradient: x.track_op(),
            },
        )
    }
}

/// Numbers in all weights and biases together.
fn count(sizes: &[usize]) -> usize {
    sizes.windows(2).map(|pair| pair[1] * (pair[0] + 1)).sum()
}

/// Weight and bias of every layer.
fn layers<'a>(sizes: &[usize], parameters: &'a [f32]) -> Vec<(&'a [f32], &'a [f32])> {
    let mut rest = parameters;
    sizes
        .windows(2)
        .map(|pair| {
            let (weight, later) = rest.split_at(pair[0] * pair[1]);
            let (bias, later) = later.split_at(pair[1]);
            rest = later;
            (weight, bias)
        })
        .collect()
}

/// Memory and packed weights of one pass.
#[derive(Debug, Default)]
struct Workspace {
    sizes: Vec<usize>,
    /// Every layer's argument, `[block][layer]`.
    saved: Vec<Vec<Matrix>>,
    /// Of every layer: its result, later the gradient of that.
    scratch: Vec<Matrix>,
    weights: Vec<Weights>,
    transposed: Transposed,
    sums: Vec<f32>,
}

impl Workspace {
    fn forward(&mut self, sizes: &[usize], x: &[f32], parameters: &[f32], out: &mut [f32]) {
        let layers = layers(sizes, parameters);
        let blocks = (x.len() / sizes[0]).div_ceil(BLOCK);
        self.weights.resize_with(layers.len(), Default::default);
        let matrix = |rows: &usize| Matrix::new(*rows, 0, BLOCK);
        if self.sizes != sizes {
            self.sizes = sizes.to_vec();
            self.scratch = sizes[1..].iter().map(matrix).collect();
            self.saved.clear();
        }
        while self.saved.len() < blocks {
            self.saved
                .push(sizes[..layers.len()].iter().map(matrix).collect());
        }
        for ((weights, (weight, _)), pair) in
            self.weights.iter_mut().zip(&layers).zip(sizes.windows(2))
        {
            weights.set(weight, pair[1], pair[0]);
        }
        let outputs = sizes[layers.len()];
        let parts = x
            .chunks(BLOCK * sizes[0])
            .zip(out.chunks_mut(BLOCK * outputs));
        for ((x, out), saved) in parts.zip(&mut self.saved) {
            let columns = 0..(x.len() / sizes[0]).next_multiple_of(GROUP);
            saved[0].set_rows(x, sizes[0]);
            for (number, (weights, (_, bias))) in self.weights.iter().zip(&layers).enumerate() {
                let (before, later) = saved.split_at_mut(number + 1);
                let (after, out) = match later.first_mut() {
                    Some(next) => (After::Tanh, next),
                    None => (After::Store, &mut self.scratch[number]),
                };
                Product {
                    weights,
                    bias,
                    x: &before[number],
                    from: 0,
                    columns: columns.clone(),
                    after,
                    out,
                    first: 0,
                }
                .run();
            }
            self.scratch[layers.len() - 1].rows(out, outputs);
        }
    }

    /// Gradients of the parameters and, unless it is empty, of `x`.
    fn backward(
        &mut self,
        sizes: &[usize],
        parameters: &[f32],
        gradient: &[f32],
        x_gradient: &mut [f32],
        parameter_gradient: &mut [f32],
    ) {
        let layers = layers(sizes, parameters);
        for ((weights, (weight, _)), pair) in
            self.weights.iter_mut().zip(&layers).zip(sizes.windows(2))
        {
            weights.set_transposed(weight, pair[0], pair[1]);
        }
        let width = |inputs: usize| inputs.next_multiple_of(GROUP);
        let lengths = sizes.windows(2).map(|pair| pair[1] * (width(pair[0]) + 1));
        self.sums.clear();
        self.sums.resize(lengths.clone().sum(), 0.0);
        let outputs = sizes[layers.len()];
        let mut of_x = Matrix::new(sizes[0], 0, BLOCK);
        let parts = gradient.chunks(BLOCK * outputs).zip(&self.saved);
        for (number, (gradient, saved)) in parts.enumerate() {
            let columns = 0..(gradient.len() / outputs).next_multiple_of(GROUP);
            self.scratch[layers.len() - 1].set_rows(gradient, outputs);
            let mut end = self.sums.len();
            for layer in (0..layers.len()).rev() {
                let (inputs, outputs) = (sizes[layer], sizes[layer + 1]);
                let sums = &mut self.sums[end - outputs * (width(inputs) + 1)..end];
                end -= sums.len();
                let (sums, bias_sums) = sums.split_at_mut(outputs * width(inputs));
                let (below, here) = self.scratch.split_at_mut(layer);
                let y = &here[0];
                self.transposed
                    .set(&saved[layer], 0, inputs, columns.clone());
                Outer {
                    y,
                    from: 0,
                    rows: outputs,
                    column: 0,
                    x: &self.transposed,
                    sums,
                }
                .run();
                RowSums {
                    y,
                    from: 0,
                    columns: columns.clone(),
                    sums: bias_sums,
                }
                .run();
                let (after, out) = match below.last_mut() {
                    Some(below) => (After::TanhGradient(&saved[layer]), below),
                    None if x_gradient.is_empty() => continue,
                    None => (After::Store, &mut of_x),
                };
                Product {
                    weights: &self.weights[layer],
                    bias: &[],
                    x: y,
                    from: 0,
                    columns: columns.clone(),
                    after,
                    out,
                    first: 0,
                }
                .run();
            }
            if !x_gradient.is_empty() {
                let rows = x_gradient.chunks_mut(BLOCK * sizes[0]).nth(number);
                of_x.rows(rows.unwrap_or_default(), sizes[0]);
            }
        }
        let (mut sums, mut out) = (self.sums.as_slice(), parameter_gradient);
        for pair in sizes.windows(2) {
            for row in 0..pair[1] {
                out[row * pair[0]..][..pair[0]]
                    .copy_from_slice(&sums[row * width(pair[0])..][..pair[0]]);
            }
            sums = &sums[pair[1] * width(pair[0])..];
            out = &mut out[pair[1] * pair[0]..];
            out[..pair[1]].copy_from_slice(&sums[..pair[1]]);
            sums = &sums[pair[1]..];
            out = &mut out[pair[1]..];
        }
    }
}

/// One use of the network, which keeps what its backward pass needs.
struct Pass {
    sizes: Vec<usize>,
    kept: Kept<Workspace>,
    x_gradient: bool,
}

impl CustomOp2 for Pass {
    fn name(&self) -> &'static str {
        "mlp"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        parameters: &CpuStorage,
        parameters_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (rows, inputs) = x_layout.shape().dims2()?;
        let (x, parameters) = (slice(x, x_layout)?, slice(parameters, parameters_layout)?);
        let (Some(first), Some(last)) = (self.sizes.first(), self.sizes.last()) else {
            candle_core::bail!("mlp: no layers");
        };
        if inputs != *first || parameters.len() != count(&self.sizes) || self.sizes.contains(&0) {
            candle_core::bail!(
                "mlp: x is [{rows}, {inputs}], {} parameters, layers {:?}",
                parameters.len(),
                self.sizes
            );
        }
        let mut out = vec![0.0; rows * last];
        (self.kept).forward(|workspace| workspace.forward(&self.sizes, x, parameters, &mut out));
        Ok((CpuStorage::F32(out), Shape::from((rows, *last))))
    }

    fn bwd(
        &self,
        x: &Tensor,
        parameters: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let wanted = if self.x_gradient { x.elem_count() } else { 0 };
        let mut x_gradient = vec![0.0; wanted];
        let mut sums = vec![0.0; parameters.elem_count()];
        self.kept.backward(|workspace| {
            with_values(parameters, |parameters| {
                with_values(gradient, |gradient| {
                    workspace.backward(
                        &self.sizes,
                        parameters,
                        gradient,
                        &mut x_gradient,
                        &mut sums,
                    );
                    Ok(())
                })
            })
        })?;
        let x_gradient = match self.x_gradient {
            true => Some(Tensor::from_vec(x_gradient, x.shape(), x.device())?),
            false => None,
        };
        let sums = Tensor::from_vec(sums, parameters.shape(), parameters.device())?;
        Ok((x_gradient, Some(sums)))
    }
}
