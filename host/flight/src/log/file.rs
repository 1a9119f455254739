//! The file of a flight log: held by one flight alone, and an MCAP file at every moment.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::error::LogError;

/// The shortest ending of an MCAP file: data end and footer without checksums and index, and the magic bytes.
const ENDING: [u8; 50] = {
    let mut ending = [0; 50];
    ending[0] = mcap::records::op::DATA_END;
    ending[1] = 4;
    ending[13] = mcap::records::op::FOOTER;
    ending[14] = 20;
    let mut place = 0;
    while place < mcap::MAGIC.len() {
        ending[42 + place] = mcap::MAGIC[place];
        place += 1;
    }
    ending
};

/// What is written to add whole records at `end`, where an ending stands: places and bytes, in an order that leaves an MCAP
/// file whenever the program is killed. Until the last part has replaced it, the old ending ends the data, and the new one, which
/// is written first, is the file's end for whoever looks there. Only the first and the last part, of 50 bytes each, are not cut.
pub(super) fn commit(end: u64, records: &[u8]) -> [(u64, &[u8]); 3] {
    let (over_the_ending, behind) = records.split_at(records.len().min(ENDING.len()));
    [
        (end + records.len() as u64, &ENDING),
        (end + over_the_ending.len() as u64, behind),
        (end, over_the_ending),
    ]
}

/// Names tried for a new log.
const NAMES: u32 = 100_000;

/// Makes the empty file of a log that nothing else uses: `path` itself, or else `NAME-2`, `NAME-3` and so on beside it.
///
/// # Errors
/// [`LogError`] when no file can be made there.
pub fn unused_log(path: &Path) -> Result<PathBuf, LogError> {
    make_log_folder(path)?;
    let (stem, extension) = (path.file_stem(), path.extension());
    for number in 1..=NAMES {
        let mut name = stem.unwrap_or_default().to_owned();
        if number > 1 {
            name.push(format!("-{number}"));
        }
        if let Some(extension) = extension {
            name.push(".");
            name.push(extension);
        }
        let candidate = path.with_file_name(name);
        match OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&candidate)
        {
            Ok(_) => return Ok(candidate),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(LogError::file(&candidate, error)),
        }
    }
    let cause = io::Error::other(format!("{NAMES} names beside it are taken"));
    Err(LogError::file(path, cause))
}

/// Whether a flight can be logged into `path`, as far as that is known before there is anything to write. Makes the folders
/// above it, and leaves a file that is there as it is.
///
/// # Errors
/// [`LogError`]: the file is in use, is none, or can be neither opened nor made.
pub fn check_log(path: &Path) -> Result<(), LogError> {
    make_log_folder(path)?;
    match OpenOptions::new().read(true).write(true).open(path) {
        Ok(mut file) => take(path, &mut file).map(drop),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(LogError::file(path, cause)),
    }
}

/// The bytes of a log that no flight is being written into.
///
/// # Errors
/// [`LogError::InTheMaking`], and what the operating system says.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, LogError> {
    let failed = |cause| LogError::file(path, cause);
    let mut file = File::open(path).map_err(failed)?;
    // Whoever writes holds the file for itself. Where there are no locks, the log's own end has to tell.
    if let Err(TryLockError::WouldBlock) = file.try_lock_shared() {
        return Err(LogError::InTheMaking {
            path: path.to_owned(),
        });
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Makes the folders above a log.
///
/// # Errors
/// [`LogError::NoFolder`] where a file is in the way, and what the operating system says.
pub fn make_log_folder(path: &Path) -> Result<(), LogError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => return Ok(()),
    };
    std::fs::create_dir_all(folder).map_err(|cause| {
        let above = folder.ancestors().find(|above| above.exists());
        match above.filter(|above| !above.is_dir()) {
            Some(file) => LogError::NoFolder {
                path: path.to_owned(),
                file: file.to_owned(),
            },
            None => LogError::file(folder, cause),
        }
    })
}

/// Takes an open file for one flight; whether it is a regular one.
fn take(path: &Path, file: &mut File) -> Result<bool, LogError> {
    let failed = |cause| LogError::file(path, cause);
    if file.rewind().is_err() {
        return Err(LogError::NoFile {
            path: path.to_owned(),
        });
    }
    let regular = file.metadata().map_err(failed)?.is_file();
    if regular {
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LogError::InUse {
                    path: path.to_owned(),
                });
            }
            // A file system without locks keeps no two flights apart, but holds a log.
            Err(TryLockError::Error(cause)) if cause.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(cause)) => return Err(failed(cause)),
        }
    }
    Ok(regular)
}

/// A file that is written once, from its beginning to its end.
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    /// A device cannot be locked for one flight, or cut.
    regular: bool,
    /// Bytes that have been committed; what follows is an ending.
    end: u64,
}

impl LogFile {
    /// Takes the file for this flight alone (with the folders above it) and empties it.
    ///
    /// # Errors
    /// [`LogError::InUse`] while another flight has it, [`LogError::NoFile`], and what the operating system says.
    pub(super) fn create(path: &Path) -> Result<Self, LogError> {
        make_log_folder(path)?;
        let failed = |cause| LogError::file(path, cause);
        // Emptied only once it is known that nobody else writes into it.
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed)?;
        let regular = take(path, &mut file)?;
        if regular {
            file.set_len(0).map_err(failed)?;
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            regular,
            end: 0,
        })
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes whole records behind what is there, and an ending behind them.
    ///
    /// # Errors
    /// What the operating system says; the file is as it was before then.
    pub(super) fn commit(&mut self, records: &[u8]) -> Result<(), LogError> {
        self.write(&commit(self.end, records))?;
        self.end += records.len() as u64;
        Ok(())
    }

    /// Writes the last records, which bring the file's own ending with them, and sees to it that the disk has them.
    ///
    /// # Errors
    /// As [`LogFile::commit`].
    pub(super) fn close(&mut self, records: &[u8]) -> Result<(), LogError> {
        self.write(&[(self.end, records)])?;
        self.end += records.len() as u64;
        if self.regular {
            let done = self
                .file
                .set_len(self.end)
                .and_then(|()| self.file.sync_all());
            done.map_err(|cause| LogError::file(&self.path, cause))?;
        }
        Ok(())
    }

    fn write(&mut self, parts: &[(u64, &[u8])]) -> Result<(), LogError> {
        let written = parts.iter().try_for_each(|(place, bytes)| {
            self.file.seek(SeekFrom::Start(*place))?;
            self.file.write_all(bytes)
        });
        written.map_err(|cause| {
            // What was there has its place on the disk, full or not.
            let ending: &[u8] = if self.end == 0 { &[] } else { &ENDING };
            let restored = self
                .file
                .seek(SeekFrom::Start(self.end))
                .and_then(|_| self.file.write_all(ending))
                .and_then(|()| self.file.set_len(self.end + ending.len() as u64));
            if let Err(error) = restored {
                tracing::debug!("{}: not restored: {error}", self.path.display());
            }
            LogError::file(&self.path, cause)
        })
    }
}
