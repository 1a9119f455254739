//! Reading a flight log back, whole or cut short.
//!
//! A log whose writer was killed has no index and may end inside a record; everything before that
//! is read, and [`Flight::complete`] says so.

use std::collections::HashMap;
use std::path::Path;

use mcap::read::{ChunkReader, LinearReader, Options};
use mcap::records::{self, Record};
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
        let bytes = std::fs::read(path).map_err(|cause| LogError::File {
            path: path.to_owned(),
            cause,
        })?;
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
            .map_err(|cause| container(self.path, cause))?;
        for record in reader {
            match record {
                Ok(record) => self.take(record)?,
                // Not an MCAP file at all, or cut short inside a record.
                Err(cause) if self.header.is_none() => {
                    return Err(container(self.path, cause));
                }
                Err(_) => break,
            }
        }
        let missing = |what| LogError::NoFlight {
            path: self.path.to_owned(),
            what,
        };
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
                    .map_err(|cause| container(self.path, cause))?;
                for record in records {
                    self.take(record.map_err(|cause| container(self.path, cause))?)?;
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
            topic::ATTENTION => self
                .attention
                .push(self.parse(data, &topic, header.sequence)?),
            topic::LOG => {
                let line: serde_json::Value = self.parse(data, &topic, header.sequence)?;
                self.board_log
                    .extend(line["message"].as_str().map(str::to_owned));
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
        serde_json::from_slice(data).map_err(|cause| LogError::Record {
            path: self.path.to_owned(),
            what: format!("{what} at step {at}"),
            cause,
        })
    }
}

#[cfg(test)]
mod tests {
    use engram_link::{Level, Log};

    use super::super::log_writer::LogWriter;
    use super::super::record::{EventKind, example_step};
    use super::*;

    fn header() -> Header {
        Header {
            format: LOG_FORMAT,
            engram: "0".to_owned(),
            board: "loopback".to_owned(),
            firmware: String::new(),
            controller: "policy".to_owned(),
            wiped: false,
            pace: "lock-step".to_owned(),
            plant: "pendulum".to_owned(),
            task_seed: 1,
            task: vec![("mass".to_owned(), 1.25, "kg".to_owned())],
            change: Some(("polarity".to_owned(), 3.0)),
            fault: String::new(),
            period_us: 20_000,
            observations: Vec::new(),
            actions: Vec::new(),
            state_names: vec!["angle_rad".to_owned(), "rate_rad_per_s".to_owned()],
            contract_sha256: String::new(),
            image_sha256: String::new(),
            weights_sha256: String::new(),
        }
    }

    fn summary(steps: u32) -> Summary {
        Summary {
            board: "loopback".to_owned(),
            plant: "pendulum".to_owned(),
            controller: "policy".to_owned(),
            steps,
            words_compared: steps,
            words_equal: Some(true),
            first_difference: None,
            deadline_misses: 0,
            faults_injected: 0,
            retransmissions: 0,
            board_receive_errors: 0,
            host_receive_errors: 0,
            envelope_violations: 0,
            faults: Vec::new(),
            final_state: "armed".to_owned(),
            weights_sha256_before: String::new(),
            weights_sha256_after: String::new(),
            holds_at_end: true,
            held_share: 1.0,
            recovery_s: None,
            worst_stack_bytes: 0,
            worst_step_us: 0,
            ended_early: None,
            log: None,
        }
    }

    /// Writes `steps` steps with everything else that a log may hold.
    fn write(path: &Path, steps: u32) -> LogWriter {
        let mut log = LogWriter::create(path, &header(), Some(b"image")).expect("a log");
        for step in 0..steps {
            if step == 2 {
                let text = "polarity".to_owned();
                let event = Event {
                    time_s: 0.04,
                    step,
                    kind: EventKind::Change,
                    text,
                };
                log.event(&event).expect("written");
                let text = "hello".try_into().expect("short");
                log.board_log(&Log::Text {
                    level: Level::Info,
                    text,
                })
                .expect("written");
            }
            log.step(&example_step(step)).expect("written");
            let layers = vec![vec![0.5, 0.25]; 2];
            log.attention(&Attention { step, layers }).expect("written");
        }
        log
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("new/folders/too.mcap");
        write(&path, 120).finish(&summary(120)).expect("finished");
        let flight = Flight::read(&path).expect("it reads");
        assert!(flight.complete);
        assert_eq!(flight.header, header());
        assert_eq!(flight.summary, Some(summary(120)));
        assert_eq!(flight.steps, (0..120).map(example_step).collect::<Vec<_>>());
        assert_eq!((flight.events.len(), flight.attention.len()), (1, 120));
        assert_eq!(flight.board_log, ["hello"]);
        assert_eq!(flight.image.as_deref(), Some(&b"image"[..]));
    }

    #[test]
    fn a_dropped_log_is_complete_but_for_its_summary() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("dropped.mcap");
        drop(write(&path, 70));
        let flight = Flight::read(&path).expect("it reads");
        assert!(!flight.complete && flight.summary.is_none());
        assert_eq!(flight.steps.len(), 70);
    }

    #[test]
    fn a_killed_writer_costs_at_most_the_last_second() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, copy) = (
            folder.path().join("live.mcap"),
            folder.path().join("copy.mcap"),
        );
        let log = write(&path, 130);
        // What lies on the disk now is what a killed program leaves.
        std::fs::copy(&path, &copy).expect("copied");
        let flight = Flight::read(&copy).expect("it reads");
        assert!(!flight.complete);
        assert!(
            (100..=130).contains(&flight.steps.len()),
            "{} steps",
            flight.steps.len()
        );
        assert_eq!(flight.image.as_deref(), Some(&b"image"[..]));
        drop(log);
    }

    #[test]
    fn a_log_cut_anywhere_is_read_up_to_there_or_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, cut) = (
            folder.path().join("whole.mcap"),
            folder.path().join("cut.mcap"),
        );
        write(&path, 60).finish(&summary(60)).expect("finished");
        let bytes = std::fs::read(&path).expect("bytes");
        let mut most = 0;
        for length in (0..bytes.len()).step_by(97) {
            std::fs::write(&cut, &bytes[..length]).expect("written");
            if let Ok(flight) = Flight::read(&cut) {
                assert!(flight.steps.len() >= most, "at {length} bytes");
                most = flight.steps.len();
                assert!(
                    flight
                        .steps
                        .iter()
                        .zip(0..)
                        .all(|(step, index)| step.step == index)
                );
            }
        }
        assert_eq!(most, 60);
    }

    #[test]
    fn other_files_and_newer_logs_are_refused_with_the_reason() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("other.mcap");
        std::fs::write(&path, b"not a log").expect("written");
        assert!(matches!(
            Flight::read(&path),
            Err(LogError::Container { .. })
        ));
        assert!(matches!(
            Flight::read(folder.path()),
            Err(LogError::File { .. })
        ));
        let newer = Header {
            format: LOG_FORMAT + 1,
            ..header()
        };
        drop(LogWriter::create(&path, &newer, None).expect("a log"));
        let error = Flight::read(&path).expect_err("newer").to_string();
        assert!(error.contains("update"), "{error}");
        let empty = mcap::Writer::new(std::fs::File::create(&path).expect("a file"));
        empty.expect("a writer").finish().expect("finished");
        assert!(matches!(
            Flight::read(&path),
            Err(LogError::NoFlight { .. })
        ));
    }
}
