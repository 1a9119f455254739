//! Logs that are whole, and logs whose writer came to no end.

use std::path::{Path, PathBuf};

use engram_link::{Level, Log};
use serde_json::Value;

use super::super::record::{
    Attention, Event, EventKind, Header, LOG_FORMAT, Step, Summary, example_step,
};
use super::*;

pub(super) const IMAGE: &[u8] = b"an image";

pub(super) fn header() -> Header {
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
        has_goal: true,
        state_names: vec!["angle_rad".to_owned(), "holds".to_owned()],
        contract_sha256: String::new(),
        image_sha256: {
            use sha2::Digest;
            hex::encode(sha2::Sha256::digest(IMAGE))
        },
        weights_sha256: String::new(),
    }
}

pub(super) fn summary(steps: u32) -> Summary {
    Summary {
        board: "loopback".to_owned(),
        plant: "pendulum".to_owned(),
        controller: "policy".to_owned(),
        steps,
        steps_lost: 0,
        words_compared: steps,
        words_equal: Some(true),
        first_difference: None,
        deadline_misses: 0,
        faults_injected: 0,
        retransmissions: 0,
        board_receive_errors: 0,
        board_frames_dropped: 0,
        host_receive_errors: 0,
        envelope_violations: 0,
        faults: Vec::new(),
        final_state: "armed".to_owned(),
        weights_sha256_before: String::new(),
        weights_sha256_after: String::new(),
        holds_at_end: Some(true),
        held_share: Some(1.0),
        recovery_s: None,
        falls: 0,
        diverged_steps: 0,
        worst_stack_bytes: 0,
        ram_bytes: 0,
        worst_step_us: 0,
        lateness: None,
        ended_early: None,
        log: None,
        log_complete: true,
    }
}

/// Writes `steps` steps with everything else that a log may hold.
pub(super) fn write(path: &Path, steps: u32) -> LogWriter {
    let mut log = LogWriter::create(path, &header(), Some(IMAGE)).expect("a log");
    for step in 0..steps {
        let time_s = f64::from(step) * 0.02;
        if step % 20 == 2 {
            let event = Event {
                time_s,
                step,
                kind: EventKind::Change,
                text: "polarity".to_owned(),
            };
            log.event(&event).expect("written");
            let text = "hello".try_into().expect("short");
            let line = Log::Text {
                level: Level::Info,
                text,
            };
            log.board_log(&line).expect("written");
        }
        log.step(&example_step(step), time_s).expect("written");
        let layers = vec![vec![0.5, 0.25]; 2];
        log.attention(&Attention { step, layers }).expect("written");
    }
    log
}

pub(super) struct Folder(tempfile::TempDir);

impl Folder {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The bytes of a whole log of `steps` steps.
    pub(super) fn whole(&self, steps: u32) -> Vec<u8> {
        let path = self.path("whole.mcap");
        write(&path, steps)
            .finish(&summary(steps))
            .expect("finished");
        std::fs::read(path).expect("bytes")
    }

    pub(super) fn read(&self, bytes: &[u8]) -> Result<Flight, LogError> {
        let path = self.path("altered.mcap");
        std::fs::write(&path, bytes).expect("written");
        Flight::read(&path)
    }
}

#[test]
fn what_is_written_is_read() {
    let folder = Folder::new();
    let path = folder.path("new/folders/too.mcap");
    write(&path, 120).finish(&summary(120)).expect("finished");
    let flight = Flight::read(&path).expect("it reads");
    assert_eq!(flight.flaws, []);
    assert!(flight.complete && flight.not_whole().is_none());
    assert_eq!(flight.header, header());
    assert_eq!(flight.summary, Some(summary(120)));
    assert_eq!(flight.steps, (0..120).map(example_step).collect::<Vec<_>>());
    assert_eq!(flight.sound_steps(), flight.steps);
    assert_eq!((flight.events.len(), flight.attention.len()), (6, 120));
    assert_eq!(flight.board_log, ["hello"; 6]);
    assert_eq!(flight.image.as_deref(), Some(IMAGE));
}

#[test]
fn a_log_without_steps_is_whole() {
    let folder = Folder::new();
    let flight = folder.read(&folder.whole(0)).expect("it reads");
    assert!(flight.complete && flight.steps.is_empty());
}

#[test]
fn a_dropped_log_has_all_its_steps_and_is_not_whole() {
    let folder = Folder::new();
    let path = folder.path("dropped.mcap");
    drop(write(&path, 70));
    let flight = Flight::read(&path).expect("it reads");
    assert!(!flight.complete && flight.summary.is_none());
    assert_eq!(flight.steps.len(), 70);
    let kinds: Vec<_> = flight.flaws.iter().map(|flaw| flaw.kind).collect();
    assert_eq!(kinds, [FlawKind::CutShort], "{:?}", flight.flaws);
}

#[test]
fn a_killed_writer_costs_at_most_a_second_and_leaves_a_file_that_others_read() {
    let folder = Folder::new();
    let (path, copy) = (folder.path("live.mcap"), folder.path("copy.mcap"));
    let log = write(&path, 130);
    // What lies on the disk now is what a killed program leaves.
    std::fs::copy(&path, &copy).expect("copied");
    let flight = Flight::read(&copy).expect("it reads");
    assert!(!flight.complete);
    assert_eq!(flight.steps.len(), 100);
    assert_eq!(flight.image.as_deref(), Some(IMAGE));
    let bytes = std::fs::read(&copy).expect("bytes");
    // The crate's reader demands the ending of an MCAP file.
    let steps = mcap::MessageStream::new(&bytes)
        .expect("an MCAP file")
        .map(|message| message.expect("sound"))
        .filter(|message| message.channel.topic == topic::STEP);
    assert_eq!(steps.count(), 100);
    drop(log);
}

#[test]
fn a_writer_killed_amid_a_commit_leaves_a_file_that_others_read() {
    let folder = Folder::new();
    let path = folder.path("live.mcap");
    let steps = |bytes: &[u8]| {
        mcap::MessageStream::new(bytes)
            .expect("an MCAP file")
            .map(|message| message.expect("sound"))
            .filter(|message| message.channel.topic == topic::STEP)
            .count()
    };
    let mut log = write(&path, 70);
    let before = std::fs::read(&path).expect("bytes");
    for step in 70..100 {
        log.step(&example_step(step), f64::from(step) * 0.02)
            .expect("written");
    }
    let after = std::fs::read(&path).expect("bytes");
    assert_eq!((steps(&before), steps(&after)), (50, 100));
    let end = before.len() - 50;
    let records = &after[end..after.len() - 50];
    let mut file = before;
    for (part, (place, bytes)) in file::commit(end as u64, records).into_iter().enumerate() {
        let place = place as usize;
        for written in (0..bytes.len()).step_by(509).chain([bytes.len()]) {
            // What is so short is not cut.
            if bytes.len() > 50 || written == bytes.len() {
                file.resize(file.len().max(place + written), 0);
                file[place..place + written].copy_from_slice(&bytes[..written]);
            }
            let count = if part == 2 && written > 0 { 100 } else { 50 };
            assert_eq!(steps(&file), count, "part {part}, {written} bytes");
            let flight = folder.read(&file).expect("it reads");
            assert_eq!(flight.steps.len(), count, "part {part}, {written} bytes");
            assert!(!flight.complete);
        }
    }
    assert_eq!(file, after);
}

#[test]
fn a_log_cut_anywhere_is_read_up_to_there_and_not_whole() {
    let folder = Folder::new();
    let bytes = folder.whole(60);
    let mut most = 0;
    for length in (0..bytes.len()).step_by(97).chain([bytes.len() - 1]) {
        match folder.read(&bytes[..length]) {
            Ok(flight) => {
                assert!(!flight.complete, "at {length} bytes");
                assert!(flight.steps.len() >= most, "at {length} bytes");
                most = flight.steps.len();
                let numbers = flight.steps.iter().map(|step| step.step);
                assert!(numbers.eq(0..most as u32), "at {length} bytes");
            }
            Err(LogError::NoLog { .. } | LogError::NoFlight { .. }) => assert_eq!(most, 0),
            Err(error) => panic!("at {length} bytes: {error}"),
        }
    }
    assert_eq!(most, 60);
}

#[test]
fn other_files_and_newer_logs_are_refused_with_the_reason() {
    let folder = Folder::new();
    let error = folder.read(b"not a log").expect_err("no log");
    assert!(matches!(error, LogError::NoLog { .. }), "{error}");
    let error = Flight::read(folder.0.path()).expect_err("a folder");
    assert!(matches!(error, LogError::File { .. }), "{error}");
    let newer = Header {
        format: LOG_FORMAT + 1,
        ..header()
    };
    let path = folder.path("newer.mcap");
    drop(LogWriter::create(&path, &newer, None).expect("a log"));
    let error = Flight::read(&path).expect_err("newer").to_string();
    assert!(error.contains("update"), "{error}");
    let mut empty = mcap::Writer::new(std::io::Cursor::new(Vec::new())).expect("a writer");
    empty.finish().expect("finished");
    let error = folder.read(&empty.into_inner().into_inner());
    assert!(matches!(error, Err(LogError::NoFlight { .. })));
}

#[test]
fn a_file_belongs_to_one_flight() {
    let folder = Folder::new();
    let path = folder.path("one.mcap");
    let first = write(&path, 60);
    let before = std::fs::read(&path).expect("bytes");
    let error = LogWriter::create(&path, &header(), None)
        .err()
        .expect("refused");
    assert!(matches!(error, LogError::InUse { .. }), "{error}");
    assert_eq!(
        std::fs::read(&path).expect("bytes"),
        before,
        "the refused flight wrote into it"
    );
    first.finish(&summary(60)).expect("finished");
    assert!(Flight::read(&path).expect("it reads").complete);
    // Then it may be written anew, and nothing of the longer log stays.
    write(&path, 1).finish(&summary(1)).expect("finished");
    assert_eq!(Flight::read(&path).expect("it reads").steps.len(), 1);
}

#[test]
fn new_logs_get_names_that_are_not_taken() {
    let folder = Folder::new();
    let wanted = folder.path("runs/flight.mcap");
    let names: Vec<_> = (0..3)
        .map(|_| unused_log(&wanted).expect("a name"))
        .map(|path| path.file_name().expect("a name").to_owned())
        .collect();
    assert_eq!(names, ["flight.mcap", "flight-2.mcap", "flight-3.mcap"]);
}

#[test]
fn a_disk_without_space_is_named() {
    let full = Path::new("/dev/full");
    if full.exists() {
        let error = LogWriter::create(full, &header(), None)
            .err()
            .expect("no space");
        assert!(matches!(error, LogError::Full { .. }), "{error}");
        assert!(error.to_string().contains("no space left"), "{error}");
    }
}

#[test]
fn messages_carry_the_wall_clock_and_advance_with_the_flight() {
    let folder = Folder::new();
    let bytes = folder.whole(60);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("a clock");
    let mut first = None;
    for message in mcap::MessageStream::new(&bytes).expect("an MCAP file") {
        let message = message.expect("sound");
        assert_eq!(message.log_time, message.publish_time);
        let begin = *first.get_or_insert(message.log_time);
        assert!(now.as_nanos().abs_diff(u128::from(begin)) < 60_000_000_000);
        if message.channel.topic == topic::STEP {
            let step: Step = serde_json::from_slice(&message.data).expect("a step");
            let flown = u64::from(step.step) * 20_000_000;
            assert!(
                (message.log_time - begin).abs_diff(flown) <= 1,
                "step {}",
                step.step
            );
        }
    }
}

/// What in a value is not as its schema says: types, and fields that it does not name.
fn breaches(schema: &Value, value: &Value, place: &str) -> Vec<String> {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let wanted = schema["type"].as_str().unwrap_or("a type");
    if kind != wanted && (kind, wanted) != ("integer", "number") {
        return vec![format!("{place}: {kind}, not {wanted}")];
    }
    match value {
        Value::Array(items) => items
            .iter()
            .flat_map(|item| breaches(&schema["items"], item, place))
            .collect(),
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, field)| {
                breaches(
                    &schema["properties"][name],
                    field,
                    &format!("{place}.{name}"),
                )
            })
            .collect(),
        _ => Vec::new(),
    }
}

#[test]
fn every_message_is_what_its_schema_says() {
    let folder = Folder::new();
    let path = folder.path("odd.mcap");
    let mut log = write(&path, 3);
    // A period without a sample after two that did not arrive, and numbers that JSON does not know.
    let mut odd = Step {
        sample: None,
        lost_before: 2,
        ..example_step(3)
    };
    log.step(&odd, 0.06).expect("written");
    odd = example_step(4);
    (odd.reward, odd.command[0], odd.plant[0]) = (f32::NAN, f32::INFINITY, f32::NAN);
    if let Some(sample) = &mut odd.sample {
        sample.reward = Some(f32::NEG_INFINITY);
        sample.observation[1] = f32::NAN;
    }
    log.step(&odd, 0.08).expect("written");
    log.finish(&summary(5)).expect("finished");
    let bytes = std::fs::read(&path).expect("bytes");
    let mut topics = std::collections::BTreeSet::new();
    for message in mcap::MessageStream::new(&bytes).expect("an MCAP file") {
        let message = message.expect("sound");
        let schema = message.channel.schema.as_ref().expect("a schema");
        let schema: Value = serde_json::from_slice(&schema.data).expect("JSON");
        let value: Value = serde_json::from_slice(&message.data).expect("JSON");
        let topic = &message.channel.topic;
        assert_eq!(breaches(&schema, &value, topic), [""; 0]);
        topics.insert(topic.clone());
    }
    assert_eq!(topics.len(), topic::ALL.len(), "{topics:?}");
    let read = Flight::read(&path).expect("it reads").steps;
    let bits = |step: &Step| (step.reward.to_bits(), step.plant[0].to_bits());
    assert_eq!(bits(&read[4]), bits(&odd));
}
