//! `engram boards`: what a policy can be flown on, here and now.

use serde_json::json;

use crate::output::say;
use engram_flight::board::BoardName;

/// List the boards and the serial ports, and what is missing where.
///
/// Example: engram boards --json
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
///
/// # Errors
/// When the result cannot be printed; a list of serial ports that the system does not give is empty.
pub fn run(args: Args) -> anyhow::Result<()> {
    let ports = serialport::available_ports().unwrap_or_else(|error| {
        tracing::warn!("the serial ports cannot be listed: {error}");
        Vec::new()
    });
    if args.json {
        let boards: Vec<_> = BoardName::ALL
            .into_iter()
            .map(|board| {
                let missing = board.available().err().map(|missing| missing.to_string());
                json!({
                    "name": board.name(),
                    "summary": board.summary(),
                    "available": missing.is_none(),
                    "missing": missing,
                })
            })
            .collect();
        let ports: Vec<_> = ports
            .iter()
            .map(|port| json!({ "name": port.port_name }))
            .collect();
        return Ok(say!("{}", json!({ "boards": boards, "ports": ports }))?);
    }
    say!("boards:")?;
    for board in BoardName::ALL {
        say!("  {:<13} {}", board.name(), board.summary())?;
        if let Err(missing) = board.available() {
            say!("  {:<13} not available: {missing}", "")?;
        }
    }
    say!("serial ports (--port):")?;
    if ports.is_empty() {
        say!("  none")?;
    }
    for port in ports {
        say!("  {}", port.port_name)?;
    }
    Ok(())
}
