//! Sixteen products at a time: four rows of a tile with four columns of an input.
//!
//! A tile is 16 bytes: four rows of four columns. For SDOT row after row, without it the first two columns
//! of all rows before the other two ([`byte`]).

use core::arch::aarch64::*;
use core::arch::asm;

use super::memory::load;
use super::{Neon, Sdot};

/// Rows of a tile, and its columns.
pub(super) const SIDE: usize = 4;
/// A tile in memory.
pub(super) type Tile = [i8; SIDE * SIDE];

/// Which instructions multiply: a token that proves that they may be used.
pub trait Dot: Copy {
    /// Whether it is SDOT.
    const SDOT: bool;
}

impl Dot for Sdot {
    const SDOT: bool = true;
}

impl Dot for Neon {
    const SDOT: bool = false;
}

/// Where a tile has the number of this row and column, both below four.
pub(super) const fn byte<D: Dot>(row: usize, column: usize) -> usize {
    if D::SDOT {
        SIDE * row + column
    } else {
        column / 2 * 8 + row * 2 + column % 2
    }
}

/// Bytes of an input that the columns of a tile meet, for each of four groups of columns.
pub(super) static SPREAD: [Tile; SIDE] = {
    let mut spread = [[0; 16]; SIDE];
    let mut i = 0;
    while i < 64 {
        spread[i / 16][i % 16] = (i / 16 * SIDE + i % 16 / 8 * 2 + i % 2) as i8;
        i += 1;
    }
    spread
};

/// Adds to every lane the products of its row of the tile with columns `4 GROUP..` of sixteen of an input.
///
/// Without SDOT two products are added in 16 bits: a tile of -128 with an input of -128 would overflow. No
/// weight, key or activation is -128.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn dot<D: Dot, const GROUP: usize>(
    _: D,
    acc: int32x4_t,
    tile: int8x16_t,
    input: int8x16_t,
) -> int32x4_t {
    if !D::SDOT {
        let input = vqtbl1q_s8(input, vreinterpretq_u8_s8(load(&SPREAD[GROUP])));
        let pairs = vmull_s8(vget_low_s8(tile), vget_low_s8(input));
        return vpadalq_s16(acc, vmlal_high_s8(pairs, tile, input));
    }
    let mut acc = acc;
    // As an intrinsic it is not stable.
    // SAFETY: the token proves that the instruction may be used; it works on registers alone.
    unsafe {
        asm!(
            ".arch_extension dotprod",
            "sdot {acc:v}.4s, {tile:v}.16b, {input:v}.4b[{group}]",
            acc = inout(vreg) acc,
            tile = in(vreg) tile,
            input = in(vreg) input,
            group = const GROUP,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    acc
}
