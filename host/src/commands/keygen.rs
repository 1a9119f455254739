//! `engram keygen`: the private key that images are signed with, and the public one that boards hold.

use std::path::PathBuf;

use crate::output::{say, tell};
use engram_flight::signer::Signer;

/// Make an ed25519 key to sign images with, and print the public key that boards are given.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  engram keygen -o robot.pem > robot.pub
  engram sign pendulum.engram --for qemu-m7 --key robot.pem -o signed.engram
  ENGRAM_PUBLIC_KEY=$(cat robot.pub) scripts/build-boards mps2

The private key is PKCS#8 in PEM, without a password, in a new file that its owner alone can read: keep it off the robot, and keep a
copy, for whoever lacks it cannot make images for boards that hold its public key. Standard output gets the public key alone, 64
hexadecimal digits.")]
pub struct Args {
    /// File to write the private key to; one that is there is never replaced.
    #[arg(short, long, value_name = "KEY.pem")]
    output: PathBuf,
}

/// Makes and prints.
///
/// # Errors
/// The file is there already, or cannot be written.
pub fn run(args: Args) -> anyhow::Result<()> {
    let signer = Signer::create(&args.output)?;
    tell!(
        "{}: a new private key; boards are given the public one below",
        args.output.display()
    );
    Ok(say!("{}", signer.public())?)
}
