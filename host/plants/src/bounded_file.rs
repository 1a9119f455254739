//! Reading a file of which only so much can be meant: what is longer is refused before it fills the memory.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;

/// Most bytes of a text that a person or this program wrote: settings, a robot, results.
pub const TEXT_BYTES: u64 = 16 << 20;

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub enum BoundedError {
    /// The operating system's words.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file is too long.
    #[error("it has {length} bytes or more, and such a file at most {most}")]
    TooLong {
        /// Bytes that it has at least.
        length: u64,
        /// Bytes that it may have.
        most: u64,
    },
}

/// All bytes of a file, at most `most`.
///
/// # Errors
/// [`BoundedError`]; a longer file is refused before it is read.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>, BoundedError> {
    let too_long = |length| BoundedError::TooLong { length, most };
    let file = File::open(path)?;
    let announced = file.metadata()?.len();
    if announced > most {
        return Err(too_long(announced));
    }
    // A pipe or a device announces nothing.
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    let length = bytes.len() as u64;
    if length > most {
        return Err(too_long(length));
    }
    Ok(bytes)
}

/// A text file of at most [`TEXT_BYTES`].
///
/// # Errors
/// [`BoundedError`]; also when it is not UTF-8.
pub fn text(path: &Path) -> Result<String, BoundedError> {
    let bytes = read(path, TEXT_BYTES)?;
    Ok(String::from_utf8(bytes).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_not_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("huge.toml");
        let file = File::create(&path).expect("a file");
        // Sparse: takes no room, and would take 20 GB to read.
        file.set_len(20 << 30).expect("sparse files");
        let error = text(&path).expect_err("too long").to_string();
        assert!(
            error.contains("21474836480 bytes") && error.contains("16777216"),
            "{error}"
        );
        let error = read(Path::new("/dev/zero"), 1000)
            .expect_err("endless")
            .to_string();
        assert!(error.contains("1001 bytes"), "{error}");
        assert!(matches!(text(folder.path()), Err(BoundedError::Io(_))));
        std::fs::write(&path, b"abc").expect("written");
        assert_eq!(text(&path).expect("short"), "abc");
        std::fs::write(&path, [0xff]).expect("written");
        assert!(matches!(text(&path), Err(BoundedError::Io(_))));
    }
}
