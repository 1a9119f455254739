//! A corpus of streams that once were or could be trouble, replayed and then mutated, always the
//! same way. What a longer fuzzing run finds is added to `tests/corpus.txt`.

mod support;

use engram_link::*;
use std::path::Path;
use support::{decode, frame, from_board, sealed, to_board};

/// xorshift64*: a fixed sequence on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

fn corpus() -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus.txt");
    let text = std::fs::read_to_string(path).expect("the corpus can be read");
    let mut streams: Vec<Vec<u8>> = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let digits: Vec<u8> = line.bytes().filter(u8::is_ascii_hexdigit).collect();
            digits
                .chunks(2)
                .map(|pair| {
                    let pair = std::str::from_utf8(pair).expect("ascii");
                    u8::from_str_radix(pair, 16).expect("hexadecimal")
                })
                .collect()
        })
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
    bytes.extend(frame(9, &ToBoard::Tick { now_us: 1 }));
    let (results, counters) = decode::<ToBoard>(&bytes);
    assert_eq!(results.len(), expected);
    assert_eq!((counters.frames + counters.errors()) as usize, expected);
    assert!(matches!(
        results.last(),
        Some(Ok(Frame { sequence: 9, .. }))
    ));
    let (results, _) = decode::<FromBoard>(&bytes);
    assert_eq!(results.len(), expected);
}

fn mutate(stream: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(stream.len());
        match random.below(6) {
            0 if !stream.is_empty() => stream[at] ^= 1 << random.below(8),
            1 if !stream.is_empty() => stream[at] = random.next() as u8,
            2 => stream.insert(at, random.next() as u8),
            3 if !stream.is_empty() => drop(stream.remove(at)),
            4 => stream.truncate(at),
            _ => {
                let copy: Vec<u8> = stream
                    .iter()
                    .skip(at)
                    .take(random.below(64))
                    .copied()
                    .collect();
                stream.extend(copy);
            }
        }
    }
}

#[test]
fn the_corpus_is_survived() {
    for stream in corpus() {
        check(&stream);
    }
}

#[test]
fn mutations_of_the_corpus_are_survived() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for stream in corpus() {
        for _ in 0..300 {
            let mut mutated = stream.clone();
            mutate(&mut mutated, &mut random);
            check(&mutated);
        }
    }
}

#[test]
fn mutated_bodies_behind_a_right_crc_are_survived() {
    let mut random = Random(0xd1b5_4a32_d192_ed03);
    for stream in corpus() {
        let mut body = stream.clone();
        body.pop();
        let Ok(length) = cobs::decode_in_place(&mut body) else {
            continue;
        };
        body.truncate(length.saturating_sub(4));
        for _ in 0..300 {
            let mut mutated = body.clone();
            mutate(&mut mutated, &mut random);
            mutated.truncate(limits::MAX_PAYLOAD_BYTES);
            check(&sealed(&mutated));
        }
    }
}
