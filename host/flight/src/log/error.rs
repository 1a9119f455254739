//! Why a flight log cannot be written or read at all.

use std::io;
use std::path::{Path, PathBuf};

use super::flaw::{self, Flaw, FlawKind};

/// Why a log could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The disk is full.
    #[error("flight log {}: there is no space left for it: {cause}", path.display())]
    Full {
        /// The file.
        path: PathBuf,
        /// The operating system's words.
        cause: io::Error,
    },
    /// The file cannot be made, written or read.
    #[error("flight log {}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's words.
        cause: io::Error,
    },
    /// Another flight is being written into it.
    #[error("flight log {}: another flight is being written into it; give this one its own file (--log)", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A record cannot be put into the container.
    #[error("flight log {}: {cause}", path.display())]
    Container {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: mcap::McapError,
    },
    /// A record cannot be put into words.
    #[error("flight log {}: {what} cannot be written: {cause}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Which record.
        what: String,
        /// What is wrong with it.
        cause: serde_json::Error,
    },
    /// No MCAP file.
    #[error("{} is no flight log: it does not begin as an MCAP file does", path.display())]
    NoLog {
        /// The file.
        path: PathBuf,
    },
    /// No flight in it.
    #[error("{} is an MCAP file, but holds no Engram flight ({what} is missing)", path.display())]
    NoFlight {
        /// The file.
        path: PathBuf,
        /// What is missing.
        what: &'static str,
    },
    /// So damaged that it does not say which flight it is of.
    #[error("flight log {} is damaged: {}", path.display(), flaw::list(flaws))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        flaws: Vec<Flaw>,
    },
    /// A copy whose records another program has compressed.
    #[error("flight log {0}: another program has compressed it ({compression}), and this one reads no compressed logs; undo it with `mcap decompress {0} -o COPY`", path.display())]
    Compressed {
        /// The file.
        path: PathBuf,
        /// How.
        compression: String,
    },
    /// A flight is still being written into it.
    #[error("flight log {}: a flight is being written into it; wait until it ends", path.display())]
    InTheMaking {
        /// The file.
        path: PathBuf,
    },
    /// Something that is no file on a disk.
    #[error("flight log {} is a pipe, a terminal or the like; a log needs a file, into which it can also write behind its end of the moment (--log FILE)", path.display())]
    NoFile {
        /// What was named.
        path: PathBuf,
    },
    /// A file stands where a folder would have to be.
    #[error("flight log {}: {} is a file and no folder; give another place (--log FILE)", path.display(), file.display())]
    NoFolder {
        /// The log.
        path: PathBuf,
        /// The file in its way.
        file: PathBuf,
    },
    /// Written by a newer program.
    #[error("flight log {} has format {got}, this program reads up to {most}: update it", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The file's format.
        got: u64,
        /// The newest format that this program reads.
        most: u32,
    },
}

impl LogError {
    /// What is wrong with the log, where it is damaged or compressed.
    #[must_use]
    pub fn flaws(&self) -> Vec<Flaw> {
        match self {
            Self::Damaged { flaws, .. } => flaws.clone(),
            Self::Compressed { .. } => {
                vec![Flaw::of(FlawKind::Compressed, "file", self.to_string())]
            }
            _ => Vec::new(),
        }
    }

    /// The error of a file that cannot be made, written or read.
    pub(super) fn file(path: &Path, cause: io::Error) -> Self {
        let path = path.to_owned();
        match cause.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path, cause },
            _ => Self::File { path, cause },
        }
    }
}
