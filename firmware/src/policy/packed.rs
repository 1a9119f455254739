//! An image whose weights were packed for other kernels than the portable ones.
//!
//! Packing moves weights, it changes none: the image stays what it is, and so do its hashes.

use core::cell::Cell;
use core::num::NonZeroUsize;

use engram_image::{Image, Parameters};
use engram_kernels::portable::Rows;
use engram_kernels::{Line, PackedBiases, PackedMap, Packing};

use super::memory::{LARGEST_CACHE, TOKENS};
use super::network::{KernelWeights, Network};
use super::token;

/// An image packed for the kernels `K`, in lines that the caller lends: one map after the other, in the order of
/// [`Weights::try_map`](engram_image::Weights::try_map).
pub(super) struct PackedImage<'a, K: Packing> {
    pub(super) kernels: K,
    pub(super) parameters: Parameters<'a>,
    weights: KernelWeights<'a, K>,
}

impl<'a, K: Packing> PackedImage<'a, K> {
    /// Lines that [`PackedImage::pack`] needs.
    pub(super) fn lines(image: &Image<'_>) -> usize {
        let shape = token::shape(&image.config);
        let count = Cell::new(0_usize);
        let add = |lines| {
            count.set(count.get().saturating_add(lines));
            Some(())
        };
        let _ = image.weights.try_map(
            |name, map| add(K::Map::lines(map.rows, name.shape(&image.config).1)),
            |name, map| add(K::WideMap::lines(map.rows, name.shape(&image.config).1)),
            |_| add(K::Biases::lines(shape)),
            |_| Some(()),
        );
        count.get()
    }

    /// Packs `image` into lines that [`PackedImage::view`] reads. `None`: it is packed for a board already, its
    /// keys and values take more than any cache as these kernels lay them, the lines are too few, or the image contradicts itself.
    pub(super) fn pack(kernels: K, image: &Image<'_>, lines: &mut [Line]) -> Option<()> {
        if image.packing != engram_image::Packing::Rows {
            return None;
        }
        let shape = token::shape(&image.config);
        if super::cache_on(kernels, &image.config).all() > LARGEST_CACHE {
            return None;
        }
        let rest = Cell::new(lines);
        let take = |count| {
            let (taken, more) = rest.take().split_at_mut_checked(count)?;
            rest.set(more);
            Some(taken)
        };
        let packed = image.weights.try_map(
            |name, map| {
                let columns = name.shape(&image.config).1;
                K::Map::pack(*map, columns, take(K::Map::lines(map.rows, columns))?)
            },
            |name, map| {
                let columns = name.shape(&image.config).1;
                K::WideMap::pack(*map, columns, take(K::WideMap::lines(map.rows, columns))?)
            },
            |layer| {
                let lines = take(K::Biases::lines(shape))?;
                K::Biases::pack(shape, layer.logit, layer.age_bias, lines)
            },
            |_| Some(()),
        );
        packed.map(|_| ())
    }

    /// An image in the lines that [`PackedImage::pack`] packed it into. `None`: they cannot be those.
    pub(super) fn view(kernels: K, parameters: Parameters<'a>, lines: &'a [Line]) -> Option<Self> {
        let shape = token::shape(parameters.config);
        let rest = Cell::new(lines);
        let take = |count| {
            let (taken, more) = rest.get().split_at_checked(count)?;
            rest.set(more);
            Some(taken)
        };
        let weights = parameters.weights.try_map(
            |name, map| {
                let columns = name.shape(parameters.config).1;
                K::Map::view(*map, columns, take(K::Map::lines(map.rows, columns))?)
            },
            |name, map| {
                let columns = name.shape(parameters.config).1;
                K::WideMap::view(*map, columns, take(K::WideMap::lines(map.rows, columns))?)
            },
            |layer| {
                let lines = take(K::Biases::lines(shape))?;
                K::Biases::view(shape, layer.logit, layer.age_bias, lines)
            },
            |positions| Some(*positions),
        )?;
        Some(Self {
            kernels,
            parameters,
            weights,
        })
    }

    /// What a step reads.
    #[inline(always)]
    pub(super) fn network(&self) -> Network<'_, 'a, K> {
        Network {
            config: self.parameters.config,
            input: self.parameters.input,
            weights: &self.weights,
        }
    }
}

/// Rows and columns of the map of [`products`]: 16 KB of weights.
const PRODUCT: [usize; 2] = [64, 256];

/// Packs a map that stays in the first-level cache into `lines` and multiplies it `rounds` times, with as many tokens as
/// the kernels take together: so they come nearest to what the processor can multiply. Returns the
/// multiply-accumulates of that. `None`: the lines are too few.
pub(super) fn products<K: Packing>(kernels: K, rounds: u32, lines: &mut [Line]) -> Option<u64> {
    let [rows, columns] = PRODUCT;
    let map = Rows {
        rows,
        weight: &[1; PRODUCT[0] * PRODUCT[1]],
        bias: &[],
        multiplier: &[[0, 0, 0, 0x40]; PRODUCT[0]],
        shift: &[40; PRODUCT[0]],
    };
    let lines = lines.get_mut(..K::Map::lines(rows, columns))?;
    K::Map::pack(map, columns, lines)?;
    let map = K::Map::view(map, columns, lines)?;
    let tokens = NonZeroUsize::new(K::TOKENS.min(TOKENS)).unwrap_or(NonZeroUsize::MIN);
    let mut input = [3; TOKENS * PRODUCT[1]];
    let (mut sums, mut out) = ([0; PRODUCT[0]], [0; TOKENS * PRODUCT[0]]);
    let input = input.get_mut(..tokens.get().checked_mul(columns)?)?;
    let out = out.get_mut(..tokens.get().checked_mul(rows)?)?;
    for _ in 0..rounds {
        kernels.run(
            #[inline(always)]
            || kernels.project_all(map, tokens, input, &mut sums, out),
        );
        // The next product waits for this one, as in a step.
        *input.first_mut()? = *out.first()?;
    }
    core::hint::black_box(out);
    let macs = rows.checked_mul(columns)?.checked_mul(tokens.get())?;
    u64::try_from(macs).ok()?.checked_mul(u64::from(rounds))
}
