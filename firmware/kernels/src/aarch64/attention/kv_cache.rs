//! A token's key and value on their way into the KV cache.

use core::arch::aarch64::*;

use super::super::dot::{Dot, SIDE, Tile, byte};
use super::super::memory::{load, store};

/// Puts the key of a head into its position, a row of every tile.
#[inline]
pub(super) fn insert_key<D: Dot, const Q: usize>(
    keys: &mut [[Tile; Q]],
    position: usize,
    key: &[[i8; SIDE]; Q],
) {
    let Some(tiles) = keys.get_mut(position / SIDE) else {
        return;
    };
    let row = position % SIDE;
    for (tile, &quad) in tiles.iter_mut().zip(key) {
        if D::SDOT {
            let positions: &mut [[i8; SIDE]; SIDE] = bytemuck::must_cast_mut(tile);
            positions[row] = quad;
        } else {
            let positions: &mut [[[i8; 2]; SIDE]; 2] = bytemuck::must_cast_mut(tile);
            let [first, second] = bytemuck::must_cast::<_, [[i8; 2]; 2]>(quad);
            positions[0][row] = first;
            positions[1][row] = second;
        }
    }
}

/// Every byte's row, and all bits of the bytes of each column.
struct Columns<D>(D);

impl<D: Dot> Columns<D> {
    const ROW: Tile = {
        let mut rows = [0; 16];
        let mut i = 0;
        while i < 16 {
            rows[byte::<D>(i / SIDE, i % SIDE)] = (i / SIDE) as i8;
            i += 1;
        }
        rows
    };
    const MASK: [Tile; SIDE] = {
        let mut masks = [[0; 16]; SIDE];
        let mut i = 0;
        while i < 16 {
            masks[i % SIDE][byte::<D>(i / SIDE, i % SIDE)] = -1;
            i += 1;
        }
        masks
    };
}

/// Puts the value of a head into its position, a column of every tile.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn insert_value<D: Dot, const Q: usize>(
    values: &mut [[Tile; Q]],
    position: usize,
    value: &[[i8; SIDE]; Q],
) {
    let Some(tiles) = values.get_mut(position / SIDE) else {
        return;
    };
    // Sixteen channels at a time, of which every tile takes four.
    let rows = vreinterpretq_u8_s8(load(&Columns::<D>::ROW));
    let column = vreinterpretq_u8_s8(load(&Columns::<D>::MASK[position % SIDE]));
    for (tiles, value) in tiles.chunks_mut(4).zip(value.chunks(4)) {
        let mut sixteen = [[0; SIDE]; 4];
        for (position, &quad) in sixteen.iter_mut().zip(value) {
            *position = quad;
        }
        let value = load(bytemuck::must_cast_ref(&sixteen));
        let mut rows = rows;
        for tile in tiles {
            let new = vqtbl1q_s8(value, rows);
            store(tile, vbslq_s8(column, new, load(tile)));
            rows = vaddq_u8(rows, vdupq_n_u8(SIDE as u8));
        }
    }
}
