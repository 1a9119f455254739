//! What the kernels of every core have in common: [`Core`] is what each core brings, and makes it [`Kernels`].

pub(super) mod heads;

use crate::kernels::HeadHook;
use crate::portable::{Portable, Rows};
use crate::{Attention, Kernels, KvLayout, Onto, Requant, add_saturating, tanh_q12};

/// The kernels of one core, which the target has. They read maps in rows, or packed, one token after the other.
pub trait Core: Requantize {
    /// [`Kernels::LANES`]
    const LANES: usize;
    /// [`Kernels::KV_LAYOUT`]
    const KV_LAYOUT: KvLayout;

    /// The accumulators of a map, as [`Requantize`] takes them.
    fn product<'a>(map: Rows<'_>, input: &[i8], acc: &'a mut [i32]) -> &'a mut [i32];

    /// The accumulators of a map of an int16 input, which has no bias.
    fn wide_product<'a>(map: Rows<'_>, input: &[i16], acc: &'a mut [i32]) -> &'a mut [i32];

    /// `out[r] = to_i16` of the accumulators of [`Core::wide_product`].
    fn wide_to_i16(map: Rows<'_>, acc: &[i32], out: &mut [i16]);

    /// `out[i] = tanh_q12(x[i])` of the first entries; how many these are.
    #[inline]
    fn tanh_first(_x: &[i32], _out: &mut [i8]) -> usize {
        0
    }

    /// [`Kernels::attend`] for heads of a multiple of eight channels.
    fn attend(attention: Attention<'_, &[[u8; 4]]>, hook: Option<&mut HeadHook<'_>>);
}

/// From accumulators to numbers of fewer bits.
pub trait Requantize: Copy {
    /// A function in assembly for some rows.
    type Kernel<T>;
    /// [`Requant::to_i8`]
    const TO_I8: Self::Kernel<i8>;
    /// [`Requant::to_relu_i8`]
    const TO_RELU_I8: Self::Kernel<i8>;
    /// [`Requant::to_i32`]
    const TO_I32: Self::Kernel<i32>;
    /// [`Requant::to_i16`], added to what is there, saturating.
    const ADD_I16: Self::Kernel<i16>;

    /// Runs `kernel`, one of the constants, on the first rows; how many these are.
    fn first_rows<T>(map: Rows<'_>, acc: &[i32], out: &mut [T], kernel: Self::Kernel<T>) -> usize;

    /// The accumulator of one row, bias included.
    fn row(map: Rows<'_>, acc: &[i32], row: usize) -> i32;

    /// [`Kernels::requantize`] of the first entries; how many these are.
    fn requantize_first(residual: &[i16], requant: Requant, out: &mut [i8]) -> usize;

    /// `out[r] = plain(requant, acc[r], out[r])`, which `kernel` does for the first rows.
    #[inline(always)]
    fn rows<T: Copy>(
        map: Rows<'_>,
        acc: &[i32],
        out: &mut [T],
        kernel: Self::Kernel<T>,
        plain: impl Fn(Requant, i32, T) -> T,
    ) {
        let first = Self::first_rows(map, acc, out, kernel);
        for (row, out) in out.iter_mut().enumerate().take(map.rows).skip(first) {
            let multiplier = map.multiplier.get(row).copied().unwrap_or_default();
            let requant = Requant {
                multiplier: i32::from_le_bytes(multiplier),
                shift: map.shift.get(row).copied().unwrap_or(1),
            };
            *out = plain(requant, Self::row(map, acc, row), *out);
        }
    }

    /// `residual[r] += to_i16`, saturating.
    #[inline(always)]
    fn add_i16(map: Rows<'_>, acc: &[i32], residual: &mut [i16]) {
        Self::rows(
            map,
            acc,
            residual,
            Self::ADD_I16,
            |requant, sum, residual| add_saturating(residual, requant.to_i16(sum)),
        );
    }

    /// `out[r] = to_i16`.
    #[inline(always)]
    fn to_i16(map: Rows<'_>, acc: &[i32], out: &mut [i16]) {
        let out = out.get_mut(..map.rows).unwrap_or_default();
        // Added to nothing, a number of 16 bits stays what it is.
        out.fill(0);
        Self::add_i16(map, acc, out);
    }
}

impl<C: Core> Kernels for C {
    const LANES: usize = <C as Core>::LANES;
    const KV_LAYOUT: KvLayout = <C as Core>::KV_LAYOUT;

    type Linear<'a> = Rows<'a>;
    type WideLinear<'a> = Rows<'a>;
    /// `[heads][window]` i32, little endian, by age; empty: no bias.
    type Biases<'a> = &'a [[u8; 4]];

    #[inline]
    fn requantize(self, residual: &[i16], requant: Requant, out: &mut [i8]) {
        let first = C::requantize_first(residual, requant, out);
        for (out, &residual) in out.iter_mut().zip(residual).skip(first) {
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
            let acc = C::product(map, input, acc);
            if RECTIFY {
                C::rows(map, acc, out, C::TO_RELU_I8, |requant, sum, _| {
                    requant.to_relu_i8(sum)
                });
            } else {
                C::rows(map, acc, out, C::TO_I8, |requant, sum, _| {
                    requant.to_i8(sum)
                });
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
            C::add_i16(map, C::product(map, input, acc), residual);
            self.requantize(residual, next, requantized);
        }
    }

    fn wide_linear_i16(self, map: Rows<'_>, input: &[i16], acc: &mut [i32], out: &mut [i16]) {
        C::wide_to_i16(map, C::wide_product(map, input, acc), out);
    }

    fn linear_tanh(
        self,
        map: Rows<'_>,
        input: &[i8],
        raw: Option<(Rows<'_>, &[i16])>,
        (acc, preactivation): (&mut [i32], &mut [i32]),
        out: &mut [i8],
    ) {
        let sums = C::product(map, input, acc);
        C::rows(map, sums, preactivation, C::TO_I32, |requant, sum, _| {
            requant.to_i32(sum)
        });
        if let Some((raw, input)) = raw {
            let acc = C::wide_product(raw, input, acc);
            let rows = preactivation.iter_mut().zip(acc).zip(raw.requants());
            for ((preactivation, sum), requant) in rows {
                *preactivation = preactivation.saturating_add(requant.to_i32(*sum));
            }
        }
        let preactivation = preactivation.get(..map.rows).unwrap_or_default();
        let first = C::tanh_first(preactivation, out);
        let rest = preactivation.get(first..).unwrap_or_default();
        let out = out.get_mut(first..).unwrap_or_default();
        for (out, &x) in out.iter_mut().zip(rest) {
            *out = tanh_q12(x);
        }
    }

    fn linear_i16(self, map: Rows<'_>, input: &[i8], acc: &mut [i32], out: &mut [i16]) {
        C::to_i16(map, C::product(map, input, acc), out);
    }

    fn attend(self, attention: Attention<'_, &[[u8; 4]]>, hook: Option<&mut HeadHook<'_>>) {
        if KvLayout::attends(attention.shape) {
            C::attend(attention, hook);
        } else {
            Portable.attend(attention, hook);
        }
    }
}
