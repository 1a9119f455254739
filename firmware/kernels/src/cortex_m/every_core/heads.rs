//! Attention of one token over the window, one head after the other: what the kernels of all cores have in common.

use core::num::NonZeroU32;

use crate::kernels::HeadHook;
use crate::softmax::to_logits;
use crate::{Attention, CachePosition, KvLayout, Reciprocal, Requant, attention_probabilities};

/// What a core does for one head.
pub(in crate::cortex_m) trait Heads {
    /// How keys and values lie.
    const KV_LAYOUT: KvLayout;

    /// Inner products of the head's query with the keys of all positions, in a unit of the core's own.
    fn products(&self, head: usize, keys: &[i8], products: &mut [i32]);

    /// From that unit to whole products.
    fn exact(_products: &mut [i32]) {}

    /// Products to logits. The largest of them; `None`, with the products lost: plain Rust has to do it.
    fn logits(&mut self, products: &mut [i32], biases: &[[u8; 4]]) -> Option<i32>;

    /// Logits to attention probabilities, `max` being the largest. Their total.
    fn probabilities(logits: &[i32], probabilities: &mut [i16], max: i32) -> u32;

    /// Sums of all channels of the head, each value times the probability of its position.
    fn weighted_sums(values: &[i8], probabilities: &[i16], acc: &mut [i32]);

    /// `out[i]` is the context of `acc[i]`, for a multiple of eight channels. False where plain Rust has to do it.
    fn context(context: &Context, acc: &[i32], out: &mut [i8]) -> bool;
}

/// Queries, keys and values of one token. `None` where a part is missing, or the position is none of the window.
#[inline(always)]
pub(in crate::cortex_m) fn token<'a>(
    attention: &Attention<'a, &[[u8; 4]]>,
) -> Option<[&'a [i8]; 3]> {
    let shape = attention.shape;
    let model = shape.heads.saturating_mul(shape.width);
    let (queries, rest) = attention.qkv.split_at_checked(model)?;
    let (keys, rest) = rest.split_at_checked(model)?;
    let values = rest.get(..model)?;
    (attention.position.index < shape.window).then_some([queries, keys, values])
}

/// [`crate::Kernels::attend`] once the token's keys and values are in the cache.
#[inline(always)]
pub(in crate::cortex_m) fn run<H: Heads>(
    mut heads: H,
    attention: Attention<'_, &[[u8; 4]]>,
    mut hook: Option<&mut HeadHook<'_>>,
) {
    let Attention {
        shape,
        position,
        logit,
        output,
        biases,
        keys,
        values,
        acc,
        probabilities,
        context,
        ..
    } = attention;
    let (window, width) = (shape.window.max(1), shape.width.max(1));
    let positions = H::KV_LAYOUT.positions(shape);
    let [key_bytes, value_bytes] = H::KV_LAYOUT.bytes_of_head(shape);
    let Some(probabilities) = probabilities.get_mut(..positions) else {
        return;
    };
    // Not zipped: the length of two zipped chunk iterators is a division, checked when not inlined.
    let mut keys = keys.chunks_exact(key_bytes.max(1));
    let mut values = values.chunks_exact(value_bytes.max(1));
    let mut biases = biases.chunks_exact(window);
    for (head, context) in context.chunks_exact_mut(width).enumerate() {
        let (Some(keys), Some(values)) = (keys.next(), values.next()) else {
            return;
        };
        let Some(products) = acc.get_mut(..positions) else {
            return;
        };
        let biases = biases.next().unwrap_or_default();
        heads.products(head, keys, products);
        let total = match heads.logits(products, biases) {
            Some(max) => {
                let total = H::probabilities(products, probabilities, max);
                NonZeroU32::new(total).unwrap_or(NonZeroU32::MIN)
            }
            None => {
                heads.products(head, keys, products);
                H::exact(products);
                let products = products.get_mut(..window).unwrap_or_default();
                plain_probabilities(products, logit, biases, position, probabilities)
            }
        };
        // Sums of the values, one per channel; the logits are done with.
        let acc = acc.get_mut(..width).unwrap_or_default();
        H::weighted_sums(values, probabilities, acc);
        let reciprocal = Reciprocal::new(total);
        let usual = Context::new(reciprocal, output);
        if !usual.is_some_and(|usual| H::context(&usual, acc, context)) {
            plain_context(reciprocal, output, acc, context);
        }
        if let Some(hook) = &mut hook {
            let probabilities = probabilities.get(..window).unwrap_or_default();
            hook(head, probabilities, total.get());
        }
    }
}

/// Whether logits that nobody limited to `-2^30..=2^30` make the probabilities of those that are, `max` being the largest: it lies in
/// this range and so far from its lower end that what would be limited there weighs nothing either way.
#[inline(always)]
pub(in crate::cortex_m) fn is_usual(max: i32) -> bool {
    const LOGIT_MAX: i32 = 1 << 30;
    /// Distance from the largest logit at which a weight is 0 for certain.
    const NOTHING: i32 = 16 << crate::LOGIT_FRACTION_BITS;
    (NOTHING - LOGIT_MAX..=LOGIT_MAX).contains(&max)
}

/// From the weighted sums of one head to its context, in numbers that a kernel takes.
#[repr(C)]
pub(in crate::cortex_m) struct Context {
    /// Takes any sum of the head to 32 bits without loss; the context's shift is then 39.
    left: u32,
    /// With its top bit, which a kernel sees as the number minus 2^32, and adds the sum for the difference.
    reciprocal: u32,
    multiplier: i32,
    /// The output's shift minus 32, at least 1.
    shift: u32,
}

impl Context {
    /// `None` for what only a contrived image has: [`plain_context`] does it.
    #[inline(always)]
    fn new(reciprocal: Reciprocal, output: Requant) -> Option<Self> {
        let Reciprocal { factor, shift } = reciprocal;
        let usual = shift <= 39 && factor >= 1 << 31 && (33..=62).contains(&output.shift);
        usual.then_some(Self {
            left: 39_u32.wrapping_sub(shift),
            reciprocal: factor,
            multiplier: output.multiplier,
            shift: u32::from(output.shift).wrapping_sub(32),
        })
    }
}

/// The way of [`crate::Portable`], for what only a contrived image has. Never inlined: it would take the registers.
#[cold]
#[inline(never)]
fn plain_probabilities(
    products: &mut [i32],
    logit: Requant,
    biases: &[[u8; 4]],
    position: CachePosition,
    probabilities: &mut [i16],
) -> NonZeroU32 {
    let biases = biases.iter().copied().map(i32::from_le_bytes);
    to_logits(
        products,
        logit,
        biases.chain(core::iter::repeat(0)),
        position,
    );
    probabilities.fill(0);
    attention_probabilities(products, probabilities)
}

/// `out[i] = output.to_i8(reciprocal.context_q16(acc[i]))`, likewise.
#[cold]
#[inline(never)]
fn plain_context(reciprocal: Reciprocal, output: Requant, acc: &[i32], out: &mut [i8]) {
    for (out, &sum) in out.iter_mut().zip(acc) {
        *out = output.to_i8(reciprocal.context_q16(sum));
    }
}
