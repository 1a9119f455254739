//! Packed images on the kernels that read them from flash, where they lie.

use engram_image::Packing;

/// Whether this firmware runs images of a packing.
///
/// Every firmware runs the order of rows; a packing needs the kernels that it was made for.
#[must_use]
pub const fn runs(packing: Packing) -> bool {
    match packing {
        Packing::Rows => true,
        Packing::CortexM => cfg!(all(target_arch = "arm", feature = "cortex-m7")),
    }
}

#[cfg(all(target_arch = "arm", feature = "cortex-m7"))]
mod cortex_m {
    use core::borrow::Borrow;

    use engram_image::{Image, Matrix};
    use engram_kernels::cortex_m::m7::{CortexM7, Packed};

    use crate::policy::network::{HeadMaps, LayerMaps, Network, factor};

    /// A matrix as it lies in the image.
    #[inline]
    fn packed<'a>(matrix: &Matrix<'a>) -> Packed<'a> {
        Packed {
            rows: matrix.rows,
            weight: matrix.weight,
            bias: matrix.bias,
            multiplier: matrix.multiplier,
            shift: matrix.shift,
        }
    }

    impl<'a> Network<'a, CortexM7> for Image<'a> {
        #[inline]
        fn image(&self) -> &Image<'_> {
            self
        }

        #[inline]
        fn embed(&self) -> Packed<'a> {
            packed(&self.weights.embed)
        }

        #[inline]
        fn layer(&self, index: usize) -> Option<impl Borrow<LayerMaps<'a, CortexM7>>> {
            let layer = self.weights.layers().get(index)?;
            Some(LayerMaps {
                attention_input: factor(layer.attention_input),
                qkv: packed(&layer.qkv),
                logit: factor(layer.logit),
                biases: layer.age_bias,
                attention_output: factor(layer.attention_output),
                out: packed(&layer.out),
                ff_input: factor(layer.ff_input),
                ff1: packed(&layer.ff1),
                ff2: packed(&layer.ff2),
            })
        }

        #[inline]
        fn head(&self) -> impl Borrow<HeadMaps<'a, CortexM7>> {
            let head = &self.weights.head;
            HeadMaps {
                first: packed(&head.first),
                raw: head.raw.as_ref().map(packed),
                second: packed(&head.second),
                third: packed(&head.third),
            }
        }
    }
}
