//! Writes an image of a reference shape with random weights, for counting instructions on boards:
//!
//! `cargo run -p engram --example random-image -- SHAPE FILE`
#![forbid(unsafe_code)]

use anyhow::{Context, Result};
use engram::measure::{random_image, shapes};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().context("name a shape")?;
    let file = arguments.next().context("name the file to write")?;
    let shape = shapes()
        .into_iter()
        .find(|shape| shape.name == name)
        .with_context(|| format!("there is no shape {name}"))?;
    std::fs::write(&file, random_image(&shape.config, 0)?)
        .with_context(|| format!("{file} cannot be written"))
}
