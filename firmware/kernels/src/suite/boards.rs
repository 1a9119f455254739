//! The microcontrollers' kernels: what is packed for them is packed with the image.

use super::mismatch::Mismatch;
use super::room::Room;
use super::subject::Subject;
use crate::portable::Rows;
use crate::{Requant, Shape};

/// Kernels that read the rows of an image as they are.
#[cfg(feature = "cortex-m55")]
impl Subject for crate::cortex_m::m55::CortexM55 {
    const FLIP: i8 = 0;

    fn map<'a>(
        self,
        plain: Rows<'a>,
        _: usize,
        _: &mut Room<'a>,
    ) -> Result<Option<Rows<'a>>, Mismatch> {
        Ok(Some(plain))
    }

    fn wide_map<'a>(
        self,
        plain: Rows<'a>,
        _: usize,
        _: &mut Room<'a>,
    ) -> Result<Option<Rows<'a>>, Mismatch> {
        Ok(Some(plain))
    }

    fn biases<'a>(
        self,
        _: Shape,
        _: Requant,
        plain: &'a [[u8; 4]],
        _: &mut Room<'a>,
    ) -> Result<Option<&'a [[u8; 4]]>, Mismatch> {
        Ok(Some(plain))
    }
}

#[cfg(feature = "cortex-m7")]
mod m7 {
    use super::{Mismatch, Requant, Room, Rows, Shape, Subject};
    use crate::cortex_m::m7::{CortexM7, Packed};
    use crate::cortex_m::packing;
    use crate::suite::Limits;

    impl Subject for CortexM7 {
        const FLIP: i8 = 0;
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

        fn biases<'a>(
            self,
            _: Shape,
            _: Requant,
            plain: &'a [[u8; 4]],
            _: &mut Room<'a>,
        ) -> Result<Option<&'a [[u8; 4]]>, Mismatch> {
            Ok(Some(plain))
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
