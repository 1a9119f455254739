//! Frames survive a round trip, and whatever else comes is counted and survived.

mod corpus;
mod golden;
mod support;

use engram_link::limits::MAX_FRAME_BYTES;
use engram_link::*;
use proptest::prelude::*;
use support::{any_from_board, any_to_board, body, decode, frame, from_board};
use support::{sealed, survives, to_board};

proptest! {
    #[test]
    fn messages_survive_a_round_trip(to in any_to_board(), from in any_from_board(), sequence: u32) {
        survives(sequence, &to);
        survives(sequence, &from);
        prop_assert!(frame(sequence, &to).len() <= MAX_FRAME_BYTES);
    }
}

/// Flips every bit of a frame, the final zero's too; no flip may yield a frame, all must be counted.
fn reject_every_flip<M: Message>(name: &str, message: &M) {
    let clean = frame(0x0102, message);
    for bit in 0..clean.len() * 8 {
        let mut bytes = clean.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes.push(0);
        let (results, counters) = decode::<M>(&bytes);
        assert!(
            results.iter().all(Result::is_err) && counters.errors() >= 1 && counters.frames == 0,
            "{name}: bit {bit} flipped went unnoticed: {counters:?}"
        );
    }
}

#[test]
fn every_single_bit_flip_is_rejected_and_counted() {
    for (name, message) in to_board() {
        reject_every_flip(name, &message);
    }
    for (name, message) in from_board() {
        reject_every_flip(name, &message);
    }
}

#[test]
fn every_truncation_is_rejected() {
    for (name, message) in to_board() {
        let clean = frame(3, &message);
        for length in 1..clean.len() - 1 {
            let mut bytes = clean[..length].to_vec();
            bytes.push(0);
            let (results, _) = decode::<ToBoard>(&bytes);
            assert!(
                results.iter().all(Result::is_err),
                "{name}: {length} bytes of it passed for a frame"
            );
        }
    }
}

/// Frames lost, repeated and late in a stream, none of them damaged.
fn counted(stream: &[(u32, ToBoard)]) -> (u32, u32, u32) {
    let frames = stream
        .iter()
        .map(|(number, message)| frame(*number, message));
    let bytes = frames.collect::<Vec<_>>().concat();
    let (results, counters) = decode::<ToBoard>(&bytes);
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(counters.frames as usize, stream.len());
    (counters.lost, counters.repeated, counters.late)
}

#[test]
fn loss_repetition_and_reordering_are_counted() {
    let ticks = [1, 2, 2, 5, 4, 6].map(|number| (number, ToBoard::Tick { now_us: 7 }));
    assert_eq!(counted(&ticks), (2, 1, 1));
}

#[test]
fn a_disarm_moves_nobodys_numbers() {
    use ToBoard::{Arm, Disarm};
    let stream = [
        (500, Arm),
        (900, Disarm),
        (501, Arm),
        (502, Disarm),
        (503, Arm),
    ];
    assert_eq!(counted(&stream), (0, 0, 0));
}

#[test]
fn a_hello_opens_new_numbers_where_the_receiver_takes_it() {
    let hello = ToBoard::Hello {
        protocol: PROTOCOL_VERSION,
        pace: RequestedPace::LockStep,
    };
    let arrives = |decoder: &mut ToBoardDecoder, number, message: &ToBoard| {
        let bytes = frame(number, message);
        let mut frames = bytes.iter().filter_map(|byte| decoder.push(*byte));
        assert!(frames.all(|frame| frame.is_ok()));
        decoder.arrival()
    };
    let decoder = &mut ToBoardDecoder::new();
    assert_eq!(arrives(decoder, 500, &ToBoard::Arm), Arrival::Next);
    assert_eq!(arrives(decoder, 0, &hello), Arrival::Opening);
    // Not taken: the numbers go on.
    assert_eq!(arrives(decoder, 501, &ToBoard::Arm), Arrival::Next);
    assert_eq!(arrives(decoder, 0, &hello), Arrival::Opening);
    decoder.begin_conversation(0);
    assert_eq!(arrives(decoder, 0, &hello), Arrival::Repeated);
    assert_eq!(arrives(decoder, 1, &ToBoard::Arm), Arrival::Next);
    let counters = decoder.counters();
    assert_eq!((counters.lost, counters.repeated, counters.late), (0, 1, 0));
}

#[test]
fn a_run_without_a_zero_is_one_overflow() {
    let mut bytes = vec![0x55; 5 * MAX_FRAME_BYTES];
    bytes.push(0);
    bytes.extend(frame(1, &ToBoard::Arm));
    let (results, counters) = decode::<ToBoard>(&bytes);
    assert_eq!(results[0], Err(DecodeError::Overflow));
    assert_eq!((counters.overflows, counters.frames), (1, 1));
}

#[test]
fn silence_is_no_error() {
    let (results, counters) = decode::<ToBoard>(&[0; 100]);
    assert!(results.is_empty());
    assert_eq!(counters, Counters::default());
}

#[test]
fn trailing_bytes_and_unknown_messages_are_refused() {
    let mut body = body(&frame(0, &ToBoard::Arm)).expect("stuffed by us");
    assert!(decode::<ToBoard>(&sealed(&body)).0[0].is_ok());
    body.push(0);
    let longest = [0xff; 9];
    for nonsense in [
        body,
        vec![],
        vec![0],
        // No such variant.
        vec![0, 99],
        // More observations than the capacity.
        vec![0, 1, 0, 0, 33],
        // A chunk of 4 GiB.
        vec![0, 8, 0, 0xff, 0xff, 0xff, 0xff, 15],
        // A sequence number beyond 32 bits.
        vec![0xff, 0xff, 0xff, 0xff, 31, 3],
        // A time beyond 64 bits.
        [&[0, 2][..], &longest, &[2]].concat(),
    ] {
        let (results, counters) = decode::<ToBoard>(&sealed(&nonsense));
        assert_eq!(results, vec![Err(DecodeError::Message)], "{nonsense:02x?}");
        assert_eq!(counters.unknown_messages, 1);
    }
}

#[test]
fn a_short_output_is_an_error() {
    let clean = frame(1, &ToBoard::Arm);
    for length in 0..clean.len() {
        assert_eq!(
            encode(1, &ToBoard::Arm, &mut vec![0; length]),
            Err(EncodeError::Output { length })
        );
    }
}
