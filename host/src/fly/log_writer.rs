//! Writing a flight log: an MCAP file with JSON channels, the image attached.
//!
//! The file is complete up to the last second whatever happens to the program, and complete to the
//! end when the writer is finished or dropped: by Ctrl-C, a dead board or an error alike.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use engram_link::{Level, Log};
use mcap::records::{MessageHeader, Metadata};
use serde::Serialize;
use serde_json::{Value, json};

use super::record::{Attention, Event, Header, Step, Summary};
use crate::hexadecimal::hexadecimal;

/// Steps between two flushes: what a power cut can cost.
const STEPS_PER_FLUSH: u32 = 50;

/// Topics of the log.
pub(super) mod topic {
    /// One [`super::Step`] per control step.
    pub(crate) const STEP: &str = "/step";
    /// The true state by name, for plots.
    pub(crate) const PLANT: &str = "/plant";
    /// [`super::Event`]s.
    pub(crate) const EVENT: &str = "/event";
    /// [`super::Attention`] per step.
    pub(crate) const ATTENTION: &str = "/attention";
    /// The board's log lines, in Foxglove's own form.
    pub(crate) const LOG: &str = "/log";
}

/// Names of the metadata records and of the attachment.
pub(super) mod name {
    /// The [`super::Header`].
    pub(crate) const FLIGHT: &str = "engram.flight";
    /// The [`super::Summary`].
    pub(crate) const SUMMARY: &str = "engram.summary";
    /// The one entry of either record: JSON.
    pub(crate) const JSON: &str = "json";
    /// The image file.
    pub(crate) const IMAGE: &str = "policy.engram";
}

/// Why a log could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file cannot be made, written or read.
    #[error("flight log {}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's words.
        cause: io::Error,
    },
    /// The MCAP container is at fault.
    #[error("flight log {}: {cause}", path.display())]
    Container {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: mcap::McapError,
    },
    /// A record is not what it should be.
    #[error("flight log {}: {what} cannot be understood: {cause}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Which record.
        what: String,
        /// What is wrong with it.
        cause: serde_json::Error,
    },
    /// No flight in it.
    #[error("{} is an MCAP file, but holds no Engram flight ({what} is missing)", path.display())]
    NoFlight {
        /// The file.
        path: PathBuf,
        /// What is missing.
        what: &'static str,
    },
    /// Written by a newer program.
    #[error("flight log {} has format {got}, this program reads up to {most}: update it", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The file's format.
        got: u32,
        /// The newest format that this program reads.
        most: u32,
    },
}

/// A flight log being written.
pub struct LogWriter {
    path: PathBuf,
    file: mcap::Writer<BufWriter<File>>,
    channels: Channels,
    state_names: Vec<String>,
    steps: u32,
    time_ns: u64,
    finished: bool,
}

struct Channels {
    step: u16,
    plant: u16,
    event: u16,
    attention: u16,
    log: u16,
}

impl LogWriter {
    /// Makes the file (and the folders above it) and writes what is known before the flight.
    ///
    /// # Errors
    /// [`LogError::File`] and [`LogError::Container`].
    pub fn create(path: &Path, header: &Header, image: Option<&[u8]>) -> Result<Self, LogError> {
        let file_error = |cause| LogError::File {
            path: path.to_owned(),
            cause,
        };
        if let Some(folder) = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            std::fs::create_dir_all(folder).map_err(file_error)?;
        }
        let file = BufWriter::new(File::create(path).map_err(file_error)?);
        let begin = || -> mcap::McapResult<_> {
            let mut file = mcap::WriteOptions::new()
                .compression(None)
                .profile("engram")
                .library(concat!("engram ", env!("CARGO_PKG_VERSION")))
                .create(file)?;
            let channels = add_channels(&mut file)?;
            let json = serde_json::to_string(header).map_err(io::Error::other)?;
            file.write_metadata(&Metadata {
                name: name::FLIGHT.to_owned(),
                metadata: BTreeMap::from([(name::JSON.to_owned(), json)]),
            })?;
            if let Some(image) = image {
                file.attach(&mcap::Attachment {
                    log_time: 0,
                    create_time: 0,
                    name: name::IMAGE.to_owned(),
                    media_type: "application/x-engram".to_owned(),
                    data: image.into(),
                })?;
            }
            file.flush()?;
            Ok((file, channels))
        };
        let (file, channels) = begin().map_err(|cause| container(path, cause))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            channels,
            state_names: header.state_names.clone(),
            steps: 0,
            time_ns: 0,
            finished: false,
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a control step.
    ///
    /// # Errors
    /// [`LogError::Container`] when the disk is full, say.
    pub fn step(&mut self, step: &Step) -> Result<(), LogError> {
        self.time_ns = step.now_us.saturating_mul(1_000);
        self.put(self.channels.step, step)?;
        let mut plant: serde_json::Map<String, Value> = self
            .state_names
            .iter()
            .zip(&step.plant)
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        plant.insert("holds".to_owned(), json!(step.holds));
        plant.insert("fallen".to_owned(), json!(step.fallen));
        self.put(self.channels.plant, &plant)?;
        self.steps += 1;
        if self.steps.is_multiple_of(STEPS_PER_FLUSH) {
            self.file
                .flush()
                .map_err(|cause| container(&self.path, cause))?;
        }
        Ok(())
    }

    /// Adds an event.
    ///
    /// # Errors
    /// As [`LogWriter::step`].
    pub fn event(&mut self, event: &Event) -> Result<(), LogError> {
        self.put(self.channels.event, event)
    }

    /// Adds where the policy looked.
    ///
    /// # Errors
    /// As [`LogWriter::step`].
    pub fn attention(&mut self, attention: &Attention) -> Result<(), LogError> {
        self.put(self.channels.attention, attention)
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
            Log::Defmt(bytes) => (1, format!("defmt {}", hexadecimal(bytes))),
        };
        let timestamp = json!({
            "sec": self.time_ns / 1_000_000_000,
            "nsec": self.time_ns % 1_000_000_000,
        });
        self.put(
            self.channels.log,
            &json!({
                "timestamp": timestamp, "level": level, "message": message,
                "name": "board", "file": "", "line": 0,
            }),
        )
    }

    /// Writes the summary and closes the file.
    ///
    /// # Errors
    /// As [`LogWriter::step`].
    pub fn finish(mut self, summary: &Summary) -> Result<(), LogError> {
        let json = serde_json::to_string(summary).map_err(|cause| LogError::Record {
            path: self.path.clone(),
            what: "the summary".to_owned(),
            cause,
        })?;
        self.file
            .write_metadata(&Metadata {
                name: name::SUMMARY.to_owned(),
                metadata: BTreeMap::from([(name::JSON.to_owned(), json)]),
            })
            .map_err(|cause| container(&self.path, cause))?;
        self.close()
    }

    fn close(&mut self) -> Result<(), LogError> {
        if self.finished {
            return Ok(());
        }
        self.finished = true;
        self.file
            .finish()
            .map_err(|cause| container(&self.path, cause))?;
        Ok(())
    }

    fn put(&mut self, channel_id: u16, record: &impl Serialize) -> Result<(), LogError> {
        let data = serde_json::to_vec(record).map_err(|cause| LogError::Record {
            path: self.path.clone(),
            what: format!("record at step {}", self.steps),
            cause,
        })?;
        let header = MessageHeader {
            channel_id,
            sequence: self.steps,
            log_time: self.time_ns,
            publish_time: self.time_ns,
        };
        self.file
            .write_to_known_channel(&header, &data)
            .map_err(|cause| container(&self.path, cause))
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::warn!("{error}");
        }
    }
}

pub(super) fn container(path: &Path, cause: mcap::McapError) -> LogError {
    LogError::Container {
        path: path.to_owned(),
        cause,
    }
}

fn add_channels(file: &mut mcap::Writer<BufWriter<File>>) -> mcap::McapResult<Channels> {
    let mut add = |topic: &str, schema: &str, fields: Value| -> mcap::McapResult<u16> {
        let text = json!({ "title": schema, "type": "object", "properties": fields }).to_string();
        let schema = file.add_schema(schema, "jsonschema", text.as_bytes())?;
        file.add_channel(schema, topic, "json", &BTreeMap::new())
    };
    let number = json!({ "type": "number" });
    let integer = json!({ "type": "integer" });
    let text = json!({ "type": "string" });
    let truth = json!({ "type": "boolean" });
    let numbers = json!({ "type": "array", "items": number });
    let integers = json!({ "type": "array", "items": integer });
    let rows = json!({ "type": "array", "items": numbers });
    let sample = json!({ "type": "object", "properties": {
        "sample_us": integer, "observation": numbers, "reward": number, "done": truth,
    }});
    let timestamp = json!({ "type": "object", "properties": { "sec": integer, "nsec": integer } });
    Ok(Channels {
        step: add(
            topic::STEP,
            "engram.Step",
            json!({
                "step": integer, "now_us": integer, "episode": integer,
                "orders": { "type": "array", "items": text }, "sample": sample,
                "words": integers, "expected": integers, "issued": integers,
                "source": text, "reward": number, "state": text, "faults": integer,
                "command": numbers, "plant": numbers, "holds": truth, "fallen": truth,
            }),
        )?,
        plant: add(
            topic::PLANT,
            "engram.Plant",
            json!({ "holds": truth, "fallen": truth }),
        )?,
        event: add(
            topic::EVENT,
            "engram.Event",
            json!({ "time_s": number, "step": integer, "kind": text, "text": text }),
        )?,
        attention: add(
            topic::ATTENTION,
            "engram.Attention",
            json!({ "step": integer, "layers": rows }),
        )?,
        log: add(
            topic::LOG,
            "foxglove.Log",
            json!({
                "timestamp": timestamp, "level": integer, "message": text, "name": text,
                "file": text, "line": integer,
            }),
        )?,
    })
}
