//! Where a step reads its weights: an image as it is, or one that was packed for other kernels.

use engram_image::{Image, InputScales, ModelConfig, Packing, Parameters, Weights};
use engram_kernels::portable::Rows;
use engram_kernels::{CacheLine, Kernels};

use super::memory::CacheBytes;

/// The weights of a network whose linear maps lie as the kernels `K` read them.
pub(super) type KernelWeights<'a, K> = Weights<
    <K as Kernels>::Linear<'a>,
    <K as Kernels>::Biases<'a>,
    &'a [[u8; 2]],
    <K as Kernels>::WideLinear<'a>,
>;

/// A layer of them.
pub(super) type Layer<'a, K> =
    engram_image::Layer<<K as Kernels>::Linear<'a>, <K as Kernels>::Biases<'a>>;

/// What a step on the kernels `K` reads.
pub(super) struct Network<'n, 'a, K: Kernels> {
    pub(super) kernels: K,
    pub(super) packing: Packing,
    pub(super) config: &'n ModelConfig,
    pub(super) input: &'n InputScales,
    pub(super) weights: &'n KernelWeights<'a, K>,
    /// What it takes of a cache.
    pub(super) cache: CacheBytes,
}

impl<'n, 'a, K: Kernels> Network<'n, 'a, K> {
    /// The layer of this number, if there is one.
    #[inline(always)]
    pub(super) fn layer(&self, index: usize) -> Option<&'n Layer<'a, K>> {
        self.weights.layers.get(index)?.as_ref()
    }
}

/// Kernels that read the maps of an image as they lie there, in one packing: other kernels would make meaningless numbers of it.
pub(super) trait ReadsImages:
    for<'a> Kernels<Linear<'a> = Rows<'a>, WideLinear<'a> = Rows<'a>, Biases<'a> = &'a [[u8; 4]]>
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
    pub(super) parameters: Parameters<'a>,
}

impl<'a, K: ReadsImages> ImageAsItLies<'a, K> {
    /// No lines are needed.
    pub(super) const fn lines(_: &Image<'_>) -> usize {
        0
    }

    /// `None`: the image has another packing.
    pub(super) fn pack(_: K, image: &Image<'_>, _: &mut [CacheLine]) -> Option<()> {
        (image.packing == K::PACKING).then_some(())
    }

    /// The image.
    pub(super) const fn view(
        kernels: K,
        parameters: Parameters<'a>,
        _: &'a [CacheLine],
    ) -> Option<Self> {
        Some(Self {
            kernels,
            parameters,
        })
    }

    /// What a step reads.
    #[inline(always)]
    pub(super) fn network(&self) -> Network<'a, 'a, K> {
        Network {
            kernels: self.kernels,
            packing: self.parameters.packing,
            config: self.parameters.config,
            input: self.parameters.input,
            weights: self.parameters.weights,
            cache: super::cache_on::<K>(self.parameters.config),
        }
    }
}
