//! The kernels that this board is checked with, and how they want a map.

use engram_kernels::portable::Rows;

#[cfg(not(feature = "m55"))]
pub(crate) use m7::{Board, MIN_SHIFT, board, pack};
#[cfg(feature = "m55")]
pub(crate) use m55::{Board, MIN_SHIFT, board, pack};

#[cfg(feature = "m55")]
mod m55 {
    use super::Rows;

    pub(crate) type Board = engram_kernels::cortex_m::m55::CortexM55;
    /// The smallest shift of an int8 map.
    pub(crate) const MIN_SHIFT: u8 = 1;

    pub(crate) const fn board() -> Board {
        Board::new()
    }

    /// The map as it is: this board reads rows.
    pub(crate) fn pack<'a>(plain: Rows<'a>, _: usize, _: bool, _: &'a mut [i8]) -> Rows<'a> {
        plain
    }
}

#[cfg(not(feature = "m55"))]
mod m7 {
    use engram_kernels::cortex_m::m7::{CortexM7, Packed};

    use super::Rows;

    pub(crate) type Board = CortexM7;
    /// The smallest shift of an int8 map that the packing admits.
    pub(crate) const MIN_SHIFT: u8 = 25;

    pub(crate) const fn board() -> Board {
        CortexM7::new()
    }

    /// The map with its weights as `docs/src/image-format.md` packs them, into `packed`.
    pub(crate) fn pack<'a>(
        plain: Rows<'a>,
        columns: usize,
        wide: bool,
        packed: &'a mut [i8],
    ) -> Packed<'a> {
        let padded = columns.next_multiple_of(8);
        packed.fill(0);
        let groups = (0..plain.rows).flat_map(|row| (0..padded / 4).map(move |group| (row, group)));
        for (row, group) in groups {
            let weight = |k: usize| match group * 4 + k {
                column if column < columns => plain.weight[row * columns + column],
                _ => 0,
            };
            let bytes = word([weight(0), weight(1), weight(2), weight(3)], wide);
            let place = ((row / 4 * (padded / 4) + group) * 4 + row % 4) * 4;
            for (k, byte) in bytes.into_iter().enumerate() {
                packed[place + k] = byte as i8;
            }
        }
        Packed {
            rows: plain.rows,
            weight: &packed[..plain.rows.next_multiple_of(4) * padded],
            bias: plain.bias,
            multiplier: plain.multiplier,
            shift: plain.shift,
        }
    }

    /// The word of four weights.
    fn word(four: [i8; 4], wide: bool) -> [u8; 4] {
        let [w0, w1, w2, w3] = four;
        if wide {
            return [w0 as u8, w2 as u8, w1 as u8, w3 as u8];
        }
        let half = |odd: i8, even: i8| (i32::from(odd) * 256 + i32::from(even)) as u16;
        let (low, high) = (half(w1, w0), half(w3, w2));
        (u32::from(high) << 16 | u32::from(low)).to_le_bytes()
    }
}
