//! What the quantizer may be asked for, and how it says no.

use thiserror::Error;

/// Choices of the quantizer.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Int8 ranges: the largest value seen, times this.
    pub activation_margin: f64,
    /// Residual stream: the int16 range is this many times the largest value seen.
    pub residual_headroom: f64,
    /// How much the residual stream's channels are equalised: 0 not at all, 1 to the same range.
    pub equalization: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            activation_margin: 1.0,
            residual_headroom: 4.0,
            equalization: 0.75,
        }
    }
}

impl Options {
    pub(super) fn check(&self) -> Result<(), QuantizeError> {
        let within = |name, value: f64, low: f64, high: f64, range| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(QuantizeError::Option { name, value, range })
            }
        };
        within(
            "activation_margin",
            self.activation_margin,
            0.1,
            10.0,
            "0.1..=10",
        )?;
        within(
            "residual_headroom",
            self.residual_headroom,
            1.0,
            64.0,
            "1..=64",
        )?;
        within("equalization", self.equalization, 0.0, 1.0, "0..=1")
    }
}

/// Why a policy cannot be quantized.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum QuantizeError {
    /// An option is out of range.
    #[error("quantizer option {name} is {value}; it must be in {range}")]
    Option {
        /// The option.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What is allowed.
        range: &'static str,
    },
    /// A row of a matrix has no usable scale.
    #[error(
        "matrix `{matrix}`, row {row}: scale {scale} to output scale {output} is not representable"
    )]
    Row {
        /// The matrix.
        matrix: String,
        /// The row.
        row: usize,
        /// Real value of one unit of the accumulator.
        scale: f64,
        /// Real value of one unit of the output.
        output: f64,
    },
    /// A factor is outside what multiplier and shift can express.
    #[error("{place}: factor {ratio} is outside 2^-32..2^30")]
    Factor {
        /// Where.
        place: String,
        /// The factor.
        ratio: f64,
    },
    /// An accumulator could overflow.
    #[error(
        "matrix `{matrix}`, row {row}: the accumulator may reach {bound}; it must stay below 2147483648"
    )]
    Accumulator {
        /// The matrix.
        matrix: String,
        /// The row.
        row: usize,
        /// What it may reach.
        bound: u64,
    },
}
