//! The JSON of a line, read in place and value by value.
//!
//! A tree of values would take the last of two equal keys without a word, end at `NaN` without saying so, and hold many
//! times the bytes of its numbers. Nothing here calls itself: no nesting is too deep.

use std::borrow::Cow;

/// Characters of a value that a message shows.
const SHOWN: usize = 40;

/// What stands where something else must.
#[derive(Debug)]
pub(super) struct Syntax(pub(super) String);

/// A place in a line.
pub(super) struct Reader<'l> {
    text: &'l str,
    at: usize,
}

impl<'l> Reader<'l> {
    pub(super) const fn new(text: &'l str) -> Self {
        Self { text, at: 0 }
    }

    /// The next byte that is no white space; the reader stands before it.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        self.at += rest.iter().position(|byte| !blank(byte))?;
        self.text.as_bytes().get(self.at).copied()
    }

    /// Whether `byte` came next; it is then behind the reader.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let taken = self.peek() == Some(byte);
        self.at += usize::from(taken);
        taken
    }

    /// Whether a list or an object that `close` ends has another entry, of which `first` is not yet behind the reader.
    pub(super) fn more(&mut self, first: &mut bool, close: u8) -> Result<bool, Syntax> {
        if self.take(close) {
            return Ok(false);
        }
        if !std::mem::take(first) && !self.take(b',') {
            return Err(self.expected(&format!("`,` or `{}`", close as char)));
        }
        match self.peek() {
            None => Err(self.expected(&format!("`{}`", close as char))),
            Some(_) => Ok(true),
        }
    }

    /// A key and its colon.
    pub(super) fn key(&mut self) -> Result<Cow<'l, str>, Syntax> {
        if self.peek() != Some(b'"') {
            return Err(self.expected("a key in quotes"));
        }
        let quoted = self.scalar();
        let key = match quoted
            .strip_prefix('"')
            .and_then(|key| key.strip_suffix('"'))
        {
            Some(key) if !key.contains('\\') => Cow::Borrowed(key),
            _ => Cow::Owned(
                serde_json::from_str(quoted)
                    .map_err(|_| Syntax(format!("{} is no key", short(quoted))))?,
            ),
        };
        if self.take(b':') {
            Ok(key)
        } else {
            Err(self.expected(&format!("`:` after the key {}", short(quoted))))
        }
    }

    /// A value that is neither a list nor an object, as it stands there; empty where there is none.
    pub(super) fn scalar(&mut self) -> &'l str {
        let end = match self.peek() {
            Some(b'"') => self.end_of_text(),
            _ => {
                let rest = &self.text[self.at..];
                let ends = |c: char| c.is_ascii_whitespace() || ",:[]{}\"".contains(c);
                self.at + rest.find(ends).unwrap_or(rest.len())
            }
        };
        let scalar = &self.text[self.at..end];
        self.at = end;
        scalar
    }

    /// Goes past a value of any kind, as far as brackets tell.
    pub(super) fn skip(&mut self) -> Result<(), Syntax> {
        let mut open = 0_usize;
        loop {
            match self.peek() {
                None => return Err(self.expected("a value")),
                Some(b'[' | b'{') => {
                    open += 1;
                    self.at += 1;
                }
                Some(b']' | b'}') if open > 0 => {
                    open -= 1;
                    self.at += 1;
                }
                Some(b',' | b':') if open > 0 => self.at += 1,
                Some(_) => {
                    if self.scalar().is_empty() {
                        return Err(self.expected("a value"));
                    }
                }
            }
            if open == 0 {
                return Ok(());
            }
        }
    }

    /// What comes next, for a message.
    pub(super) fn found(&mut self) -> String {
        match self.peek() {
            None => "the end of the line".to_owned(),
            Some(b'[') => "a list".to_owned(),
            Some(b'{') => "an object".to_owned(),
            Some(_) => {
                let at = self.at;
                let scalar = self.scalar();
                self.at = at;
                if scalar.is_empty() {
                    format!("`{}`", &self.text[at..=at])
                } else {
                    short(scalar)
                }
            }
        }
    }

    /// The error of something else than `what` here.
    pub(super) fn expected(&mut self, what: &str) -> Syntax {
        let found = self.found();
        let byte = self.at + 1;
        Syntax(format!("expected {what} at byte {byte}; found {found}"))
    }

    /// Where the text in quotes that starts here ends.
    fn end_of_text(&self) -> usize {
        let mut escaped = false;
        let rest = self.text.as_bytes()[self.at..].iter().skip(1);
        let length = rest.take_while(|&&byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            !ends
        });
        // The quotes themselves; the last may be missing.
        (self.at + length.count() + 2).min(self.text.len())
    }
}

/// A value as it may stand in a message.
pub(super) fn short(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
