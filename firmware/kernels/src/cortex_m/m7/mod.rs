//! The policy step on the DSP instructions of the Cortex-M7 (and M4): two multiply-accumulates each.
//!
//! Weights lie as the image's packing for Cortex-M says. Keys are packed like weights, four memories to a block;
//! values lie as int16, which SMLAD takes without unpacking: a ring of values is twice as large as its
//! numbers. Inner loops are naked functions in assembly with all registers planned; everything around
//! them is plain Rust, as are the few rows that no block of four holds.
//!
//! Nothing here checks what the packing asks of a row (`127 * sum |w| + |bias| < 2^23`, a shift of at
//! least 25): the image's reader has. Where it does not hold the results mean nothing; memory is safe
//! all the same.

#![expect(
    unsafe_code,
    reason = "assembly, and the calls of it behind checks of length and alignment"
)]

mod attention;
mod kv_cache;
mod logits;
mod matrix;
mod requant;
mod values;

use core::marker::PhantomData;

use matrix::{Prepared, Room, product_wide};

use super::packing::{COLUMNS, GROUP, MIN_SHIFT};
use crate::kernels::HeadHook;
use crate::portable::Rows;
use crate::{Attention, Kernels, KvLayout, Onto, Requant, Shape, portable, tanh_q12};

/// The kernels of a core with the DSP extension; the target has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CortexM7(PhantomData<()>);

/// A linear map whose weights are packed: blocks of four rows, groups of four columns, a word for each row of a group; aligned
/// to words.
pub type Packed<'a> = Rows<'a>;

impl CortexM7 {
    /// The kernels, which every machine of the target has.
    #[must_use]
    pub const fn detect() -> Option<Self> {
        Some(Self(PhantomData))
    }

    /// Places of the rings of one head.
    const fn positions(shape: Shape) -> usize {
        shape.window.div_ceil(GROUP).saturating_mul(GROUP)
    }
}

/// The sums of all rows, 256-fold.
#[inline]
fn product<'a>(map: Packed<'_>, input: &[i8], acc: &'a mut [i32]) -> &'a mut [i32] {
    let rows = map.rows.div_ceil(GROUP).saturating_mul(GROUP);
    let acc = acc.get_mut(..rows).unwrap_or_default();
    let mut room = Room::uninit();
    Prepared::new(input, &mut room).product(0, input.len(), map.weight, acc);
    acc
}

/// The rows of an int16 map, which has no bias: factor and sum.
#[inline]
fn wide_rows<'a>(
    map: Packed<'a>,
    input: &[i16],
    acc: &'a mut [i32],
) -> impl Iterator<Item = (Requant, i32)> + use<'a> {
    let rows = map.rows.div_ceil(GROUP).saturating_mul(GROUP);
    let acc = acc.get_mut(..rows).unwrap_or_default();
    product_wide(map.weight, input, acc);
    map.factors().zip(acc.iter().copied())
}

impl Kernels for CortexM7 {
    const LANES: usize = COLUMNS;
    const KV_LAYOUT: KvLayout = KvLayout::CORTEX_M7;

    of_every_core!(product);

    fn wide_linear_i16(self, map: Packed<'_>, input: &[i16], acc: &mut [i32], out: &mut [i16]) {
        for (out, (factor, sum)) in out.iter_mut().zip(wide_rows(map, input, acc)) {
            *out = factor.to_i16(sum);
        }
    }

    fn linear_tanh(
        self,
        map: Packed<'_>,
        input: &[i8],
        raw: Option<(Packed<'_>, &[i16])>,
        (acc, preactivation): (&mut [i32], &mut [i32]),
        out: &mut [i8],
    ) {
        requant::to_i32(map, product(map, input, acc), preactivation);
        if let Some((raw, input)) = raw {
            let rows = wide_rows(raw, input, acc);
            for (preactivation, (factor, sum)) in preactivation.iter_mut().zip(rows) {
                *preactivation = preactivation.saturating_add(factor.to_i32(sum));
            }
        }
        for (out, &preactivation) in out.iter_mut().zip(&*preactivation).take(map.rows) {
            *out = tanh_q12(preactivation);
        }
    }

    fn linear_i16(self, map: Packed<'_>, input: &[i8], acc: &mut [i32], out: &mut [i16]) {
        let acc = product(map, input, acc);
        acc.iter_mut().for_each(|sum| *sum >>= 8);
        for (out, (factor, sum)) in out.iter_mut().zip(map.scaled(acc)) {
            *out = factor.to_i16(sum);
        }
    }
}
