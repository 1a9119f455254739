//! TensorBoard event files: a view of `curve.csv` and `timing.csv` that can be watched while a run goes on.
//!
//! They hold nothing that those two do not. A resumed run writes them anew up to its checkpoint, so that no
//! step is in them twice and none from a future that did not happen.
//!
//! The format is a sequence of TFRecords, each a protocol buffer `Event` of scalars; both are a few lines. The
//! crates that write it bring along image decoders and protobuf runtimes.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crc::{CRC_32_ISCSI, Crc};

use super::curve::Point;
use super::timing::{self, Lap};

/// How the names of TensorBoard's event files begin.
const PREFIX: &str = "events.out.tfevents.";
const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// The event file of a run that goes on.
pub struct EventLog {
    path: PathBuf,
    /// `None` once it could not be written any more.
    file: Option<File>,
}

impl EventLog {
    /// Replaces the folder's event files by one that holds what was done so far.
    ///
    /// # Errors
    /// Names the file that cannot be removed or written.
    pub fn begin(dir: &Path, points: &[Point], laps: &[Lap]) -> io::Result<Self> {
        fs::create_dir_all(dir).map_err(named(dir))?;
        for entry in fs::read_dir(dir).map_err(named(dir))? {
            let path = entry.map_err(named(dir))?.path();
            let ours = |name: &str| name.starts_with(PREFIX);
            if path
                .file_name()
                .and_then(|name| name.to_str())
                .is_some_and(ours)
            {
                fs::remove_file(&path).map_err(named(&path))?;
            }
        }
        let now_s = timing::unix_s();
        let path = dir.join(format!(
            "{PREFIX}{:010}.{}",
            now_s as u64,
            std::process::id()
        ));
        let mut log = Self {
            file: Some(File::create(&path).map_err(named(&path))?),
            path,
        };
        let mut records = record(&version(now_s));
        records.extend(record(&start(now_s)));
        let first_s = laps.first().map_or(now_s, |lap| lap.unix_s);
        for point in points {
            let lap = laps.iter().find(|lap| lap.iteration == point.iteration);
            let unix_s = lap.map_or(first_s, |lap| lap.unix_s);
            records.extend(record(&scalars(point, lap, unix_s)));
        }
        log.write(&records)?;
        Ok(log)
    }

    /// Adds an iteration. It is in the file when this returns, unless it cannot be written: a picture of a training is no
    /// reason to end it. That is told once, and a resumed run writes the whole file anew.
    pub fn add(&mut self, point: &Point, lap: &Lap) {
        if let Err(error) = self.write(&record(&scalars(point, Some(lap), lap.unix_s))) {
            tracing::warn!("TensorBoard sees no more of this run: {error}");
            self.file = None;
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.file {
            Some(file) => file.write_all(bytes).map_err(named(&self.path)),
            None => Ok(()),
        }
    }
}

fn named(path: &Path) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// The curves' names in TensorBoard and their values.
fn values(point: &Point, lap: Option<&Lap>) -> Vec<(&'static str, f64)> {
    let update = &point.update;
    let mut values = vec![
        ("train/return", point.episode_return),
        ("train/reward", point.reward),
        ("ppo/kl", update.kl),
        ("ppo/clipped", update.clipped),
        ("ppo/entropy", update.entropy),
        ("ppo/gradient_norm", update.gradient),
        ("critic/loss", update.value_loss),
        ("critic/explained_variance", point.explained),
        ("belief/error", update.belief_error),
    ];
    if let Some(episodes) = &point.episodes {
        values.extend([
            ("train/undisturbed_return", episodes.undisturbed_return),
            ("train/falls_per_episode", episodes.falls),
            ("train/diverged_steps", episodes.diverged_steps as f64),
        ]);
    }
    values.extend(point.signal.map(|signal| ("ppo/signal", signal)));
    if let Some(lap) = lap {
        let rates = lap.rates();
        values.extend([
            ("speed/rollout_steps_per_s", rates.rollout),
            ("speed/learner_steps_per_s", rates.learner),
            ("speed/steps_per_s", rates.total),
        ]);
    }
    values
}

// Field numbers of tensorflow/core/util/event.proto and framework/summary.proto, with the wire types of
// protocol buffers: 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes.
const EVENT_WALL_TIME: u8 = 1 << 3 | 1;
const EVENT_STEP: u8 = 2 << 3;
const EVENT_FILE_VERSION: u8 = 3 << 3 | 2;
const EVENT_SUMMARY: u8 = 5 << 3 | 2;
const EVENT_SESSION_LOG: u8 = 7 << 3 | 2;
const SESSION_LOG_STATUS: u8 = 1 << 3;
const SESSION_START: u8 = 1;
const SUMMARY_VALUE: u8 = 1 << 3 | 2;
const VALUE_TAG: u8 = 1 << 3 | 2;
const VALUE_SIMPLE: u8 = 2 << 3 | 5;

fn event(unix_s: f64, step: u64) -> Vec<u8> {
    let mut event = vec![EVENT_WALL_TIME];
    event.extend(unix_s.to_le_bytes());
    event.push(EVENT_STEP);
    varint(step, &mut event);
    event
}

/// The first event of every file.
fn version(unix_s: f64) -> Vec<u8> {
    let mut event = event(unix_s, 0);
    bytes(EVENT_FILE_VERSION, b"brain.Event:2", &mut event);
    event
}

/// Tells a TensorBoard that watched this run before to forget what it has of it.
fn start(unix_s: f64) -> Vec<u8> {
    let mut event = event(unix_s, 0);
    bytes(
        EVENT_SESSION_LOG,
        &[SESSION_LOG_STATUS, SESSION_START],
        &mut event,
    );
    event
}

fn scalars(point: &Point, lap: Option<&Lap>, unix_s: f64) -> Vec<u8> {
    let mut summary = Vec::new();
    for (tag, number) in values(point, lap) {
        let mut value = Vec::new();
        bytes(VALUE_TAG, tag.as_bytes(), &mut value);
        value.push(VALUE_SIMPLE);
        value.extend((number as f32).to_le_bytes());
        bytes(SUMMARY_VALUE, &value, &mut summary);
    }
    let mut event = event(unix_s, point.steps);
    bytes(EVENT_SUMMARY, &summary, &mut event);
    event
}

fn bytes(key: u8, content: &[u8], out: &mut Vec<u8>) {
    out.push(key);
    varint(content.len() as u64, out);
    out.extend_from_slice(content);
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A TFRecord: length, its checksum, content, its checksum.
fn record(content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked_crc(&length));
    record.extend_from_slice(content);
    record.extend(masked_crc(content));
    record
}

/// TFRecord masks its checksums, because a checksum over data that holds checksums is weak.
fn masked_crc(content: &[u8]) -> [u8; 4] {
    const MASK_DELTA: u32 = 0xa282_ead8;
    CRC32C
        .checksum(content)
        .rotate_right(15)
        .wrapping_add(MASK_DELTA)
        .to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records with checked checksums.
    fn records(dir: &Path) -> Vec<Vec<u8>> {
        let files: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_string_lossy().contains("tfevents"))
            .collect();
        assert_eq!(files.len(), 1, "one file at any time");
        let content = fs::read(&files[0]).unwrap();
        let (mut rest, mut found) = (content.as_slice(), Vec::new());
        while !rest.is_empty() {
            let (length, after) = rest.split_at(8);
            assert_eq!(after[..4], masked_crc(length));
            let length = u64::from_le_bytes(length.try_into().unwrap()) as usize;
            let (data, after) = after[4..].split_at(length);
            assert_eq!(after[..4], masked_crc(data));
            found.push(data.to_vec());
            rest = &after[4..];
        }
        found
    }

    fn point(iteration: u64) -> (Point, Lap) {
        let point = Point {
            iteration,
            steps: iteration * 300,
            episodes: Some(super::super::Episodes::default()),
            signal: Some(1.5),
            ..Point::default()
        };
        let lap = Lap {
            iteration,
            steps: 300,
            unix_s: 1e9,
            total_s: 1.0,
            ..Lap::default()
        };
        (point, lap)
    }

    /// The check value of RFC 3720 for 32 zero bytes, masked as TFRecord does it.
    #[test]
    fn checksums_are_those_of_the_format() {
        assert_eq!(CRC32C.checksum(&[0; 32]), 0x8a91_36aa);
        let masked = 0x8a91_36aau32.rotate_right(15).wrapping_add(0xa282_ead8);
        assert_eq!(masked_crc(&[0; 32]), masked.to_le_bytes());
    }

    #[test]
    fn an_event_is_what_protobuf_makes_of_it() {
        // Event(wall_time=1.0, step=300, file_version="brain.Event:2") but for the step.
        let mut expected = vec![0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x10, 0, 0x1a, 13];
        expected.extend(b"brain.Event:2");
        assert_eq!(version(1.0), expected);
        assert_eq!(event(0.0, 300)[9..], [0x10, 0xac, 0x02]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_device_ends_the_picture_and_not_the_training() {
        let path = PathBuf::from("/dev/full");
        let file = File::options().write(true).open(&path).unwrap();
        let mut log = EventLog {
            path,
            file: Some(file),
        };
        let (point, lap) = point(1);
        log.add(&point, &lap);
        assert!(log.file.is_none());
        log.add(&point, &lap);
    }

    #[test]
    fn a_resumed_run_has_every_step_once() {
        let folder = tempfile::tempdir().unwrap();
        let all: Vec<_> = (1..=4).map(point).collect();
        let mut log = EventLog::begin(folder.path(), &[], &[]).unwrap();
        for (point, lap) in &all {
            log.add(point, lap);
        }
        let whole = records(folder.path());
        assert_eq!(whole.len(), 2 + 4);
        for tag in [
            "train/undisturbed_return",
            "train/falls_per_episode",
            "train/diverged_steps",
        ] {
            let found =
                |record: &Vec<u8>| record.windows(tag.len()).any(|part| part == tag.as_bytes());
            assert!(whole[2..].iter().all(found), "{tag}");
        }
        drop(log);
        // Goes on from the second iteration; the file's end was cut off by a crash.
        let (points, laps): (Vec<_>, Vec<_>) = all[..2].iter().copied().unzip();
        let mut log = EventLog::begin(folder.path(), &points, &laps).unwrap();
        assert_eq!(records(folder.path()).len(), 2 + 2);
        for (point, lap) in &all[2..] {
            log.add(point, lap);
        }
        assert_eq!(records(folder.path())[2..], whole[2..]);
    }
}
