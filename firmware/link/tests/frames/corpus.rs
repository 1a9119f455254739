//! Streams that once were or could be trouble, as they are and changed, and streams of any bytes.
//!
//! What a longer fuzzing run finds is added to `tests/corpus.txt`.

use engram_link::limits::MAX_PAYLOAD_BYTES;
use engram_link::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::support::{body, decode, frame, from_board, sealed, to_board};

/// The corpus, and a frame of each message.
fn streams() -> Vec<Vec<u8>> {
    let lines = include_str!("../corpus.txt").lines();
    let streams = lines.filter(|line| !line.starts_with('#'));
    let byte = |digits| u8::from_str_radix(digits, 16).expect("hexadecimal");
    let mut streams: Vec<Vec<u8>> = streams
        .map(|line| line.split_whitespace().map(byte).collect())
        .collect();
    streams.extend(to_board().iter().map(|(_, message)| frame(1, message)));
    streams.extend(from_board().iter().map(|(_, message)| frame(1, message)));
    streams
}

/// Decodes in both directions and checks what must hold of any stream: every run of bytes between
/// zeros is exactly one frame or one counted error, and a following frame is found.
fn check(stream: &[u8]) {
    let mut bytes = stream.to_vec();
    bytes.push(0);
    let runs = bytes.split(|byte| *byte == 0).filter(|run| !run.is_empty());
    let expected = runs.count() + 1;
    let following = ToBoard::Tick { now_us: 1 };
    bytes.extend(frame(9, &following));
    let (results, counters) = decode::<ToBoard>(&bytes);
    assert_eq!(results.len(), expected);
    assert_eq!((counters.frames + counters.errors()) as usize, expected);
    let frame = results.last().expect("a frame").as_ref().expect("intact");
    assert_eq!((frame.sequence, &frame.message), (9, &following));
    let (results, counters) = decode::<FromBoard>(&bytes);
    assert_eq!(results.len(), expected);
    assert_eq!((counters.frames + counters.errors()) as usize, expected);
}

/// A change at a place: what is done, with which byte or how many.
fn change(stream: &mut Vec<u8>, (kind, place, value): (u8, Index, u8)) {
    let at = place.index(stream.len() + 1);
    match (kind % 6, stream.get_mut(at)) {
        (0, Some(byte)) => *byte ^= 1 << (value % 8),
        (1, Some(byte)) => *byte = value,
        (2, Some(_)) => drop(stream.splice(at..=at, [])),
        (3, _) => stream.insert(at, value),
        (4, _) => stream.truncate(at),
        _ => stream.extend_from_within(at..(at + usize::from(value % 64)).min(stream.len())),
    }
}

#[test]
fn the_corpus_is_survived() {
    for stream in streams() {
        check(&stream);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16_384))]

    /// As bytes from the line, and as bodies behind a right CRC.
    #[test]
    fn changes_of_the_corpus_are_survived(
        mut stream in select(streams()),
        changes in vec(any::<(u8, Index, u8)>(), 1..=4),
    ) {
        let mut body = body(&stream);
        for at in changes {
            change(&mut stream, at);
            body.iter_mut().for_each(|body| change(body, at));
        }
        check(&stream);
        if let Some(mut body) = body {
            body.truncate(MAX_PAYLOAD_BYTES);
            check(&sealed(&body));
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in vec(any::<u8>(), 0..3000)) {
        check(&bytes);
    }

    #[test]
    fn any_body_behind_a_right_crc_is_survived(body in vec(any::<u8>(), 0..MAX_PAYLOAD_BYTES)) {
        let bytes = sealed(&body);
        check(&bytes);
        for counters in [decode::<ToBoard>(&bytes).1, decode::<FromBoard>(&bytes).1] {
            prop_assert_eq!(counters.frames + counters.unknown_messages + counters.overflows, 1);
        }
    }
}
