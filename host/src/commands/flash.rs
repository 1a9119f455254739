//! `engram flash`: brings an image onto a board over the link.

use std::path::PathBuf;

use anyhow::bail;
use engram_image::Image;
use engram_link::{RequestedPace, State};
use serde_json::json;

use super::fly::upload_bar;
use crate::output::say;
use engram_flight::board::{self, BoardName, Client, DEFAULT_BAUD, Patience};
use engram_flight::image_file;

/// Push a policy image to a board over the link: verified, replayed and activated there.
///
/// An unsigned image is packed as the board's kernels read it, a signed one sent as it is. An interrupted upload goes on where it stopped. The board must be disarmed for the activation, and keeps its pace:
/// one that makes its own control steps goes on making them. A refused image leaves the running one untouched. Boards in
/// QEMU forget the image when this command ends: for them it is a check.
///
/// Examples: engram flash qemu-m7 policy.engram; engram flash --port /dev/ttyACM0 policy.engram
#[derive(clap::Args, Debug)]
#[command(allow_missing_positional = true)]
pub struct Args {
    /// The board; `engram boards` lists them.
    #[arg(required_unless_present = "port")]
    board: Option<BoardName>,
    /// The policy image (.engram).
    file: PathBuf,
    /// A board at the end of a serial line instead, e.g. /dev/ttyACM0.
    #[arg(long, conflicts_with = "board", value_name = "DEVICE")]
    port: Option<String>,
    /// Bits per second of the serial line.
    #[arg(long, default_value_t = DEFAULT_BAUD, requires = "port", value_parser = clap::value_parser!(u32).range(1..))]
    baud: u32,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
///
/// # Errors
/// When the file is no image, the board cannot be reached or flies, or refuses the image.
pub fn run(args: Args) -> anyhow::Result<()> {
    let file = args.file.display();
    let bytes = image_file::read(&args.file)?;
    if bytes.starts_with(b"\x7fELF") {
        bail!(
            "{file} is firmware: QEMU and Linux boards load theirs at the start (scripts/build-boards builds it), and this version programs no others"
        );
    }
    let image = Image::read(&bytes)
        .map_err(|error| anyhow::anyhow!("{file} is not a valid image: {error}"))?;
    let (name, transport) = match (&args.port, args.board) {
        (Some(port), _) => (port.clone(), board::open_port(port, args.baud)?),
        (None, Some(board)) => (board.to_string(), board::open(board)?),
        (None, None) => bail!("name a board or a --port"),
    };
    let (mut client, hello) =
        Client::connect(transport, RequestedPace::Unchanged, Patience::default())?;
    if hello.state != State::Disarmed {
        bail!(
            "{name} is {}: an image is activated only while disarmed",
            hello.state
        );
    }
    let bytes = board::file_for(&hello, &bytes)?;
    let bar = upload_bar();
    bar.set_length(bytes.len() as u64);
    let mut resumed_at = None;
    let sent = client.upload(
        &bytes,
        |offset| {
            resumed_at.get_or_insert(offset);
            bar.set_position(u64::from(offset));
        },
        |_| Ok(()),
    );
    bar.finish_and_clear();
    sent?;
    client.commit()?;
    let telemetry = client.telemetry()?;
    let active = telemetry
        .weights_sha256
        .map(hex::encode)
        .unwrap_or_default();
    let resumed_at = resumed_at.unwrap_or(0);
    if args.json {
        say!(
            "{}",
            json!({
                "board": name, "file": file.to_string(), "bytes": bytes.len(),
                "resumed_at": resumed_at, "weights_sha256": active,
                "weights_sha256_before": hello.weights_sha256.map(hex::encode),
            })
        )?;
        return Ok(());
    }
    if resumed_at > 0 {
        say!("{name}: went on at byte {resumed_at}")?;
    }
    say!(
        "{name}: {} bytes arrived and verified, golden trace of {} steps replayed, active (weights {})",
        bytes.len(),
        image.golden.steps,
        active.get(..12).unwrap_or("unknown"),
    )?;
    Ok(())
}
