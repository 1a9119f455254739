//! Matrix products of the image, as rows of factor and sum.

use engram_image::Matrix;
use engram_kernels::{Requant, matvec_i8, matvec_i16};

use super::memory::MAX_ROWS;

/// Per row of `matrix`: its factor, and `bias + sum_c weight[c] * input[c]`.
///
/// A matrix of more rows than the buffer holds (the reader refuses it) has no rows here.
#[inline]
pub(super) fn product_i8<'a>(
    matrix: &Matrix<'a>,
    input: &[i8],
    sums: &'a mut [i32; MAX_ROWS],
) -> impl Iterator<Item = (Requant, i32)> + use<'a> {
    let sums = sums.get_mut(..matrix.rows).unwrap_or_default();
    matvec_i8(matrix.weight, input, sums);
    rows(matrix, sums)
}

/// [`product_i8`] for an int16 input.
#[inline]
pub(super) fn product_i16<'a>(
    matrix: &Matrix<'a>,
    input: &[i16],
    sums: &'a mut [i32; MAX_ROWS],
) -> impl Iterator<Item = (Requant, i32)> + use<'a> {
    let sums = sums.get_mut(..matrix.rows).unwrap_or_default();
    matvec_i16(matrix.weight, input, sums);
    rows(matrix, sums)
}

/// The kernels' factor of the image's.
#[inline]
pub(super) const fn factor(requant: engram_image::Requant) -> Requant {
    Requant {
        multiplier: requant.multiplier,
        shift: requant.shift,
    }
}

#[inline]
fn rows<'a>(
    matrix: &Matrix<'a>,
    sums: &'a [i32],
) -> impl Iterator<Item = (Requant, i32)> + use<'a> {
    let biases = matrix.bias.iter().copied().map(i32::from_le_bytes);
    let biases = biases.chain(core::iter::repeat(0));
    let factors = matrix.multiplier.iter().zip(matrix.shift);
    sums.iter()
        .zip(biases)
        .zip(factors)
        .map(|((&sum, bias), (&multiplier, &shift))| {
            let multiplier = i32::from_le_bytes(multiplier);
            (Requant { multiplier, shift }, sum.wrapping_add(bias))
        })
}
