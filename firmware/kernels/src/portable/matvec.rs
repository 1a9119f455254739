//! Integer matrix times vector in plain Rust, for every target: what the kernels of all others must give.
//!
//! Sums are exact in i32 (an image whose sums could leave i32 is refused by its reader), so that any order of addition gives
//! the same bits. The portable attention uses them too: keys lie as rows of memories, values as rows of channels.
//!
//! Simple loops of fixed lengths that LLVM unrolls or turns into vectors; four rows at a time, so
//! that a core without vectors loads each input once for four products.

/// Rows of one pass: each input is loaded once for so many products.
const ROWS: usize = 4;

/// Whether no rows share a pass: of four that do, the compiler turns but one into the vectors of x86.
const ROW_BY_ROW: bool = cfg!(target_arch = "x86_64");

/// `acc[r] = sum_c weight[r][c] * input[c]` of an int8 or int16 input, with `weight` row major, `[acc.len()][input.len()]`.
///
/// Rows that `weight` does not hold become 0; surplus weights are ignored. Sums wrap at i32.
#[inline]
pub fn matvec<T: Copy + Into<i32>>(weight: &[i8], input: &[T], acc: &mut [i32]) {
    let columns = input.len();
    if columns == 0 {
        acc.fill(0);
        return;
    }
    let weight_blocks = weight.chunks_exact(columns.saturating_mul(ROWS));
    let (blocks, _) = acc.as_chunks_mut::<ROWS>();
    let whole = if ROW_BY_ROW {
        0
    } else {
        weight_blocks.len().min(blocks.len())
    };
    for (block, rows) in blocks.iter_mut().zip(weight_blocks).take(whole) {
        *block = four_rows(rows, columns, input);
    }
    let rest = weight.chunks_exact(columns).skip(whole * ROWS);
    let rest = rest.map(Some).chain(core::iter::repeat(None));
    for (sum, row) in acc.iter_mut().skip(whole * ROWS).zip(rest) {
        *sum = row.map_or(0, |row| long_row(row, input));
    }
}

#[inline]
fn four_rows<T: Copy + Into<i32>>(rows: &[i8], columns: usize, input: &[T]) -> [i32; ROWS] {
    // Never 0 here; said again, because a chunk of 0 would be a panic wherever this is not inlined.
    let mut rows = rows.chunks_exact(columns.max(1));
    let rows = [rows.next(), rows.next(), rows.next(), rows.next()].map(Option::unwrap_or_default);
    let mut acc = [0_i32; ROWS];
    let (rows, input) = pass::<16, T>(rows, input, &mut acc);
    let (rows, input) = pass::<4, T>(rows, input, &mut acc);
    pass::<1, T>(rows, input, &mut acc);
    acc
}

/// Adds the products of all whole chunks of `COLUMNS` to `acc`; returns what remains of the rows
/// and of the input. The number is fixed, so that the inner loop is unrolled or becomes vectors.
#[inline]
fn pass<'a, const COLUMNS: usize, T: Copy + Into<i32>>(
    rows: [&'a [i8]; ROWS],
    input: &'a [T],
    acc: &mut [i32; ROWS],
) -> ([&'a [i8]; ROWS], &'a [T]) {
    let (input, input_rest) = input.as_chunks::<COLUMNS>();
    let [(a, a_rest), (b, b_rest), (c, c_rest), (d, d_rest)] =
        rows.map(<[i8]>::as_chunks::<COLUMNS>);
    for ((((input, a), b), c), d) in input.iter().zip(a).zip(b).zip(c).zip(d) {
        for (sum, row) in acc.iter_mut().zip([a, b, c, d]) {
            *sum = sum.wrapping_add(one_row(row, input));
        }
    }
    ([a_rest, b_rest, c_rest, d_rest], input_rest)
}

/// [`one_row`] of any length, eight columns at a time: a fixed number, as in [`pass`].
#[inline]
fn long_row<T: Copy + Into<i32>>(row: &[i8], input: &[T]) -> i32 {
    let (row, row_rest) = row.as_chunks::<8>();
    let (input, input_rest) = input.as_chunks::<8>();
    row.iter()
        .zip(input)
        .fold(one_row(row_rest, input_rest), |sum, (row, input)| {
            sum.wrapping_add(one_row(row, input))
        })
}

#[inline]
fn one_row<T: Copy + Into<i32>>(row: &[i8], input: &[T]) -> i32 {
    row.iter().zip(input).fold(0_i32, |sum, (&weight, &x)| {
        sum.wrapping_add(i32::from(weight).wrapping_mul(x.into()))
    })
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use proptest::prelude::*;

    fn plain<T: Copy + Into<i64>>(weight: &[i8], input: &[T], rows: usize) -> Vec<i32> {
        (0..rows)
            .map(|r| {
                let row = &weight[r * input.len()..(r + 1) * input.len()];
                let sum: i64 = row
                    .iter()
                    .zip(input)
                    .map(|(&w, &x)| i64::from(w) * x.into())
                    .sum();
                i32::try_from(sum).unwrap()
            })
            .collect()
    }

    fn check<T: Arbitrary + Copy + Into<i32> + Into<i64>>() {
        let shapes = (0_usize..20, 0_usize..70).prop_flat_map(|(rows, columns)| {
            let weight = proptest::collection::vec(any::<i8>(), rows * columns);
            let input = proptest::collection::vec(any::<T>(), columns);
            (Just(rows), weight, input)
        });
        proptest!(|((rows, weight, input) in shapes)| {
            let mut acc = vec![1; rows];
            crate::matvec(&weight, &input, &mut acc);
            prop_assert_eq!(acc, plain(&weight, &input, rows));
        });
    }

    #[test]
    fn sums_are_exact() {
        check::<i8>();
        check::<i16>();
    }

    #[test]
    fn the_largest_window_fits_i32() {
        let mut acc = [0; 5];
        crate::matvec(&[-127; 5 * 512], &[32_767_i16; 512], &mut acc);
        assert_eq!(acc, [-127 * 32_767 * 512; 5]);
    }

    #[test]
    fn missing_rows_are_zero() {
        for rows in 1..10 {
            let mut acc = vec![9; rows];
            crate::matvec(&[1, 2, 3, 4, 5], &[1_i8, 1], &mut acc);
            let mut expected = vec![0; rows];
            for (sum, value) in expected.iter_mut().zip([3, 7]) {
                *sum = value;
            }
            assert_eq!(acc, expected);
            crate::matvec::<i8>(&[], &[], &mut acc);
            assert!(acc.iter().all(|&sum| sum == 0));
        }
    }
}
