//! What a policy step computes, as one trait: every instruction set implements it once.
//!
//! [`crate::Portable`] is the specification: any other implementation gives the same bits for the same
//! numbers. What an implementation chooses for itself is how numbers lie in memory: weights
//! ([`Kernels::Linear`]), activations between two maps, and the KV cache. Whoever calls these
//! functions passes such memory along and does not look into it.
//!
//! Implementations are tokens: whoever holds one may run its instructions, so that safe code needs no
//! check of its own.

use crate::{KvLayout, Requant, fraction_from_word, quantize};

/// Tokens that are computed together where a step has several: with four blocks of sixteen rows their accumulators fill twenty
/// registers, and a map that one of them has read is near when the next one comes.
pub const TOKENS: usize = 5;

/// The arithmetic of one policy step on one instruction set.
///
/// Every slice of activations is as long as the vector it holds, rounded up to a multiple of
/// [`Kernels::LANES`] ([`Kernels::padded`]); what stands behind the vector has no meaning. A function
/// whose slices are too short does nothing.
pub trait Kernels: Copy {
    /// Entries that are computed together.
    const LANES: usize;

    /// Whether [`TOKENS`] tokens are best computed together where a step has as many: every weight is read once for all
    /// of them.
    const TOGETHER: bool = false;

    /// How keys and values lie.
    const KV_LAYOUT: KvLayout;

    /// A linear map of an int8 input, as these kernels read it.
    type Linear<'a>: Copy;
    /// A linear map of an int16 input, as these kernels read it.
    type WideLinear<'a>: Copy;
    /// What one layer's attention reads of the image, the age biases above all.
    type Biases<'a>: Copy;

    /// `length` rounded up to a multiple of [`Kernels::LANES`].
    #[inline]
    #[must_use]
    fn padded(length: usize) -> usize {
        length.div_ceil(Self::LANES).saturating_mul(Self::LANES)
    }

    /// Runs `f` with the instructions of these kernels: what is inlined into it may use them.
    #[inline]
    fn run<R>(self, f: impl FnOnce() -> R) -> R {
        f()
    }

    /// Bytes of the keys and of the values of one layer.
    #[inline]
    #[must_use]
    fn kv_bytes(shape: Shape) -> [usize; 2] {
        Self::KV_LAYOUT.bytes(shape)
    }

    /// The entries of a working memory, each as `clamp(round_half_even((x - mean) * inverse), -32767, 32767)` with NaN as
    /// 0; zeros behind them.
    #[inline]
    fn quantize(self, entries: Entries<'_>, scales: (&[f32], &[f32]), out: &mut [i16]) {
        quantize_all(entries, scales, out);
    }

    /// The residual stream as the int8 input of a map: `out[i] = requant.to_i8(residual[i])`.
    fn requantize(self, residual: &[i16], requant: Requant, out: &mut [i8]);

    /// Of every token `out[r] = to_i8(map * input)`, as numbers: queries, keys, values. With `RECTIFY`
    /// `out[r] = to_relu_i8(map * input)`, as the input of a map.
    fn linear_i8<const RECTIFY: bool, const T: usize>(
        self,
        map: Self::Linear<'_>,
        inputs: [&[i8]; T],
        acc: &mut [i32],
        outs: [&mut [i8]; T],
    );

    /// Of every token `residual[r] += to_i16(map * input)`, saturating, and [`Kernels::requantize`] of the result.
    fn linear_add<const T: usize>(
        self,
        map: Self::Linear<'_>,
        inputs: [&[i8]; T],
        acc: &mut [i32],
        onto: Onto<'_, T>,
    );

    /// `out[r] = to_i16(map * input)`: the embedding, a map without biases.
    fn wide_linear_i16(
        self,
        map: Self::WideLinear<'_>,
        input: &[i16],
        acc: &mut [i32],
        out: &mut [i16],
    );

    /// `out[r] = tanh(to_i32(map * input) + to_i32(raw * raw_input))`, the sum saturating, as the input
    /// of a map.
    fn linear_tanh(
        self,
        map: Self::Linear<'_>,
        input: &[i8],
        raw: Option<(Self::WideLinear<'_>, &[i16])>,
        acc: (&mut [i32], &mut [i32]),
        out: &mut [i8],
    );

    /// `out[r] = to_i16(map * input)`: the command words.
    fn linear_i16(self, map: Self::Linear<'_>, input: &[i8], acc: &mut [i32], out: &mut [i16]);

    /// Attention of one token over the window, all heads of one layer.
    ///
    /// Stores the token's keys and values at its position and leaves the requantized context, the mean of
    /// the values weighted by the attention probabilities, in `context` as the input of a map. `hook` is called once per head.
    fn attend(self, attention: Attention<'_, Self::Biases<'_>>, hook: Option<&mut HeadHook<'_>>);
}

/// [`Kernels::quantize`], entry by entry.
#[inline(always)]
pub(crate) fn quantize_all(entries: Entries<'_>, scales: (&[f32], &[f32]), out: &mut [i16]) {
    let scales = scales.0.iter().zip(scales.1);
    out.fill(0);
    for ((out, entry), (&mean, &inverse)) in out.iter_mut().zip(entries.iter()).zip(scales) {
        *out = quantize(entry, mean, inverse);
    }
}

/// Residuals of tokens, the factor of their next inputs, and these.
pub type Onto<'a, const T: usize> = ([&'a mut [i16]; T], Requant, [&'a mut [i8]; T]);

/// A working memory as a step finds it.
#[derive(Clone, Copy, Debug)]
pub struct Entries<'a> {
    /// In channel units.
    pub observation: &'a [f32],
    /// Words of the command issued before.
    pub issued: &'a [i16],
    /// Reward and done.
    pub last: [f32; 2],
}

impl<'a> Entries<'a> {
    /// One after the other.
    #[inline]
    pub fn iter(self) -> impl Iterator<Item = f32> + use<'a> {
        let observation = self.observation.iter().copied();
        let issued = self.issued.iter().map(|&word| fraction_from_word(word));
        observation.chain(issued).chain(self.last)
    }
}

/// The shape of one layer's attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Attention heads.
    pub heads: usize,
    /// Channels of one head.
    pub width: usize,
    /// Memories of the window.
    pub window: usize,
}

/// Where a token stands in the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CachePosition {
    /// Position of its keys and values. Position `p` holds the memory of age `(index - p) mod window`.
    pub index: usize,
    /// Memories that it attends to, itself included: those of an age below this.
    pub filled: usize,
}

/// Everything that attention reads and writes.
pub struct Attention<'a, B> {
    /// Heads, channels, window.
    pub shape: Shape,
    /// Where the token stands.
    pub position: CachePosition,
    /// From an inner product to a logit.
    pub logit: Requant,
    /// From the context to an int8.
    pub output: Requant,
    /// The age biases.
    pub biases: B,
    /// Queries, keys and values of the token, `heads * width` each.
    pub qkv: &'a [i8],
    /// The first of [`Kernels::kv_bytes`].
    pub keys: &'a mut [i8],
    /// The second of [`Kernels::kv_bytes`].
    pub values: &'a mut [i8],
    /// Work space for inner products: at least `window`.
    pub acc: &'a mut [i32],
    /// Work space for the attention probabilities of one head: at least `window`.
    pub probabilities: &'a mut [i16],
    /// `heads * width`: the result.
    pub context: &'a mut [i8],
}

#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
impl<B> Attention<'_, B> {
    /// The same with other biases: for kernels that leave some attention to others.
    pub(crate) fn with_biases<C>(&mut self, biases: C) -> Attention<'_, C> {
        Attention {
            shape: self.shape,
            position: self.position,
            logit: self.logit,
            output: self.output,
            biases,
            qkv: self.qkv,
            keys: self.keys,
            values: self.values,
            acc: self.acc,
            probabilities: self.probabilities,
            context: self.context,
        }
    }
}

/// Called with the number of a head, its attention probabilities by position, none of them negative, and their sum, at least 1.
pub type HeadHook<'a> = dyn FnMut(usize, &[i16], u32) + 'a;
