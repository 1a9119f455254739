//! Writing a flight log: an MCAP file with JSON channels, the image attached.
//!
//! The file is complete up to the last second whatever happens to the program. With [`LogWriter::finish`] it says what
//! it holds; one that was dropped before says nothing, and its reader says so.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use engram_link::{Level, Log};
use mcap::records::{MessageHeader, Metadata};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::super::exact::Exact;
use super::super::record::{Attention, Event, Header, Step, Summary};
use super::error::LogError;
use super::file::LogFile;
use super::parts::Parts;
use super::pose::Pose;
use super::schema::{Channels, add_channels, state_fields};
use super::{name, topic};

/// Time between two commits: what a killed program can cost.
const COMMIT_US: u32 = 1_000_000;
/// Bytes of a chunk after which the next one begins.
const CHUNK_BYTES: u64 = 256 * 1024;

/// A flight log being written.
pub struct LogWriter {
    file: LogFile,
    container: mcap::Writer<Tape>,
    /// What the container has made and the file not yet got.
    tape: Rc<RefCell<Vec<u8>>>,
    channels: Channels,
    state_fields: Vec<String>,
    pose: Option<Pose>,
    parts: Parts,
    steps: u32,
    steps_per_commit: u32,
    /// The wall clock when the flight began, since 1970.
    began: Duration,
    /// Seconds of flight of the newest record.
    time_s: f64,
    finished: bool,
}

/// A message with the flight's time in front.
#[derive(Serialize)]
struct Timed<'a, T> {
    time_s: f64,
    #[serde(flatten)]
    record: &'a T,
}

impl LogWriter {
    /// Makes the file (and the folders above it) and writes what is known before the flight.
    ///
    /// # Errors
    /// [`LogError::InUse`] while another flight writes into it, [`LogError::Full`] and [`LogError::File`].
    pub fn create(path: &Path, header: &Header, image: Option<&[u8]>) -> Result<Self, LogError> {
        let tape = Rc::new(RefCell::new(Vec::new()));
        let state_fields = state_fields(&header.state_names);
        let pose = Pose::of(header);
        let file = LogFile::create(path)?;
        let begin = || -> mcap::McapResult<_> {
            let mut container = mcap::WriteOptions::new()
                .compression(None)
                .profile("engram")
                .library(concat!("engram ", env!("CARGO_PKG_VERSION")))
                .chunk_size(Some(CHUNK_BYTES))
                // Chunks are put together in memory: none lies half written in the file.
                .disable_seeking(true)
                .create(Tape::new(&tape))?;
            let channels = add_channels(&mut container, &state_fields, pose.is_some())?;
            Ok((container, channels))
        };
        let (container, channels) = begin().map_err(|cause| container_error(path, cause))?;
        let mut log = Self {
            file,
            container,
            tape,
            channels,
            state_fields,
            pose,
            parts: Parts::default(),
            steps: 0,
            steps_per_commit: (COMMIT_US / header.period_us.max(1)).max(1),
            began: SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default(),
            time_s: 0.0,
            finished: false,
        };
        log.metadata(name::FLIGHT, header)?;
        if let Some(image) = image {
            log.attach(image)?;
        }
        log.commit()?;
        Ok(log)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Adds a control step, `time_s` seconds after the flight's first.
    ///
    /// # Errors
    /// [`LogError::Full`] when the disk is, and what else the operating system says.
    pub fn step(&mut self, step: &Step, time_s: f64) -> Result<(), LogError> {
        self.time_s = self.time_s.max(time_s);
        let record = Timed {
            time_s,
            record: step,
        };
        self.put(topic::STEP, self.channels.step, &record)?;
        let mut plant: Map<String, Value> = self
            .state_fields
            .iter()
            .zip(&step.plant)
            .map(|(name, value)| (name.clone(), json!(Exact(*value))))
            .collect();
        let judged = json!({
            "time_s": time_s, "step": step.step, "holds": step.holds, "fallen": step.fallen,
            "ended": step.ended,
        });
        if let Value::Object(judged) = judged {
            plant.extend(judged);
        }
        self.put(topic::PLANT, self.channels.plant, &plant)?;
        if let Some((pose, [poses, scenes])) = self.pose.zip(self.channels.view) {
            let timestamp = self.timestamp();
            if self.steps == 0 {
                self.put(topic::SCENE, scenes, &pose.scene(&timestamp))?;
            }
            self.put(topic::POSE, poses, &pose.transform(&step.plant, &timestamp))?;
        }
        self.steps += 1;
        if self.steps.is_multiple_of(self.steps_per_commit) {
            self.commit()?;
        }
        Ok(())
    }

    /// Adds an event.
    ///
    /// # Errors
    /// As [`LogWriter::step`].
    pub fn event(&mut self, event: &Event) -> Result<(), LogError> {
        self.time_s = self.time_s.max(event.time_s);
        self.put(topic::EVENT, self.channels.event, event)
    }

    /// Adds where the policy looked in the newest step.
    ///
    /// # Errors
    /// As [`LogWriter::step`].
    pub fn attention(&mut self, attention: &Attention) -> Result<(), LogError> {
        let record = Timed {
            time_s: self.time_s,
            record: attention,
        };
        self.put(topic::ATTENTION, self.channels.attention, &record)
    }

    /// Adds a line of the board's log.
    ///
    /// # Errors
    /// As [`LogWriter::step`].
    pub fn board_log(&mut self, log: &Log) -> Result<(), LogError> {
        let (level, message) = match log {
            Log::Text { level, text } => (
                match level {
                    Level::Debug => 1,
                    Level::Info => 2,
                    Level::Warn => 3,
                    Level::Error => 4,
                },
                text.as_str().to_owned(),
            ),
            Log::Defmt(bytes) => (1, format!("defmt {}", hex::encode(bytes))),
        };
        let record = json!({
            "timestamp": self.timestamp(),
            "level": level, "message": message, "name": "board", "file": "", "line": 0,
        });
        self.put(topic::LOG, self.channels.log, &record)
    }

    /// Writes the summary and the end, and closes the file.
    ///
    /// # Errors
    /// As [`LogWriter::step`]; the file then stays as it was at its last commit.
    pub fn finish(mut self, summary: &Summary) -> Result<(), LogError> {
        self.finished = true;
        self.metadata(name::SUMMARY, summary)?;
        let end = self.parts.end();
        self.metadata(name::END, &end)?;
        let finished = self.container.finish();
        finished.map_err(|cause| container_error(self.file.path(), cause))?;
        let records = self.tape.take();
        self.file.close(&records)
    }

    /// The flight's time on the wall clock: where it began, and how far it has got since.
    fn now(&self) -> Duration {
        self.began + Duration::from_secs_f64(self.time_s.max(0.0))
    }

    /// The same as Foxglove's messages have it.
    fn timestamp(&self) -> Value {
        let now = self.now();
        json!({ "sec": now.as_secs(), "nsec": now.subsec_nanos() })
    }

    fn commit(&mut self) -> Result<(), LogError> {
        let flushed = self.container.flush();
        flushed.map_err(|cause| container_error(self.file.path(), cause))?;
        let committed = self.file.commit(&self.tape.take());
        // What could not be written is not tried again when the log is dropped.
        self.finished |= committed.is_err();
        committed
    }

    fn put(&mut self, topic: &str, channel: u16, record: &impl Serialize) -> Result<(), LogError> {
        let data = serde_json::to_vec(record).map_err(|cause| LogError::Record {
            path: self.file.path().to_owned(),
            what: format!("{topic} of step {}", self.steps),
            cause,
        })?;
        let log_time = u64::try_from(self.now().as_nanos()).unwrap_or(u64::MAX);
        let header = MessageHeader {
            channel_id: channel,
            sequence: u32::try_from(self.parts.count(topic)).unwrap_or(u32::MAX),
            log_time,
            publish_time: log_time,
        };
        self.parts.add(topic, &data);
        self.container
            .write_to_known_channel(&header, &data)
            .map_err(|cause| container_error(self.file.path(), cause))
    }

    fn metadata(&mut self, name: &str, record: &impl Serialize) -> Result<(), LogError> {
        let json = serde_json::to_string(record).map_err(|cause| LogError::Record {
            path: self.file.path().to_owned(),
            what: name.to_owned(),
            cause,
        })?;
        self.parts.add(name, json.as_bytes());
        let written = self.container.write_metadata(&Metadata {
            name: name.to_owned(),
            metadata: BTreeMap::from([(name::JSON.to_owned(), json)]),
        });
        written.map_err(|cause| container_error(self.file.path(), cause))
    }

    fn attach(&mut self, image: &[u8]) -> Result<(), LogError> {
        self.parts.add(name::IMAGE, image);
        let now = u64::try_from(self.began.as_nanos()).unwrap_or(u64::MAX);
        let attached = self.container.attach(&mcap::Attachment {
            log_time: now,
            create_time: now,
            name: name::IMAGE.to_owned(),
            media_type: "application/x-engram".to_owned(),
            data: image.into(),
        });
        attached.map_err(|cause| container_error(self.file.path(), cause))
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        if !self.finished
            && let Err(error) = self.commit()
        {
            tracing::warn!("{error}");
        }
    }
}

fn container_error(path: &Path, cause: mcap::McapError) -> LogError {
    LogError::Container {
        path: path.to_owned(),
        cause,
    }
}

/// Takes what the container writes until it is committed.
struct Tape {
    bytes: Rc<RefCell<Vec<u8>>>,
    position: u64,
}

impl Tape {
    fn new(bytes: &Rc<RefCell<Vec<u8>>>) -> Self {
        Self {
            bytes: Rc::clone(bytes),
            position: 0,
        }
    }
}

impl Write for Tape {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.borrow_mut().extend_from_slice(bytes);
        self.position += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Tells where it is and goes nowhere else.
impl Seek for Tape {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match to {
            SeekFrom::Current(0) => Ok(self.position),
            SeekFrom::Start(place) if place == self.position => Ok(place),
            SeekFrom::End(0) => Ok(self.position),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}
