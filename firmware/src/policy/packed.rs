//! An image whose weights were packed for other kernels than the portable ones.
//!
//! Packing moves weights, it changes none: the image stays what it is, and so do its hashes.

use core::borrow::Borrow;

use engram_image::limits::MAX_LAYERS;
use engram_image::{Image, Layer, Matrix};
use engram_kernels::{Line, PackedBiases, PackedMap, Packing, Shape};

use super::encoder;
use super::memory::RING_BYTES;
use super::network::{HeadMaps, LayerMaps, Network, factor, rows};

/// An image packed for the kernels `K`, in lines that the caller lends.
pub(super) struct PackedImage<'a, K: Packing> {
    kernels: K,
    image: &'a Image<'a>,
    embed: K::WideMap<'a>,
    layers: [Option<LayerMaps<'a, K>>; MAX_LAYERS],
    head: HeadMaps<'a, K>,
}

impl<'a, K: Packing> PackedImage<'a, K> {
    /// Lines that [`PackedImage::pack`] needs.
    pub(super) fn lines(image: &Image<'_>) -> usize {
        let shape = encoder::shape(&image.config);
        let of = |matrix: &Matrix<'_>| K::Map::lines(matrix.rows, matrix.columns);
        let wide = |matrix: &Matrix<'_>| K::WideMap::lines(matrix.rows, matrix.columns);
        let layers = image.weights.layers().iter().map(|layer| {
            [&layer.qkv, &layer.out, &layer.ff1, &layer.ff2]
                .map(of)
                .into_iter()
                .fold(K::Biases::lines(shape), usize::saturating_add)
        });
        let head = &image.weights.head;
        [&head.first, &head.second, &head.third]
            .map(of)
            .into_iter()
            .chain(layers)
            .chain(head.raw.as_ref().map(wide))
            .fold(wide(&image.weights.embed), usize::saturating_add)
    }

    /// Packs `image` into lines that [`PackedImage::view`] reads. `None`: it is packed for a board already, its
    /// rings do not fit as these kernels lay them, the lines are too few, or the image contradicts itself.
    pub(super) fn pack(_: K, image: &Image<'_>, lines: &mut [Line]) -> Option<()> {
        if image.packing != engram_image::Packing::Rows {
            return None;
        }
        let shape = encoder::shape(&image.config);
        for (bytes, most) in K::ring_bytes(shape).into_iter().zip(RING_BYTES) {
            if bytes.checked_mul(image.config.layers)? > most {
                return None;
            }
        }
        let mut packer = Packer { lines };
        let weights = &image.weights;
        packer.map::<K::WideMap<'_>>(&weights.embed)?;
        for layer in weights.layers() {
            packer.map::<K::Map<'_>>(&layer.qkv)?;
            packer.biases::<K::Biases<'_>>(shape, layer)?;
            for matrix in [&layer.out, &layer.ff1, &layer.ff2] {
                packer.map::<K::Map<'_>>(matrix)?;
            }
        }
        packer.map::<K::Map<'_>>(&weights.head.first)?;
        if let Some(raw) = &weights.head.raw {
            packer.map::<K::WideMap<'_>>(raw)?;
        }
        packer.map::<K::Map<'_>>(&weights.head.second)?;
        packer.map::<K::Map<'_>>(&weights.head.third)
    }

    /// `image` in the lines that [`PackedImage::pack`] packed it into. `None`: they cannot be those.
    pub(super) fn view(kernels: K, image: &'a Image<'a>, lines: &'a [Line]) -> Option<Self> {
        let mut viewer = Viewer { lines };
        let weights = &image.weights;
        let embed = viewer.map(&weights.embed)?;
        let mut layers = [const { None }; MAX_LAYERS];
        for (place, layer) in layers.iter_mut().zip(weights.layers()) {
            *place = Some(viewer.layer(image, layer)?);
        }
        let head = HeadMaps {
            first: viewer.map(&weights.head.first)?,
            raw: match &weights.head.raw {
                Some(raw) => Some(viewer.map(raw)?),
                None => None,
            },
            second: viewer.map(&weights.head.second)?,
            third: viewer.map(&weights.head.third)?,
        };
        Some(Self {
            kernels,
            image,
            embed,
            layers,
            head,
        })
    }
}

/// Fills the lines, one map after the other, in the order in which a step reads them.
struct Packer<'a> {
    lines: &'a mut [Line],
}

impl<'a> Packer<'a> {
    fn take(&mut self, count: usize) -> Option<&'a mut [Line]> {
        let (taken, rest) = core::mem::take(&mut self.lines).split_at_mut_checked(count)?;
        self.lines = rest;
        Some(taken)
    }

    fn map<'m, M: PackedMap<'m>>(&mut self, matrix: &Matrix<'_>) -> Option<()> {
        let lines = self.take(M::lines(matrix.rows, matrix.columns))?;
        M::pack(rows(matrix), matrix.columns, lines)
    }

    fn biases<'m, B: PackedBiases<'m>>(&mut self, shape: Shape, layer: &Layer<'_>) -> Option<()> {
        let lines = self.take(B::lines(shape))?;
        B::pack(shape, factor(layer.logit), layer.age_bias, lines)
    }
}

/// Finds the maps in the lines, in the order of [`Packer`].
struct Viewer<'a> {
    lines: &'a [Line],
}

impl<'a> Viewer<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [Line]> {
        let (taken, rest) = self.lines.split_at_checked(count)?;
        self.lines = rest;
        Some(taken)
    }

    fn map<M: PackedMap<'a>>(&mut self, matrix: &Matrix<'a>) -> Option<M> {
        let lines = self.take(M::lines(matrix.rows, matrix.columns))?;
        M::view(rows(matrix), matrix.columns, lines)
    }

    fn biases<B: PackedBiases<'a>>(&mut self, shape: Shape, layer: &Layer<'a>) -> Option<B> {
        let lines = self.take(B::lines(shape))?;
        B::view(shape, factor(layer.logit), layer.age_bias, lines)
    }

    fn layer<K: Packing>(
        &mut self,
        image: &Image<'_>,
        layer: &Layer<'a>,
    ) -> Option<LayerMaps<'a, K>> {
        let qkv = self.map(&layer.qkv)?;
        let biases = self.biases(encoder::shape(&image.config), layer)?;
        Some(LayerMaps {
            attention_input: factor(layer.attention_input),
            qkv,
            logit: factor(layer.logit),
            biases,
            attention_output: factor(layer.attention_output),
            out: self.map(&layer.out)?,
            ff_input: factor(layer.ff_input),
            ff1: self.map(&layer.ff1)?,
            ff2: self.map(&layer.ff2)?,
        })
    }
}

impl<'a, K: Packing> Network<'a, K> for PackedImage<'a, K> {
    #[inline(always)]
    fn kernels(&self) -> K {
        self.kernels
    }

    #[inline(always)]
    fn image(&self) -> &Image<'_> {
        self.image
    }

    #[inline(always)]
    fn embed(&self) -> K::WideMap<'a> {
        self.embed
    }

    #[inline(always)]
    fn layer(&self, index: usize) -> Option<impl Borrow<LayerMaps<'a, K>>> {
        self.layers.get(index)?.as_ref()
    }

    #[inline(always)]
    fn head(&self) -> impl Borrow<HeadMaps<'a, K>> {
        &self.head
    }
}
