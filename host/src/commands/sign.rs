//! `engram sign`: an image with a signature, and what the signature is to cover.

use std::path::PathBuf;

use anyhow::Context;
use engram_export::checkpoint::folder::write_one;
use engram_image::Image;
use engram_image::write::{ImageSpec, write_packed};
use serde_json::json;

use crate::output::say;
use engram_flight::image_file;
use engram_flight::signer::Signer;

/// Sign a policy image, so that boards that hold the public key take it.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  engram sign pendulum.engram --for qemu-m7 --counter 4 --key robot.pem -o signed.engram

A signature covers every byte, so whatever changes comes before it: the order of the weights (--for) and the counter (--counter).
An earlier signature is replaced. `engram export --sign KEY.pem` does the same for a training run.")]
pub struct Args {
    /// The image (.engram).
    file: PathBuf,
    /// Private key to sign with; `engram keygen` makes one.
    #[arg(long, value_name = "KEY.pem")]
    key: PathBuf,
    /// Image to write.
    #[arg(short, long, value_name = "FILE.engram")]
    output: PathBuf,
    /// Board whose kernels the weights are packed for; by default they stay as they are.
    #[arg(long = "for", value_name = "BOARD")]
    board: Option<String>,
    /// Anti-rollback counter: boards with images in flash refuse an image with a lower one than that of the image they have
    /// confirmed. By default the image's own.
    #[arg(long, value_name = "N")]
    counter: Option<u32>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Signs and writes.
///
/// # Errors
/// The key or the image cannot be read, or the image cannot be packed for the board or written.
pub fn run(args: Args) -> anyhow::Result<()> {
    let signer = Signer::read(&args.key)?;
    let bytes = image_file::read(&args.file)?;
    let file = args.file.display();
    let image = Image::read(&bytes).with_context(|| format!("{file} is not a valid image"))?;
    let packing = match &args.board {
        None => image.packing,
        Some(_) => super::export::packing_for(args.board.as_deref())?,
    };
    let mut spec = ImageSpec::from(&image);
    spec.counter = args.counter.unwrap_or(spec.counter);
    let unsigned = write_packed(&spec, packing)
        .with_context(|| format!("{file} cannot be packed for {packing}; sign it without --for"))?;
    let signed = signer.sign(unsigned)?;
    write_one(&args.output, &signed)?;
    let (output, public) = (args.output.display(), signer.public());
    if args.json {
        say!(
            "{}",
            json!({
                "file": output.to_string(), "signed_by": public.to_string(), "counter": spec.counter,
                "packing": packing.to_string(), "weights_sha256": hex::encode(image.weights_sha256),
            })
        )?;
    } else {
        say!(
            "{output}: signed by {public}, counter {}, weights in the order {packing}",
            spec.counter
        )?;
    }
    Ok(())
}
