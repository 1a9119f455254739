//! Logs that are whole, and logs that somebody or something has been at.

use std::path::{Path, PathBuf};

use engram_link::{Level, Log};
use mcap::records::{MessageHeader, Record};

use super::super::record::{
    Attention, Event, EventKind, Header, LOG_FORMAT, Step, Summary, example_step,
};
use super::*;

const IMAGE: &[u8] = b"an image";

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
        has_goal: true,
        state_names: vec!["angle_rad".to_owned(), "holds".to_owned()],
        contract_sha256: String::new(),
        image_sha256: {
            use sha2::Digest;
            crate::hexadecimal::hexadecimal(&sha2::Sha256::digest(IMAGE))
        },
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
        holds_at_end: Some(true),
        held_share: Some(1.0),
        recovery_s: None,
        falls: 0,
        diverged_steps: 0,
        worst_stack_bytes: 0,
        worst_step_us: 0,
        ended_early: None,
        log: None,
        log_complete: true,
    }
}

/// Writes `steps` steps with everything else that a log may hold.
fn write(path: &Path, steps: u32) -> LogWriter {
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

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The bytes of a whole log of `steps` steps.
    fn whole(&self, steps: u32) -> Vec<u8> {
        let path = self.path("whole.mcap");
        write(&path, steps)
            .finish(&summary(steps))
            .expect("finished");
        std::fs::read(path).expect("bytes")
    }

    fn read(&self, bytes: &[u8]) -> Result<Flight, LogError> {
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
fn one_flipped_bit_anywhere_is_damage() {
    let folder = Folder::new();
    let bytes = folder.whole(60);
    // All bits of the ending, and of the rest one in some hundred.
    let end = bytes.len() - 60;
    let sampled = (0..8 * end).step_by(331).chain(8 * end..8 * bytes.len());
    let mut flips = 0;
    for bit in sampled {
        let mut altered = bytes.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        let (flaws, read) = match folder.read(&altered) {
            Ok(flight) => (flight.flaws, Some(flight.complete)),
            Err(LogError::Damaged { flaws, .. }) => (flaws, None),
            Err(error) => panic!("bit {bit}: {error}"),
        };
        let damaged = flaws.iter().any(|flaw| flaw.kind == FlawKind::Damaged);
        assert!(damaged && read != Some(true), "bit {bit}: {flaws:?}");
        flips += 1;
    }
    assert!(flips > 1_000, "{flips} bits flipped");
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

/// A message as another program reads and writes it.
#[derive(Clone, PartialEq)]
struct Copied {
    topic: String,
    log_time: u64,
    data: Vec<u8>,
}

/// What another program makes of a log whose messages it reads, edits and writes again, with sound checksums.
fn rewritten(
    bytes: &[u8],
    edit: impl FnOnce(&mut Vec<Copied>),
    keep: impl Fn(&str) -> bool,
) -> Vec<u8> {
    let mut messages: Vec<Copied> = mcap::MessageStream::new(bytes)
        .expect("an MCAP file")
        .map(|message| message.expect("sound"))
        .map(|message| Copied {
            topic: message.channel.topic.clone(),
            log_time: message.log_time,
            data: message.data.to_vec(),
        })
        .collect();
    edit(&mut messages);
    let mut out = mcap::WriteOptions::new()
        .compression(None)
        .create(std::io::Cursor::new(Vec::new()))
        .expect("a writer");
    for message in messages {
        let channel = out
            .add_channel(0, &message.topic, "json", &Default::default())
            .expect("a channel");
        let header = MessageHeader {
            channel_id: channel,
            sequence: 0,
            log_time: message.log_time,
            publish_time: message.log_time,
        };
        out.write_to_known_channel(&header, &message.data)
            .expect("written");
    }
    for record in mcap::read::LinearReader::new(bytes).expect("records") {
        match record.expect("sound") {
            Record::Metadata(metadata) if keep(&metadata.name) => {
                out.write_metadata(&metadata).expect("written");
            }
            Record::Attachment { header, data, .. } if keep(&header.name) => {
                let attachment = mcap::Attachment {
                    log_time: header.log_time,
                    create_time: header.create_time,
                    name: header.name,
                    media_type: header.media_type,
                    data,
                };
                out.attach(&attachment).expect("attached");
            }
            _ => {}
        }
    }
    out.finish().expect("finished");
    out.into_inner().into_inner()
}

fn of_topic(messages: &[Copied], topic: &str) -> Vec<usize> {
    let found = messages.iter().enumerate();
    found
        .filter(|(_, message)| message.topic == topic)
        .map(|(index, _)| index)
        .collect()
}

#[test]
fn a_faithful_copy_is_whole() {
    let folder = Folder::new();
    let copy = rewritten(&folder.whole(60), |_| {}, |_| true);
    let flight = folder.read(&copy).expect("it reads");
    assert!(flight.complete, "{:?}", flight.flaws);
}

#[test]
fn what_is_missing_doubled_or_reordered_is_named() {
    type Edit = fn(&mut Vec<Copied>);
    let folder = Folder::new();
    let bytes = folder.whole(60);
    let edits: [(&str, FlawKind, Edit); 10] = [
        ("step 37 is missing", FlawKind::Missing, |messages| {
            messages.remove(of_topic(messages, topic::STEP)[37]);
        }),
        (
            "steps 50 to 59 are missing",
            FlawKind::Missing,
            |messages| {
                let first = of_topic(messages, topic::STEP)[50];
                messages.truncate(first);
            },
        ),
        ("steps 0 to 4 are missing", FlawKind::Missing, |messages| {
            let first = of_topic(messages, topic::STEP)[5];
            messages.drain(..first);
        }),
        (
            "step 12 is there more than once",
            FlawKind::Doubled,
            |messages| {
                let at = of_topic(messages, topic::STEP)[12];
                messages.insert(at, messages[at].clone());
            },
        ),
        ("step 3 is out of order", FlawKind::Reordered, |messages| {
            let steps = of_topic(messages, topic::STEP);
            messages.swap(steps[3], steps[4]);
        }),
        ("/plant: step 8 is missing", FlawKind::Missing, |messages| {
            messages.remove(of_topic(messages, topic::PLANT)[8]);
        }),
        (
            "/event: 1 of 3 records missing",
            FlawKind::Missing,
            |messages| {
                messages.remove(of_topic(messages, topic::EVENT)[1]);
            },
        ),
        (
            "/log: 4 records instead of 3",
            FlawKind::Doubled,
            |messages| {
                let at = of_topic(messages, topic::LOG)[0];
                messages.insert(at, messages[at].clone());
            },
        ),
        (
            "/attention is not what was written",
            FlawKind::Damaged,
            |messages| {
                let shares = of_topic(messages, topic::ATTENTION);
                messages.swap(shares[20], shares[40]);
            },
        ),
        (
            "/step is not what was written",
            FlawKind::Damaged,
            |messages| {
                let at = of_topic(messages, topic::STEP)[30];
                let text = String::from_utf8(messages[at].data.clone()).expect("JSON");
                messages[at].data = text.replace("\"episode\":0", "\"episode\":1").into_bytes();
            },
        ),
    ];
    for (words, kind, edit) in edits {
        let altered = rewritten(&bytes, edit, |_| true);
        let flight = folder.read(&altered).expect("it reads");
        let named = flight
            .flaws
            .iter()
            .find(|flaw| flaw.text.starts_with(words));
        assert_eq!(
            named.map(|flaw| flaw.kind),
            Some(kind),
            "{words}: {:?}",
            flight.flaws
        );
        assert!(!flight.complete && flight.not_whole().is_some(), "{words}");
        // Where a flaw has a number, nothing from there on passes as sound.
        let sound = flight.sound_steps().iter().zip(0..);
        let as_written = sound
            .into_iter()
            .all(|(step, index)| *step == example_step(index));
        assert!(as_written || kind == FlawKind::Damaged, "{words}");
    }
}

#[test]
fn a_log_without_one_of_its_parts_is_not_whole() {
    let folder = Folder::new();
    let bytes = folder.whole(20);
    for (part, kind) in [
        (name::IMAGE, FlawKind::Missing),
        (name::SUMMARY, FlawKind::Missing),
        (name::END, FlawKind::CutShort),
    ] {
        let altered = rewritten(&bytes, |_| {}, |name| name != part);
        let flight = folder.read(&altered).expect("it reads");
        let kinds: Vec<_> = flight.flaws.iter().map(|flaw| flaw.kind).collect();
        assert_eq!(kinds, [kind], "{part}: {:?}", flight.flaws);
    }
    let altered = rewritten(&bytes, |_| {}, |name| name != name::FLIGHT);
    let error = folder.read(&altered).expect_err("no description");
    assert!(matches!(error, LogError::NoFlight { .. }), "{error}");
}

#[test]
fn an_old_log_proves_nothing() {
    let folder = Folder::new();
    let path = folder.path("old.mcap");
    let old = Header {
        format: 1,
        ..header()
    };
    let mut log = LogWriter::create(&path, &old, Some(IMAGE)).expect("a log");
    for step in 0..3 {
        log.step(&example_step(step), 0.0).expect("written");
    }
    log.finish(&summary(3)).expect("finished");
    let bytes = std::fs::read(&path).expect("bytes");
    let old = rewritten(&bytes, |_| {}, |name| name != name::END);
    let flight = folder.read(&old).expect("it reads");
    let kinds: Vec<_> = flight.flaws.iter().map(|flaw| flaw.kind).collect();
    assert_eq!(kinds, [FlawKind::NoProof]);
    assert!(!flight.complete && flight.not_whole().is_none());
    // What its summary tells is checked all the same.
    let shorter = rewritten(&old, |messages| messages.truncate(4), |_| true);
    let flight = folder.read(&shorter).expect("it reads");
    assert_eq!(flight.not_whole().as_deref(), Some("step 2 is missing"));
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
