//! The kernels in plain Rust, for every target: the specification of all others.
//!
//! Weights lie as in the image, row after row; keys as `[head][position][channel]`, values as
//! `[head][channel][position]`, so that every product reads rows.

mod attention;
mod matvec;

pub use matvec::matvec;

use crate::{Attention, HeadHook, Kernels, KvLayout, Onto, Requant, add_saturating, tanh_q12};

/// The reference: plain Rust, no instructions that the compiler does not choose itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Portable;

impl Portable {
    /// Every machine has them.
    #[must_use]
    pub const fn detect() -> Option<Self> {
        Some(Self)
    }
}

/// A linear map as it lies in an image: int8 weights, a bias and a factor for every row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rows<'a> {
    /// Outputs.
    pub rows: usize,
    /// `[rows][columns]`; the columns are the length of the input.
    pub weight: &'a [i8],
    /// `[rows]` i32, little endian; empty: no bias.
    pub bias: &'a [[u8; 4]],
    /// `[rows]` i32, little endian: [`Requant::multiplier`] of every row.
    pub multiplier: &'a [[u8; 4]],
    /// `[rows]`: [`Requant::shift`] of every row.
    pub shift: &'a [u8],
}

impl<'a> Rows<'a> {
    /// No outputs.
    pub const EMPTY: Self = Self {
        rows: 0,
        weight: &[],
        bias: &[],
        multiplier: &[],
        shift: &[],
    };

    /// Per row: its factor, and `bias + sum_c weight[c] * input[c]`.
    #[inline]
    fn product<T: Copy + Into<i32>>(
        self,
        input: &[T],
        acc: &'a mut [i32],
    ) -> impl Iterator<Item = (Requant, i32)> + use<'a, T> {
        let acc = acc.get_mut(..self.rows).unwrap_or_default();
        matvec(self.weight, input, acc);
        let biases = self.bias.iter().copied().map(i32::from_le_bytes);
        let rows = acc.iter().zip(biases.chain(core::iter::repeat(0)));
        self.requants()
            .zip(rows.map(|(&sum, bias)| sum.wrapping_add(bias)))
    }

    /// Every row's factor.
    #[inline]
    pub(crate) fn requants(self) -> impl Iterator<Item = Requant> + use<'a> {
        let rows = self.multiplier.iter().zip(self.shift);
        rows.map(|(&multiplier, &shift)| Requant {
            multiplier: i32::from_le_bytes(multiplier),
            shift,
        })
    }
}

impl Kernels for Portable {
    const LANES: usize = 1;
    const KV_LAYOUT: KvLayout = KvLayout::PLAIN;

    type Linear<'a> = Rows<'a>;
    type WideLinear<'a> = Rows<'a>;
    /// `[heads][window]` i32, little endian, by age; empty: no bias.
    type Biases<'a> = &'a [[u8; 4]];

    fn requantize(self, residual: &[i16], requant: Requant, out: &mut [i8]) {
        for (out, &residual) in out.iter_mut().zip(residual) {
            *out = requant.to_i8(i32::from(residual));
        }
    }

    #[inline]
    fn linear_i8<const RECTIFY: bool, const T: usize>(
        self,
        map: Rows<'_>,
        inputs: [&[i8]; T],
        acc: &mut [i32],
        outs: [&mut [i8]; T],
    ) {
        for (input, out) in inputs.into_iter().zip(outs) {
            for (out, (requant, sum)) in out.iter_mut().zip(map.product(input, acc)) {
                *out = if RECTIFY {
                    requant.to_relu_i8(sum)
                } else {
                    requant.to_i8(sum)
                };
            }
        }
    }

    fn linear_add<const T: usize>(
        self,
        map: Rows<'_>,
        inputs: [&[i8]; T],
        acc: &mut [i32],
        onto: Onto<'_, T>,
    ) {
        let (residuals, next, requantized) = onto;
        let tokens = inputs.into_iter().zip(residuals).zip(requantized);
        for ((input, residual), requantized) in tokens {
            for (residual, (requant, sum)) in residual.iter_mut().zip(map.product(input, acc)) {
                *residual = add_saturating(*residual, requant.to_i16(sum));
            }
            self.requantize(residual, next, requantized);
        }
    }

    #[inline]
    fn wide_linear_i16(self, map: Rows<'_>, input: &[i16], acc: &mut [i32], out: &mut [i16]) {
        for (out, (requant, sum)) in out.iter_mut().zip(map.product(input, acc)) {
            *out = requant.to_i16(sum);
        }
    }

    fn linear_tanh(
        self,
        map: Rows<'_>,
        input: &[i8],
        raw: Option<(Rows<'_>, &[i16])>,
        (acc, preactivation): (&mut [i32], &mut [i32]),
        out: &mut [i8],
    ) {
        for (preactivation, (requant, sum)) in preactivation.iter_mut().zip(map.product(input, acc))
        {
            *preactivation = requant.to_i32(sum);
        }
        if let Some((raw, input)) = raw {
            let rows = raw.product(input, acc);
            for (preactivation, (requant, sum)) in preactivation.iter_mut().zip(rows) {
                *preactivation = preactivation.saturating_add(requant.to_i32(sum));
            }
        }
        for (out, &preactivation) in out.iter_mut().zip(&*preactivation).take(map.rows) {
            *out = tanh_q12(preactivation);
        }
    }

    #[inline]
    fn linear_i16(self, map: Rows<'_>, input: &[i8], acc: &mut [i32], out: &mut [i16]) {
        for (out, (requant, sum)) in out.iter_mut().zip(map.product(input, acc)) {
            *out = requant.to_i16(sum);
        }
    }

    fn attend(self, attention: Attention<'_, &[[u8; 4]]>, hook: Option<&mut HeadHook<'_>>) {
        attention::run(attention, hook);
    }
}
