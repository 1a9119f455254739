//! Logs that somebody or something has been at: flipped bits, and parts missing, doubled or out of order.

use mcap::records::{MessageHeader, Metadata, Record};

use super::super::record::{Header, example_step};
use super::parts::End;
use super::tests::{Folder, IMAGE, header, summary};
use super::*;

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
    rewritten_with(bytes, edit, keep, &[])
}

/// The same with more metadata at its end.
fn rewritten_with(
    bytes: &[u8],
    edit: impl FnOnce(&mut Vec<Copied>),
    keep: impl Fn(&str) -> bool,
    more: &[Metadata],
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
    for metadata in more {
        out.write_metadata(metadata).expect("written");
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
fn a_number_beyond_32_bits_is_damage() {
    let folder = Folder::new();
    let bytes = folder.whole(20);
    for part in [topic::STEP, topic::PLANT] {
        for number in ["18446744073709551615", "4294967296"] {
            let edit = |messages: &mut Vec<Copied>| {
                let at = of_topic(messages, part)[5];
                let text = String::from_utf8(messages[at].data.clone()).expect("JSON");
                let altered = text.replace("\"step\":5", &format!("\"step\":{number}"));
                assert_ne!(text, altered);
                messages[at].data = altered.into_bytes();
            };
            let flight = folder.read(&rewritten(&bytes, edit, |_| true));
            let flaws = flight.expect("it reads").flaws;
            let damaged = |flaw: &&Flaw| flaw.kind == FlawKind::Damaged && flaw.part == part;
            let flaw = flaws.iter().find(damaged).expect("a flaw");
            assert!(flaw.text.contains(number), "{flaw}");
        }
    }
}

/// What a log says at its end.
fn end_of(bytes: &[u8]) -> End {
    let json = mcap::read::LinearReader::new(bytes)
        .expect("records")
        .find_map(|record| match record.expect("sound") {
            Record::Metadata(found) if found.name == name::END => Some(found.metadata),
            _ => None,
        });
    serde_json::from_str(&json.expect("an end")[name::JSON]).expect("JSON")
}

fn end_record(end: &End) -> Metadata {
    let json = serde_json::to_string(end).expect("JSON");
    Metadata {
        name: name::END.to_owned(),
        metadata: [(name::JSON.to_owned(), json)].into(),
    }
}

#[test]
fn an_end_is_not_believed_more_than_what_is_there() {
    type Edit = fn(&mut End);
    fn without(end: &mut End, name: &str) {
        end.parts.retain(|part| part.name != name);
    }
    let folder = Folder::new();
    let bytes = folder.whole(60);
    let edits: [(&str, FlawKind, &str, Edit); 8] = [
        (name::END, FlawKind::Damaged, "99 steps", |end| {
            end.steps = 99
        }),
        (name::END, FlawKind::Damaged, "more than any log", |end| {
            end.parts.iter_mut().for_each(|part| part.count = u64::MAX);
            end.steps = u64::MAX;
        }),
        (name::END, FlawKind::Damaged, "twice", |end| {
            end.parts.push(end.parts[0].clone());
        }),
        (name::SUMMARY, FlawKind::Surplus, "does not count", |end| {
            without(end, name::SUMMARY);
        }),
        (name::FLIGHT, FlawKind::Surplus, "does not count", |end| {
            without(end, name::FLIGHT);
        }),
        (name::IMAGE, FlawKind::Surplus, "does not count", |end| {
            without(end, name::IMAGE);
        }),
        (topic::LOG, FlawKind::Surplus, "does not count", |end| {
            without(end, topic::LOG);
        }),
        (topic::STEP, FlawKind::Surplus, "steps 0 to 59", |end| {
            without(end, topic::STEP);
            end.steps = 0;
        }),
    ];
    for (part, kind, words, edit) in edits {
        let mut end = end_of(&bytes);
        edit(&mut end);
        end.sha256 = end.digest();
        let all_but_end = |name: &str| name != name::END;
        let altered = rewritten_with(&bytes, |_| {}, all_but_end, &[end_record(&end)]);
        let flight = folder.read(&altered).expect("it reads");
        let [flaw] = flight.flaws.as_slice() else {
            panic!("{part}: {:?}", flight.flaws);
        };
        assert_eq!((flaw.part.as_str(), flaw.kind), (part, kind), "{flaw}");
        assert!(flaw.text.contains(words), "{flaw}");
        assert!(!flight.complete);
    }
    // Without its summary no log was ended, whatever its end counts.
    let mut end = end_of(&bytes);
    without(&mut end, name::SUMMARY);
    end.sha256 = end.digest();
    let neither = |name: &str| ![name::END, name::SUMMARY].contains(&name);
    let altered = rewritten_with(&bytes, |_| {}, neither, &[end_record(&end)]);
    let flaws = folder.read(&altered).expect("it reads").not_whole();
    assert_eq!(flaws.as_deref(), Some("engram.summary is missing"));
    let twice = rewritten_with(&bytes, |_| {}, |_| true, &[end_record(&end_of(&bytes))]);
    let flight = folder.read(&twice).expect("it reads");
    let kinds: Vec<_> = flight.flaws.iter().map(|flaw| flaw.kind).collect();
    assert_eq!(kinds, [FlawKind::Doubled], "{:?}", flight.flaws);
}

#[test]
fn what_follows_a_logs_end_is_named() {
    let folder = Folder::new();
    let bytes = folder.whole(20);
    for more in [&bytes[..], b"\0", b"0123456789"] {
        let flight = folder.read(&[&bytes, more].concat()).expect("it reads");
        let [flaw] = flight.flaws.as_slice() else {
            panic!("{:?}", flight.flaws);
        };
        assert_eq!((flaw.part.as_str(), flaw.kind), ("file", FlawKind::Surplus));
        let words = format!("{} bytes follow its end", more.len());
        assert!(flaw.text.starts_with(&words), "{flaw}");
        assert!(!flight.complete && flight.sound_steps().len() == 20);
    }
}

#[test]
fn a_compressed_copy_is_refused_with_what_undoes_it() {
    let folder = Folder::new();
    for compression in ["zstd", "lz4"] {
        let mut chunk = vec![0; 28];
        chunk.extend((compression.len() as u32).to_le_bytes());
        chunk.extend(compression.as_bytes());
        chunk.extend(5_u64.to_le_bytes());
        chunk.extend(b"bytes");
        let mut file = mcap::MAGIC.to_vec();
        file.push(mcap::records::op::CHUNK);
        file.extend((chunk.len() as u64).to_le_bytes());
        file.extend(chunk);
        let error = folder.read(&file).expect_err("it cannot be read");
        assert!(matches!(error, LogError::Compressed { .. }), "{error}");
        for words in [compression, "mcap decompress"] {
            assert!(error.to_string().contains(words), "{error}");
        }
        let kinds: Vec<_> = error.flaws().iter().map(|flaw| flaw.kind).collect();
        assert_eq!(kinds, [FlawKind::Compressed]);
    }
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
    let cut = |messages: &mut Vec<Copied>| messages.truncate(of_topic(messages, topic::STEP)[2]);
    let shorter = rewritten(&old, cut, |_| true);
    let flight = folder.read(&shorter).expect("it reads");
    assert_eq!(flight.not_whole().as_deref(), Some("step 2 is missing"));
}

#[test]
fn a_log_with_an_end_is_held_against_it_whatever_its_format_says() {
    let folder = Folder::new();
    let path = folder.path("older.mcap");
    let older = Header {
        format: 1,
        ..header()
    };
    let mut log = LogWriter::create(&path, &older, Some(IMAGE)).expect("a log");
    for step in 0..3 {
        log.step(&example_step(step), 0.0).expect("written");
    }
    log.finish(&summary(3)).expect("finished");
    let bytes = std::fs::read(&path).expect("bytes");
    // Its summary has nothing to say about the true state for plots.
    let lacks = |messages: &mut Vec<Copied>| {
        messages.remove(of_topic(messages, topic::PLANT)[1]);
    };
    let flight = folder.read(&rewritten(&bytes, lacks, |_| true));
    let flaws = flight.expect("it reads").not_whole();
    assert_eq!(flaws.as_deref(), Some("/plant: step 1 is missing"));
}
