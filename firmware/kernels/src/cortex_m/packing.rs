//! How weights lie in flash for the DSP instructions of the Cortex-M4 and M7.
//!
//! Rows come in blocks of four, columns in groups of four, both filled up with zeros (columns to a
//! multiple of eight, so that the kernels take two groups at a time). A block holds its groups in
//! order, a group one 32-bit little-endian word for each of its four rows: one load instruction
//! brings the same four columns of four rows.
//!
//! A word of an int8 map holds the weights `w0..w3` of four columns as two halfwords,
//! `256 * w1 + w0` and `256 * w3 + w2`; where the even weight is negative, the odd one above it loses
//! 1 to the borrow. Three instructions then do four multiply-accumulates, modulo `2^32`:
//!
//! ```text
//! SMLAD   sum += (256 w1 + w0) * x1 + (256 w3 + w2) * x3
//! SXTB16  w0, w2
//! SMLAD   sum += w0 * (256 x0 - x1) + w2 * (256 x2 - x3)      all together: 256 (w0 x0 + w1 x1 + w2 x2 + w3 x3)
//! ```
//!
//! with inputs prepared once for all rows. 256 times the sum must fit 32 bits: [`fits`] says whether a
//! row does.
//!
//! A word of an int16 map holds its four weights as the bytes `w0, w2, w1, w3`, which SXTB16 takes
//! apart to `w0, w1` and `w2, w3`.

/// Rows of a block, and columns of a group.
pub const GROUP: usize = 4;
/// Columns are filled up to a multiple of this.
pub const COLUMNS: usize = 2 * GROUP;
/// The smallest shift of a row's factor: the kernels keep 256 times the sum and the upper half of
/// the product.
pub const MIN_SHIFT: u8 = 25;

/// Bytes of a packed map of `rows` and `columns`; saturates.
#[must_use]
pub const fn packed_bytes(rows: usize, columns: usize) -> usize {
    let (rows, columns) = filled_up(rows, columns);
    rows.saturating_mul(columns)
}

/// Rows and columns with those that fill them up.
#[must_use]
pub const fn filled_up(rows: usize, columns: usize) -> (usize, usize) {
    let rows = rows.div_ceil(GROUP).saturating_mul(GROUP);
    let columns = columns.div_ceil(COLUMNS).saturating_mul(COLUMNS);
    (rows, columns)
}

/// Whether a row of an int8 map can be computed in the packed form: `127 * sum |w| + |bias| < 2^23`
/// (true for every row of 512 weights and a bias that its inputs can outweigh) and a factor of at
/// least [`MIN_SHIFT`].
#[must_use]
pub fn fits(row: &[i8], bias: i32, shift: u8) -> bool {
    let weights = row.iter().fold(0_u32, |sum, weight| {
        sum.saturating_add(u32::from(weight.unsigned_abs()))
    });
    let largest = weights
        .saturating_mul(127)
        .saturating_add(bias.unsigned_abs());
    largest < 1 << 23 && shift >= MIN_SHIFT
}

/// The bytes of the word of four weights, of an int16 map where `wide` says so.
const fn word([w0, w1, w2, w3]: [i8; GROUP], wide: bool) -> [i8; GROUP] {
    match wide {
        true => [w0, w2, w1, w3],
        false => [w0, w1.wrapping_add(w0 >> 7), w2, w3.wrapping_add(w2 >> 7)],
    }
}

/// The four weights of a [`word`].
#[inline]
const fn weights([b0, b1, b2, b3]: [i8; GROUP], wide: bool) -> [i8; GROUP] {
    match wide {
        true => [b0, b2, b1, b3],
        false => [b0, b1.wrapping_sub(b0 >> 7), b2, b3.wrapping_sub(b2 >> 7)],
    }
}

/// Packs `weight`, `[rows][columns]`, into the [`packed_bytes`] of `packed`; `None` when it is not of that shape or `packed` not of
/// that length.
pub fn pack(weight: &[i8], columns: usize, wide: bool, packed: &mut [i8]) -> Option<()> {
    let rows = weight.len().checked_div(columns)?;
    if rows.checked_mul(columns)? != weight.len() || packed.len() != packed_bytes(rows, columns) {
        return None;
    }
    let (_, filled) = filled_up(rows, columns);
    for (index, four) in packed.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
        let group = index / GROUP;
        let row = group.checked_div(filled / GROUP)?.saturating_mul(GROUP);
        let row = row.saturating_add(index % GROUP);
        let first = group.checked_rem(filled / GROUP)?.saturating_mul(GROUP);
        let row = weight.chunks_exact(columns).nth(row).unwrap_or_default();
        let mut plain = [0; GROUP];
        for (entry, weight) in plain.iter_mut().zip(row.iter().skip(first)) {
            *entry = *weight;
        }
        *four = word(plain, wide);
    }
    Some(())
}

/// The weight of one row and column of a packed map; 0 for one that `packed` does not hold.
#[must_use]
pub fn weight(packed: &[i8], columns: usize, wide: bool, (row, column): (usize, usize)) -> i8 {
    let groups = columns.div_ceil(COLUMNS).saturating_mul(COLUMNS / GROUP);
    let group = (row / GROUP)
        .saturating_mul(groups)
        .saturating_add(column / GROUP);
    let index = group.saturating_mul(GROUP).saturating_add(row % GROUP);
    let word = packed.as_chunks::<GROUP>().0.get(index).copied();
    let four = weights(word.unwrap_or_default(), wide);
    four.get(column % GROUP).copied().unwrap_or(0)
}

#[cfg(test)]
mod emulation;
