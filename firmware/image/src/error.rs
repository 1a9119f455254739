//! Why an image was refused.

use thiserror::Error;

use crate::config::ConfigError;
use crate::contract::ContractError;
use crate::number::Number;
use crate::weights::MatrixName;

/// Why the bytes at a place are not the canonical CBOR that the format demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum CborProblem {
    /// The file ends inside an item.
    #[error("the file ends inside an item")]
    End,
    /// Not an item of CBOR, or a length beyond the address space.
    #[error("not an item of CBOR")]
    Syntax,
    /// An integer or a length is not in its shortest form.
    #[error("an integer or length is not in its shortest form")]
    NotShortest,
    /// A text, byte string, array or map of indefinite length.
    #[error("an indefinite length")]
    Indefinite,
    /// A float that is not an f32.
    #[error("a float that is not an f32")]
    FloatWidth,
    /// An item of another type than this one.
    #[error("not the expected {0}")]
    Expected(&'static str),
}

/// Why an image was refused. Offsets count from the start of the file.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ReadError {
    /// Fewer bytes than a header and a body need.
    #[error("the image has {length} bytes; an image has more than {minimum}")]
    TooShort {
        /// Bytes given or stated.
        length: usize,
        /// What must be exceeded.
        minimum: usize,
    },
    /// The file does not begin like an image.
    #[error("not an Engram image: it does not begin with ENGRAM")]
    Magic,
    /// The image is of a newer format than this firmware knows.
    #[error(
        "the image has format {image}, this firmware knows formats 1 to {firmware}: update the firmware or export for it"
    )]
    NewerFormat {
        /// Format of the image.
        image: u16,
        /// Newest format that the firmware knows.
        firmware: u16,
    },
    /// The image is of a format that never was.
    #[error(
        "the image has format {image}, which does not exist; this firmware knows formats 1 to {firmware}"
    )]
    UnknownFormat {
        /// Format of the image.
        image: u16,
        /// Newest format that the firmware knows.
        firmware: u16,
    },
    /// A flag that this format does not have.
    #[error("the header has unknown flags: {0:#06x}")]
    Flags(u16),
    /// A row that cannot be computed in the image's packing: its sums or its factor are too large.
    #[error(
        "row {row} of {matrix} does not fit the packing: 127 * sum |w| + |bias| must be below 2^23 and the shift at least 25"
    )]
    Packing {
        /// The matrix.
        matrix: MatrixName,
        /// Its row.
        row: u16,
    },
    /// The signature slot is empty in a signed image, or filled in another.
    #[error("the header says {}", if *signed { "signed, but the signature is empty" } else { "unsigned, but the signature is not zero" })]
    Signature {
        /// What the flag says.
        signed: bool,
    },
    /// The reserved bytes of the header are not zero.
    #[error("the reserved bytes of the header are not zero")]
    Reserved,
    /// The image exceeds a slot.
    #[error("the image has {length} bytes; a slot holds {limit}")]
    TooLong {
        /// Bytes stated by the header.
        length: usize,
        /// Bytes of a slot.
        limit: usize,
    },
    /// The header states another length than the bytes have.
    #[error("the header says {header} bytes, but there are {actual}")]
    Length {
        /// Bytes stated by the header.
        header: usize,
        /// Bytes given.
        actual: usize,
    },
    /// The SHA-256 of the body is not the one in the header.
    #[error("the body does not have the SHA-256 that the header states: it was damaged")]
    BodyHash,
    /// The body is not canonical CBOR of the expected form.
    #[error("byte {offset}: {problem}")]
    Cbor {
        /// Where the item begins.
        offset: u32,
        /// What is wrong with it.
        problem: CborProblem,
    },
    /// Another key where this one is due: unknown, duplicate, missing or out of order.
    #[error(
        "byte {offset}: the key {expected} is due (unknown, duplicate, missing or misplaced key)"
    )]
    Key {
        /// Where the key begins.
        offset: u32,
        /// The key that is due.
        expected: &'static str,
    },
    /// An array, map or byte string has not as many entries as the config makes it have.
    #[error("{thing} has {found} entries instead of {expected}")]
    Count {
        /// What has them.
        thing: &'static str,
        /// Entries found.
        found: usize,
        /// Entries expected.
        expected: usize,
    },
    /// The pad before a byte string is not the shortest that aligns it, or not zero.
    #[error("byte {offset}: not the shortest pad of zeros")]
    Pad {
        /// Where the pad begins.
        offset: u32,
    },
    /// A text is not one of the known names, or not 1 to `limit` printable ASCII bytes.
    #[error("byte {offset}: {thing} is not an allowed text")]
    Text {
        /// The key.
        thing: &'static str,
        /// Where the text begins.
        offset: u32,
    },
    /// An integer is out of its range.
    #[error("{thing} is {value}, but must be in {min}..={max}")]
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
    #[error("{thing} holds {}, but must be {must}", Number(*value))]
    Float {
        /// The key.
        thing: &'static str,
        /// What the image says.
        value: f32,
        /// What it must be.
        must: &'static str,
    },
    /// A dimension that the controller cannot run.
    #[error("config: {0}")]
    Config(ConfigError),
    /// A contract that no board may run.
    #[error("contract: {0}")]
    Contract(ContractError),
    /// A weight is -128.
    #[error("{matrix}, row {row}: a weight is -128")]
    Weight {
        /// The matrix.
        matrix: MatrixName,
        /// Its row.
        row: u16,
    },
    /// A factor of a row is not normalised, its shift is out of range, or it is 0 for a row that is not.
    #[error("{matrix}, row {row}: the factor {multiplier} >> {shift} is not normalised")]
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
    #[error("{matrix}: an accumulator may reach {bound}, which overflows 31 bits")]
    Accumulator {
        /// The matrix.
        matrix: MatrixName,
        /// Largest magnitude it can reach.
        bound: u32,
    },
    /// The bounds report says something else than the reader finds.
    #[error("bounds: {thing} is stated as {stated}, but is {computed}")]
    Bounds {
        /// The key.
        thing: &'static str,
        /// What the image says.
        stated: u64,
        /// What is so.
        computed: u64,
    },
    /// Bytes after the end of the body's map.
    #[error("byte {offset}: bytes after the end of the body")]
    Trailing {
        /// Where they begin.
        offset: u32,
    },
}
