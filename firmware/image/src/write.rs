//! The writer: hosts only.
//!
//! [`write()`] encodes an [`ImageSpec`], computes pads, bounds and hashes, and reads its own result
//! back: what it returns, every reader of this version accepts.

mod body;
mod spec;

use alloc::vec::Vec;

use thiserror::Error;

pub use spec::{GoldenSpec, HeadSpec, ImageSpec, LayerSpec, MatrixSpec, WeightsSpec};

use crate::error::ReadError;
use crate::header::{self, HEADER_BYTES};
use crate::image::Image;
use crate::limits::IMAGE_BYTES;
use crate::packing::Packing;
use crate::weights::MatrixName;

/// Why no image could be written.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum WriteError {
    /// A matrix has other dimensions than the config gives it.
    #[error("{matrix} has {} rows of {}, the config makes it {} rows of {}", found.0, found.1, expected.0, expected.1)]
    Shape {
        /// The matrix.
        matrix: MatrixName,
        /// Its rows and columns.
        found: (usize, usize),
        /// What the config makes them.
        expected: (usize, usize),
    },
    /// The image would not fit into a slot.
    #[error("the image would have {length} bytes; a slot holds {limit}")]
    TooLong {
        /// Bytes of the image.
        length: usize,
        /// Bytes of a slot.
        limit: usize,
    },
    /// The reader refuses what was specified.
    #[error("the reader would refuse the image: {0}")]
    Refused(ReadError),
}

/// What `map` makes of each value.
fn each<T: Copy, U>(values: &[T], map: fn(T) -> U) -> Vec<U> {
    values.iter().copied().map(map).collect()
}

/// The bytes of the image that `spec` describes, unsigned.
///
/// # Errors
/// A matrix of the wrong shape, an image longer than a slot, or anything that [`Image::read`] would
/// refuse.
pub fn write(spec: &ImageSpec<'_>) -> Result<Vec<u8>, WriteError> {
    write_packed(spec, Packing::Rows)
}

/// `image` with the signature that `sign` makes of the bytes it is given, which stand for all of it; an earlier signature is replaced.
///
/// # Errors
/// `image` has no header; or `sign` gives nothing but zeros, which are no signature.
pub fn signed(
    mut image: Vec<u8>,
    sign: impl FnOnce(&[u8; HEADER_BYTES]) -> [u8; 64],
) -> Result<Vec<u8>, ReadError> {
    header::sign(&mut image, sign)?;
    Ok(image)
}

/// An image whose weights lie row after row: `bytes` themselves, or the same policy unpacked (and unsigned).
///
/// # Errors
/// `bytes` are no image.
pub fn in_rows(bytes: Vec<u8>) -> Result<Vec<u8>, ReadError> {
    let image = Image::read(&bytes)?;
    if image.packing == Packing::Rows {
        return Ok(bytes);
    }
    match write(&ImageSpec::from(&image)) {
        Ok(rows) => Ok(rows),
        Err(WriteError::Refused(error)) => Err(error),
        // A packed image is no shorter than the same in rows, and has the shapes of its config.
        Err(WriteError::Shape { .. } | WriteError::TooLong { .. }) => Ok(bytes),
    }
}

/// [`write()`], with the weights in the order of a packing.
///
/// # Errors
/// As [`write()`]; also a row that the packing cannot hold.
pub fn write_packed(spec: &ImageSpec<'_>, packing: Packing) -> Result<Vec<u8>, WriteError> {
    for (matrix, found) in spec.weights.matrices() {
        let expected = matrix.shape(&spec.config);
        let found = (found.rows, found.columns);
        if found != expected {
            return Err(WriteError::Shape {
                matrix,
                found,
                expected,
            });
        }
    }
    let body = body::encode(spec, packing);
    let length = HEADER_BYTES + body.len();
    let header = header::unsigned(&body, packing, spec.counter).ok_or(WriteError::TooLong {
        length,
        limit: IMAGE_BYTES,
    })?;
    let mut bytes = Vec::with_capacity(length);
    bytes.extend_from_slice(&header);
    bytes.extend_from_slice(&body);
    Image::read(&bytes).map_err(WriteError::Refused)?;
    Ok(bytes)
}
