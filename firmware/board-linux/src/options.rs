//! What the programs of this board are told on the command line.

use std::io::Write as _;
use std::path::PathBuf;

use engram_firmware::signature::{NotAKey, PublicKey};

use crate::line::Line;
use crate::real_time::RealTime;
use crate::run::Failure;

/// The command line of a board of Linux; a robot's own program flattens it into its arguments.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Serial device to listen on
    #[arg(
        long,
        value_name = "DEVICE",
        required_unless_present = "pty",
        conflicts_with = "pty"
    )]
    pub port: Option<String>,
    /// Speed of the serial device, bits per second
    #[arg(long, value_name = "RATE", default_value_t = 921_600)]
    pub baud: u32,
    /// Make a pseudo-terminal and print the path that the host opens
    #[arg(long)]
    pub pty: bool,
    /// Install this image at the start, with all checks of an upload
    #[arg(long, value_name = "FILE")]
    pub image: Option<PathBuf>,
    /// Take images signed by this key alone: its 64 hexadecimal digits, as `engram keygen` prints them
    #[arg(long, value_name = "KEY", value_parser = key)]
    pub key: Option<PublicKey>,
    /// Run under SCHED_FIFO with this priority, 1 to 99, and with all memory locked
    #[arg(long, value_name = "PRIORITY", value_parser = clap::value_parser!(u8).range(1..=99))]
    pub realtime: Option<u8>,
    /// Run on this CPU alone, counted from 0
    #[arg(long, value_name = "N")]
    pub cpu: Option<usize>,
    /// Watchdog to feed with every control step that comes to its end, such as /dev/watchdog
    #[arg(long, value_name = "DEVICE")]
    pub watchdog: Option<PathBuf>,
}

/// The public key of an argument; one that nothing can be signed by is none.
fn key(text: &str) -> Result<PublicKey, NotAKey> {
    text.parse()
        .and_then(|key: PublicKey| key.is_valid().then_some(key).ok_or(NotAKey))
}

impl Options {
    /// Opens the serial device, or makes the pseudo-terminal and prints its path on the standard output.
    ///
    /// # Errors
    /// [`Failure::Line`], [`Failure::Path`].
    pub fn open_line(&self) -> Result<Line, Failure> {
        let Some(path) = &self.port else {
            let (line, path) = Line::pseudo_terminal()?;
            writeln!(std::io::stdout(), "{path}").map_err(Failure::Path)?;
            return Ok(line);
        };
        Ok(Line::open(path, self.baud)?)
    }

    /// The bytes of the image to install, if there is one.
    ///
    /// # Errors
    /// [`Failure::ImageFile`].
    pub fn read_image(&self) -> Result<Option<Vec<u8>>, Failure> {
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|cause| Failure::ImageFile {
                path: path.clone(),
                cause,
            })
        };
        self.image.as_ref().map(read).transpose()
    }

    /// What to ask the kernel for.
    #[must_use]
    pub const fn real_time(&self) -> RealTime {
        RealTime {
            priority: self.realtime,
            cpu: self.cpu,
        }
    }
}
