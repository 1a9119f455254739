//! Packs an image for a board's kernels; the policy stays the same:
//!
//! `cargo run -p engram-image --features write --example pack -- FILE PACKED`
#![forbid(unsafe_code)]

use std::error::Error;

use engram_image::write::{ImageSpec, write_packed};
use engram_image::{Image, Packing};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let from = arguments.next().ok_or("name the image")?;
    let to = arguments.next().ok_or("name the file to write")?;
    let bytes = std::fs::read(from)?;
    let spec = ImageSpec::from(&Image::read(&bytes)?);
    Ok(std::fs::write(to, write_packed(&spec, Packing::CortexM)?)?)
}
