//! An image whose weights were packed for other kernels than the portable ones.
//!
//! Packing moves weights, it changes none: the image stays what it is, and so do its hashes.

use core::cell::Cell;

use engram_image::{Image, Parameters};
use engram_kernels::{CacheLine, PackedBiases, PackedLinear, Packing};

use super::encoder;
use super::memory::{CacheBytes, LARGEST_CACHE};
use super::network::{KernelWeights, Network};

/// An image packed for the kernels `K`, in lines that the caller lends: one map after the other, in the order of
/// [`Weights::try_map`](engram_image::Weights::try_map).
pub(super) struct PackedImage<'a, K: Packing> {
    kernels: K,
    pub(super) parameters: Parameters<'a>,
    weights: KernelWeights<'a, K>,
    cache: CacheBytes,
}

impl<'a, K: Packing> PackedImage<'a, K> {
    /// Lines that [`PackedImage::pack`] needs.
    pub(super) fn lines(image: &Image<'_>) -> usize {
        let shape = encoder::shape(&image.config);
        let count = Cell::new(0_usize);
        let add = |lines| {
            count.set(count.get().saturating_add(lines));
            Some(())
        };
        let _ = image.weights.try_map(
            |name, map| add(K::Linear::lines(map.rows, name.shape(&image.config).1)),
            |name, map| add(K::WideLinear::lines(map.rows, name.shape(&image.config).1)),
            |_| add(K::Biases::lines(shape)),
            |_| Some(()),
        );
        count.get()
    }

    /// Packs `image` into lines that [`PackedImage::view`] reads. `None`: it is packed for a board already, its
    /// keys and values take more than any cache as these kernels lay them, the lines are too few, or the image contradicts itself.
    pub(super) fn pack(_: K, image: &Image<'_>, lines: &mut [CacheLine]) -> Option<()> {
        if image.packing != engram_image::Packing::Rows {
            return None;
        }
        let shape = encoder::shape(&image.config);
        if super::cache_on::<K>(&image.config).all() > LARGEST_CACHE {
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
                K::Linear::pack(*map, columns, take(K::Linear::lines(map.rows, columns))?)
            },
            |name, map| {
                let columns = name.shape(&image.config).1;
                K::WideLinear::pack(
                    *map,
                    columns,
                    take(K::WideLinear::lines(map.rows, columns))?,
                )
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
    pub(super) fn view(
        kernels: K,
        parameters: Parameters<'a>,
        lines: &'a [CacheLine],
    ) -> Option<Self> {
        let shape = encoder::shape(parameters.config);
        let rest = Cell::new(lines);
        let take = |count| {
            let (taken, more) = rest.get().split_at_checked(count)?;
            rest.set(more);
            Some(taken)
        };
        let weights = parameters.weights.try_map(
            |name, map| {
                let columns = name.shape(parameters.config).1;
                K::Linear::view(*map, columns, take(K::Linear::lines(map.rows, columns))?)
            },
            |name, map| {
                let columns = name.shape(parameters.config).1;
                K::WideLinear::view(
                    *map,
                    columns,
                    take(K::WideLinear::lines(map.rows, columns))?,
                )
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
            cache: super::cache_on::<K>(parameters.config),
        })
    }

    /// What a step reads.
    #[inline(always)]
    pub(super) fn network(&self) -> Network<'_, 'a, K> {
        Network {
            kernels: self.kernels,
            packing: self.parameters.packing,
            config: self.parameters.config,
            input: self.parameters.input,
            weights: &self.weights,
            cache: self.cache,
        }
    }
}
