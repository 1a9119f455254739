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

/// What stands in for the bias of a place outside the band: its weight becomes 1e-38, which no sum notices.
const OUTSIDE: f32 = -1e9;

/// One head of one sequence, transposed to `[dimension][place]`: all inner loops run along the window, in
/// pieces of `L` places, so that they compile to vector instructions without remainders.
///
/// A window has `places` = `window` rounded up to a multiple of `L`. Place `j` of token `t` is token
/// `t + 1 - places + j`; each row therefore begins with `places - 1` zeros, which stand before the first token.
struct Head<const L: usize> {
    size: usize,
    places: usize,
    /// Length of a row: `places - 1 + steps`.
    stride: usize,
    /// The head's biases, oldest first, `[places]`; and the same for the first tokens, whose window is not full.
    bias: Vec<f32>,
    masked: Vec<f32>,
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    /// Attention weights of the current token, `[places]`.
    weights: Vec<f32>,
}

impl<const L: usize> Head<L> {
    fn new(band: &Band, width: usize) -> Self {
        let size = width / band.heads;
        let places = band.window.next_multiple_of(L);
        let stride = places - 1 + band.steps;
        Self {
            size,
            places,
            stride,
            bias: vec![OUTSIDE; places],
            masked: vec![0.0; places],
            queries: vec![0.0; size * band.steps],
            keys: vec![0.0; size * stride],
            values: vec![0.0; size * stride],
            weights: vec![0.0; places],
        }
    }

    /// Takes in head number `head` of the sequence whose rows are `rows`.
    fn load(&mut self, band: &Band, head: usize, width: usize, rows: &[f32], bias: &[f32]) {
        let bias = bias[head * band.window..(head + 1) * band.window].iter().rev();
        self.bias[self.places - band.window..].iter_mut().zip(bias).for_each(|(out, bias)| *out = *bias);
        let column = head * self.size;
        for (t, row) in rows.chunks_exact(3 * width).enumerate() {
            let place = self.places - 1 + t;
            for i in 0..self.size {
                self.queries[t * self.size + i] = row[column + i];
                self.keys[i * self.stride + place] = row[width + column + i];
                self.values[i * self.stride + place] = row[2 * width + column + i];
            }
        }
    }

    /// The pieces of the window of token `t` in row `i`.
    fn window<'a>(&self, rows: &'a [f32], i: usize, t: usize) -> &'a [[f32; L]] {
        rows[i * self.stride + t..][..self.places].as_chunks::<L>().0
    }

    /// Computes the attention weights of token `t`.
    fn attend(&mut self, t: usize) {
        let mut weights = std::mem::take(&mut self.weights);
        if t + 1 >= self.places {
            weights.copy_from_slice(&self.bias);
        } else {
            let before = self.places - 1 - t;
            self.masked[..before].fill(OUTSIDE);
            self.masked[before..].copy_from_slice(&self.bias[before..]);
            weights.copy_from_slice(&self.masked);
        }
        let scale = 1.0 / (self.size as f32).sqrt();
        for i in 0..self.size {
            let query = self.queries[t * self.size + i] * scale;
            let pieces = weights.as_chunks_mut::<L>().0.iter_mut().zip(self.window(&self.keys, i, t));
            for (weights, keys) in pieces {
                add_scaled(weights, query, keys);
            }
        }
        softmax(weights.as_chunks_mut::<L>().0);
        self.weights = weights;
    }
}

/// `out += scale * row`, on a piece.
#[inline]
fn add_scaled<const L: usize>(out: &mut [f32; L], scale: f32, row: &[f32; L]) {
    for (out, x) in out.iter_mut().zip(row) {
        *out += scale * x;
    }
}

/// The sum of products over all pieces.
#[inline]
fn dot<const L: usize>(a: &[[f32; L]], b: &[[f32; L]]) -> f32 {
    let mut lanes = [0.0f32; L];
    for (a, b) in a.iter().zip(b) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    sum(lanes)
}

/// Sum of a piece, pairwise.
#[inline]
fn sum<const L: usize>(mut lanes: [f32; L]) -> f32 {
    let mut width = L / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// Replaces logits by their softmax.
#[inline]
fn softmax<const L: usize>(logits: &mut [[f32; L]]) {
    let mut highest = [f32::NEG_INFINITY; L];
    for piece in logits.iter() {
        for (highest, x) in highest.iter_mut().zip(piece) {
            *highest = if *x > *highest { *x } else { *highest };
        }
    }
    let highest = highest.iter().fold(f32::NEG_INFINITY, |max, x| if *x > max { *x } else { max });
    let mut total = [0.0f32; L];
    for piece in logits.iter_mut() {
        for (x, total) in piece.iter_mut().zip(&mut total) {
            *x = math::exp(*x - highest);
            *total += *x;
        }
    }
    let inverse = 1.0 / sum(total);
    for piece in logits {
        for x in piece {
            *x *= inverse;
        }
    }
}

impl Band {
    fn width(&self, qkv: &Shape, bias: &Shape) -> Result<usize> {
        let (rows, columns) = qkv.dims2()?;
        let Self { sequences, steps, heads, window } = *self;
        if rows != sequences * steps || columns % (3 * heads) != 0 || bias.dims2()? != (heads, window) || window == 0 {
            candle_core::bail!("banded_attention: qkv is {qkv:?}, bias {bias:?}, band {self:?}");
        }
        Ok(columns / 3)
    }

    fn forward<const L: usize>(&self, width: usize, qkv: &[f32], bias: &[f32]) -> Vec<f32> {
        let mut result = vec![0.0; self.sequences * self.steps * width];
        let mut head = Head::<L>::new(self, width);
        let sequences = qkv.chunks_exact(self.steps * 3 * width);
        for (rows, out) in sequences.zip(result.chunks_exact_mut(self.steps * width)) {
            for number in 0..self.heads {
                head.load(self, number, width, rows, bias);
                for (t, out) in out.chunks_exact_mut(width).enumerate() {
                    head.attend(t);
                    let weights = head.weights.as_chunks::<L>().0;
                    for (i, out) in out[number * head.size..][..head.size].iter_mut().enumerate() {
                        *out = dot(weights, head.window(&head.values, i, t));
                    }
                }
            }
        }
        result
    }

    /// Gradients of `qkv` and `bias`.
    fn backward<const L: usize>(
        &self,
        width: usize,
        qkv: &[f32],
        bias: &[f32],
        gradient: &[f32],
    ) -> (Vec<f32>, Vec<f32>) {
        let mut qkv_gradient = vec![0.0; qkv.len()];
        let mut bias_gradient = vec![0.0; bias.len()];
        let mut head = Head::<L>::new(self, width);
        let (size, places, stride) = (head.size, head.places, head.stride);
        let scale = 1.0 / (size as f32).sqrt();
        let mut logits = vec![0.0; places];
        let mut by_place = vec![0.0; places];
        let mut keys = vec![0.0; size * stride];
        let mut values = vec![0.0; size * stride];
        let sequences = qkv.chunks_exact(self.steps * 3 * width).zip(gradient.chunks_exact(self.steps * width));
        for ((rows, gradient), out) in sequences.zip(qkv_gradient.chunks_exact_mut(self.steps * 3 * width)) {
            for number in 0..self.heads {
                head.load(self, number, width, rows, bias);
                keys.fill(0.0);
                values.fill(0.0);
                by_place.fill(0.0);
                let column = number * size;
                for (t, gradient) in gradient.chunks_exact(width).enumerate() {
                    head.attend(t);
                    let weights = head.weights.as_chunks::<L>().0;
                    let logits = logits.as_chunks_mut::<L>().0;
                    logits.as_flattened_mut().fill(0.0);
                    for (i, g) in gradient[column..column + size].iter().enumerate() {
                        let sums = values[i * stride + t..][..places].as_chunks_mut::<L>().0;
                        let pieces = logits.iter_mut().zip(head.window(&head.values, i, t)).zip(sums).zip(weights);
                        for (((logits, values), sums), weights) in pieces {
                            add_scaled(logits, *g, values);
                            add_scaled(sums, *g, weights);
                        }
                    }
                    let mean = dot(weights, logits);
                    let pieces = logits.iter_mut().zip(weights).zip(by_place.as_chunks_mut::<L>().0);
                    for ((logits, weights), by_place) in pieces {
                        for ((logit, weight), sum) in logits.iter_mut().zip(weights).zip(by_place) {
                            *logit = weight * (*logit - mean);
                            *sum += *logit;
                        }
                    }
                    for i in 0..size {
                        let row = &mut out[t * 3 * width + column + i];
                        *row = scale * dot(logits, head.window(&head.keys, i, t));
                        let query = scale * head.queries[t * size + i];
                        let sums = keys[i * stride + t..][..places].as_chunks_mut::<L>().0;
                        for (sums, logits) in sums.iter_mut().zip(logits.iter()) {
                            add_scaled(sums, query, logits);
                        }
                    }
                }
                let sums = &mut bias_gradient[number * self.window..(number + 1) * self.window];
                sums.iter_mut().zip(by_place.iter().rev()).for_each(|(sum, by_place)| *sum += by_place);
                for (t, row) in out.chunks_exact_mut(3 * width).enumerate() {
                    for i in 0..size {
                        row[width + column + i] = keys[i * stride + places - 1 + t];
                        row[2 * width + column + i] = values[i * stride + places - 1 + t];
                    }
                }
            }
        }
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
        let (qkv, bias) = (slice(qkv, qkv_layout)?, slice(bias, bias_layout)?);
        let result = match self.window {
            1..=3 => self.forward::<1>(width, qkv, bias),
            4..=12 => self.forward::<4>(width, qkv, bias),
            _ => self.forward::<16>(width, qkv, bias),
        };
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
                with_values(gradient, |gradient| {
                    Ok(match self.window {
                        1..=3 => self.backward::<1>(width, qkv_values, bias_values, gradient),
                        4..=12 => self.backward::<4>(width, qkv_values, bias_values, gradient),
                        _ => self.backward::<16>(width, qkv_values, bias_values, gradient),
                    })
                })
            })
        })?;
        let qkv_gradient = Tensor::from_vec(qkv_gradient, qkv.shape(), qkv.device())?;
        let bias_gradient = Tensor::from_vec(bias_gradient, bias.shape(), bias.device())?;
        Ok((Some(qkv_gradient), Some(bias_gradient)))
    }
}
