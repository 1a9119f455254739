//! Attention of one token over the window on vectors.

use core::arch::naked_asm;
use core::num::NonZeroU32;

use super::logits::{self, Logits};
use super::matrix::product;
use super::{CortexM55, cpu, values};

use crate::cortex_m::heads::{self, Layout, Token};
use crate::kernels::HeadHook;
use crate::{Attention, Reciprocal, Requant};

/// [`crate::Kernels::attend`] for heads of a multiple of eight channels.
pub(super) fn run(attention: Attention<'_, &[[u8; 4]]>, hook: Option<&mut HeadHook<'_>>) {
    let (shape, position) = (attention.shape, attention.position);
    let positions = CortexM55::positions(shape);
    let Some(token) = Token::of(&attention) else {
        return;
    };
    let layout = Layout {
        positions,
        key_bytes: shape.window.saturating_mul(shape.width),
        value_bytes: positions.saturating_mul(shape.width),
    };
    values::store(attention.values, token.values, position.index, positions);
    let ring = layout.key_bytes;
    store_keys(
        attention.keys,
        token.keys,
        shape.width,
        position.index,
        ring,
    );
    let heads = Heads {
        queries: token.queries,
        width: shape.width,
        window: shape.window,
        logits: Logits::new(shape, attention.logit, position),
        output: attention.output,
    };
    heads::run(heads, layout, attention, hook);
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
    fn probabilities(logits: &[i32], probabilities: &mut [i16], max: i32) -> NonZeroU32 {
        logits::probabilities(logits, probabilities, max)
    }

    #[inline(always)]
    fn context(
        &self,
        total: NonZeroU32,
        values: &[i8],
        probabilities: &[i16],
        acc: &mut [i32],
        context: &mut [i8],
    ) {
        values::weighted_sums(values, probabilities, acc);
        values::context(Reciprocal::new(total), self.output, acc, context);
    }
}

/// Puts the keys of all heads at their place.
#[inline]
fn store_keys(keys: &mut [i8], token: &[i8], width: usize, position: usize, ring: usize) {
    let heads = token.len().checked_div(width).unwrap_or(0);
    let start = position.saturating_mul(width);
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
