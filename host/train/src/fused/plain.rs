//! What is made of plain candle operations on every device, and all that a device without fused ones has: affine maps, and causal
//! self-attention within a band, with a learned bias per head and age.
//!
//! A sequence much longer than the window is cut into blocks of at least a window: the queries of a block
//! find all keys they may see in their own block and the one before, so that work and memory grow with
//! `steps * window` and not with `steps * steps`. No operation here is slow to differentiate on a GPU
//! (candle's gradient of `index_select` runs through the indices one by one there: only the few biases
//! are selected).

use candle_core::{D, DType, Device, Result, Tensor};

/// Added to the logits of keys that a query must not see: their weight becomes 0.
const OUTSIDE: f32 = -1e9;
/// Smaller blocks would make matrix products too small to pay.
const SMALLEST_BLOCK: usize = 16;

/// `x W^T + b`: `x` is `[rows, inputs]`, `weight` `[outputs, inputs]`, `bias` `[outputs]`; the result is `[rows, outputs]`.
///
/// # Errors
/// When the shapes do not fit.
pub fn linear(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    x.contiguous()?.matmul(&weight.t()?)?.broadcast_add(bias)
}

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

/// How a sequence is cut: query number `i` of a block has its own key at place `keys - rows + i`.
#[derive(Clone, Copy)]
struct Blocks {
    /// Blocks of one sequence; the last may hold tokens that do not exist.
    count: usize,
    /// Queries of a block.
    rows: usize,
    /// Keys that they are compared with: as many, or twice as many.
    keys: usize,
}

impl Blocks {
    fn new(band: &Band) -> Self {
        let rows = band.window.max(SMALLEST_BLOCK);
        if band.steps <= 2 * rows {
            let (rows, keys) = (band.steps, band.steps);
            let count = 1;
            return Self { count, rows, keys };
        }
        Self {
            count: band.steps.div_ceil(rows),
            rows,
            keys: 2 * rows,
        }
    }

    /// `[blocks, rows, size]` of `[sequences, heads, steps, size]`: every block's own tokens.
    fn own(&self, x: &Tensor) -> Result<Tensor> {
        let (sequences, heads, steps, size) = x.dims4()?;
        x.pad_with_zeros(2, 0, self.count * self.rows - steps)?
            .reshape((sequences * heads * self.count, self.rows, size))
    }

    /// `[blocks, keys, size]`: every block's own tokens, after those of the block before it.
    fn seen(&self, x: &Tensor) -> Result<Tensor> {
        if self.keys == self.rows {
            return self.own(x);
        }
        let before = x
            .narrow(2, 0, (self.count - 1) * self.rows)?
            .pad_with_zeros(2, self.rows, 0)?;
        // cuBLAS, unlike the processor's products, insists on it.
        Tensor::cat(&[self.own(&before)?, self.own(x)?], 1)?.contiguous()
    }

    /// What is added to the logits, `[1, heads, count, rows, keys]`: the bias of a key's age, and
    /// [`OUTSIDE`] for keys that are too old, later than the query, or before the first token.
    fn bias(&self, bias: &Tensor) -> Result<Tensor> {
        let Self { count, rows, keys } = *self;
        let (heads, window) = bias.dims2()?;
        let device = bias.device();
        // Row `i` of the result is one list of biases, shifted by `i`: the list is written down `rows` times
        // and read with rows that are one shorter. Its entry `k` stands for the age `keys - rows - k`, and as
        // the list is entered from its end by later rows, from `keys` on for `2 * keys - k`.
        let length = keys + rows;
        let ages = (0..length).map(|k| match k < keys {
            true => (keys - rows).checked_sub(k),
            false => (2 * keys).checked_sub(k),
        });
        let ages: Vec<u32> = ages
            .map(|age| age.map_or(window, |age| age.min(window)) as u32)
            .collect();
        let ages = Tensor::from_vec(ages, length, device)?;
        let outside = Tensor::full(OUTSIDE, (heads, 1), device)?;
        let list = Tensor::cat(&[bias, &outside], 1)?.index_select(&ages, 1)?;
        let shifted = list
            .unsqueeze(1)?
            .broadcast_as((heads, rows, length))?
            .reshape((heads, rows * length))?
            .narrow(1, 0, rows * (length - 1))?
            .reshape((heads, rows, length - 1))?
            .narrow(2, 0, keys)?
            .reshape((1, heads, 1, rows, keys))?;
        if count == 1 {
            return Ok(shifted);
        }
        shifted.broadcast_add(&self.before_the_first(device)?)
    }

    /// `[1, 1, count, 1, keys]`: [`OUTSIDE`] where the first block looks at a block before it.
    fn before_the_first(&self, device: &Device) -> Result<Tensor> {
        let Self { count, rows, keys } = *self;
        let first = Tensor::full(OUTSIDE, (1, 1, 1, 1, keys - rows), device)?;
        let rest = Tensor::zeros((1, 1, 1, 1, rows), DType::F32, device)?;
        let first = Tensor::cat(&[first, rest], 4)?;
        first.pad_with_zeros(2, 0, count - 1)
    }
}

/// Attention of every token to itself and the `window - 1` tokens before it.
///
/// `qkv` is `[sequences * steps, 3 * width]`: queries, keys and values side by side, heads within each;
/// `bias` is `[heads, window]`, added to the logits by age. The result is `[sequences * steps, width]`.
///
/// # Errors
/// When the shapes do not fit.
pub fn banded_attention(qkv: &Tensor, bias: &Tensor, band: Band) -> Result<Tensor> {
    let Band {
        sequences,
        steps,
        heads,
        window,
    } = band;
    let (rows, columns) = qkv.dims2()?;
    if rows != sequences * steps
        || columns % (3 * heads) != 0
        || bias.dims2()? != (heads, window)
        || window == 0
    {
        candle_core::bail!("banded_attention: qkv is {qkv:?}, bias {bias:?}, band {band:?}");
    }
    let blocks = Blocks::new(&band);
    let width = columns / 3;
    let size = width / heads;
    let part = |part: usize| {
        qkv.narrow(D::Minus1, part * width, width)?
            .reshape((sequences, steps, heads, size))?
            .transpose(1, 2)?
            .contiguous()
    };
    let queries = (blocks.own(&part(0)?)? * (1.0 / (size as f64).sqrt()))?;
    let logits = queries
        .matmul(&blocks.seen(&part(1)?)?.t()?)?
        .reshape((sequences, heads, blocks.count, blocks.rows, blocks.keys))?
        .broadcast_add(&blocks.bias(bias)?)?;
    let highest = logits.max_keepdim(D::Minus1)?.detach();
    let weights = logits.broadcast_sub(&highest)?.exp()?;
    weights
        .broadcast_div(&weights.sum_keepdim(D::Minus1)?)?
        .reshape(((), blocks.rows, blocks.keys))?
        .matmul(&blocks.seen(&part(2)?)?)?
        .reshape((sequences, heads, blocks.count * blocks.rows, size))?
        .narrow(2, 0, steps)?
        .transpose(1, 2)?
        .reshape((sequences * steps, width))
}
