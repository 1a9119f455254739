//! Why an image was refused.

use core::fmt;

use crate::config::ConfigError;
use crate::contract::ContractError;
use crate::number::Number;
use crate::weights::MatrixName;

/// Why the bytes at a place are not the canonical CBOR that the format demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum CborProblem {
    /// The file ends inside an item.
    End,
    /// Not an item of CBOR, or a length beyond the address space.
    Syntax,
    /// An integer or a length is not in its shortest form.
    NotShortest,
    /// A text, byte string, array or map of indefinite length.
    Indefinite,
    /// A float that is not an f32.
    FloatWidth,
    /// An item of another type than this one.
    Expected(&'static str),
}

impl fmt::Display for CborProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::End => f.write_str("the file ends inside an item"),
            Self::Syntax => f.write_str("not an item of CBOR"),
            Self::NotShortest => f.write_str("an integer or length is not in its shortest form"),
            Self::Indefinite => f.write_str("an indefinite length"),
            Self::FloatWidth => f.write_str("a float that is not an f32"),
            Self::Expected(item) => write!(f, "not the expected {item}"),
        }
    }
}

/// Why an image was refused. Offsets count from the start of the file.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ReadError {
    /// Fewer bytes than a header and a body need.
    TooShort {
        /// Bytes given or stated.
        length: usize,
        /// What must be exceeded.
        minimum: usize,
    },
    /// The file does not begin like an image.
    Magic,
    /// The image is of a newer format than this firmware knows.
    NewerFormat {
        /// Format of the image.
        image: u16,
        /// Newest format that the firmware knows.
        firmware: u16,
    },
    /// The image is of a format that never was.
    UnknownFormat {
        /// Format of the image.
        image: u16,
        /// Newest format that the firmware knows.
        firmware: u16,
    },
    /// A flag that this format does not have.
    Flags(u16),
    /// A row that cannot be computed in the image's packing: its sums or its factor are too large.
    Packing {
        /// The matrix.
        matrix: MatrixName,
        /// Its row.
        row: u16,
    },
    /// The signature slot is empty in a signed image, or filled in another.
    Signature {
        /// What the flag says.
        signed: bool,
    },
    /// The reserved bytes of the header are not zero.
    Reserved,
    /// The image exceeds a slot.
    TooLong {
        /// Bytes stated by the header.
        length: usize,
        /// Bytes of a slot.
        limit: usize,
    },
    /// The header states another length than the bytes have.
    Length {
        /// Bytes stated by the header.
        header: usize,
        /// Bytes given.
        actual: usize,
    },
    /// The SHA-256 of the body is not the one in the header.
    BodyHash,
    /// The body is not canonical CBOR of the expected form.
    Cbor {
        /// Where the item begins.
        offset: u32,
        /// What is wrong with it.
        problem: CborProblem,
    },
    /// Another key where this one is due: unknown, duplicate, missing or out of order.
    Key {
        /// Where the key begins.
        offset: u32,
        /// The key that is due.
        expected: &'static str,
    },
    /// An array, map or byte string has not as many entries as the config makes it have.
    Count {
        /// What has them.
        thing: &'static str,
        /// Entries found.
        found: usize,
        /// Entries expected.
        expected: usize,
    },
    /// The pad before a byte string is not the shortest that aligns it, or not zero.
    Pad {
        /// Where the pad begins.
        offset: u32,
    },
    /// A text is not one of the known names, or not 1 to `limit` printable ASCII bytes.
    Text {
        /// The key.
        thing: &'static str,
        /// Where the text begins.
        offset: u32,
    },
    /// An integer is out of its range.
    Integer {
        /// The key.
        thing: &'static str,
        /// What the image says.
        value: u64,
        /// Smallest allowed.
        min: u64,
        /// Largest allowed.
        max: u64,
    },
    /// A float is not finite, or not positive where it must be.
    Float {
        /// The key.
        thing: &'static str,
        /// What the image says.
        value: f32,
        /// What it must be.
        must: &'static str,
    },
    /// A dimension that the controller cannot run.
    Config(ConfigError),
    /// A contract that no board may run.
    Contract(ContractError),
    /// A weight is -128.
    Weight {
        /// The matrix.
        matrix: MatrixName,
        /// Its row.
        row: u16,
    },
    /// A factor of a row is not normalised, its shift is out of range, or it is 0 for a row that is not.
    RowFactor {
        /// The matrix.
        matrix: MatrixName,
        /// Its row.
        row: u16,
        /// The multiplier.
        multiplier: i32,
        /// The shift.
        shift: u8,
    },
    /// An accumulator of the matrix may overflow 31 bits.
    Accumulator {
        /// The matrix.
        matrix: MatrixName,
        /// Largest magnitude it can reach.
        bound: u32,
    },
    /// The bounds report says something else than the reader finds.
    Bounds {
        /// The key.
        thing: &'static str,
        /// What the image says.
        stated: u64,
        /// What is so.
        computed: u64,
    },
    /// Bytes after the end of the body's map.
    Trailing {
        /// Where they begin.
        offset: u32,
    },
}

impl From<ConfigError> for ReadError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<ContractError> for ReadError {
    fn from(error: ContractError) -> Self {
        Self::Contract(error)
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooShort { length, minimum } => {
                write!(
                    f,
                    "the image has {length} bytes; an image has more than {minimum}"
                )
            }
            Self::Magic => f.write_str("not an Engram image: it does not begin with ENGRAM"),
            Self::NewerFormat { image, firmware } => write!(
                f,
                "the image has format {image}, this firmware knows formats up to {firmware}: update the firmware or export for it"
            ),
            Self::UnknownFormat { image, firmware } => {
                write!(
                    f,
                    "the image has format {image}, which does not exist; this firmware knows format {firmware}"
                )
            }
            Self::Flags(flags) => write!(f, "the header has unknown flags: {flags:#06x}"),
            Self::Packing { matrix, row } => write!(
                f,
                "row {row} of {matrix} does not fit the packing: 127 * sum |w| + |bias| must be below 2^23 and the shift at least 25"
            ),
            Self::Signature { signed: true } => {
                f.write_str("the header says signed, but the signature is empty")
            }
            Self::Signature { signed: false } => {
                f.write_str("the header says unsigned, but the signature is not zero")
            }
            Self::Reserved => f.write_str("the reserved bytes of the header are not zero"),
            Self::TooLong { length, limit } => {
                write!(f, "the image has {length} bytes; a slot holds {limit}")
            }
            Self::Length { header, actual } => {
                write!(f, "the header says {header} bytes, but there are {actual}")
            }
            Self::BodyHash => f.write_str(
                "the body does not have the SHA-256 that the header states: it was damaged",
            ),
            Self::Cbor { offset, problem } => write!(f, "byte {offset}: {problem}"),
            Self::Key { offset, expected } => write!(
                f,
                "byte {offset}: the key {expected} is due (unknown, duplicate, missing or misplaced key)"
            ),
            Self::Count {
                thing,
                found,
                expected,
            } => write!(f, "{thing} has {found} entries instead of {expected}"),
            Self::Pad { offset } => write!(f, "byte {offset}: not the shortest pad of zeros"),
            Self::Text { thing, offset } => {
                write!(f, "byte {offset}: {thing} is not an allowed text")
            }
            Self::Integer {
                thing,
                value,
                min,
                max,
            } => {
                write!(f, "{thing} is {value}, but must be in {min}..={max}")
            }
            Self::Float { thing, value, must } => {
                let value = Number(value);
                write!(f, "{thing} holds {value}, but must be {must}")
            }
            Self::Config(error) => write!(f, "config: {error}"),
            Self::Contract(error) => write!(f, "contract: {error}"),
            Self::Weight { matrix, row } => write!(f, "{matrix}, row {row}: a weight is -128"),
            Self::RowFactor {
                matrix,
                row,
                multiplier,
                shift,
            } => write!(
                f,
                "{matrix}, row {row}: the factor {multiplier} >> {shift} is not normalised"
            ),
            Self::Accumulator { matrix, bound } => {
                write!(
                    f,
                    "{matrix}: an accumulator may reach {bound}, which overflows 31 bits"
                )
            }
            Self::Bounds {
                thing,
                stated,
                computed,
            } => {
                write!(
                    f,
                    "bounds: {thing} is stated as {stated}, but is {computed}"
                )
            }
            Self::Trailing { offset } => {
                write!(f, "byte {offset}: bytes after the end of the body")
            }
        }
    }
}

impl core::error::Error for ReadError {}
