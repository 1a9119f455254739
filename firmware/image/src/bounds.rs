//! What a policy needs of a controller: computed by the writer, and again by the reader.

use crate::image::Image;
use crate::limits::{MAX_COLUMNS, MAX_MATRICES};
use crate::list::List;
use crate::weights::MatrixName;

/// The bounds report.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// [`state_bytes`](crate::ModelConfig::state_bytes) of the config.
    pub state_bytes: u32,
    /// [`macs_per_step`](crate::ModelConfig::macs_per_step) of the config.
    pub macs_per_step: u64,
    /// Largest magnitude an accumulator can reach, for every matrix in the order of
    /// [`Weights::matrices`](crate::Weights::matrices); all below 2^31.
    pub accumulator: List<u32, MAX_MATRICES>,
}

impl Bounds {
    pub(crate) const EMPTY: Self = Self {
        state_bytes: 0,
        macs_per_step: 0,
        accumulator: List::EMPTY,
    };

    /// Computes the report of `image` from its config and weights; accumulators are capped at `u32::MAX`.
    #[must_use]
    pub fn of(image: &Image<'_>) -> Self {
        let config = &image.config;
        let mut accumulator = List::EMPTY;
        for matrix in image.matrices() {
            // The list holds every matrix of the largest network.
            let mut room = [0; MAX_COLUMNS];
            let rows = (0..matrix.rows.rows).map(|row| {
                let row = matrix.row(row, &mut room);
                row.map_or(0, |row| row_bound(matrix.name, row.weight, row.bias))
            });
            let _ = accumulator.push(rows.max().unwrap_or(0));
        }
        Self {
            state_bytes: u32::try_from(config.state_bytes()).unwrap_or(u32::MAX),
            macs_per_step: config.macs_per_step(),
            accumulator,
        }
    }

    /// Every number with its key.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let accumulator = self.accumulator.iter();
        [
            ("state_bytes", u64::from(self.state_bytes)),
            ("macs_per_step", self.macs_per_step),
        ]
        .into_iter()
        .chain(accumulator.map(|&bound| ("accumulator", u64::from(bound))))
    }
}

/// `|bias| + input_max * sum |weight|`, capped at `u32::MAX`.
fn row_bound(name: MatrixName, weight: &[i8], bias: i32) -> u32 {
    let sum = weight.iter().fold(0_u32, |sum, weight| {
        sum.saturating_add(u32::from(weight.unsigned_abs()))
    });
    let product = u64::from(sum).saturating_mul(u64::from(name.input_max()));
    let bound = product.saturating_add(u64::from(bias.unsigned_abs()));
    u32::try_from(bound).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_row_counts() {
        let rows: [(&[i8], i32); 2] = [(&[1, -2, 3], 1_000), (&[127, -127, 0], -5)];
        let bound = |name, rows: [(&[i8], i32); 2]| {
            let bounds = rows.map(|(weight, bias)| row_bound(name, weight, bias));
            bounds.into_iter().max().unwrap()
        };
        assert_eq!(bound(MatrixName::First, rows), 254 * 128 + 5);
        assert_eq!(
            bound(MatrixName::Embed, rows.map(|(weight, _)| (weight, 0))),
            254 * 32_768
        );
        let least = rows.map(|(weight, _)| (weight, i32::MIN));
        assert_eq!(bound(MatrixName::First, least), (1 << 31) + 254 * 128);
    }
}
