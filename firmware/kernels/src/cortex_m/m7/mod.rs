//! The policy step on the DSP instructions of the Cortex-M7 (and M4): two multiply-accumulates each.
//!
//! Weights lie as the image's packing for Cortex-M says. Keys are packed like weights, four memories to a block;
//! values lie as int16, which SMLAD takes without unpacking: they take twice as many bytes as there are
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

/// Lines of assembly for r4, then for r5, r6 and r7, which are `\x` in them.
macro_rules! four {
    ($($line:literal),+) => {
        concat!(".irp x, r4, r5, r6, r7", $("\n", $line,)+ "\n.endr")
    };
}

/// The bytes in r4-r7 as the word r4.
macro_rules! pack_four {
    () => {
        "bfi r4, r5, #8, #8
         bfi r4, r6, #16, #8
         bfi r4, r7, #24, #8"
    };
}

mod attention;
mod kv_cache;
mod logits;
mod matrix;
mod requant;
mod values;

use core::marker::PhantomData;

use matrix::{Prepared, Room, product_wide};

use super::every_core::Core;
use super::packing::{COLUMNS, GROUP, MIN_SHIFT};
use crate::kernels::HeadHook;
use crate::portable::Rows;
use crate::{Attention, KvLayout};

/// The kernels of a core with the DSP extension; the target has it.
///
/// Weights of their maps are packed: blocks of four rows, groups of four columns, a word for each row of a group; aligned to
/// words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CortexM7(PhantomData<()>);

impl CortexM7 {
    /// The kernels, which every machine of the target has.
    #[must_use]
    pub const fn detect() -> Option<Self> {
        Some(Self(PhantomData))
    }
}

/// Those of the accumulators that a packed map has.
#[inline]
fn acc_of<'a>(map: Rows<'_>, acc: &'a mut [i32]) -> &'a mut [i32] {
    let rows = map.rows.div_ceil(GROUP).saturating_mul(GROUP);
    acc.get_mut(..rows).unwrap_or_default()
}

impl Core for CortexM7 {
    const LANES: usize = COLUMNS;
    const KV_LAYOUT: KvLayout = KvLayout::CORTEX_M7;

    /// The sums of all rows, 256-fold.
    #[inline]
    fn product<'a>(map: Rows<'_>, input: &[i8], acc: &'a mut [i32]) -> &'a mut [i32] {
        let acc = acc_of(map, acc);
        let mut room = Room::uninit();
        Prepared::new(input, &mut room).product(0, input.len(), map.weight, acc);
        acc
    }

    #[inline]
    fn wide_product<'a>(map: Rows<'_>, input: &[i16], acc: &'a mut [i32]) -> &'a mut [i32] {
        let acc = acc_of(map, acc);
        product_wide(map.weight, input, acc);
        acc
    }

    #[inline]
    fn wide_to_i16(map: Rows<'_>, acc: &[i32], out: &mut [i16]) {
        for (out, (requant, &sum)) in out.iter_mut().zip(map.requants().zip(acc)) {
            *out = requant.to_i16(sum);
        }
    }

    #[inline]
    fn attend(attention: Attention<'_, &[[u8; 4]]>, hook: Option<&mut HeadHook<'_>>) {
        attention::run(attention, hook);
    }
}
