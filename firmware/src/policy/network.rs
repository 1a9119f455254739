//! Where a step reads its weights: an image as it is, or one that was packed for other kernels.

use core::borrow::Borrow;

use engram_image::{Matrix, Parameters};
use engram_kernels::portable::Rows;
use engram_kernels::{Kernels, Requant};

/// An image whose linear maps lie as the kernels `K` read them.
pub(super) trait Network<'a, K: Kernels> {
    /// Configuration, scales, and the weights as they lie in the image.
    fn parameters(&self) -> Parameters<'_>;
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

/// Kernels that read the maps of an image as they lie there. Who calls them has looked at the image's packing: other kernels
/// would make meaningless numbers of it.
pub(super) trait ReadsImages:
    for<'a> Kernels<Map<'a> = Rows<'a>, WideMap<'a> = Rows<'a>, Biases<'a> = &'a [[u8; 4]]>
{
}

impl ReadsImages for engram_kernels::Portable {}

#[cfg(all(target_arch = "arm", feature = "cortex-m55"))]
impl ReadsImages for engram_kernels::cortex_m::m55::CortexM55 {}

#[cfg(all(target_arch = "arm", feature = "cortex-m7"))]
impl ReadsImages for engram_kernels::cortex_m::m7::CortexM7 {}

impl<'a, K: ReadsImages> Network<'a, K> for Parameters<'a> {
    #[inline]
    fn parameters(&self) -> Parameters<'_> {
        *self
    }

    #[inline]
    fn embed(&self) -> Rows<'a> {
        rows(&self.weights.embed)
    }

    #[inline]
    fn layer(&self, index: usize) -> Option<impl Borrow<LayerMaps<'a, K>>> {
        let layer = self.weights.layers().get(index)?;
        Some(LayerMaps {
            attention_input: layer.attention_input,
            qkv: rows(&layer.qkv),
            logit: layer.logit,
            biases: layer.age_bias,
            attention_output: layer.attention_output,
            out: rows(&layer.out),
            ff_input: layer.ff_input,
            ff1: rows(&layer.ff1),
            ff2: rows(&layer.ff2),
        })
    }

    #[inline]
    fn head(&self) -> impl Borrow<HeadMaps<'a, K>> {
        let head = &self.weights.head;
        HeadMaps {
            first: rows(&head.first),
            raw: head.raw.as_ref().map(rows),
            second: rows(&head.second),
            third: rows(&head.third),
        }
    }
}
