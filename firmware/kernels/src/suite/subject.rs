//! What the suite has to know of kernels besides what they are.

use super::trial::{Mismatch, Trial};
use crate::Packing;
use crate::portable::Rows;

/// What kernels ask of the maps of int8 inputs.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Smallest shift of a row.
    pub shift: u8,
    /// `127 * sum |weight| + |bias|` of a row is below this.
    pub sum: u64,
}

impl Limits {
    /// Whatever an image may hold.
    pub const NONE: Self = Self {
        shift: 1,
        sum: u64::MAX,
    };
}

/// Kernels that the suite tests.
pub trait Subject: Packing {
    /// By what an int8 input of a map differs from its number (exclusive or).
    const FLIP: i8 = 0;
    /// What maps must keep to.
    const LIMITS: Limits = Limits::NONE;

    /// The map as it lies in an image for these kernels, of an int16 input where `wide` says so. `None` where it was refused.
    ///
    /// # Errors
    /// There is too little room.
    fn of_image<'a>(
        _trial: &mut Trial<'a, Self>,
        plain: Rows<'a>,
        _columns: usize,
        _wide: bool,
    ) -> Result<Option<Rows<'a>>, Mismatch> {
        Ok(Some(plain))
    }
}

#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
impl<S: crate::simd::Simd> Subject for S {
    const FLIP: i8 =
        <S as crate::simd::packed::PackedLayout<{ crate::simd::packed::QUAD }>>::INPUT_OFFSET as i8;
}

/// Microcontrollers' kernels: what is packed for them is packed with the image, and read as it lies.
#[cfg(all(
    target_arch = "arm",
    any(feature = "cortex-m7", feature = "cortex-m55")
))]
mod boards {
    use super::{Rows, Subject};
    use crate::{CacheLine, PackedBiases, PackedLinear, Requant, Shape};

    impl<'a> PackedLinear<'a> for Rows<'a> {
        fn lines(_: usize, _: usize) -> usize {
            0
        }

        fn pack(_: Rows<'_>, _: usize, _: &mut [CacheLine]) -> Option<()> {
            Some(())
        }

        fn view(map: Rows<'a>, _: usize, _: &'a [CacheLine]) -> Option<Self> {
            Some(map)
        }
    }

    impl<'a> PackedBiases<'a> for &'a [[u8; 4]] {
        fn lines(_: Shape) -> usize {
            0
        }

        fn pack(_: Shape, _: Requant, _: &[[u8; 4]], _: &mut [CacheLine]) -> Option<()> {
            Some(())
        }

        fn view(_: Shape, _: Requant, biases: &'a [[u8; 4]], _: &'a [CacheLine]) -> Option<Self> {
            Some(biases)
        }
    }

    #[cfg(feature = "cortex-m55")]
    impl Subject for crate::cortex_m::m55::CortexM55 {}

    #[cfg(feature = "cortex-m7")]
    impl Subject for crate::cortex_m::m7::CortexM7 {
        /// What the reader of a packed image checks.
        const LIMITS: super::Limits = super::Limits {
            shift: crate::cortex_m::packing::MIN_SHIFT,
            sum: 1 << 23,
        };

        fn of_image<'a>(
            trial: &mut super::Trial<'a, Self>,
            plain: Rows<'a>,
            columns: usize,
            wide: bool,
        ) -> Result<Option<Rows<'a>>, super::Mismatch> {
            use crate::cortex_m::packing::{pack, packed_bytes};

            let weight = trial.take(packed_bytes(plain.rows, columns))?;
            let packed = pack(plain.weight, columns, wide, weight);
            Ok(packed.map(|()| Rows { weight, ..plain }))
        }
    }
}
