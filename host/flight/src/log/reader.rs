//! Reading a flight log back, whole or not; what it lacks is said by name.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::record::{Attention, Event, Header, LOG_FORMAT, Step, Summary};
use super::error::LogError;
use super::file;
use super::flaw::{Flaw, FlawKind};
use super::numbers;
use super::parts::{End, Parts};
use super::scan::{FILE, Scan};
use super::{name, topic};
use sha2::{Digest, Sha256};

/// The first format whose logs say at their end what they hold.
const FORMAT_WITH_END: u32 = 2;

/// The parts of a log beside its topics that its end must count where they are there. Others may add records of their own.
const KNOWN: [&str; 3] = [name::FLIGHT, name::SUMMARY, name::IMAGE];

/// A flight as its log tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct Flight {
    /// What was flown, where, and how.
    pub header: Header,
    /// The control steps, in the order of the file.
    pub steps: Vec<Step>,
    /// What happened.
    pub events: Vec<Event>,
    /// Where the policy looked, step by step; empty where it was not recorded.
    pub attention: Vec<Attention>,
    /// The board's log lines.
    pub board_log: Vec<String>,
    /// The image that flew; `None` for a controller on the host, and where it is missing or damaged.
    pub image: Option<Vec<u8>>,
    /// How it went; `None` where the writer was killed.
    pub summary: Option<Summary>,
    /// What keeps the log from being whole.
    pub flaws: Vec<Flaw>,
    /// Whether the log holds all that was written, as written: its end says so, and it has no flaw.
    pub complete: bool,
}

impl Flight {
    /// Reads the log at `path`.
    ///
    /// # Errors
    /// [`LogError`]; a log that is not whole is an error only where it does not say which flight it is of.
    pub fn read(path: &Path) -> Result<Self, LogError> {
        let bytes = file::read(path)?;
        let scan = Scan::of(&bytes, || LogError::NoLog {
            path: path.to_owned(),
        })?;
        if let Some(compression) = scan.compression {
            return Err(LogError::Compressed {
                path: path.to_owned(),
                compression: compression.to_owned(),
            });
        }
        Gathering::new(scan).flight(path)
    }
}

/// What tells the number of a message's step.
#[derive(Deserialize)]
struct Numbered {
    step: u32,
}

/// The messages of one topic.
#[derive(Default)]
struct Topic<'a> {
    records: Vec<&'a [u8]>,
    sequences: Vec<u32>,
    /// Numbers of records before which something could not be read.
    breaks: Vec<usize>,
}

struct Gathering<'a> {
    topics: BTreeMap<&'a str, Topic<'a>>,
    metadata: Vec<(&'a str, &'a str)>,
    image: Option<&'a [u8]>,
    parts: Parts,
    flaws: Vec<Flaw>,
}

impl<'a> Gathering<'a> {
    fn new(scan: Scan<'a>) -> Self {
        let mut topics: BTreeMap<&str, Topic<'_>> = (topic::ALL.into_iter())
            .map(|name| (name, Topic::default()))
            .collect();
        let mut parts = Parts::default();
        let mut breaks = scan.breaks.into_iter().peekable();
        for (index, message) in scan.messages.iter().enumerate() {
            while breaks.next_if(|place| *place <= index).is_some() {
                topics.values_mut().for_each(Topic::note_break);
            }
            let name = scan.topics.get(&message.channel).copied();
            // Channels of others that were added later are theirs.
            if let Some((name, topic)) = name.and_then(|name| Some((name, topics.get_mut(name)?))) {
                parts.add(name, message.data);
                topic.records.push(message.data);
                topic.sequences.push(message.sequence);
            }
        }
        for _ in breaks {
            topics.values_mut().for_each(Topic::note_break);
        }
        for (name, json) in &scan.metadata {
            if *name != name::END {
                parts.add(name, json.as_bytes());
            }
        }
        for (name, data) in &scan.attachments {
            parts.add(name, data);
        }
        let image = scan
            .attachments
            .iter()
            .find(|(name, _)| *name == name::IMAGE);
        Self {
            topics,
            metadata: scan.metadata,
            image: image.map(|(_, data)| *data),
            parts,
            flaws: scan.flaws,
        }
    }

    fn flight(mut self, path: &Path) -> Result<Flight, LogError> {
        let header = self.header(path)?;
        let summary: Option<Summary> = self.described(name::SUMMARY);
        let steps: Vec<Step> = self.records(topic::STEP);
        let events = self.records(topic::EVENT);
        let attention = self.records(topic::ATTENTION);
        let board_log = self
            .records::<serde_json::Value>(topic::LOG)
            .iter()
            .filter_map(|line| line["message"].as_str().map(str::to_owned))
            .collect();
        let image = self.image(&header);
        // An end counts whatever the number says: that may be what is damaged.
        if header.format >= FORMAT_WITH_END || self.json(name::END).is_some() {
            self.compare_with_end();
        } else {
            self.look_at_old(summary.as_ref(), header.format);
        }
        self.name_lost(&steps);
        Ok(Flight {
            header,
            steps,
            events,
            attention,
            board_log,
            image,
            summary,
            complete: self.flaws.is_empty(),
            flaws: self.flaws,
        })
    }

    fn header(&mut self, path: &Path) -> Result<Header, LogError> {
        let path = path.to_owned();
        let json = self.json(name::FLIGHT);
        // The format first: a newer header may have other fields.
        let value: Option<serde_json::Value> =
            json.and_then(|json| serde_json::from_str(json).ok());
        let format = value.as_ref().and_then(|value| value["format"].as_u64());
        let header = value.and_then(|value| serde_json::from_value(value).ok());
        let what = "its description";
        match (header, format) {
            _ if self.is_damaged() && json.is_none() => {}
            (_, Some(got)) if got > u64::from(LOG_FORMAT) && !self.is_damaged() => {
                let most = LOG_FORMAT;
                return Err(LogError::Newer { path, got, most });
            }
            (Some(header), _) => return Ok(header),
            (None, _) if json.is_none() => return Err(LogError::NoFlight { path, what }),
            (None, _) => self.damaged(name::FLIGHT, "its description is damaged"),
        }
        let flaws = std::mem::take(&mut self.flaws);
        Err(LogError::Damaged { path, flaws })
    }

    fn json(&self, name: &str) -> Option<&'a str> {
        let found = self.metadata.iter().find(|(found, _)| *found == name);
        found.map(|(_, json)| *json)
    }

    /// A metadata record, if it is there and can be understood.
    fn described<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let read = serde_json::from_str(self.json(name)?);
        if let Err(cause) = &read {
            self.damaged(name, format!("{name} cannot be understood: {cause}"));
        }
        read.ok()
    }

    /// The records of a topic that can be understood.
    fn records<T: DeserializeOwned>(&mut self, name: &str) -> Vec<T> {
        let records = self.topics.get(name).map(|topic| topic.records.as_slice());
        let mut flaws = Vec::new();
        let read = records.unwrap_or_default().iter().enumerate();
        let read = read
            .filter_map(|(index, data)| match serde_json::from_slice(data) {
                Ok(record) => Some(record),
                Err(cause) => {
                    flaws.push(misunderstood(name, index, &cause));
                    None
                }
            })
            .collect();
        self.flaws.append(&mut flaws);
        read
    }

    fn image(&mut self, header: &Header) -> Option<Vec<u8>> {
        if header.image_sha256.is_empty() {
            return None;
        }
        let sound = self
            .image
            .filter(|image| hex::encode(Sha256::digest(image)) == header.image_sha256);
        if sound.is_none() && !self.has_flaw(name::IMAGE) {
            match self.image {
                Some(_) => self.damaged(name::IMAGE, "the image in it is not the one that flew"),
                None => self.flaws.push(Flaw::of(
                    FlawKind::Missing,
                    name::IMAGE,
                    "the image that flew is missing",
                )),
            }
        }
        sound.map(<[u8]>::to_vec)
    }

    /// Holds what was read against what the log says at its end that it holds.
    fn compare_with_end(&mut self) {
        let end = self.end();
        for name in topic::ALL {
            let numbers = self.numbers(name);
            let expected = end.as_ref().map(|end| end.count(name));
            if let Some((numbers, breaks)) = numbers {
                self.flaws
                    .extend(numbers::flaws(name, &numbers, &breaks, expected));
            }
        }
        let Some(end) = end else { return };
        let found = self.parts.end();
        for name in topic::ALL.into_iter().chain(KNOWN) {
            if end.part(name).is_none() && !self.has_flaw(name) {
                let flaw = match self.parts.count(name) {
                    // No log is ended without it.
                    0 if name == name::SUMMARY => {
                        Flaw::of(FlawKind::Missing, name, format!("{name} is missing"))
                    }
                    0 => continue,
                    _ => {
                        let text = format!("{name} is there, but the log's end does not count it");
                        Flaw::of(FlawKind::Surplus, name, text)
                    }
                };
                self.flaws.push(flaw);
            }
        }
        for part in &end.parts {
            if self.has_flaw(&part.name) {
                continue;
            }
            let (name, wanted) = (&part.name, part.count);
            let got = found.part(name);
            let count = got.map_or(0, |got| got.count);
            let records = |count| if count == 1 { "record" } else { "records" };
            let flaw = match count.cmp(&wanted) {
                std::cmp::Ordering::Less if wanted == 1 => {
                    Flaw::of(FlawKind::Missing, name, format!("{name} is missing"))
                }
                std::cmp::Ordering::Less => {
                    let text = format!(
                        "{name}: {} of {wanted} {} missing",
                        wanted - count,
                        records(wanted)
                    );
                    Flaw::of(FlawKind::Missing, name, text)
                }
                std::cmp::Ordering::Greater => {
                    let text = format!("{name}: {count} {} instead of {wanted}", records(count));
                    Flaw::of(FlawKind::Doubled, name, text)
                }
                std::cmp::Ordering::Equal if got.is_none_or(|got| got.sha256 != part.sha256) => {
                    let text = format!("{name} is not what was written: its digest is another");
                    Flaw::of(FlawKind::Damaged, name, text)
                }
                std::cmp::Ordering::Equal => continue,
            };
            self.flaws.push(flaw);
        }
    }

    /// What the log says at its end, as far as it can be believed.
    fn end(&mut self) -> Option<End> {
        let ends = self.metadata.iter().filter(|(name, _)| *name == name::END);
        let ends = ends.count();
        let end: Option<End> = self.described(name::END);
        if end.is_none() && !self.has_flaw(FILE) && !self.has_flaw(name::END) {
            let text = "it does not say what it holds: the program that wrote it was ended or had no space left, or its end was taken away";
            self.flaws.push(Flaw::of(FlawKind::CutShort, FILE, text));
        }
        if ends > 1 {
            let text = format!("{} is there more than once", name::END);
            self.flaws
                .push(Flaw::of(FlawKind::Doubled, name::END, text));
        }
        let end = end?;
        let contradiction = end.contradiction();
        let damaged = "what it says of itself at its end is damaged";
        if end.sha256 != end.digest() {
            self.damaged(name::END, damaged);
        } else if let Some(contradiction) = &contradiction {
            self.damaged(name::END, format!("{damaged}: {contradiction}"));
        }
        // What cannot be would name steps that never were.
        contradiction.is_none().then_some(end)
    }

    /// Running numbers of a topic's records and the breaks among them, where they have any.
    fn numbers(&mut self, name: &str) -> Option<(Vec<u32>, Vec<usize>)> {
        let topic = self.topics.get(name)?;
        let breaks = topic.breaks.clone();
        if [topic::STEP, topic::PLANT].contains(&name) {
            let mut numbers = Vec::new();
            for (index, data) in topic.records.iter().enumerate() {
                match serde_json::from_slice::<Numbered>(data) {
                    Ok(numbered) => numbers.push(numbered.step),
                    // That of a step has been named when it was read as a whole.
                    Err(cause) if name == topic::PLANT => {
                        self.flaws.push(misunderstood(name, index, &cause));
                    }
                    Err(_) => {}
                }
            }
            return Some((numbers, breaks));
        }
        // Programs that copy messages may leave their numbers out.
        let told = topic.sequences.len() < 2 || topic.sequences.iter().any(|number| *number > 0);
        told.then(|| (topic.sequences.clone(), breaks))
    }

    /// Names the steps that the log never had.
    fn name_lost(&mut self, steps: &[Step]) {
        for step in steps.iter().filter(|step| step.lost_before > 0) {
            let number = u64::from(step.step);
            let text = match step.lost_before {
                1 => format!("a step of the board before step {number} did not arrive in flight"),
                lost => format!(
                    "{lost} steps of the board before step {number} did not arrive in flight"
                ),
            };
            self.flaws.push(Flaw {
                numbers: Some((number, number)),
                ..Flaw::of(FlawKind::Lost, topic::STEP, text)
            });
        }
    }

    /// What can be said of a log that does not say itself what it holds.
    fn look_at_old(&mut self, summary: Option<&Summary>, format: u32) {
        let expected = summary.map(|summary| summary.steps);
        if let Some((numbers, breaks)) = self.numbers(topic::STEP) {
            let flaws = numbers::flaws(topic::STEP, &numbers, &breaks, expected);
            self.flaws.extend(flaws);
        }
        if summary.is_none() && !self.has_flaw(FILE) && !self.has_flaw(name::SUMMARY) {
            let text = "it has no summary: the program that wrote it was ended";
            self.flaws.push(Flaw::of(FlawKind::CutShort, FILE, text));
        }
        if self.flaws.is_empty() {
            let text = format!(
                "it is of format {format}, which does not say at its end what it holds: nothing proves that it is whole"
            );
            self.flaws.push(Flaw::of(FlawKind::NoProof, FILE, text));
        }
    }

    fn damaged(&mut self, part: &str, text: impl Into<String>) {
        self.flaws.push(Flaw::of(FlawKind::Damaged, part, text));
    }

    fn is_damaged(&self) -> bool {
        self.flaws.iter().any(|flaw| flaw.kind == FlawKind::Damaged)
    }

    fn has_flaw(&self, part: &str) -> bool {
        self.flaws.iter().any(|flaw| flaw.part == part)
    }
}

/// The flaw of a topic's record that makes no sense.
fn misunderstood(name: &str, index: usize, cause: &serde_json::Error) -> Flaw {
    let text = format!("{name}: record {index} cannot be understood: {cause}");
    Flaw::of(FlawKind::Damaged, name, text)
}

impl Topic<'_> {
    fn note_break(&mut self) {
        self.breaks.push(self.records.len());
    }
}

impl Flight {
    /// The steps from the first on that follow each other without a gap, and are what was written as far as anyone can tell.
    #[must_use]
    pub fn sound_steps(&self) -> &[Step] {
        let numbered = self
            .steps
            .iter()
            .zip(0_u64..)
            .take_while(|(step, index)| u64::from(step.step) == *index)
            .count();
        let twice: HashSet<u64> = self
            .flaws
            .iter()
            .filter(|flaw| flaw.part == topic::STEP)
            .filter_map(|flaw| flaw.numbers)
            .map(|(first, _)| first)
            .collect();
        let first = twice.into_iter().min().unwrap_or(u64::MAX);
        let first = usize::try_from(first).unwrap_or(usize::MAX);
        &self.steps[..numbered.min(first)]
    }

    /// What is wrong with the log in one sentence, if anything is that a replay cannot pass over.
    #[must_use]
    pub fn not_whole(&self) -> Option<String> {
        let flaws: Vec<Flaw> = self
            .flaws
            .iter()
            .filter(|flaw| flaw.kind != FlawKind::NoProof)
            .cloned()
            .collect();
        (!flaws.is_empty()).then(|| super::flaw::list(&flaws))
    }
}
