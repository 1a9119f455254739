//! Reading a flight log back, whole or cut short.
//!
//! A log whose writer was killed has no index and may end inside a record; everything before that
//! is read, and [`Flight::complete`] says so.

use std::collections::HashMap;
use std::path::Path;

use mcap::records::{self, Record};
use mcap::read::{ChunkReader, LinearReader, Options};
use serde::de::DeserializeOwned;

use super::log_writer::{LogError, container, name, topic};
use super::record::{Attention, Event, Header, LOG_FORMAT, Step, Summary};

/// A flight as its log tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct Flight {
    /// What was flown, where, and how.
    pub header: Header,
    /// The control steps, in order.
    pub steps: Vec<Step>,
    /// What happened.
    pub events: Vec<Event>,
    /// Where the policy looked, step by step; empty where it was not recorded.
    pub attention: Vec<Attention>,
    /// The board's log lines.
    pub board_log: Vec<String>,
    /// The image that flew; `None` for a controller on the host.
    pub image: Option<Vec<u8>>,
    /// How it went; `None` where the writer was killed.
    pub summary: Option<Summary>,
    /// Whether the file was closed in good order.
    pub complete: bool,
}

impl Flight {
    /// Reads the log at `path`.
    ///
    /// # Errors
    /// [`LogError`]; a log that ends in the middle is not an error.
    pub fn read(path: &Path) -> Result<Self, LogError> {
        let bytes = std::fs::read(path)
            .map_err(|source| LogError::File { path: path.to_owned(), source })?;
        Gathering::new(path).gather(&bytes)
    }
}

struct Gathering<'a> {
    path: &'a Path,
    topics: HashMap<u16, String>,
    header: Option<Header>,
    summary: Option<Summary>,
    image: Option<Vec<u8>>,
    steps: Vec<Step>,
    events: Vec<Event>,
    attention: Vec<Attention>,
    board_log: Vec<String>,
    closed: bool,
}

impl<'a> Gathering<'a> {
    fn new(path: &'a Path) -> Self {
        Self {
            path,
            topics: HashMap::new(),
            header: None,
            summary: None,
            image: None,
            steps: Vec::new(),
            events: Vec::new(),
            attention: Vec::new(),
            board_log: Vec::new(),
            closed: false,
        }
    }

    fn gather(mut self, bytes: &[u8]) -> Result<Flight, LogError> {
        let reader = LinearReader::new_with_options(bytes, Options::IgnoreEndMagic.into())
            .map_err(|source| container(self.path, source))?;
        for record in reader {
            match record {
                Ok(record) => self.take(record)?,
                // Not an MCAP file at all, or cut short inside a record.
                Err(source) if self.header.is_none() => {
                    return Err(container(self.path, source));
                }
                Err(_) => break,
            }
        }
        let missing = |what| LogError::NoFlight { path: self.path.to_owned(), what };
        let header = self.header.ok_or_else(|| missing("its description"))?;
        Ok(Flight {
            header,
            steps: self.steps,
            events: self.events,
            attention: self.attention,
            board_log: self.board_log,
            image: self.image,
            complete: self.closed && self.summary.is_some(),
            summary: self.summary,
        })
    }

    fn take(&mut self, record: Record<'_>) -> Result<(), LogError> {
        match record {
            Record::Channel(channel) => {
                self.topics.insert(channel.id, channel.topic);
            }
            Record::Chunk { header, data } => {
                let records = ChunkReader::new(header, data.as_ref())
                    .map_err(|source| container(self.path, source))?;
                for record in records {
                    self.take(record.map_err(|source| container(self.path, source))?)?;
                }
            }
            Record::Message { header, data } => self.message(&header, &data)?,
            Record::Metadata(metadata) => self.metadata(&metadata)?,
            Record::Attachment { header, data, .. } if header.name == name::IMAGE => {
                self.image = Some(data.into_owned());
            }
            Record::DataEnd(_) => self.closed = true,
            _ => {}
        }
        Ok(())
    }

    fn message(&mut self, header: &records::MessageHeader, data: &[u8]) -> Result<(), LogError> {
        let Some(topic) = self.topics.get(&header.channel_id).cloned() else {
            return Ok(());
        };
        match topic.as_str() {
            topic::STEP => self.steps.push(self.parse(data, &topic, header.sequence)?),
            topic::EVENT => self.events.push(self.parse(data, &topic, header.sequence)?),
            topic::ATTENTION => self.attention.push(self.parse(data, &topic, header.sequence)?),
            topic::LOG => {
                let line: serde_json::Value = self.parse(data, &topic, header.sequence)?;
                self.board_log.extend(line["message"].as_str().map(str::to_owned));
            }
            _ => {}
        }
        Ok(())
    }

    fn metadata(&mut self, metadata: &records::Metadata) -> Result<(), LogError> {
        let Some(json) = metadata.metadata.get(name::JSON) else {
            return Ok(());
        };
        match metadata.name.as_str() {
            name::FLIGHT => {
                // The format first: a newer header may have other fields.
                let value: serde_json::Value = self.parse(json.as_bytes(), name::FLIGHT, 0)?;
                let got = value["format"].as_u64().unwrap_or(0);
                if got > u64::from(LOG_FORMAT) {
                    return Err(LogError::Newer {
                        path: self.path.to_owned(),
                        got: u32::try_from(got).unwrap_or(u32::MAX),
                        most: LOG_FORMAT,
                    });
                }
                self.header = Some(self.parse(json.as_bytes(), name::FLIGHT, 0)?);
            }
            name::SUMMARY => self.summary = Some(self.parse(json.as_bytes(), name::SUMMARY, 0)?),
            _ => {}
        }
        Ok(())
    }

    fn parse<T: DeserializeOwned>(&self, data: &[u8], what: &str, at: u32) -> Result<T, LogError> {
        serde_json::from_slice(data).map_err(|source| LogError::Record {
            path: self.path.to_owned(),
            what: format!("{what} at step {at}"),
            source,
        })
    }
}
