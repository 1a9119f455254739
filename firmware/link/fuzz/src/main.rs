//! Fuzz target: the link decoder, in both directions.
//!
//! Each input goes in twice: as bytes from the line, and as the body of a frame whose check sum and
//! stuffing are right, because few random bytes would ever get past those two.
#![no_main]

use crc::{CRC_32_ISO_HDLC, Crc};
use engram_link::{Decoder, FromBoard, Message, ToBoard};
use libfuzzer_sys::fuzz_target;

/// Every run of bytes between zeros must end as one frame or one counted error.
fn decode<M: Message>(stream: &[u8]) {
    let mut decoder = Decoder::<M>::new();
    let mut ended = 0;
    for byte in stream.iter().chain(&[0]) {
        if decoder.push(*byte).is_some() {
            ended += 1;
        }
    }
    let runs = stream.split(|byte| *byte == 0).filter(|run| !run.is_empty()).count();
    assert_eq!(ended, runs);
    let counters = decoder.counters();
    assert_eq!((counters.frames + counters.errors()) as usize, runs);
}

fuzz_target!(|input: &[u8]| {
    decode::<ToBoard>(input);
    decode::<FromBoard>(input);
    let mut sealed = input.to_vec();
    sealed.extend(Crc::<u32>::new(&CRC_32_ISO_HDLC).checksum(input).to_le_bytes());
    let stuffed = cobs::encode_vec(&sealed);
    decode::<ToBoard>(&stuffed);
    decode::<FromBoard>(&stuffed);
});
