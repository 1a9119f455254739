//! What came over a wire on which no board answered: to say what is there instead.

use std::fmt;

/// Bytes that are kept.
const KEPT: usize = 48;

/// The first bytes that came, and how many in all.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard {
    first: Vec<u8>,
    count: u64,
    /// The first bytes that were sent.
    sent: Vec<u8>,
}

impl Heard {
    /// Takes what was received.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.count += bytes.len() as u64;
        keep_first(&mut self.first, bytes);
    }

    /// Takes what was sent.
    pub(super) fn sent(&mut self, bytes: &[u8]) {
        keep_first(&mut self.sent, bytes);
    }
}

/// Zeros are silence on this link.
fn keep_first(kept: &mut Vec<u8>, bytes: &[u8]) {
    let room = KEPT - kept.len();
    kept.extend(bytes.iter().filter(|byte| **byte != 0).take(room));
}

impl fmt::Display for Heard {
    /// How a sentence about a silent board goes on.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, count, sent } = self;
        if *count == 0 {
            return f.write_str(
                "; it never spoke: is the firmware running, and the port the right one?",
            );
        }
        if first.is_empty() {
            return write!(
                f,
                "; {count} zeros came and nothing else: a line held low (break), or unpowered?"
            );
        }
        if sent.starts_with(first) {
            return f.write_str(
                "; it only sends back what it is sent: a loopback plug, or a terminal that echoes?",
            );
        }
        let readable = first
            .iter()
            .filter(|byte| matches!(byte, b' '..=b'~' | b'\r' | b'\n' | b'\t'));
        let what = if readable.count() * 10 >= first.len() * 9 {
            "something else than an Engram board talks there."
        } else {
            "is its speed another one (--baud), or is it no Engram board?"
        };
        write!(
            f,
            "; {count} bytes came, none of them a frame of Engram: {what} It said \"{}\"",
            first.escape_ascii()
        )
    }
}

/// `text` without anything that a terminal would obey.
pub(crate) fn printable(text: &str) -> String {
    let shown = |character: char| {
        if character.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            character
        }
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(bytes: &[u8]) -> String {
        let mut heard = Heard::default();
        heard.bytes(bytes);
        heard.to_string()
    }

    #[test]
    fn what_talks_instead_of_a_board_is_shown() {
        assert!(said(b"").contains("it never spoke"));
        assert!(said(&[0; 9]).contains("9 zeros"));
        let text = said(b"$GPGGA,123519,4807.038,N\r\n$GPGGA,123519,4807.038,N\r\n");
        assert!(
            text.contains("something else") && text.contains("$GPGGA,123519"),
            "{text}"
        );
        assert!(!text.contains('\n'), "{text}");
        let text = said(&[0xf8, 0x80, 0x1e, 0x98, 0xff, 0x07]);
        assert!(
            text.contains("--baud") && text.contains("\\xf8\\x80"),
            "{text}"
        );
    }

    #[test]
    fn an_echo_is_told_from_a_board() {
        let mut heard = Heard::default();
        heard.sent(&[3, 1, 2, 0]);
        heard.sent(&[3, 1, 2, 0]);
        heard.bytes(&[0, 3, 1, 2, 0]);
        assert!(heard.to_string().contains("loopback plug"), "{heard}");
    }

    #[test]
    fn a_terminal_obeys_nothing_that_a_board_says() {
        let shown = printable("\u{1b}]0;owned\u{7}\u{1b}[2J red \u{9b}31m grün");
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
        assert!(shown.contains("grün"));
    }
}
