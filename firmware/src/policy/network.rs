//! Where a step reads its weights: an image as it is, or one that was packed for other kernels.

use engram_image::{InputScales, ModelConfig, Parameters, Weights};
use engram_kernels::Kernels;
use engram_kernels::portable::Rows;

/// The weights of a network whose linear maps lie as the kernels `K` read them.
pub(super) type KernelWeights<'a, K> = Weights<
    <K as Kernels>::Map<'a>,
    <K as Kernels>::Biases<'a>,
    &'a [[u8; 2]],
    <K as Kernels>::WideMap<'a>,
>;

/// A layer of them.
pub(super) type Layer<'a, K> =
    engram_image::Layer<<K as Kernels>::Map<'a>, <K as Kernels>::Biases<'a>>;

/// What a step on the kernels `K` reads.
pub(super) struct Network<'n, 'a, K: Kernels> {
    pub(super) config: &'n ModelConfig,
    pub(super) input: &'n InputScales,
    pub(super) weights: &'n KernelWeights<'a, K>,
}

impl<'n, 'a, K: Kernels> Network<'n, 'a, K> {
    /// The layer of this number, if there is one.
    #[inline(always)]
    pub(super) fn layer(&self, index: usize) -> Option<&'n Layer<'a, K>> {
        self.weights.layers.get(index)?.as_ref()
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

impl<'a, K: ReadsImages> From<Parameters<'a>> for Network<'a, 'a, K> {
    #[inline]
    fn from(parameters: Parameters<'a>) -> Self {
        Self {
            config: parameters.config,
            input: parameters.input,
            weights: parameters.weights,
        }
    }
}
