//! In which order a matrix's weights lie in the file.
//!
//! Nothing else differs between two packings of one policy: same keys, same numbers, same hash of the
//! logical weights. A packing may ask more of a matrix; the reader checks it.

use engram_kernels::cortex_m::packing as cortex_m;
use strum::{Display, VariantArray};

use crate::error::ReadError;
use crate::header::FLAG_CORTEX_M;
use crate::weights::{Matrix, MatrixName};

/// The order of the weights of every matrix of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, VariantArray)]
#[strum(serialize_all = "kebab-case")]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Packing {
    /// Row after row: what every program reads.
    #[default]
    Rows,
    /// For the DSP instructions of the Cortex-M4 and M7.
    CortexM,
}

impl Packing {
    /// The flag in the header.
    #[must_use]
    pub const fn flag(self) -> u16 {
        match self {
            Self::Rows => 0,
            Self::CortexM => FLAG_CORTEX_M,
        }
    }

    /// The packing of a flag in the header; `None` for what this version does not know.
    #[must_use]
    pub fn from_flag(flag: u16) -> Option<Self> {
        let mut packings = Self::VARIANTS.iter().copied();
        packings.find(|packing| packing.flag() == flag)
    }

    /// Bytes of a matrix's weights; saturates.
    #[must_use]
    pub const fn weight_bytes(self, rows: usize, columns: usize) -> usize {
        match self {
            Self::Rows => rows.saturating_mul(columns),
            Self::CortexM => cortex_m::packed_bytes(rows, columns),
        }
    }

    /// The place of one weight of a matrix of so many `columns`: `weight` as it lies in the file.
    #[must_use]
    pub(crate) fn weight(
        self,
        weight: &[i8],
        wide: bool,
        columns: usize,
        place: (usize, usize),
    ) -> i8 {
        match self {
            Self::Rows => {
                let index = place.0.saturating_mul(columns).saturating_add(place.1);
                weight.get(index).copied().unwrap_or(0)
            }
            Self::CortexM => cortex_m::weight(weight, columns, wide, place),
        }
    }

    /// Whether a row can be computed in this packing.
    pub(crate) fn check(
        self,
        matrix: MatrixName,
        row: u16,
        weight: &[i8],
        bias: i32,
        shift: u8,
    ) -> Result<(), ReadError> {
        match self {
            Self::CortexM if !matrix.is_wide() && !cortex_m::fits(weight, bias, shift) => {
                Err(ReadError::Packing { matrix, row })
            }
            Self::Rows | Self::CortexM => Ok(()),
        }
    }

    /// Whether all that fills up the rows and columns of a packed matrix is zero.
    pub(crate) fn is_filled_with_zeros(self, matrix: &Matrix<'_>) -> bool {
        let Self::CortexM = self else {
            return true;
        };
        let (rows, columns) = cortex_m::filled_up(matrix.rows.rows, matrix.columns);
        (0..rows).all(|row| {
            let first = if row < matrix.rows.rows {
                matrix.columns
            } else {
                0
            };
            (first..columns).all(|column| {
                let (weight, wide) = (matrix.rows.weight, matrix.name.is_wide());
                self.weight(weight, wide, columns, (row, column)) == 0
            })
        })
    }

    /// The weights of a matrix, row after row, in this packing; `None` when they are not of that shape.
    #[cfg(feature = "write")]
    pub(crate) fn pack(
        self,
        weight: &[i8],
        wide: bool,
        columns: usize,
    ) -> Option<alloc::vec::Vec<i8>> {
        match self {
            Self::Rows => Some(weight.to_vec()),
            Self::CortexM => {
                let rows = weight.len().checked_div(columns)?;
                let mut packed = alloc::vec![0; cortex_m::packed_bytes(rows, columns)];
                cortex_m::pack(weight, columns, wide, &mut packed)?;
                Some(packed)
            }
        }
    }
}
