//! The microcontrollers' kernels: what is packed for them is packed with the image.

use super::subject::Subject;
use crate::portable::Rows;
use crate::{CacheLine, PackedBiases, PackedLinear, Requant, Shape};

/// What is read as it lies.
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
mod m7 {
    use super::{Rows, Subject};
    use crate::Kernels;
    use crate::cortex_m::m7::{CortexM7, Packed};
    use crate::cortex_m::packing;
    use crate::suite::{Limits, Mismatch, Room};

    impl Subject for CortexM7 {
        /// What the reader of a packed image checks.
        const LIMITS: Limits = Limits {
            shift: packing::MIN_SHIFT,
            sum: 1 << 23,
        };

        fn map<'a>(
            self,
            plain: Rows<'a>,
            columns: usize,
            room: &mut Room<'a>,
        ) -> Result<Option<Packed<'a>>, Mismatch> {
            pack(plain, columns, false, room)
        }

        fn wide_map<'a>(
            self,
            plain: Rows<'a>,
            columns: usize,
            room: &mut Room<'a>,
        ) -> Result<Option<Packed<'a>>, Mismatch> {
            pack(plain, columns, true, room)
        }
    }

    /// The map with its weights as images have them for these kernels.
    fn pack<'a>(
        plain: Rows<'a>,
        columns: usize,
        wide: bool,
        room: &mut Room<'a>,
    ) -> Result<Option<Packed<'a>>, Mismatch> {
        let weight: &mut [u8] = room.take(packing::packed_bytes(plain.rows, columns))?;
        let packed = bytemuck::cast_slice_mut(weight);
        Ok(
            packing::pack(plain.weight, columns, wide, packed).map(|()| Packed {
                weight: bytemuck::cast_slice(weight),
                ..plain
            }),
        )
    }
}
