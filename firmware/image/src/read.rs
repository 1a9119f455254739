//! The reader: trusts nothing that the file says about itself.
//!
//! Length and hash come first, then the body key by key in the one order that the format allows.
//! Every count is known before it is read (from the config or from [`crate::limits`]), so that
//! nothing in the file decides how much work or memory the reader spends.

mod contract;
mod cursor;
mod sections;
mod weights;

use crate::bounds::Bounds;
use crate::encode;
use crate::error::ReadError;
use crate::header::{self, HEADER_BYTES};
use crate::image::Image;
use crate::weights::MatrixName;
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
        let (header, _) = header::body(bytes)?;
        let mut image = Self::EMPTY;
        image.total_length = header.total_length;
        image.sha256 = header.sha256;
        image.signed = header.signed;
        image.packing = header.packing;
        image.signature = header.signature;

        let mut cursor = Cursor::new(bytes, HEADER_BYTES);
        read_body(&mut cursor, &mut image)?;
        cursor.end()?;
        check_bounds(&image)?;
        image.weights_sha256 = encode::weights_digest(&image);
        Ok(image)
    }
}

fn read_body<'a>(cursor: &mut Cursor<'a>, image: &mut Image<'a>) -> Result<(), ReadError> {
    let entries = cursor.map()?;
    cursor.key("bounds")?;
    sections::bounds(cursor, &mut image.bounds)?;
    cursor.key("config")?;
    image.config = sections::config(cursor)?;
    cursor.key("golden")?;
    image.golden = sections::golden(cursor, &image.config)?;
    cursor.key("scales")?;
    image.residual_scale = sections::scales(cursor, &image.config, &mut image.input)?;
    cursor.key("weights")?;
    weights::read(cursor, image.packing, &image.config, &mut image.weights)?;
    cursor.key("contract")?;
    contract::read(cursor, &image.config, &mut image.contract)?;
    cursor.key("provenance")?;
    image.provenance = sections::provenance(cursor)?;
    cursor::count("body", entries, 7)
}

/// Recomputes the bounds report: no accumulator overflows, and the report says what is so.
fn check_bounds(image: &Image<'_>) -> Result<(), ReadError> {
    let stated = &image.bounds;
    let computed = Bounds::of(image);
    let names = image.weights.matrices().map(|(matrix, _)| matrix);
    if let Some((matrix, bound)) = overflow(names, &computed) {
        return Err(ReadError::Accumulator { matrix, bound });
    }
    let same = |thing, stated, computed| match stated == computed {
        true => Ok(()),
        false => Err(ReadError::Bounds {
            thing,
            stated,
            computed,
        }),
    };
    same(
        "state_bytes",
        u64::from(stated.state_bytes),
        u64::from(computed.state_bytes),
    )?;
    same(
        "macs_per_step",
        stated.macs_per_step,
        computed.macs_per_step,
    )?;
    cursor::count(
        "accumulator",
        stated.accumulator.len(),
        computed.accumulator.len(),
    )?;
    for (&stated, &computed) in stated.accumulator.iter().zip(&computed.accumulator) {
        same("accumulator", u64::from(stated), u64::from(computed))?;
    }
    Ok(())
}

fn overflow(names: impl Iterator<Item = MatrixName>, bounds: &Bounds) -> Option<(MatrixName, u32)> {
    names
        .zip(bounds.accumulator.iter().copied())
        .find(|&(_, bound)| bound >= ACCUMULATOR_LIMIT)
}
