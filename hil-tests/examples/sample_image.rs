//! Writes an untrained image for the pendulum, to try boards and links with:
//!
//! `cargo run -p engram-hil-tests --example sample_image -- FILE [SEED]`
#![forbid(unsafe_code)]

use anyhow::{Context, Result};
use engram_hil_tests::sample_image::{AGE, sample_image};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().context("name the file to write")?;
    let seed = arguments
        .next()
        .map_or(Ok(1), |seed| seed.parse())
        .context("a seed is a number")?;
    std::fs::write(&file, sample_image(seed, &AGE)?)
        .with_context(|| format!("{file} cannot be written"))
}
