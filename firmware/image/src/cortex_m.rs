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
pub(crate) const GROUP: usize = 4;
/// Columns are filled up to a multiple of this.
pub(crate) const COLUMNS: usize = 2 * GROUP;
/// The smallest shift of a row's factor: the kernels keep 256 times the sum and the upper half of
/// the product.
pub(crate) const MIN_SHIFT: u8 = 25;

/// Bytes of a packed map of `rows` and `columns`; saturates.
pub(crate) const fn packed_bytes(rows: usize, columns: usize) -> usize {
    let (rows, columns) = filled_up(rows, columns);
    rows.saturating_mul(columns)
}

/// Rows and columns with those that fill them up.
pub(crate) const fn filled_up(rows: usize, columns: usize) -> (usize, usize) {
    let rows = rows.div_ceil(GROUP).saturating_mul(GROUP);
    let columns = columns.div_ceil(COLUMNS).saturating_mul(COLUMNS);
    (rows, columns)
}

/// Whether a row of an int8 map can be computed in the packed form: `127 * sum |w| + |bias| < 2^23`
/// (true for every row of 512 weights and a bias that its inputs can outweigh) and a factor of at
/// least [`MIN_SHIFT`].
pub(crate) fn fits(row: &[i8], bias: i32, shift: u8) -> bool {
    let weights = row.iter().fold(0_u32, |sum, weight| {
        sum.saturating_add(u32::from(weight.unsigned_abs()))
    });
    let largest = weights
        .saturating_mul(127)
        .saturating_add(bias.unsigned_abs());
    largest < 1 << 23 && shift >= MIN_SHIFT
}

/// The word of four weights of an int8 map.
#[cfg(any(feature = "write", test))]
pub(crate) const fn word_i8([w0, w1, w2, w3]: [i8; GROUP]) -> u32 {
    let low = (w1 as i32).wrapping_mul(256).wrapping_add(w0 as i32);
    let high = (w3 as i32).wrapping_mul(256).wrapping_add(w2 as i32);
    (low as u32 & 0xffff) | ((high as u32) << 16)
}

/// The four weights of a word of an int8 map.
#[inline]
pub(crate) const fn weights_of_word_i8(word: u32) -> [i8; GROUP] {
    let (low, high) = (word as i16, (word >> 16) as i16);
    let (w0, w2) = (low as i8, high as i8);
    let w1 = (low.wrapping_sub(w0 as i16) >> 8) as i8;
    let w3 = (high.wrapping_sub(w2 as i16) >> 8) as i8;
    [w0, w1, w2, w3]
}

/// The word of four weights of an int16 map.
#[cfg(any(feature = "write", test))]
pub(crate) const fn word_i16([w0, w1, w2, w3]: [i8; GROUP]) -> u32 {
    u32::from_le_bytes([w0 as u8, w2 as u8, w1 as u8, w3 as u8])
}

/// The four weights of a word of an int16 map.
#[inline]
pub(crate) const fn weights_of_word_i16(word: u32) -> [i8; GROUP] {
    let [w0, w2, w1, w3] = word.to_le_bytes();
    [w0 as i8, w1 as i8, w2 as i8, w3 as i8]
}

/// Packs `weight`, `[rows][columns]`, with `word` ([`word_i8`] or [`word_i16`]) into `packed`.
///
/// Returns the packed bytes, or `None` when `weight` is not of that shape or `packed` too short.
#[cfg(any(feature = "write", test))]
pub(crate) fn pack<'a>(
    weight: &[i8],
    columns: usize,
    word: impl Fn([i8; GROUP]) -> u32,
    packed: &'a mut [u8],
) -> Option<&'a mut [u8]> {
    let rows = weight.len().checked_div(columns)?;
    if rows.checked_mul(columns)? != weight.len() {
        return None;
    }
    let packed = packed.get_mut(..packed_bytes(rows, columns))?;
    let block_bytes = packed_bytes(1, columns).max(1);
    for (block, bytes) in packed.chunks_exact_mut(block_bytes).enumerate() {
        for (group, bytes) in bytes.chunks_exact_mut(GROUP * size_of::<u32>()).enumerate() {
            for (row, bytes) in bytes.chunks_exact_mut(size_of::<u32>()).enumerate() {
                let row = block.wrapping_mul(GROUP).wrapping_add(row);
                let mut four = [0; GROUP];
                for (k, entry) in four.iter_mut().enumerate() {
                    let column = group.wrapping_mul(GROUP).wrapping_add(k);
                    if column < columns {
                        let index = row.wrapping_mul(columns).wrapping_add(column);
                        *entry = weight.get(index).copied().unwrap_or(0);
                    }
                }
                bytes.copy_from_slice(&word(four).to_le_bytes());
            }
        }
    }
    Some(packed)
}

/// The weight of one row and column of a packed map; 0 for one that `packed` does not hold.
pub(crate) fn weight(
    packed: &[i8],
    columns: usize,
    weights: impl Fn(u32) -> [i8; GROUP],
    (row, column): (usize, usize),
) -> i8 {
    let groups = columns.div_ceil(COLUMNS).saturating_mul(COLUMNS / GROUP);
    let group = (row / GROUP)
        .saturating_mul(groups)
        .saturating_add(column / GROUP);
    let index = group.saturating_mul(GROUP).saturating_add(row % GROUP);
    let word = packed.as_chunks::<4>().0.get(index).copied();
    let word = word.unwrap_or_default().map(|byte| byte as u8);
    let four = weights(u32::from_le_bytes(word));
    four.get(column % GROUP).copied().unwrap_or(0)
}

#[cfg(test)]
mod emulation;
