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
mod logits;
mod matrix;
mod requant;
mod rings;
mod values;

use core::marker::PhantomData;

use matrix::{Prepared, Room, product_wide};

use super::packing::{COLUMNS, GROUP, MIN_SHIFT};
use crate::kernels::Watch;
use crate::portable::Rows;
use crate::{Attention, Kernels, Onto, Requant, Rings, Shape, portable, tanh_q12};

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
    const fn places(shape: Shape) -> usize {
        shape.window.div_ceil(GROUP).saturating_mul(GROUP)
    }
}

/// The sums of all rows, 256-fold.
#[inline]
fn product<'a>(map: Packed<'_>, input: &[i8], sums: &'a mut [i32]) -> &'a mut [i32] {
    let rows = map.rows.div_ceil(GROUP).saturating_mul(GROUP);
    let sums = sums.get_mut(..rows).unwrap_or_default();
    let mut room = Room::uninit();
    Prepared::new(input, &mut room).product(0, input.len(), map.weight, sums);
    sums
}

/// The rows of an int16 map, which has no bias: factor and sum.
#[inline]
fn wide_rows<'a>(
    map: Packed<'a>,
    input: &[i16],
    sums: &'a mut [i32],
) -> impl Iterator<Item = (Requant, i32)> + use<'a> {
    let rows = map.rows.div_ceil(GROUP).saturating_mul(GROUP);
    let sums = sums.get_mut(..rows).unwrap_or_default();
    product_wide(map.weight, input, sums);
    map.factors().zip(sums.iter().copied())
}

impl Kernels for CortexM7 {
    const LANES: usize = COLUMNS;
    const RINGS: Rings = Rings::CORTEX_M7;

    of_every_core!(product);

    fn embed(self, map: Packed<'_>, input: &[i16], sums: &mut [i32], out: &mut [i16]) {
        for (out, (factor, sum)) in out.iter_mut().zip(wide_rows(map, input, sums)) {
            *out = factor.to_i16(sum);
        }
    }

    fn hidden(
        self,
        map: Packed<'_>,
        input: &[i8],
        raw: Option<(Packed<'_>, &[i16])>,
        (sums, preactivation): (&mut [i32], &mut [i32]),
        out: &mut [i8],
    ) {
        requant::to_i32(map, product(map, input, sums), preactivation);
        if let Some((raw, input)) = raw {
            let rows = wide_rows(raw, input, sums);
            for (preactivation, (factor, sum)) in preactivation.iter_mut().zip(rows) {
                *preactivation = preactivation.saturating_add(factor.to_i32(sum));
            }
        }
        for (out, &preactivation) in out.iter_mut().zip(&*preactivation).take(map.rows) {
            *out = tanh_q12(preactivation);
        }
    }

    fn words(self, map: Packed<'_>, input: &[i8], sums: &mut [i32], out: &mut [i16]) {
        let sums = product(map, input, sums);
        sums.iter_mut().for_each(|sum| *sum >>= 8);
        for (out, (factor, sum)) in out.iter_mut().zip(map.scaled(sums)) {
            *out = factor.to_i16(sum);
        }
    }
}
