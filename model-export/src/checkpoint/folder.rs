//! Files of one folder that change together: after a crash at any moment all of them are the old ones, or
//! all are the new ones. Nothing here knows what the files hold.
//!
//! New files are written and flushed in `.save.part/`. One rename of that folder to `.save/` is the moment of
//! the change: from then on a file in `.save/` counts before the one of the same name beside it. Only then
//! do the files move to their places. Who finds a `.save/` left by a crash reads through it, and the next
//! writer finishes the moves first. A folder has one writer at a time.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;

use super::CheckpointError;

/// New files, possibly half written.
const PART: &str = ".save.part";
/// New files, complete, on their way to their places.
const COMPLETE: &str = ".save";

/// The content of a file of the folder, as of the last complete save.
///
/// # Errors
/// The system's reason.
pub fn read(dir: &Path, name: &str) -> io::Result<Vec<u8>> {
    match fs::read(dir.join(COMPLETE).join(name)) {
        // Not there, or moved to its place a moment ago.
        Err(error) if error.kind() == ErrorKind::NotFound => fs::read(dir.join(name)),
        other => other,
    }
}

/// The contents of several files, all as of the same complete save; `names` begins with one that every save
/// changes. Who reads a folder while another program saves into it would otherwise get some of each.
///
/// # Errors
/// The file that could not be read.
pub fn read_together<const FILES: usize>(
    dir: &Path,
    names: [&str; FILES],
) -> Result<[Vec<u8>; FILES], CheckpointError> {
    /// Saves are seconds apart and reading takes milliseconds: the second try is good.
    const TRIES: usize = 10;
    let read = |name: &str| read(dir, name).map_err(at(&dir.join(name)));
    let mut tries = 0;
    loop {
        let mut contents = [const { Vec::new() }; FILES];
        for (content, name) in contents.iter_mut().zip(names) {
            *content = read(name)?;
        }
        tries += 1;
        let (Some(name), Some(content)) = (names.first(), contents.first()) else {
            return Ok(contents);
        };
        if tries == TRIES || read(name)? == *content {
            return Ok(contents);
        }
    }
}

/// Whether the folder holds a file of this name.
#[must_use]
pub fn holds(dir: &Path, name: &str) -> bool {
    dir.join(COMPLETE).join(name).exists() || dir.join(name).exists()
}

/// Replaces several files of a folder in one moment. The folder is made when it does not exist.
///
/// # Errors
/// The file that could not be written. Before the moment of the change the old files stay as they are; an
/// error after it leaves the new ones, and the next save or [`finish`] moves what is left to move.
pub fn write_together(dir: &Path, files: &[(&str, &[u8])]) -> Result<(), CheckpointError> {
    fs::create_dir_all(dir).map_err(at(dir))?;
    finish(dir)?;
    let (part, complete) = (dir.join(PART), dir.join(COMPLETE));
    remove(&part)?;
    let written = stage(&part, files)
        .and_then(|()| fs::rename(&part, &complete).map_err(at(&complete)))
        .and_then(|()| flush(dir));
    if written.is_err() {
        // Best effort: the error that counts is the one already held.
        let _ = remove(&part);
    }
    written?;
    finish(dir)
}

/// Replaces one file, whole or not at all; its folder is made when it does not exist. A symbolic link stays, and what it
/// leads to is replaced; a device or a pipe is written into.
///
/// # Errors
/// The file that could not be written; the temporary one beside it is removed.
pub fn write_one(path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
    let place = match fs::canonicalize(path) {
        Ok(place) if place.is_file() => place,
        Ok(_) => return write_into(path, bytes),
        // A link to nothing yet, or to the pipe behind /dev/stdout.
        Err(error) if error.kind() == ErrorKind::NotFound && path.is_symlink() => {
            return write_into(path, bytes);
        }
        Err(error) if error.kind() == ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(at(path)(error)),
    };
    let Some(name) = place.file_name() else {
        return Err(at(path)(ErrorKind::InvalidFilename.into()));
    };
    let part = format!(".{}.{}.part", name.display(), std::process::id());
    let part = place.with_file_name(part);
    if let Some(dir) = place.parent() {
        fs::create_dir_all(dir).map_err(at(dir))?;
    }
    let result = write(&part, bytes).and_then(|()| fs::rename(&part, &place).map_err(at(&place)));
    if result.is_err() {
        // Best effort, as above.
        let _ = fs::remove_file(&part);
    }
    result
}

/// Writes into what is there, which is no file that could be replaced.
fn write_into(path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
    File::create(path)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(at(path))
}

/// Moves what a crash left on its way to its place.
///
/// # Errors
/// The file that could not be moved.
pub fn finish(dir: &Path) -> Result<(), CheckpointError> {
    let complete = dir.join(COMPLETE);
    let entries = match fs::read_dir(&complete) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        other => other.map_err(at(&complete))?,
    };
    for entry in entries {
        let entry = entry.map_err(at(&complete))?;
        let place = dir.join(entry.file_name());
        fs::rename(entry.path(), &place).map_err(at(&place))?;
    }
    flush(dir)?;
    fs::remove_dir(&complete).map_err(at(&complete))
}

fn stage(part: &Path, files: &[(&str, &[u8])]) -> Result<(), CheckpointError> {
    fs::create_dir(part).map_err(at(part))?;
    for (name, bytes) in files {
        write(&part.join(name), bytes)?;
    }
    flush(part)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
    File::create(path)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .map_err(at(path))
}

fn remove(dir: &Path) -> Result<(), CheckpointError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(at(dir)(error)),
        _ => Ok(()),
    }
}

/// Makes the folder's names safe against a loss of power, where the system can.
fn flush(dir: &Path) -> Result<(), CheckpointError> {
    if cfg!(unix) {
        File::open(dir)
            .and_then(|dir| dir.sync_all())
            .map_err(at(dir))?;
    }
    Ok(())
}

fn at(path: &Path) -> impl Fn(io::Error) -> CheckpointError {
    move |reason| CheckpointError::Io {
        path: path.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Files = [(&'static str, &'static [u8]); 2];

    const OLD: Files = [("a", b"old a"), ("b", b"old b")];
    const NEW: Files = [("a", b"new a"), ("b", b"new b")];

    fn found(dir: &Path) -> [Vec<u8>; 2] {
        ["a", "b"].map(|name| read(dir, name).expect("there"))
    }

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a folder");
        write_together(dir.path(), &OLD).expect("saved");
        dir
    }

    /// Every state of the disk that a crash can leave, in the order in which a save goes through them.
    #[test]
    fn a_crash_at_any_moment_leaves_the_old_files_or_the_new_ones() {
        type Crash = fn(&Path);
        let crashes: [(Crash, &Files); 5] = [
            (|dir| fs::create_dir(dir.join(PART)).expect("made"), &OLD),
            (
                |dir| {
                    stage(&dir.join(PART), &NEW).expect("staged");
                    fs::write(dir.join(PART).join("b"), b"ne").expect("half");
                },
                &OLD,
            ),
            (
                |dir| stage(&dir.join(COMPLETE), &NEW).expect("staged"),
                &NEW,
            ),
            (
                |dir| {
                    stage(&dir.join(COMPLETE), &NEW).expect("staged");
                    fs::rename(dir.join(COMPLETE).join("b"), dir.join("b")).expect("moved");
                },
                &NEW,
            ),
            (
                |dir| {
                    stage(&dir.join(COMPLETE), &NEW).expect("staged");
                    for name in ["a", "b"] {
                        fs::rename(dir.join(COMPLETE).join(name), dir.join(name)).expect("moved");
                    }
                },
                &NEW,
            ),
        ];
        for (number, (crash, expected)) in crashes.into_iter().enumerate() {
            let dir = folder();
            crash(dir.path());
            let expected = expected.map(|(_, bytes)| bytes.to_vec());
            assert_eq!(found(dir.path()), expected, "crash {number}");
            finish(dir.path()).expect("finished");
            assert_eq!(found(dir.path()), expected, "crash {number}, finished");
            // A save of other files must not bring back or lose anything.
            write_together(dir.path(), &[("c", b"c")]).expect("saved");
            assert_eq!(found(dir.path()), expected, "crash {number}, and a save");
            assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 3);
        }
    }

    #[test]
    fn a_save_that_fails_leaves_the_old_files() {
        let dir = folder();
        let error =
            write_together(dir.path(), &[("a", b"new"), ("no/b", b"new")]).expect_err("a refusal");
        assert!(error.to_string().contains("no/b"), "{error}");
        assert_eq!(found(dir.path()), OLD.map(|(_, bytes)| bytes.to_vec()));
        assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 2);
    }

    #[test]
    fn one_file_is_replaced_whole() {
        let dir = folder();
        write_one(&dir.path().join("a"), b"new a").expect("written");
        assert_eq!(found(dir.path()), [b"new a".to_vec(), b"old b".to_vec()]);
        assert!(holds(dir.path(), "a") && !holds(dir.path(), "c"));
        assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 2);
        write_one(&dir.path().join("made/c"), b"c").expect("written");
        assert!(holds(&dir.path().join("made"), "c"));
        let error = write_one(&dir.path().join("made"), b"c").expect_err("a folder");
        assert!(error.to_string().contains("made"), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn links_stay_and_what_is_no_file_is_written_into() {
        use std::os::unix::fs::{FileTypeExt as _, symlink};

        let dir = folder();
        let link = |name: &str, to: &Path| {
            let link = dir.path().join(name);
            symlink(to, &link).expect("a link");
            link
        };
        let kind = |path: &Path| fs::metadata(path).expect("there").file_type();
        let to_file = link("to-file", Path::new("a"));
        write_one(&to_file, b"new a").expect("written");
        assert!(to_file.is_symlink());
        assert_eq!(read(dir.path(), "a").expect("there"), b"new a");
        let to_nothing = link("to-nothing", Path::new("c"));
        write_one(&to_nothing, b"c").expect("written");
        assert!(to_nothing.is_symlink() && holds(dir.path(), "c"));

        let pipe = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("mkfifo").success());
        let to_pipe = link("to-pipe", &pipe);
        for path in [&pipe, &to_pipe] {
            let read = {
                let pipe = pipe.clone();
                std::thread::spawn(move || fs::read(pipe).expect("what was written"))
            };
            write_one(path, b"through").expect("written");
            // Before anything of the system is written to: a pipe that became a file would be a device that became one.
            assert!(kind(&pipe).is_fifo() && to_pipe.is_symlink());
            assert_eq!(read.join().expect("read"), b"through");
        }

        let to_full = link("to-full", Path::new("/dev/full"));
        let error = write_one(&to_full, b"new").expect_err("a full device");
        assert!(error.to_string().contains("No space left"), "{error}");
        assert!(to_full.is_symlink() && kind(&to_full).is_char_device());
    }
}
