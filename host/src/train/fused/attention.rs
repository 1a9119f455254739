//! Causal self-attention within a band, with a learned bias per head and age.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use engram_export::elementary;

use super::{banded_attention_plain, on_cpu, slice, with_values};

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
    if on_cpu(qkv) {
        qkv.apply_op2(bias, band)
    } else {
        banded_attention_plain(qkv, bias, band)
    }
}

/// What stands in for the bias of a place outside the band: its weight becomes 1e-38, which no sum notices.
const OUTSIDE: f32 = -1e9;

/// One head of one sequence. Sums over the window's places run in pieces of `L` along transposed rows
/// `[dimension][place]`, sums over the head's dimensions in pieces of `P` along the rows of `qkv`, so that all
/// inner loops compile to vector instructions without remainders or reductions.
///
/// A window has `places` = `window` rounded up to a multiple of `L`. Place `j` of token `t` is token
/// `t + 1 - places + j`; each transposed row begins with `places - 1` zeros, which stand before the first token.
struct Head<const L: usize> {
    band: Band,
    size: usize,
    places: usize,
    /// Length of a transposed row: `places - 1 + steps`.
    stride: usize,
    /// The head's biases, oldest first, `[places]`.
    bias: Vec<f32>,
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
            band: *band,
            size,
            places,
            stride,
            bias: vec![OUTSIDE; places],
            keys: vec![0.0; size * stride],
            values: vec![0.0; size * stride],
            weights: vec![0.0; places],
        }
    }

    /// Takes in head number `head` of the sequence whose rows are `rows`.
    #[inline(always)]
    fn load(&mut self, head: usize, rows: &[[&[f32]; 3]], bias: &[f32]) {
        let window = self.band.window;
        let bias = bias[head * window..(head + 1) * window].iter().rev();
        self.bias[self.places - window..]
            .iter_mut()
            .zip(bias)
            .for_each(|(out, bias)| *out = *bias);
        for (t, [_, keys, values]) in rows.iter().enumerate() {
            let place = self.places - 1 + t;
            for (i, (key, value)) in keys.iter().zip(*values).enumerate() {
                self.keys[i * self.stride + place] = *key;
                self.values[i * self.stride + place] = *value;
            }
        }
    }

    /// Places of token `t` that hold a token, and the number of the first such token.
    #[inline(always)]
    fn present(&self, t: usize) -> (std::ops::Range<usize>, usize) {
        let count = self.band.window.min(t + 1);
        (self.places - count..self.places, t + 1 - count)
    }

    /// Computes the attention weights of token `t`, whose query is `query`.
    #[inline(always)]
    fn attend(&mut self, t: usize, query: &[f32]) {
        let Self { stride, places, .. } = *self;
        self.weights.copy_from_slice(&self.bias);
        self.weights[..(places - 1).saturating_sub(t)].fill(OUTSIDE);
        let weights = self.weights.as_chunks_mut::<L>().0;
        let scale = 1.0 / (self.size as f32).sqrt();
        for (i, query) in query.iter().enumerate() {
            let keys = self.keys[i * stride + t..][..places].as_chunks::<L>().0;
            for (weights, keys) in weights.iter_mut().zip(keys) {
                add_scaled(weights, query * scale, keys);
            }
        }
        softmax(weights);
    }
}

/// `out += scale * row`, on a piece.
#[inline(always)]
fn add_scaled<const L: usize>(out: &mut [f32; L], scale: f32, row: &[f32; L]) {
    for (out, x) in out.iter_mut().zip(row) {
        *out += scale * x;
    }
}

/// Sum of a piece, in a fixed order.
#[inline(always)]
fn sum<const L: usize>(lanes: [f32; L]) -> f32 {
    lanes.iter().sum()
}

/// Replaces logits by their softmax.
#[inline(always)]
fn softmax<const L: usize>(logits: &mut [[f32; L]]) {
    let mut highest = [f32::NEG_INFINITY; L];
    for piece in logits.iter() {
        for (highest, x) in highest.iter_mut().zip(piece) {
            *highest = if *x > *highest { *x } else { *highest };
        }
    }
    let highest = highest
        .iter()
        .fold(f32::NEG_INFINITY, |max, x| if *x > max { *x } else { max });
    let mut total = [0.0f32; L];
    for piece in logits.iter_mut() {
        for (x, total) in piece.iter_mut().zip(&mut total) {
            *x = elementary::exp(*x - highest);
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

/// Queries, keys and values of head number `head` in every row of a sequence.
#[inline(always)]
fn parts(rows: &[f32], width: usize, head: usize, size: usize) -> Vec<[&[f32]; 3]> {
    let column = head * size;
    rows.chunks_exact(3 * width)
        .map(|row| [0, 1, 2].map(|part| &row[part * width + column..][..size]))
        .collect()
}

impl Band {
    fn width(&self, qkv: &Shape, bias: &Shape) -> Result<usize> {
        let (rows, columns) = qkv.dims2()?;
        let Self {
            sequences,
            steps,
            heads,
            window,
        } = *self;
        if rows != sequences * steps
            || columns % (3 * heads) != 0
            || bias.dims2()? != (heads, window)
            || window == 0
        {
            candle_core::bail!("banded_attention: qkv is {qkv:?}, bias {bias:?}, band {self:?}");
        }
        Ok(columns / 3)
    }

    #[inline(always)]
    fn forward<const L: usize, const P: usize>(
        &self,
        width: usize,
        qkv: &[f32],
        bias: &[f32],
    ) -> Vec<f32> {
        let mut result = vec![0.0; self.sequences * self.steps * width];
        let mut head = Head::<L>::new(self, width);
        let size = head.size;
        let sequences = qkv.chunks_exact(self.steps * 3 * width);
        for (rows, out) in sequences.zip(result.chunks_exact_mut(self.steps * width)) {
            for number in 0..self.heads {
                let parts = parts(rows, width, number, size);
                head.load(number, &parts, bias);
                for (t, out) in out.chunks_exact_mut(width).enumerate() {
                    head.attend(t, parts[t][0]);
                    let (places, first) = head.present(t);
                    for (piece, out) in out[number * size..][..size]
                        .as_chunks_mut::<P>()
                        .0
                        .iter_mut()
                        .enumerate()
                    {
                        let mut mean = [0.0f32; P];
                        for (weight, [_, _, value]) in
                            head.weights[places.clone()].iter().zip(&parts[first..=t])
                        {
                            add_scaled(&mut mean, *weight, &value.as_chunks::<P>().0[piece]);
                        }
                        *out = mean;
                    }
                }
            }
        }
        result
    }

    /// Gradients of `qkv` and `bias`.
    #[inline(always)]
    fn backward<const L: usize, const P: usize>(
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
        // Gradients of one head's queries, keys and values, `[steps][size]`.
        let mut sums = [
            vec![0.0; self.steps * size],
            vec![0.0; self.steps * size],
            vec![0.0; self.steps * size],
        ];
        let sequences = qkv
            .chunks_exact(self.steps * 3 * width)
            .zip(gradient.chunks_exact(self.steps * width));
        for ((rows, gradient), out) in
            sequences.zip(qkv_gradient.chunks_exact_mut(self.steps * 3 * width))
        {
            for number in 0..self.heads {
                let parts = parts(rows, width, number, size);
                head.load(number, &parts, bias);
                sums.iter_mut().for_each(|sums| sums.fill(0.0));
                by_place.fill(0.0);
                let [queries, keys, values] = &mut sums;
                for (t, gradient) in gradient.chunks_exact(width).enumerate() {
                    let gradient = &gradient[number * size..][..size];
                    let query = parts[t][0];
                    head.attend(t, query);
                    logits.fill(0.0);
                    for (i, g) in gradient.iter().enumerate() {
                        let values = head.values[i * stride + t..][..places].as_chunks::<L>().0;
                        for (logits, values) in logits.as_chunks_mut::<L>().0.iter_mut().zip(values)
                        {
                            add_scaled(logits, *g, values);
                        }
                    }
                    softmax_backward(
                        head.weights.as_chunks::<L>().0,
                        logits.as_chunks_mut::<L>().0,
                        by_place.as_chunks_mut::<L>().0,
                    );
                    let (present, first) = head.present(t);
                    for piece in 0..size / P {
                        let gradient = &gradient.as_chunks::<P>().0[piece];
                        let query = query.as_chunks::<P>().0[piece].map(|x| scale * x);
                        let mut sum = [0.0f32; P];
                        let places = logits[present.clone()]
                            .iter()
                            .zip(&head.weights[present.clone()]);
                        for (((logit, weight), token), [_, key, _]) in
                            places.zip(first..).zip(&parts[first..=t])
                        {
                            let row = token * (size / P) + piece;
                            add_scaled(&mut keys.as_chunks_mut::<P>().0[row], *logit, &query);
                            add_scaled(&mut values.as_chunks_mut::<P>().0[row], *weight, gradient);
                            add_scaled(&mut sum, *logit, &key.as_chunks::<P>().0[piece]);
                        }
                        queries.as_chunks_mut::<P>().0[t * (size / P) + piece] =
                            sum.map(|x| scale * x);
                    }
                }
                let total = &mut bias_gradient[number * self.window..(number + 1) * self.window];
                total
                    .iter_mut()
                    .zip(by_place.iter().rev())
                    .for_each(|(total, by_place)| *total += by_place);
                for (part, sums) in sums.iter().enumerate() {
                    let columns = out.chunks_exact_mut(3 * width);
                    for (row, sums) in columns.zip(sums.chunks_exact(size)) {
                        row[part * width + number * size..][..size].copy_from_slice(sums);
                    }
                }
            }
        }
        (qkv_gradient, bias_gradient)
    }
}

/// From the gradient of softmax weights, in `logits`, to that of the logits, which is added to `total` too.
#[inline(always)]
fn softmax_backward<const L: usize>(
    weights: &[[f32; L]],
    logits: &mut [[f32; L]],
    total: &mut [[f32; L]],
) {
    let mut mean = [0.0f32; L];
    for (weights, logits) in weights.iter().zip(logits.iter()) {
        for ((mean, weight), logit) in mean.iter_mut().zip(weights).zip(logits) {
            *mean += weight * logit;
        }
    }
    let mean = sum(mean);
    for ((weights, logits), total) in weights.iter().zip(logits).zip(total) {
        for ((weight, logit), total) in weights.iter().zip(logits).zip(total) {
            *logit = weight * (*logit - mean);
            *total += *logit;
        }
    }
}

/// Calls the version of a method with the pieces that fit window and head size. All versions compute the
/// same sums in the same order.
macro_rules! fitting {
    ($band:ident . $method:ident ( $width:expr, $($argument:expr),* )) => {
        match ($band.window, ($width / $band.heads).is_multiple_of(8)) {
            (1..=3, true) => $band.$method::<1, 8>($width, $($argument),*),
            (1..=3, false) => $band.$method::<1, 1>($width, $($argument),*),
            (4..=12, true) => $band.$method::<4, 8>($width, $($argument),*),
            (4..=12, false) => $band.$method::<4, 1>($width, $($argument),*),
            (_, true) => $band.$method::<16, 8>($width, $($argument),*),
            (_, false) => $band.$method::<16, 1>($width, $($argument),*),
        }
    };
}

struct Forward<'a>(Band, usize, &'a [f32], &'a [f32]);

impl pulp::WithSimd for Forward<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> Self::Output {
        let Self(band, width, qkv, bias) = self;
        fitting!(band.forward(width, qkv, bias))
    }
}

struct Backward<'a>(Band, usize, &'a [f32], &'a [f32], &'a [f32]);

impl pulp::WithSimd for Backward<'_> {
    type Output = (Vec<f32>, Vec<f32>);

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> Self::Output {
        let Self(band, width, qkv, bias, gradient) = self;
        fitting!(band.backward(width, qkv, bias, gradient))
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
        let result = pulp::Arch::new().dispatch(Forward(*self, width, qkv, bias));
        Ok((
            CpuStorage::F32(result),
            Shape::from((self.sequences * self.steps, width)),
        ))
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
                    Ok(pulp::Arch::new().dispatch(Backward(
                        *self,
                        width,
                        qkv_values,
                        bias_values,
                        gradient,
                    )))
                })
            })
        })?;
        let qkv_gradient = Tensor::from_vec(qkv_gradient, qkv.shape(), qkv.device())?;
        let bias_gradient = Tensor::from_vec(bias_gradient, bias.shape(), bias.device())?;
        Ok((Some(qkv_gradient), Some(bias_gradient)))
    }
}
