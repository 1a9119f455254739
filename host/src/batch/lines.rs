//! Lines as other programs send them: found in a stream of bytes, and taken as text where they are some.

use std::io::BufRead;

use super::LineError;

/// The lines of an input, one after the other.
pub(crate) struct Lines<R> {
    input: R,
    longest: usize,
    line: Vec<u8>,
    number: u64,
    utf16: bool,
}

impl<R: BufRead> Lines<R> {
    /// Lines of at most `longest` bytes; more of one are not kept.
    #[must_use]
    pub(crate) const fn new(input: R, longest: usize) -> Self {
        Self {
            input,
            longest,
            line: Vec::new(),
            number: 0,
            utf16: false,
        }
    }

    /// Number of the last line, from 1.
    #[must_use]
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    /// The next line, without its line break, or why it is no text; `None` at the end of the input. A byte order mark of
    /// UTF-8 at the start of the input is no part of it.
    ///
    /// # Errors
    /// The input cannot be read, or there is no memory for a line.
    pub(crate) fn next_line(&mut self) -> std::io::Result<Option<Result<&str, LineError>>> {
        let Some(bytes) = self.take_line()? else {
            return Ok(None);
        };
        self.number += 1;
        let mut line = self.line.as_slice();
        if self.number == 1 {
            self.utf16 = line.starts_with(&[0xff, 0xfe]) || line.starts_with(&[0xfe, 0xff]);
            line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        }
        Ok(Some(if self.utf16 {
            // Half of a line break is what may remain of the input.
            match line {
                [] | [0] => Ok(""),
                _ => Err(LineError::Utf16),
            }
        } else if bytes > self.longest {
            Err(LineError::Long {
                bytes,
                longest: self.longest,
            })
        } else {
            text(line)
        }))
    }

    /// Fills the line up, at most as long as the longest; its real length in bytes, `None` at the end of the input.
    fn take_line(&mut self) -> std::io::Result<Option<usize>> {
        self.line.clear();
        let mut bytes = 0;
        loop {
            let there = match self.input.fill_buf() {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                there => there?,
            };
            if there.is_empty() {
                return Ok((bytes > 0).then_some(bytes));
            }
            let end = there.iter().position(|&byte| byte == b'\n');
            let part = &there[..end.unwrap_or(there.len())];
            let kept = part.len().min(self.longest - self.line.len());
            self.line.try_reserve(kept)?;
            self.line.extend_from_slice(&part[..kept]);
            bytes += part.len();
            let used = part.len() + usize::from(end.is_some());
            self.input.consume(used);
            if end.is_some() {
                return Ok(Some(bytes));
            }
        }
    }
}

/// The text of a line, which is UTF-8 and holds no byte 0.
fn text(line: &[u8]) -> Result<&str, LineError> {
    let wrong = |at: usize| LineError::Byte {
        at: at + 1,
        byte: line[at],
        why: match line[at] {
            0 => "no text has one (is it UTF-16?)",
            _ => "it is no UTF-8",
        },
    };
    if let Some(at) = line.iter().position(|&byte| byte == 0) {
        return Err(wrong(at));
    }
    std::str::from_utf8(line).map_err(|error| wrong(error.valid_up_to()))
}
