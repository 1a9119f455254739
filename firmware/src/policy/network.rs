//! Where a step reads its weights: an image as it is, or one that was packed for other kernels.

use core::borrow::Borrow;

use engram_image::{Image, Matrix, Packing};
use engram_kernels::portable::Rows;
use engram_kernels::{Kernels, Line, Requant};

/// An image whose linear maps lie as the kernels `K` read them.
pub(super) trait Network<'a, K: Kernels> {
    /// The kernels.
    fn kernels(&self) -> K;
    /// Configuration, scales and golden trace.
    fn image(&self) -> &Image<'_>;
    /// The embedding.
    fn embed(&self) -> K::WideMap<'a>;
    /// The layer of this number, if there is one.
    fn layer(&self, index: usize) -> Option<impl Borrow<LayerMaps<'a, K>>>;
    /// The policy head.
    fn head(&self) -> impl Borrow<HeadMaps<'a, K>>;
}

/// The maps and factors of one layer, as in [`engram_image::Layer`].
#[derive(Clone, Copy)]
pub(super) struct LayerMaps<'a, K: Kernels> {
    pub(super) attention_input: Requant,
    pub(super) qkv: K::Map<'a>,
    pub(super) logit: Requant,
    pub(super) biases: K::Biases<'a>,
    pub(super) attention_output: Requant,
    pub(super) out: K::Map<'a>,
    pub(super) ff_input: Requant,
    pub(super) ff1: K::Map<'a>,
    pub(super) ff2: K::Map<'a>,
}

/// The maps of the head, as in [`engram_image::Head`].
#[derive(Clone, Copy)]
pub(super) struct HeadMaps<'a, K: Kernels> {
    pub(super) first: K::Map<'a>,
    pub(super) raw: Option<K::WideMap<'a>>,
    pub(super) second: K::Map<'a>,
    pub(super) third: K::Map<'a>,
}

/// The kernels' factor of the image's.
#[inline]
pub(super) const fn factor(requant: engram_image::Requant) -> Requant {
    Requant {
        multiplier: requant.multiplier,
        shift: requant.shift,
    }
}

/// The kernels' rows of an image's matrix.
#[inline]
pub(super) const fn rows<'a>(matrix: &Matrix<'a>) -> Rows<'a> {
    Rows {
        rows: matrix.rows,
        weight: matrix.weight,
        bias: matrix.bias,
        multiplier: matrix.multiplier,
        shift: matrix.shift,
    }
}

/// Kernels that read the maps of an image as they lie there, in one packing: other kernels would make meaningless numbers of it.
pub(super) trait ReadsImages:
    for<'a> Kernels<Map<'a> = Rows<'a>, WideMap<'a> = Rows<'a>, Biases<'a> = &'a [[u8; 4]]>
{
    /// The packing.
    const PACKING: Packing = Packing::Rows;
}

impl ReadsImages for engram_kernels::Portable {}

#[cfg(all(target_arch = "arm", feature = "cortex-m55"))]
impl ReadsImages for engram_kernels::cortex_m::m55::CortexM55 {}

#[cfg(all(target_arch = "arm", feature = "cortex-m7"))]
impl ReadsImages for engram_kernels::cortex_m::m7::CortexM7 {
    const PACKING: Packing = Packing::CortexM;
}

/// An image in the packing that the kernels read.
pub(super) struct ImageAsItLies<'a, K> {
    pub(super) kernels: K,
    pub(super) image: &'a Image<'a>,
}

impl<'a, K: ReadsImages> ImageAsItLies<'a, K> {
    /// No lines are needed.
    pub(super) const fn lines(_: &Image<'_>) -> usize {
        0
    }

    /// `None`: the image has another packing.
    pub(super) fn pack(_: K, image: &Image<'_>, _: &mut [Line]) -> Option<()> {
        (image.packing == K::PACKING).then_some(())
    }

    /// The image.
    pub(super) const fn view(kernels: K, image: &'a Image<'a>, _: &'a [Line]) -> Option<Self> {
        Some(Self { kernels, image })
    }
}

impl<'a, K: ReadsImages> Network<'a, K> for ImageAsItLies<'a, K> {
    #[inline]
    fn kernels(&self) -> K {
        self.kernels
    }

    #[inline]
    fn image(&self) -> &Image<'_> {
        self.image
    }

    #[inline]
    fn embed(&self) -> Rows<'a> {
        rows(&self.image.weights.embed)
    }

    #[inline]
    fn layer(&self, index: usize) -> Option<impl Borrow<LayerMaps<'a, K>>> {
        let layer = self.image.weights.layers().get(index)?;
        Some(LayerMaps {
            attention_input: factor(layer.attention_input),
            qkv: rows(&layer.qkv),
            logit: factor(layer.logit),
            biases: layer.age_bias,
            attention_output: factor(layer.attention_output),
            out: rows(&layer.out),
            ff_input: factor(layer.ff_input),
            ff1: rows(&layer.ff1),
            ff2: rows(&layer.ff2),
        })
    }

    #[inline]
    fn head(&self) -> impl Borrow<HeadMaps<'a, K>> {
        let head = &self.image.weights.head;
        HeadMaps {
            first: rows(&head.first),
            raw: head.raw.as_ref().map(rows),
            second: rows(&head.second),
            third: rows(&head.third),
        }
    }
}
