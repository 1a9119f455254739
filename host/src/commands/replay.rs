//! `engram replay`: does a logged flight again and compares every bit.

use std::path::PathBuf;

use anyhow::bail;

use crate::fly::{Flight, replay};
use crate::output::say;

/// Reproduce a flight log bit for bit, and name the first step that comes out differently.
///
/// Nothing but the log is needed: the image is inside.
///
/// Example: engram replay runs/flight.mcap
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The flight log that `engram fly --log` wrote.
    log: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
///
/// # Errors
/// When the log cannot be read or replayed, and when a step comes out differently.
pub fn run(args: Args) -> anyhow::Result<()> {
    let flight = Flight::read(&args.log)?;
    let result = replay(&flight)?;
    match flight
        .summary
        .as_ref()
        .map(|summary| summary.ended_early.as_deref())
    {
        Some(Some(why)) => tracing::info!("the flight ended early: {why}"),
        Some(None) => {}
        None => tracing::warn!("the log is cut short: the program that wrote it was ended"),
    }
    let printed = if args.json {
        say!("{}", serde_json::to_string(&result)?)
    } else if result.equal {
        say!(
            "{} steps of {} on {}: all come out bit for bit",
            result.replayed,
            result.plant,
            result.board
        )
    } else {
        Ok(())
    };
    match result.first_difference {
        Some(difference) => bail!("the flight does not come out the same at {difference}"),
        None => Ok(printed?),
    }
}
