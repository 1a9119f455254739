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
    use crate::Kernels;
    use crate::cortex_m::m7::{CortexM7, Packed};
    use crate::suite::Limits;

    impl Subject for CortexM7 {
        const FLIP: i8 = 0;
        /// What the reader of a packed image checks.
        const LIMITS: Limits = Limits {
            shift: 25,
            sum: 1 << 23,
        };

        fn map<'a>(
            self,
            plain: Rows<'a>,
            columns: usize,
            room: &mut Room<'a>,
        ) -> Result<Option<Packed<'a>>, Mismatch> {
            pack(plain, columns, word, room).map(Some)
        }

        fn wide_map<'a>(
            self,
            plain: Rows<'a>,
            columns: usize,
            room: &mut Room<'a>,
        ) -> Result<Option<Packed<'a>>, Mismatch> {
            pack(plain, columns, wide_word, room).map(Some)
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

    /// The map with its weights as `docs/src/image-format.md` packs them: four rows, four columns, a word for each row.
    fn pack<'a>(
        plain: Rows<'a>,
        columns: usize,
        word: impl Fn([i8; 4]) -> [u8; 4],
        room: &mut Room<'a>,
    ) -> Result<Packed<'a>, Mismatch> {
        let groups = CortexM7::padded(columns) / 4;
        let weight: &mut [u8] = room.take(plain.rows.next_multiple_of(4) * groups * 4)?;
        weight.fill(0);
        let words = weight.as_chunks_mut().0;
        for (row, weights) in plain.weight.chunks_exact(columns).enumerate() {
            for (group, weights) in weights.chunks(4).enumerate() {
                let mut four = [0; 4];
                four[..weights.len()].copy_from_slice(weights);
                words[(row / 4 * groups + group) * 4 + row % 4] = word(four);
            }
        }
        Ok(Packed {
            rows: plain.rows,
            weight: bytemuck::cast_slice(weight),
            bias: plain.bias,
            multiplier: plain.multiplier,
            shift: plain.shift,
        })
    }

    fn word([w0, w1, w2, w3]: [i8; 4]) -> [u8; 4] {
        let half = |odd: i8, even: i8| (i32::from(odd) * 256 + i32::from(even)) as u16;
        let (low, high) = (half(w1, w0), half(w3, w2));
        (u32::from(high) << 16 | u32::from(low)).to_le_bytes()
    }

    fn wide_word([w0, w1, w2, w3]: [i8; 4]) -> [u8; 4] {
        [w0 as u8, w2 as u8, w1 as u8, w3 as u8]
    }
}
