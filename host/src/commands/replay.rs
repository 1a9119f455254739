//! `engram replay`: does a logged flight again and compares every bit.

use std::path::PathBuf;

use anyhow::bail;
use serde_json::json;

use crate::output::say;
use engram_flight::{Flaw, Flight, replay};

/// Reproduce a flight log bit for bit, and name the first step that comes out differently.
///
/// Nothing but the log is needed: the image is inside. A log that is not whole (steps that are missing, doubled, out of
/// order or damaged) is no success: what it lacks is named, and what it has from its first step on is done again.
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
/// When the log cannot be read or replayed, when it is not whole, and when a step comes out differently.
pub fn run(args: Args) -> anyhow::Result<()> {
    let flight = match Flight::read(&args.log) {
        Ok(flight) => flight,
        Err(error) => return no_replay(args.json, &error.flaws(), false, error.into()),
    };
    let result = match replay(&flight) {
        Ok(result) => result,
        Err(error) => return no_replay(args.json, &flight.flaws, flight.complete, error.into()),
    };
    let early = flight
        .summary
        .as_ref()
        .and_then(|summary| summary.ended_early.as_ref());
    if let Some(why) = early {
        tracing::info!("the flight ended early: {why}");
    }
    let not_whole = flight.not_whole();
    if not_whole.is_none()
        && let Some(flaw) = flight.flaws.first()
    {
        tracing::warn!("the log: {flaw}");
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
    let again = if result.replayed > 0 {
        format!("; the first {} steps come out bit for bit", result.replayed)
    } else {
        String::new()
    };
    match (not_whole, result.first_difference) {
        (Some(flaws), Some(difference)) => bail!(
            "the log is not whole: {flaws}; and the flight does not come out the same at {difference}"
        ),
        (Some(flaws), None) => bail!("the log is not whole: {flaws}{again}"),
        (None, Some(difference)) => {
            bail!("the flight does not come out the same at {difference}")
        }
        (None, None) if result.steps == 0 => {
            bail!("the log holds no step: there is nothing to replay")
        }
        (None, None) => Ok(printed?),
    }
}

/// Ends a replay that could not be made.
fn no_replay(
    json: bool,
    flaws: &[Flaw],
    complete: bool,
    error: anyhow::Error,
) -> anyhow::Result<()> {
    if json {
        let (equal, error) = (false, format!("{error:#}"));
        let object = json!({
            "equal": equal, "log_complete": complete, "flaws": flaws, "error": error,
        });
        // The error is told in any case.
        let _ = say!("{object}");
    }
    Err(error)
}
