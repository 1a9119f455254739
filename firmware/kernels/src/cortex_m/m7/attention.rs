//! Attention of one token over the window on packed keys.

use core::num::NonZeroU32;

use super::matrix::{Prepared, Room};
use super::{CortexM7, logits, rings, values};

use crate::cortex_m::heads::{self, Layout, Token};
use crate::kernels::Watch;
use crate::{Attention, Place, Reciprocal, Requant};

/// [`crate::Kernels::attend`] for heads of a multiple of eight channels.
pub(super) fn run(attention: Attention<'_, &[[u8; 4]]>, watch: Option<&mut Watch<'_>>) {
    let (shape, place) = (attention.shape, attention.place);
    let places = CortexM7::places(shape);
    let Some(token) = Token::of(&attention) else {
        return;
    };
    let key_bytes = places.saturating_mul(shape.width);
    let layout = Layout {
        places,
        key_bytes,
        value_bytes: key_bytes.saturating_mul(size_of::<i16>()),
    };
    let ring = rings::Ring {
        places,
        width: shape.width,
        place: place.index,
    };
    ring.store_keys(attention.keys, token.keys);
    ring.store_values(attention.values, token.values);
    let mut room = Room::uninit();
    let heads = Heads {
        queries: Prepared::new(token.queries, &mut room),
        width: shape.width,
        window: shape.window,
        place,
        logit: attention.logit,
        output: attention.output,
    };
    heads::run(heads, layout, attention, watch);
}

/// The heads of one layer; their products are 256-fold.
struct Heads<'a> {
    queries: Prepared<'a>,
    width: usize,
    window: usize,
    place: Place,
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
        logits::scale(products, self.window, self.logit, biases, self.place)
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
