//! The bytes on the wire are fixed: a change that alters them must raise `PROTOCOL_VERSION`.
//!
//! `ENGRAM_BLESS=1 cargo test -p engram-link golden` writes the file anew.

use engram_link::{Message, PROTOCOL_VERSION};
use std::path::Path;

use crate::support::{frame, from_board, hexadecimal, survives, to_board};

/// A line for each message, which can be read back from its bytes.
fn lines<M: Message>(direction: &str, messages: Vec<(&str, M)>) -> Vec<String> {
    let numbered = (0..).step_by(300).zip(messages);
    let line = |(sequence, (name, message))| {
        survives(sequence, &message);
        let bytes = hexadecimal(&frame(sequence, &message));
        format!("{direction} {name} {sequence} {bytes}\n")
    };
    numbered.map(line).collect()
}

#[test]
fn the_bytes_on_the_wire_are_the_golden_ones() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden_frames.txt");
    let title = format!(
        "# Frames of protocol version {PROTOCOL_VERSION}: direction, name, sequence number, bytes in hexadecimal.\n"
    );
    let to_board = lines("to-board", to_board());
    let from_board = lines("from-board", from_board());
    let now = [vec![title], to_board, from_board].concat();
    if std::env::var_os("ENGRAM_BLESS").is_some() {
        std::fs::write(&path, now.concat()).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(&path).expect("the golden file can be read");
    let golden: Vec<&str> = golden.split_inclusive('\n').collect();
    assert_eq!(
        golden, now,
        "the wire format changed: raise PROTOCOL_VERSION"
    );
}
