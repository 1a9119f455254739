//! Causal self-attention within a band, with a learned bias per head and age.

use candle_core::{CpuStorage, CustomOp2, D, Layout, Result, Shape, Tensor};

use super::{math, on_cpu, slice, with_values};

/// The sequences that [`banded_attention`] works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Band {
    /// Sequences that lie one after the other; none sees another.
    pub sequences: usize,
    /// Tokens of one sequence.
    pub steps: usize,
    /// Attention heads.
    pub heads: usize,
    /// Token `t` attends to the tokens `t - window + 1 ..= t` of its sequence.
    pub window: usize,
}

/// Attention of every token to itself and the `window - 1` tokens before it.
///
/// `qkv` is `[sequences * steps, 3 * width]`: queries, keys and values side by side, heads within each;
/// `bias` is `[heads, window]`, added to the logits by age. The result is `[sequences * steps, width]`.
///
/// # Errors
/// When the shapes do not fit.
pub fn banded_attention(qkv: &Tensor, bias: &Tensor, band: Band) -> Result<Tensor> {
    if on_cpu(qkv) { qkv.apply_op2(bias, band) } else { banded_attention_plain(qkv, bias, band) }
}

/// [`banded_attention`] made of plain candle operations, for every device: it computes all pairs of
/// tokens and masks those outside the band.
///
/// # Errors
/// When the shapes do not fit.
pub fn banded_attention_plain(qkv: &Tensor, bias: &Tensor, band: Band) -> Result<Tensor> {
    let Band { sequences, steps, heads, window } = band;
    let width = qkv.dim(D::Minus1)? / 3;
    let split = |part: usize| {
        qkv.narrow(D::Minus1, part * width, width)?
            .reshape((sequences, steps, heads, width / heads))?
            .transpose(1, 2)?
            .contiguous()
    };
    let scale = 1.0 / ((width / heads) as f64).sqrt();
    let logits = (split(0)?.matmul(&split(1)?.t()?.contiguous()?)? * scale)?;
    let pairs = || (0..steps).flat_map(|t| (0..steps).map(move |s| (t, s)));
    let age: Vec<u32> = pairs().map(|(t, s)| if s <= t && t - s < window { (t - s) as u32 } else { 0 }).collect();
    let mask: Vec<f32> =
        pairs().map(|(t, s)| if s <= t && t - s < window { 0.0 } else { f32::NEG_INFINITY }).collect();
    let device = qkv.device();
    let age = Tensor::from_vec(age, steps * steps, device)?;
    let mask = Tensor::from_vec(mask, (1, 1, steps, steps), device)?;
    let bias = bias.index_select(&age, 1)?.reshape((1, heads, steps, steps))?;
    let logits = logits.broadcast_add(&bias)?.broadcast_add(&mask)?;
    let highest = logits.max_keepdim(D::Minus1)?.detach();
    let weights = logits.broadcast_sub(&highest)?.exp()?;
    let weights = weights.broadcast_div(&weights.sum_keepdim(D::Minus1)?)?;
    weights.matmul(&split(2)?)?.transpose(1, 2)?.reshape((sequences * steps, width))
}

/// One head of one sequence, transposed to `[dimension][step]`: all inner loops run along the window.
struct HeadView<'a> {
    band: Band,
    size: usize,
    /// The head's biases, oldest first.
    bias: Vec<f32>,
    queries: &'a [f32],
    keys: &'a [f32],
    values: &'a [f32],
}

impl HeadView<'_> {
    /// First token in the window of token `t`.
    fn first(&self, t: usize) -> usize {
        (t + 1).saturating_sub(self.band.window)
    }

    /// Writes the attention weights of token `t` to the front of `weights` and returns them.
    fn weights<'w>(&self, t: usize, weights: &'w mut [f32]) -> &'w mut [f32] {
        let (first, steps) = (self.first(t), self.band.steps);
        let weights = &mut weights[..=t - first];
        weights.copy_from_slice(&self.bias[self.band.window - weights.len()..]);
        let scale = 1.0 / (self.size as f32).sqrt();
        for i in 0..self.size {
            math::add_scaled(weights, self.queries[i * steps + t] * scale, &self.keys[i * steps + first..=i * steps + t]);
        }
        math::softmax(weights);
        weights
    }
}

impl Band {
    fn width(&self, qkv: &Shape, bias: &Shape) -> Result<usize> {
        let (rows, columns) = qkv.dims2()?;
        let Self { sequences, steps, heads, window } = *self;
        if rows != sequences * steps || columns % (3 * heads) != 0 || bias.dims2()? != (heads, window) {
            candle_core::bail!("banded_attention: qkv is {qkv:?}, bias {bias:?}, band {self:?}");
        }
        Ok(columns / 3)
    }

    /// Calls `body` for every (sequence, head) with the transposed head.
    fn for_each_head(&self, width: usize, qkv: &[f32], bias: &[f32], mut body: impl FnMut(usize, usize, &HeadView<'_>)) {
        let Self { sequences, steps, heads, window } = *self;
        let size = width / heads;
        let mut parts = [vec![0.0; size * steps], vec![0.0; size * steps], vec![0.0; size * steps]];
        for sequence in 0..sequences {
            for head in 0..heads {
                for (part, values) in parts.iter_mut().enumerate() {
                    let column = part * width + head * size;
                    let rows = qkv[sequence * steps * 3 * width..].chunks_exact(3 * width).take(steps);
                    for (t, row) in rows.enumerate() {
                        for (i, value) in row[column..column + size].iter().enumerate() {
                            values[i * steps + t] = *value;
                        }
                    }
                }
                let bias = bias[head * window..(head + 1) * window].iter().rev().copied().collect();
                let [queries, keys, values] = &parts;
                body(sequence, head, &HeadView { band: *self, size, bias, queries, keys, values });
            }
        }
    }

    fn forward(&self, width: usize, qkv: &[f32], bias: &[f32]) -> Vec<f32> {
        let mut result = vec![0.0; self.sequences * self.steps * width];
        let mut scratch = vec![0.0; self.window];
        self.for_each_head(width, qkv, bias, |sequence, head, view| {
            for t in 0..self.steps {
                let weights = view.weights(t, &mut scratch);
                let out = (sequence * self.steps + t) * width + head * view.size;
                for (i, out) in result[out..out + view.size].iter_mut().enumerate() {
                    let row = i * self.steps;
                    *out = math::dot(weights, &view.values[row + view.first(t)..=row + t]);
                }
            }
        });
        result
    }

    /// Gradients of `qkv` and `bias`.
    fn backward(&self, width: usize, qkv: &[f32], bias: &[f32], gradient: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let Self { steps, heads, window, .. } = *self;
        let size = width / heads;
        let scale = 1.0 / (size as f32).sqrt();
        let mut qkv_gradient = vec![0.0; qkv.len()];
        let mut bias_gradient = vec![0.0; bias.len()];
        let mut scratch = vec![0.0; window];
        let mut logit_gradient = vec![0.0; window];
        let mut parts = [vec![0.0; size * steps], vec![0.0; size * steps], vec![0.0; size * steps]];
        let mut by_age = vec![0.0; window];
        self.for_each_head(width, qkv, bias, |sequence, head, view| {
            parts.iter_mut().for_each(|part| part.fill(0.0));
            by_age.fill(0.0);
            let [queries, keys, values] = &mut parts;
            for t in 0..steps {
                let first = view.first(t);
                let weights = view.weights(t, &mut scratch);
                let logits = &mut logit_gradient[..weights.len()];
                logits.fill(0.0);
                let start = (sequence * steps + t) * width + head * size;
                let gradient = &gradient[start..start + size];
                for (i, g) in gradient.iter().enumerate() {
                    let window = i * steps + first..i * steps + t + 1;
                    math::add_scaled(logits, *g, &view.values[window.clone()]);
                    math::add_scaled(&mut values[window], *g, weights);
                }
                let mean = math::dot(weights, logits);
                for (logit, weight) in logits.iter_mut().zip(weights.iter()) {
                    *logit = weight * (*logit - mean);
                }
                math::add_scaled(&mut by_age[window - logits.len()..], 1.0, logits);
                for i in 0..size {
                    let window = i * steps + first..i * steps + t + 1;
                    queries[i * steps + t] = scale * math::dot(logits, &view.keys[window.clone()]);
                    math::add_scaled(&mut keys[window], scale * view.queries[i * steps + t], logits);
                }
            }
            for (sum, by_age) in bias_gradient[head * window..(head + 1) * window].iter_mut().zip(by_age.iter().rev()) {
                *sum += by_age;
            }
            for (part, values) in parts.iter().enumerate() {
                let column = part * width + head * size;
                let rows = qkv_gradient[sequence * steps * 3 * width..].chunks_exact_mut(3 * width).take(steps);
                for (t, row) in rows.enumerate() {
                    for (i, out) in row[column..column + size].iter_mut().enumerate() {
                        *out = values[i * steps + t];
                    }
                }
            }
        });
        (qkv_gradient, bias_gradient)
    }
}

impl CustomOp2 for Band {
    fn name(&self) -> &'static str {
        "banded_attention"
    }

    fn cpu_fwd(
        &self,
        qkv: &CpuStorage,
        qkv_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let width = self.width(qkv_layout.shape(), bias_layout.shape())?;
        let result = self.forward(width, slice(qkv, qkv_layout)?, slice(bias, bias_layout)?);
        Ok((CpuStorage::F32(result), Shape::from((self.sequences * self.steps, width))))
    }

    fn bwd(
        &self,
        qkv: &Tensor,
        bias: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let width = self.width(qkv.shape(), bias.shape())?;
        let (qkv_gradient, bias_gradient) = with_values(qkv, |qkv_values| {
            with_values(bias, |bias_values| {
                with_values(gradient, |gradient| Ok(self.backward(width, qkv_values, bias_values, gradient)))
            })
        })?;
        let qkv_gradient = Tensor::from_vec(qkv_gradient, qkv.shape(), qkv.device())?;
        let bias_gradient = Tensor::from_vec(bias_gradient, bias.shape(), bias.device())?;
        Ok((Some(qkv_gradient), Some(bias_gradient)))
    }
}
