//! Attention of one token over the window on packed keys.

use core::num::NonZeroU32;

use super::matrix::{Prepared, Room};
use super::{CortexM7, kv_cache, logits, values};

use crate::cortex_m::heads::{self, Layout, Token};
use crate::kernels::HeadHook;
use crate::{Attention, CachePosition, Reciprocal, Requant};

/// [`crate::Kernels::attend`] for heads of a multiple of eight channels.
pub(super) fn run(attention: Attention<'_, &[[u8; 4]]>, hook: Option<&mut HeadHook<'_>>) {
    let (shape, position) = (attention.shape, attention.position);
    let positions = CortexM7::positions(shape);
    let Some(token) = Token::of(&attention) else {
        return;
    };
    let key_bytes = positions.saturating_mul(shape.width);
    let layout = Layout {
        positions,
        key_bytes,
        value_bytes: key_bytes.saturating_mul(size_of::<i16>()),
    };
    let ring = kv_cache::Ring {
        positions,
        width: shape.width,
        position: position.index,
    };
    ring.store_keys(attention.keys, token.keys);
    ring.store_values(attention.values, token.values);
    let mut room = Room::uninit();
    let heads = Heads {
        queries: Prepared::new(token.queries, &mut room),
        width: shape.width,
        window: shape.window,
        position,
        logit: attention.logit,
        output: attention.output,
    };
    heads::run(heads, layout, attention, hook);
}

/// The heads of one layer; their products are 256-fold.
struct Heads<'a> {
    queries: Prepared<'a>,
    width: usize,
    window: usize,
    position: CachePosition,
    logit: Requant,
    output: Requant,
}

impl heads::Heads for Heads<'_> {
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
