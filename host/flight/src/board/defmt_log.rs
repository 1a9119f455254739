//! Turning a board's defmt bytes into words, with the strings of its firmware's ELF file.

use std::path::Path;

use defmt_decoder::{DecodeError, Table};
use engram_link::{Level, Log};

/// Ends an encoded defmt frame.
const END: u8 = 0;

/// Decodes the defmt stream of one board.
pub(super) struct DefmtLog {
    table: Table,
    /// Bytes of a frame whose end has not come.
    partial: Vec<u8>,
}

impl DefmtLog {
    /// A decoder with the strings of `firmware`; `None` where the file has none that fit.
    pub(super) fn open(firmware: &Path) -> Option<Self> {
        let elf = std::fs::read(firmware).ok()?;
        match Table::parse(&elf) {
            Ok(table) => Some(Self {
                table: table?,
                partial: Vec::new(),
            }),
            Err(error) => {
                tracing::debug!("{}: its log cannot be decoded: {error}", firmware.display());
                None
            }
        }
    }

    /// Takes bytes of the stream; returns the lines that they complete.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<Log> {
        let mut lines = Vec::new();
        for byte in bytes {
            self.partial.push(*byte);
            if *byte == END {
                let frame = std::mem::take(&mut self.partial);
                lines.extend(self.decode(&frame));
            }
        }
        lines
    }

    /// One encoded frame as a line; a malformed one says so.
    fn decode(&self, frame: &[u8]) -> Option<Log> {
        let mut decoder = self.table.new_stream_decoder();
        decoder.received(frame);
        let (level, text) = match decoder.decode() {
            Ok(frame) => {
                let level = frame
                    .level()
                    .map_or(Level::Info, |level| match level.as_str() {
                        "trace" | "debug" => Level::Debug,
                        "warn" => Level::Warn,
                        "error" => Level::Error,
                        _ => Level::Info,
                    });
                (level, frame.display_message().to_string())
            }
            Err(DecodeError::UnexpectedEof) => return None,
            Err(DecodeError::Malformed) => (Level::Warn, "a damaged log frame".to_owned()),
        };
        Some(text_line(level, &text))
    }
}

/// As much of a line as fits into a log message.
fn text_line(level: Level, line: &str) -> Log {
    let mut log = Log::Text {
        level,
        text: Default::default(),
    };
    if let Log::Text { text, .. } = &mut log {
        for character in line.chars() {
            if text.push(character).is_err() {
                break;
            }
        }
    }
    log
}
