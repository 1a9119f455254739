//! Attention of one token over the window on vectors.

use core::arch::naked_asm;
use core::num::NonZeroU32;

use super::logits::{self, Logits};
use super::matrix::product;
use super::{CortexM55, cpu, values};

use crate::cortex_m::heads::{self, Layout, Token};
use crate::kernels::Watch;
use crate::{Attention, Reciprocal, Requant};

/// [`crate::Kernels::attend`] for heads of a multiple of eight channels.
pub(super) fn run(attention: Attention<'_, &[[u8; 4]]>, watch: Option<&mut Watch<'_>>) {
    let (shape, place) = (attention.shape, attention.place);
    let places = CortexM55::places(shape);
    let Some(token) = Token::of(&attention) else {
        return;
    };
    let layout = Layout {
        places,
        key_bytes: shape.window.saturating_mul(shape.width),
        value_bytes: places.saturating_mul(shape.width),
    };
    values::store(attention.values, token.values, place.index, places);
    let ring = layout.key_bytes;
    store_keys(attention.keys, token.keys, shape.width, place.index, ring);
    let heads = Heads {
        queries: token.queries,
        width: shape.width,
        window: shape.window,
        logits: Logits::new(shape, attention.logit, place),
        output: attention.output,
    };
    heads::run(heads, layout, attention, watch);
}

/// The heads of one layer.
struct Heads<'a> {
    queries: &'a [i8],
    width: usize,
    window: usize,
    logits: Option<Logits>,
    output: Requant,
}

impl heads::Heads for Heads<'_> {
    #[inline(always)]
    fn products(&self, head: usize, keys: &[i8], products: &mut [i32]) {
        let products = products.get_mut(..self.window).unwrap_or_default();
        let start = head.wrapping_mul(self.width);
        let query = self.queries.get(start..start.wrapping_add(self.width));
        product(keys, query.unwrap_or_default(), &[], products);
    }

    #[inline(always)]
    fn exact(_: &mut [i32]) {}

    #[inline(always)]
    fn logits(&mut self, products: &mut [i32], biases: &[[u8; 4]]) -> Option<i32> {
        self.logits.as_mut()?.scale(products, biases)
    }

    #[inline(always)]
    fn weights(logits: &[i32], weights: &mut [i16], max: i32) -> NonZeroU32 {
        logits::weights(logits, weights, max)
    }

    #[inline(always)]
    fn means(
        &self,
        total: NonZeroU32,
        values: &[i8],
        weights: &[i16],
        sums: &mut [i32],
        means: &mut [i8],
    ) {
        values::weighted_sums(values, weights, sums);
        values::means(Reciprocal::new(total), self.output, sums, means);
    }
}

/// Puts the keys of all heads at their place.
#[inline]
fn store_keys(keys: &mut [i8], token: &[i8], width: usize, place: usize, ring: usize) {
    let heads = token.len().checked_div(width).unwrap_or(0);
    let start = place.saturating_mul(width);
    let inside = start.saturating_add(width) <= ring && ring.saturating_mul(heads) <= keys.len();
    if heads == 0 || !inside {
        return;
    }
    let to = keys.as_mut_ptr().wrapping_add(start);
    // SAFETY: there are `heads` rings of `ring` bytes, in each `width` bytes from `start`; `token` holds `width` for each.
    unsafe { copy_rows(to, token.as_ptr(), width, heads, ring) };
}

/// `rows` times `width` bytes, in `to` so many bytes apart, in `from` one behind the other.
///
/// # Safety
/// So many bytes may be read and written; both are at least 1.
#[unsafe(naked)]
unsafe extern "C" fn copy_rows(
    to: *mut i8,
    from: *const i8,
    width: usize,
    rows: usize,
    apart: usize,
) {
    naked_asm!(
        cpu!(),
        "push {{r4-r6, lr}}",
        "ldr r6, [sp, #16]",
        "2:",
        "mov r4, r0",
        "mov r5, r1",
        "dlstp.8 lr, r2",
        "3:",
        "vldrb.u8 q0, [r5], #16",
        "vstrb.8 q0, [r4], #16",
        "letp lr, 3b",
        "add r0, r6",
        "add r1, r2",
        "subs r3, #1",
        "bne 2b",
        "pop {{r4-r6, pc}}",
    )
}
