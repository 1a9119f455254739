//! Through an MCAP file from its first byte to its last, with every checksum that it has.
//!
//! What is damaged is passed over where its end is known; where it is not, nothing after it can be told apart.

use std::collections::HashMap;

use crc::{CRC_32_ISO_HDLC, Crc};
use mcap::records::op;

use super::bytes::{Fields, Raw, Records};
use super::error::LogError;
use super::flaw::{Flaw, FlawKind};
use super::name;

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
/// The part that stands for the container.
pub(super) const FILE: &str = "file";

/// A message of some channel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a> {
    pub(super) channel: u16,
    pub(super) sequence: u32,
    pub(super) data: &'a [u8],
}

/// What an MCAP file holds, and what is wrong with it.
#[derive(Default)]
pub(super) struct Scan<'a> {
    pub(super) messages: Vec<Message<'a>>,
    /// Topics by the number of their channel.
    pub(super) topics: HashMap<u16, &'a str>,
    /// Name and JSON of each metadata record.
    pub(super) metadata: Vec<(&'a str, &'a str)>,
    /// Name and content of each attachment.
    pub(super) attachments: Vec<(&'a str, &'a [u8])>,
    /// Numbers of messages before which something could not be read.
    pub(super) breaks: Vec<usize>,
    pub(super) flaws: Vec<Flaw>,
    /// How chunks are compressed that are not read; `None` where all are plain.
    pub(super) compression: Option<&'a str>,
}

impl<'a> Scan<'a> {
    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// Why it is no MCAP file at all.
    pub(super) fn of(bytes: &'a [u8], no_log: impl FnOnce() -> LogError) -> Result<Self, LogError> {
        let mut scan = Self::default();
        if !bytes.starts_with(mcap::MAGIC) {
            // A file that ends as one was one.
            if !bytes.ends_with(mcap::MAGIC) {
                return Err(no_log());
            }
            scan.damaged(FILE, "its first bytes are damaged");
        }
        scan.file(bytes);
        Ok(scan)
    }

    fn damaged(&mut self, part: &str, text: impl Into<String>) {
        self.breaks.push(self.messages.len());
        self.flaws.push(Flaw::of(FlawKind::Damaged, part, text));
    }

    fn file(&mut self, bytes: &'a [u8]) {
        let mut records = Records::new(bytes, mcap::MAGIC.len());
        // Where the data ended and the summary begins.
        let mut summary = None;
        while let Some(record) = records.next() {
            match record.opcode {
                op::FOOTER => {
                    self.footer(bytes, record, records.at(), summary);
                    return;
                }
                op::DATA_END => {
                    self.data_end(bytes, record);
                    summary = Some(records.at());
                }
                // The summary repeats what has been read; a damaged chunk may have held the channels.
                _ if summary.is_some() => self.repeated(record),
                _ => self.record(record),
            }
        }
        let at = records.at();
        if records.done() {
            let text = "it has no end: the program that wrote it was ended, or its end was cut off";
            self.flaws.push(Flaw::of(FlawKind::CutShort, FILE, text));
        } else if bytes.ends_with(mcap::MAGIC) {
            let text = format!("it is damaged at byte {at}: from there on nothing can be read");
            self.damaged(FILE, text);
        } else {
            let text = format!("it is cut short: it ends inside the record at byte {at}");
            self.flaws.push(Flaw::of(FlawKind::CutShort, FILE, text));
        }
    }

    fn data_end(&mut self, bytes: &[u8], record: Raw<'_>) {
        let (mut fields, length) = (Fields::new(record.body), record.body.len());
        let Some(crc) = fields.u32().filter(|_| length == 4) else {
            return self.damaged(
                FILE,
                format!("its end of data at byte {} is damaged", record.at),
            );
        };
        let known = self.flaws.iter().any(|flaw| flaw.kind == FlawKind::Damaged);
        if crc != 0 && !known && CRC.checksum(&bytes[..record.at]) != crc {
            let text = format!(
                "some of its first {} bytes are damaged: their checksum is another",
                record.at
            );
            self.flaws.push(Flaw::of(FlawKind::Damaged, FILE, text));
        }
    }

    fn footer(&mut self, bytes: &[u8], record: Raw<'_>, end: usize, summary: Option<usize>) {
        let mut fields = Fields::new(record.body);
        let (start, _, crc) = (fields.u64(), fields.u64(), fields.u32());
        let Some(summary) = summary else {
            return self.damaged(FILE, "its end of data is damaged");
        };
        let starts = start == Some(0) || start == Some(summary as u64);
        // The checksum is the last field that it does not cover.
        let covered = bytes.get(summary..end - 4).unwrap_or_default();
        let sound = record.body.len() == 20
            && starts
            && crc.is_some_and(|crc| crc == 0 || CRC.checksum(covered) == crc);
        if !sound {
            self.damaged(
                FILE,
                format!("its index, from byte {summary} on, is damaged"),
            );
        }
        match bytes[end..].strip_prefix(mcap::MAGIC) {
            Some([]) => {}
            Some(more) => {
                let text = format!("{} bytes follow its end (another log?)", more.len());
                self.flaws.push(Flaw::of(FlawKind::Surplus, FILE, text));
            }
            None => self.damaged(
                FILE,
                format!("its last bytes, from byte {end} on, are damaged"),
            ),
        }
    }

    fn repeated(&mut self, record: Raw<'a>) {
        if record.opcode == op::CHANNEL
            && let Some((id, topic)) = channel(record.body)
        {
            self.topics.entry(id).or_insert(topic);
        }
    }

    fn record(&mut self, record: Raw<'a>) {
        let at = record.at;
        let read = match record.opcode {
            op::CHUNK => return self.chunk(record),
            op::CHANNEL => channel(record.body).map(|(id, topic)| {
                self.topics.insert(id, topic);
            }),
            op::MESSAGE => message(record.body).map(|message| self.messages.push(message)),
            op::METADATA => metadata(record.body).map(|found| self.metadata.push(found)),
            op::ATTACHMENT => match attachment(record.body) {
                Some(found) => {
                    self.attachments.push(found);
                    Some(())
                }
                None => {
                    let text = format!("the attached image, at byte {at}, is damaged");
                    return self.damaged(name::IMAGE, text);
                }
            },
            _ => Some(()),
        };
        if read.is_none() {
            self.damaged(FILE, format!("the record at byte {at} is damaged"));
        }
    }

    fn chunk(&mut self, record: Raw<'a>) {
        let at = record.at;
        let Some((compression, crc, data)) = chunk(record.body) else {
            return self.damaged(FILE, format!("the chunk at byte {at} is damaged"));
        };
        match compression {
            "" => {}
            "zstd" | "lz4" => {
                self.compression = Some(compression);
                return;
            }
            _ => {
                let text = format!(
                    "the chunk at byte {at} is damaged: no compression is called {compression:?}"
                );
                return self.damaged(FILE, text);
            }
        }
        if crc != 0 && CRC.checksum(data) != crc {
            let text = format!("the chunk at byte {at} is damaged: its checksum is another");
            return self.damaged(FILE, text);
        }
        let mut records = Records::new(data, 0);
        for inner in records.by_ref() {
            // A chunk holds schemas, channels and messages.
            if inner.opcode != op::CHUNK {
                self.record(Raw {
                    at: at + inner.at,
                    ..inner
                });
            }
        }
        if !records.done() {
            self.damaged(FILE, format!("the chunk at byte {at} is damaged"));
        }
    }
}

fn channel(body: &[u8]) -> Option<(u16, &str)> {
    let mut fields = Fields::new(body);
    let id = fields.u16()?;
    fields.u16()?;
    Some((id, fields.text()?))
}

fn message(body: &[u8]) -> Option<Message<'_>> {
    let mut fields = Fields::new(body);
    let (channel, sequence) = (fields.u16()?, fields.u32()?);
    fields.take(16)?;
    let data = fields.rest();
    Some(Message {
        channel,
        sequence,
        data,
    })
}

/// Compression, checksum and records of a chunk.
fn chunk(body: &[u8]) -> Option<(&str, u32, &[u8])> {
    let mut fields = Fields::new(body);
    fields.take(16)?;
    let size = fields.u64()?;
    let (crc, compression, length) = (fields.u32()?, fields.text()?, fields.u64()?);
    let data = fields.take(length)?;
    (!compression.is_empty() || size == length).then_some((compression, crc, data))
}

fn metadata(body: &[u8]) -> Option<(&str, &str)> {
    let mut fields = Fields::new(body);
    let name = fields.text()?;
    let length = fields.u32()?;
    let mut entries = Fields::new(fields.take(u64::from(length))?);
    let mut json = "";
    while !entries.rest().is_empty() {
        let (key, value) = (entries.text()?, entries.text()?);
        if key == name::JSON {
            json = value;
        }
    }
    Some((name, json))
}

fn attachment(body: &[u8]) -> Option<(&str, &[u8])> {
    let mut fields = Fields::new(body);
    fields.take(16)?;
    let name = fields.text()?;
    fields.text()?;
    let length = fields.u64()?;
    let data = fields.take(length)?;
    let covered = body.len() - fields.rest().len();
    let crc = fields.u32()?;
    (crc == 0 || CRC.checksum(&body[..covered]) == crc).then_some((name, data))
}
