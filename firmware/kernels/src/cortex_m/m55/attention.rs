//! Attention of one token over the window on vectors.

use super::LANES;
use super::kv_cache::{BLOCK, store_keys, store_values};
use super::logits::{self, Scale};
use super::matrix::product;
use super::values::{Walk, context_of_sums, sum_blocks};
use crate::cortex_m::every_core::heads::{self, Context};
use crate::kernels::HeadHook;
use crate::{Attention, KvLayout};

/// [`crate::Kernels::attend`] for heads of a multiple of eight channels.
#[inline]
pub(super) fn run(attention: Attention<'_, &[[u8; 4]]>, hook: Option<&mut HeadHook<'_>>) {
    let (shape, position) = (attention.shape, attention.position);
    let positions = KvLayout::CORTEX_M55.positions(shape);
    let Some([queries, keys, values]) = heads::token(&attention) else {
        return;
    };
    store_values(attention.values, values, position.index, positions);
    let [of_head, _] = KvLayout::CORTEX_M55.bytes_of_head(shape);
    store_keys(attention.keys, keys, shape.width, position.index, of_head);
    let heads = Heads {
        queries,
        width: shape.width,
        window: shape.window,
        scale: Scale::new(shape, attention.logit, position),
    };
    heads::run(heads, attention, hook);
}

/// The heads of one layer.
struct Heads<'a> {
    queries: &'a [i8],
    width: usize,
    window: usize,
    scale: Option<Scale>,
}

impl heads::Heads for Heads<'_> {
    const KV_LAYOUT: KvLayout = KvLayout::CORTEX_M55;

    #[inline(always)]
    fn products(&self, head: usize, keys: &[i8], products: &mut [i32]) {
        let products = products.get_mut(..self.window).unwrap_or_default();
        let start = head.wrapping_mul(self.width);
        let query = self.queries.get(start..start.wrapping_add(self.width));
        product(keys, query.unwrap_or_default(), &[], products);
    }

    #[inline(always)]
    fn logits(&mut self, products: &mut [i32], biases: &[[u8; 4]]) -> Option<i32> {
        self.scale.as_mut()?.logits(products, biases)
    }

    #[inline(always)]
    fn probabilities(logits: &[i32], probabilities: &mut [i16], max: i32) -> u32 {
        logits::probabilities(logits, probabilities, max)
    }

    #[inline(always)]
    fn weighted_sums(values: &[i8], probabilities: &[i16], acc: &mut [i32]) {
        let steps = probabilities.len() / LANES;
        let bytes = steps.wrapping_mul(BLOCK);
        let blocks = acc.len() / LANES;
        if steps == 0 || blocks == 0 || bytes.saturating_mul(blocks) > values.len() {
            return;
        }
        let from = probabilities.as_ptr();
        let walk = Walk {
            end: acc.as_ptr().wrapping_add(blocks.wrapping_mul(LANES)),
            probabilities_end: from.wrapping_add(steps.wrapping_mul(LANES)),
        };
        // SAFETY: `values` holds `blocks` times `steps` blocks, `probabilities` eight for each step, `acc` eight for
        // each of the blocks; at least one of each.
        unsafe { sum_blocks(values.as_ptr(), from, acc.as_mut_ptr(), &walk) };
    }

    #[inline(always)]
    fn context(context: &Context, acc: &[i32], out: &mut [i8]) -> bool {
        let eights = acc.len().min(out.len()) / LANES;
        if eights == 0 {
            return false;
        }
        // SAFETY: `acc` and `out` hold `eights` times eight entries, at least eight; heads have a multiple of
        // eight channels, so that none is left over.
        unsafe { context_of_sums(acc.as_ptr(), out.as_mut_ptr(), eights, context) };
        true
    }
}
