//! The bytes on the wire are fixed: a change that alters them must raise `PROTOCOL_VERSION`.
//!
//! `ENGRAM_BLESS=1 cargo test -p engram-link --test golden_frames` writes the file anew.

mod support;

use engram_link::Message;
use std::fmt::Write as _;
use std::path::Path;
use support::{decode, frame, from_board, to_board};

const FILE: &str = "tests/golden_frames.txt";

fn line<M: Message>(text: &mut String, direction: &str, name: &str, sequence: u32, message: &M) {
    write!(text, "{direction} {name} {sequence} ").expect("a string");
    for byte in frame(sequence, message) {
        write!(text, "{byte:02x}").expect("a string");
    }
    text.push('\n');
}

fn all_lines() -> String {
    let mut text = format!(
        "# Frames of protocol version {}: direction, name, sequence number, bytes in hexadecimal.\n",
        engram_link::PROTOCOL_VERSION
    );
    for (sequence, (name, message)) in (0..).step_by(300).zip(to_board()) {
        line(&mut text, "to-board", name, sequence, &message);
    }
    for (sequence, (name, message)) in (0..).step_by(300).zip(from_board()) {
        line(&mut text, "from-board", name, sequence, &message);
    }
    text
}

#[test]
fn the_bytes_on_the_wire_are_the_golden_ones() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let now = all_lines();
    if std::env::var_os("ENGRAM_BLESS").is_some() {
        std::fs::write(&path, &now).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(&path).expect("the golden file can be read");
    for (golden, now) in golden.lines().zip(now.lines()) {
        assert_eq!(
            golden, now,
            "the wire format changed: raise PROTOCOL_VERSION"
        );
    }
    assert_eq!(golden.lines().count(), now.lines().count());
}

#[test]
fn golden_frames_decode() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let golden = std::fs::read_to_string(path).expect("the golden file can be read");
    for line in golden.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split(' ').collect();
        let bytes: Vec<u8> = (0..words[3].len() / 2)
            .map(|i| u8::from_str_radix(&words[3][2 * i..2 * i + 2], 16).expect("hexadecimal"))
            .collect();
        let sequence: u32 = words[2].parse().expect("a number");
        let got = match words[0] {
            "to-board" => decode(&bytes)
                .0
                .pop()
                .map(|r| r.map(|f: engram_link::Frame<engram_link::ToBoard>| f.sequence)),
            _ => decode(&bytes)
                .0
                .pop()
                .map(|r| r.map(|f: engram_link::Frame<engram_link::FromBoard>| f.sequence)),
        };
        assert_eq!(got, Some(Ok(sequence)), "{line}");
    }
}
