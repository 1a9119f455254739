//! The policy step on the vector instructions (MVE, "Helium") of the Cortex-M55.
//!
//! Weights are read in the order of rows, as they lie in every image. Keys lie as rows too; values in blocks of
//! eight channels and eight places. Loops are naked functions in assembly; everything around them is plain
//! Rust, and so is what no vector holds: a few last rows, and factors that only a contrived image has.

#![expect(
    unsafe_code,
    reason = "assembly, and the calls of it behind checks of length and alignment"
)]

mod attention;
mod logits;
mod matrix;
mod requant;
mod tanh;
mod values;

use core::marker::PhantomData;

use matrix::{product, product_wide};

use crate::kernels::HeadHook;
use crate::portable::Rows;
use crate::{Attention, Kernels, KvLayout, Onto, Requant, Shape, portable};

/// The first line of every naked function: these are assembled on their own, and know the target's
/// instructions only if told.
macro_rules! cpu {
    () => {
        ".cpu cortex-m55"
    };
}
use cpu;

/// Places and channels of a block of values.
const LANES: usize = 8;

/// The kernels of a core with MVE's integer instructions; the target has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CortexM55(PhantomData<()>);

impl CortexM55 {
    /// The kernels, which every machine of the target has.
    #[must_use]
    pub const fn detect() -> Option<Self> {
        Some(Self(PhantomData))
    }

    /// Places of the ring of values of one head.
    const fn positions(shape: Shape) -> usize {
        shape.window.div_ceil(LANES).saturating_mul(LANES)
    }
}

/// The sums of all rows, biases included.
#[inline]
fn sums_of<'a>(map: Rows<'_>, input: &[i8], acc: &'a mut [i32]) -> &'a mut [i32] {
    let acc = acc.get_mut(..map.rows).unwrap_or_default();
    product(map.weight, input, map.bias, acc);
    acc
}

/// [`sums_of`] of an int16 input.
#[inline]
fn wide_sums_of<'a>(map: Rows<'_>, input: &[i16], acc: &'a mut [i32]) -> &'a mut [i32] {
    let acc = acc.get_mut(..map.rows).unwrap_or_default();
    product_wide(map.weight, input, map.bias, acc);
    acc
}

impl Kernels for CortexM55 {
    const LANES: usize = 1;
    const KV_LAYOUT: KvLayout = KvLayout::CORTEX_M55;

    of_every_core!(sums_of);

    fn wide_linear_i16(self, map: Rows<'_>, input: &[i16], acc: &mut [i32], out: &mut [i16]) {
        let out = out.get_mut(..map.rows).unwrap_or_default();
        // Added to nothing, a number of 16 bits stays what it is.
        out.fill(0);
        requant::add_i16(map, wide_sums_of(map, input, acc), out);
    }

    fn linear_tanh(
        self,
        map: Rows<'_>,
        input: &[i8],
        raw: Option<(Rows<'_>, &[i16])>,
        (acc, preactivation): (&mut [i32], &mut [i32]),
        out: &mut [i8],
    ) {
        requant::to_i32(map, sums_of(map, input, acc), preactivation);
        if let Some((raw, input)) = raw {
            let acc = wide_sums_of(raw, input, acc);
            let rows = preactivation.iter_mut().zip(acc).zip(raw.factors());
            for ((preactivation, sum), factor) in rows {
                *preactivation = preactivation.saturating_add(factor.to_i32(*sum));
            }
        }
        let preactivation = preactivation.get(..map.rows).unwrap_or_default();
        tanh::tanh(preactivation, out);
    }

    fn linear_i16(self, map: Rows<'_>, input: &[i8], acc: &mut [i32], out: &mut [i16]) {
        let out = out.get_mut(..map.rows).unwrap_or_default();
        out.fill(0);
        requant::add_i16(map, sums_of(map, input, acc), out);
    }
}
