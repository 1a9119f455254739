//! Frames survive a round trip, and whatever else comes is counted and survived.

mod support;

use engram_link::limits::{MAX_FRAME_BYTES, MAX_PAYLOAD_BYTES};
use engram_link::*;
use proptest::prelude::*;
use support::{any_from_board, any_to_board, decode, frame, from_board, sealed, to_board};

/// Equal to the bit, so that NaN equals itself.
fn same<M: Message>(a: &M, b: &M) -> bool {
    frame(0, a) == frame(0, b)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn messages_to_the_board_survive_a_round_trip(message in any_to_board(), sequence: u32) {
        let bytes = frame(sequence, &message);
        prop_assert!(bytes.len() <= MAX_FRAME_BYTES);
        let (results, counters) = decode::<ToBoard>(&bytes);
        prop_assert_eq!(results.len(), 1);
        let got = results[0].as_ref().expect("intact");
        prop_assert_eq!(got.sequence, sequence);
        prop_assert!(same(&got.message, &message));
        prop_assert_eq!((counters.frames, counters.errors()), (1, 0));
    }

    #[test]
    fn messages_from_the_board_survive_a_round_trip(message in any_from_board(), sequence: u32) {
        let (results, _) = decode::<FromBoard>(&frame(sequence, &message));
        prop_assert_eq!(results.len(), 1);
        let got = results[0].as_ref().expect("intact");
        prop_assert_eq!(got.sequence, sequence);
        prop_assert!(same(&got.message, &message));
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_the_next_frame_is_found(
        garbage in proptest::collection::vec(any::<u8>(), 0..3000),
        message in any_to_board(),
    ) {
        let mut bytes = garbage;
        bytes.push(0);
        bytes.extend(frame(7, &message));
        let (results, _) = decode::<ToBoard>(&bytes);
        let last = results.last().expect("a frame").as_ref().expect("intact");
        prop_assert_eq!(last.sequence, 7);
        prop_assert!(same(&last.message, &message));
        let (_, counters) = decode::<FromBoard>(&bytes);
        prop_assert!(counters.frames + counters.errors() >= 1);
    }

    #[test]
    fn arbitrary_bodies_behind_a_right_crc_never_panic(
        body in proptest::collection::vec(any::<u8>(), 0..MAX_PAYLOAD_BYTES),
    ) {
        let bytes = sealed(&body);
        for errors in [decode::<ToBoard>(&bytes).1, decode::<FromBoard>(&bytes).1] {
            prop_assert_eq!(errors.frames + errors.unknown_messages + errors.overflows, 1);
        }
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

#[test]
fn loss_repetition_and_reordering_are_counted() {
    let tick = |sequence: u32| {
        frame(
            sequence,
            &ToBoard::Tick {
                now_us: u64::from(sequence),
            },
        )
    };
    let bytes = [tick(1), tick(2), tick(2), tick(5), tick(4), tick(6)].concat();
    let (results, counters) = decode::<ToBoard>(&bytes);
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(
        (
            counters.frames,
            counters.lost,
            counters.repeated,
            counters.late
        ),
        (6, 2, 1, 1)
    );
}

#[test]
fn a_hello_opens_new_numbers_where_the_receiver_takes_it() {
    let hello = ToBoard::Hello {
        protocol: PROTOCOL_VERSION,
        pace: RequestedPace::LockStep,
    };
    let mut decoder = ToBoardDecoder::new();
    let arrives = |decoder: &mut ToBoardDecoder, bytes: &[u8]| {
        assert!(
            bytes
                .iter()
                .filter_map(|byte| decoder.push(*byte))
                .all(|frame| frame.is_ok())
        );
        decoder.arrival()
    };
    assert_eq!(
        arrives(&mut decoder, &frame(500, &ToBoard::Arm)),
        Arrival::Next
    );
    assert_eq!(arrives(&mut decoder, &frame(0, &hello)), Arrival::Opening);
    // Not taken: the numbers go on.
    assert_eq!(
        arrives(&mut decoder, &frame(501, &ToBoard::Arm)),
        Arrival::Next
    );
    assert_eq!(arrives(&mut decoder, &frame(0, &hello)), Arrival::Opening);
    decoder.begin_conversation(0);
    assert_eq!(arrives(&mut decoder, &frame(0, &hello)), Arrival::Repeated);
    assert_eq!(
        arrives(&mut decoder, &frame(1, &ToBoard::Arm)),
        Arrival::Next
    );
    let counters = decoder.counters();
    assert_eq!((counters.lost, counters.repeated, counters.late), (0, 1, 0));
}

#[test]
fn a_disarm_moves_nobodys_numbers() {
    let bytes = [
        frame(500, &ToBoard::Arm),
        frame(900, &ToBoard::Disarm),
        frame(501, &ToBoard::Arm),
        frame(502, &ToBoard::Disarm),
        frame(503, &ToBoard::Arm),
    ]
    .concat();
    let (_, counters) = decode::<ToBoard>(&bytes);
    assert_eq!((counters.lost, counters.repeated, counters.late), (0, 0, 0));
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
    let mut body = postcard_body(&ToBoard::Arm);
    assert!(decode::<ToBoard>(&sealed(&body)).0[0].is_ok());
    body.push(0);
    for nonsense in [
        body,
        vec![],
        vec![0],
        vec![0, 99],                               // no such variant
        vec![0, 1, 0, 0, 33],                      // more observations than the capacity
        vec![0, 9, 0, 0xff, 0xff, 0xff, 0xff, 15], // a chunk of 4 GiB
        vec![0xff, 0xff, 0xff, 0xff, 31, 3],       // a sequence number beyond 32 bits
        vec![
            0, 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,
        ], // a time beyond 64 bits
    ] {
        let (results, counters) = decode::<ToBoard>(&sealed(&nonsense));
        assert_eq!(results, vec![Err(DecodeError::Message)], "{nonsense:02x?}");
        assert_eq!(counters.unknown_messages, 1);
    }
}

/// The body of a frame with number 0, taken out of the frame.
fn postcard_body(message: &ToBoard) -> Vec<u8> {
    let mut bytes = frame(0, message);
    bytes.pop();
    let length = cobs::decode_in_place(&mut bytes).expect("stuffed by us");
    bytes.truncate(length - 4);
    bytes
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
