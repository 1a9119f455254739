//! The microcontrollers' kernels: what is packed for them is packed with the image.

use super::subject::Subject;
use crate::portable::Rows;
use crate::{Line, PackedBiases, PackedMap, Requant, Shape};

/// What is read as it lies.
impl<'a> PackedMap<'a> for Rows<'a> {
    fn lines(_: usize, _: usize) -> usize {
        0
    }

    fn pack(_: Rows<'_>, _: usize, _: &mut [Line]) -> Option<()> {
        Some(())
    }

    fn view(map: Rows<'a>, _: usize, _: &'a [Line]) -> Option<Self> {
        Some(map)
    }
}

impl<'a> PackedBiases<'a> for &'a [[u8; 4]] {
    fn lines(_: Shape) -> usize {
        0
    }

    fn pack(_: Shape, _: Requant, _: &[[u8; 4]], _: &mut [Line]) -> Option<()> {
        Some(())
    }

    fn view(_: Shape, _: Requant, biases: &'a [[u8; 4]], _: &'a [Line]) -> Option<Self> {
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
    use crate::suite::{Limits, Mismatch, Room};

    impl Subject for CortexM7 {
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
