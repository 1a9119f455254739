//! Attention of one token over the window on packed keys.

use super::matrix::{Prepared, Room, run_blocks};
use super::values::{context_of_sums, sum_blocks};
use super::{GROUP, kv_cache, logits};
use crate::cortex_m::every_core::heads::{self, Context};
use crate::kernels::HeadHook;
use crate::{Attention, CachePosition, KvLayout, Requant};

/// [`crate::Kernels::attend`] for heads of a multiple of eight channels.
#[inline]
pub(super) fn run(attention: Attention<'_, &[[u8; 4]]>, hook: Option<&mut HeadHook<'_>>) {
    let (shape, position) = (attention.shape, attention.position);
    let Some([queries, keys, values]) = heads::token(&attention) else {
        return;
    };
    let place = kv_cache::Place {
        positions: KvLayout::CORTEX_M7.positions(shape),
        width: shape.width,
        position: position.index,
    };
    place.store_keys(attention.keys, keys);
    place.store_values(attention.values, values);
    let mut room = Room::uninit();
    let heads = Heads {
        queries: Prepared::new(queries, &mut room),
        width: shape.width,
        window: shape.window,
        position,
        logit: attention.logit,
    };
    heads::run(heads, attention, hook);
}

/// The heads of one layer; their products are 256-fold.
struct Heads<'a> {
    queries: Prepared<'a>,
    width: usize,
    window: usize,
    position: CachePosition,
    logit: Requant,
}

impl heads::Heads for Heads<'_> {
    const KV_LAYOUT: KvLayout = KvLayout::CORTEX_M7;

    #[inline(always)]
    fn products(&self, head: usize, keys: &[i8], products: &mut [i32]) {
        let first = head.wrapping_mul(self.width);
        self.queries.product(first, self.width, keys, products);
    }

    fn exact(products: &mut [i32]) {
        products.iter_mut().for_each(|product| *product >>= 8);
    }

    #[inline(always)]
    fn logits(&mut self, products: &mut [i32], biases: &[[u8; 4]]) -> Option<i32> {
        logits::scale(products, self.window, self.logit, biases, self.position)
    }

    #[inline(always)]
    fn probabilities(logits: &[i32], probabilities: &mut [i16], max: i32) -> u32 {
        logits::probabilities(logits, probabilities, max)
    }

    /// `values` holds int16 in blocks of four channels, within them in groups of two positions.
    #[inline(always)]
    fn weighted_sums(values: &[i8], probabilities: &[i16], acc: &mut [i32]) {
        let steps = probabilities.len() / GROUP;
        let channel = steps.wrapping_mul(GROUP * size_of::<i16>());
        // SAFETY: a step reads four positions of four channels, and as many probabilities.
        unsafe {
            run_blocks(
                sum_blocks,
                values,
                channel,
                (probabilities.as_ptr(), steps),
                acc,
            )
        };
    }

    #[inline(always)]
    fn context(context: &Context, acc: &[i32], out: &mut [i8]) -> bool {
        let whole = acc.len().min(out.len()) / GROUP * GROUP;
        if whole == 0 || !out.as_ptr().cast::<u32>().is_aligned() {
            return false;
        }
        let (start, end) = (acc.as_ptr(), acc.as_ptr().wrapping_add(whole));
        // SAFETY: `acc` and `out` hold `whole` entries, at least four, aligned to words; heads have a multiple of
        // four channels, so that none is left over.
        unsafe { context_of_sums(start, out.as_mut_ptr(), end, context) };
        true
    }
}
