//! Reading an image file: what cannot be an image by its size is not read.

use std::io;
use std::path::{Path, PathBuf};

use engram_image::Image;
use engram_image::limits::IMAGE_BYTES;
use engram_image::write::{ImageSpec, WriteError, write};

use engram_plants::bounded_file::{self, BoundedError};

/// Why a file was not read as an image.
#[derive(Debug, thiserror::Error)]
pub enum ImageFileError {
    /// The operating system's words.
    #[error("the image {} cannot be read: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        cause: io::Error,
    },
    /// No image is that long.
    #[error("{} is no image: it has {length} bytes or more, and an image at most {IMAGE_BYTES}", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Bytes that it has at least.
        length: u64,
    },
}

/// All bytes of an image file, at most [`IMAGE_BYTES`]. Whether they are an image is for the reader to say.
///
/// # Errors
/// [`ImageFileError`]; a longer file is refused before it is read.
pub fn read(path: &Path) -> Result<Vec<u8>, ImageFileError> {
    let path = path.to_owned();
    bounded_file::read(&path, IMAGE_BYTES as u64).map_err(|error| match error {
        BoundedError::Io(cause) => ImageFileError::Io { path, cause },
        BoundedError::TooLong { length, .. } => ImageFileError::TooLong { path, length },
    })
}

/// The image of the same policy in rows, unsigned, whose contract has another period: for flights in time-lapse
/// ([`FlightPlan::period_us`](crate::FlightPlan::period_us)).
///
/// # Errors
/// The bytes are no image, or the reader refuses the period.
pub fn at_period(image: &[u8], period_us: u32) -> Result<Vec<u8>, WriteError> {
    let image = Image::read(image).map_err(WriteError::Refused)?;
    let mut spec = ImageSpec::from(&image);
    spec.contract.period_us = period_us;
    write(&spec)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn what_is_too_long_is_not_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("huge.engram");
        let file = File::create(&path).expect("a file");
        // Sparse: takes no room, and would take 20 GB to read.
        file.set_len(20 << 30).expect("sparse files");
        let error = read(&path).expect_err("too long").to_string();
        assert!(
            error.contains("21474836480 bytes") && error.contains("1048576"),
            "{error}"
        );
        let error = read(Path::new("/dev/zero"))
            .expect_err("endless")
            .to_string();
        assert!(error.contains("1048577"), "{error}");
        let error = read(folder.path()).expect_err("a folder").to_string();
        assert!(error.contains("cannot be read"), "{error}");
        std::fs::write(&path, b"abc").expect("written");
        assert_eq!(read(&path).expect("short"), b"abc");
    }
}
