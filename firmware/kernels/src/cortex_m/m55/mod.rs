//! The policy step on the vector instructions (MVE, "Helium") of the Cortex-M55.
//!
//! Weights are read in the order of rows, as they lie in every image. Keys lie as rows too; values in blocks of
//! eight channels and eight positions. Loops are naked functions in assembly; everything around them is plain
//! Rust, and so is what no vector holds: a few last rows, and factors that only a contrived image has.

#![expect(
    unsafe_code,
    reason = "assembly, and the calls of it behind checks of length and alignment"
)]

/// The first line of every naked function: these are assembled on their own, and know the target's
/// instructions only if told.
macro_rules! cpu {
    () => {
        ".cpu cortex-m55"
    };
}

mod attention;
mod kv_cache;
mod logits;
mod matrix;
mod requant;
mod tanh;
mod values;

use core::marker::PhantomData;

use matrix::{product, product_wide};

use super::every_core::{Core, Requantize};
use crate::kernels::HeadHook;
use crate::portable::Rows;
use crate::{Attention, KvLayout};

/// Positions and channels of a block of values.
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
}

impl Core for CortexM55 {
    const LANES: usize = 1;
    const KV_LAYOUT: KvLayout = KvLayout::CORTEX_M55;

    /// The sums of all rows, biases included.
    #[inline]
    fn product<'a>(map: Rows<'_>, input: &[i8], acc: &'a mut [i32]) -> &'a mut [i32] {
        let acc = acc.get_mut(..map.rows).unwrap_or_default();
        product(map.weight, input, map.bias, acc);
        acc
    }

    #[inline]
    fn wide_product<'a>(map: Rows<'_>, input: &[i16], acc: &'a mut [i32]) -> &'a mut [i32] {
        let acc = acc.get_mut(..map.rows).unwrap_or_default();
        product_wide(map.weight, input, map.bias, acc);
        acc
    }

    #[inline]
    fn wide_to_i16(map: Rows<'_>, acc: &[i32], out: &mut [i16]) {
        Self::to_i16(map, acc, out);
    }

    #[inline]
    fn tanh_first(x: &[i32], out: &mut [i8]) -> usize {
        tanh::tanh_first(x, out)
    }

    #[inline]
    fn attend(attention: Attention<'_, &[[u8; 4]]>, hook: Option<&mut HeadHook<'_>>) {
        attention::run(attention, hook);
    }
}
