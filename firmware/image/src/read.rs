//! The reader: trusts nothing that the file says about itself.
//!
//! Length and hash come first, then the body key by key in the one order that the format allows.
//! Every count is known before it is read (from the config or from [`crate::limits`]), so that
//! nothing in the file decides how much work or memory the reader spends.

mod cursor;

use engram_kernels::Requant;

use crate::bounds::Bounds;
use crate::codec::{Hash, Sink, count};
use crate::error::ReadError;
use crate::header::{self, HEADER_BYTES};
use crate::image::Image;
use crate::limits::MAX_COLUMNS;
use crate::walk;
use cursor::Cursor;

/// Accumulators must stay below this.
const ACCUMULATOR_LIMIT: u32 = 1 << 31;

impl<'a> Image<'a> {
    /// Reads and checks an image; `bytes` are the whole file and nothing else
    /// ([`header::Header::read`] tells how long an image in a slot is).
    ///
    /// An image that is accepted is canonical: writing what was read gives the same body again. The
    /// signature is not verified, and golden trace and contract are not compared with anything.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place or name.
    pub fn read(bytes: &'a [u8]) -> Result<Self, ReadError> {
        let mut image = Self::EMPTY;
        image.read_in_place(bytes)?;
        Ok(image)
    }

    /// [`Image::read`] into [`Image::EMPTY`], where the stack has no room for an image twice. After an error it holds no image.
    ///
    /// # Errors
    /// As [`Image::read`].
    // Its own frame: kept out of the caller's, the stack holds it only while it runs.
    #[inline(never)]
    pub fn read_in_place(&mut self, bytes: &'a [u8]) -> Result<(), ReadError> {
        let (header, _) = header::body(bytes)?;
        self.total_length = header.total_length;
        self.sha256 = header.sha256;
        self.signed = header.signed;
        self.packing = header.packing;
        self.signature = header.signature;
        self.counter = header.counter;

        let mut cursor = Cursor::new(bytes, HEADER_BYTES);
        walk::body(&mut cursor, self)?;
        cursor.end()?;
        check_bounds(self)?;
        self.weights_sha256 = weights_digest(self);
        Ok(())
    }
}

/// SHA-256 of the logical weights, the same for every packing of one policy.
///
/// It covers the map `config` (which fixes every length that follows), then the f32 of the scales,
/// then for every factor and matrix its numbers, all little endian, in the order of
/// [`Image::matrices`] with a layer's own factors before its matrices.
fn weights_digest(image: &Image<'_>) -> [u8; 32] {
    let Image { input, weights, .. } = image;
    Hash::of(|hash| {
        walk::config(hash, "config", &mut image.config.clone())?;
        let scales = input.mean.iter().chain(&input.inverse);
        for value in scales.chain(&[image.residual_scale]) {
            hash.put(&value.to_le_bytes());
        }
        hash.put(weights.positions.as_flattened());
        for layer in weights.layers() {
            for factor in [
                layer.attention_input,
                layer.logit,
                layer.attention_output,
                layer.ff_input,
            ] {
                requant(hash, factor);
            }
            hash.put(layer.age_bias.as_flattened());
        }
        requant(hash, weights.head.input);
        for matrix in image.matrices() {
            let mut room = [0; MAX_COLUMNS];
            for row in 0..matrix.rows.rows {
                if let Some(row) = matrix.row(row, &mut room) {
                    hash.put(bytemuck::must_cast_slice(row.weight));
                }
            }
            hash.put(matrix.rows.bias.as_flattened());
            hash.put(matrix.rows.multiplier.as_flattened());
            hash.put(matrix.rows.shift);
        }
        Ok(())
    })
}

fn requant(hash: &mut Hash, factor: Requant) {
    hash.put(&factor.multiplier.to_le_bytes());
    hash.put(&[factor.shift]);
}

/// Recomputes the bounds report: no accumulator overflows, and the report says what is so.
fn check_bounds(image: &Image<'_>) -> Result<(), ReadError> {
    let stated = &image.bounds;
    let computed = Bounds::of(image);
    let names = image.weights.matrices().map(|(matrix, _)| matrix);
    for (matrix, &bound) in names.zip(&computed.accumulator) {
        if bound >= ACCUMULATOR_LIMIT {
            return Err(ReadError::Accumulator { matrix, bound });
        }
    }
    let lengths = [stated, &computed].map(|bounds| bounds.accumulator.len());
    count("accumulator", lengths[0], lengths[1])?;
    for ((thing, stated), (_, computed)) in stated.entries().zip(computed.entries()) {
        if stated != computed {
            return Err(ReadError::Bounds {
                thing,
                stated,
                computed,
            });
        }
    }
    Ok(())
}
