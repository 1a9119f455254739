//! Canonical CBOR, item by item, over the bytes of a file.
//!
//! ciborium-ll decodes the headers; what it is lenient about (longer forms, indefinite lengths,
//! floats of any width) is refused here. Strings are borrowed from the file.

use core::mem::discriminant;

use ciborium_ll::{Decoder, Error, Header};

use crate::codec::{Codec, FLOAT32, Shortest, count};
use crate::error::{CborProblem, ReadError};

/// A place in the file.
pub(super) struct Cursor<'a> {
    file: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    /// Starts at `position` of `file`.
    pub(super) fn new(file: &'a [u8], position: usize) -> Self {
        Self { file, position }
    }

    fn rest(&self) -> &'a [u8] {
        self.file.get(self.position..).unwrap_or(&[])
    }

    fn problem(&self, problem: CborProblem) -> ReadError {
        ReadError::Cbor {
            offset: self.offset(),
            problem,
        }
    }

    fn expected(&self, item: &'static str) -> ReadError {
        self.problem(CborProblem::Expected(item))
    }

    /// The next header, and the bytes that it takes; the cursor stays before it.
    fn peek(&self) -> Result<(Header, usize), ReadError> {
        let rest = self.rest();
        let mut decoder = Decoder::from(rest);
        let header = decoder.pull().map_err(|error| match error {
            Error::Io(_) => self.problem(CborProblem::End),
            Error::Syntax(_) => self.problem(CborProblem::Syntax),
        })?;
        let used = decoder.offset();
        match header {
            Header::Float(_) => {}
            Header::Bytes(None) | Header::Text(None) | Header::Array(None) | Header::Map(None) => {
                return Err(self.problem(CborProblem::Indefinite));
            }
            _ => {
                if rest.get(..used) != Some(Shortest::new(header).as_slice()) {
                    return Err(self.problem(CborProblem::NotShortest));
                }
            }
        }
        Ok((header, used))
    }

    fn skip(&mut self, used: usize) {
        self.position = self.position.saturating_add(used);
    }

    /// The `length` bytes at the cursor, which belong to the item that began at `offset`.
    fn take(&mut self, offset: u32, length: usize) -> Result<&'a [u8], ReadError> {
        let end = ReadError::Cbor {
            offset,
            problem: CborProblem::End,
        };
        let bytes = self.rest().get(..length).ok_or(end)?;
        self.skip(length);
        Ok(bytes)
    }

    /// The end of the file.
    pub(super) fn end(&self) -> Result<(), ReadError> {
        match self.rest().is_empty() {
            true => Ok(()),
            false => Err(ReadError::Trailing {
                offset: self.offset(),
            }),
        }
    }
}

impl<'a> Codec<'a> for Cursor<'a> {
    const READS: bool = true;

    fn position(&self) -> usize {
        self.position
    }

    fn header(&mut self, header: Header, item: &'static str) -> Result<Header, ReadError> {
        let (found, used) = self.peek()?;
        if discriminant(&found) != discriminant(&header) {
            return Err(self.expected(item));
        }
        self.skip(used);
        Ok(found)
    }

    fn run(&mut self, offset: u32, length: usize, bytes: &mut &'a [u8]) -> Result<(), ReadError> {
        *bytes = self.take(offset, length)?;
        Ok(())
    }

    fn key(&mut self, expected: &'static str) -> Result<(), ReadError> {
        let wrong = ReadError::Key {
            offset: self.offset(),
            expected,
        };
        match self.peek()? {
            (Header::Text(Some(length)), used) if length == expected.len() => {
                self.skip(used);
                match self.take(self.offset(), length)? == expected.as_bytes() {
                    true => Ok(()),
                    false => Err(wrong),
                }
            }
            _ => Err(wrong),
        }
    }

    fn any_float(&mut self, value: &mut f32) -> Result<(), ReadError> {
        let (Header::Float(_), used) = self.peek()? else {
            return Err(self.expected("f32"));
        };
        // The bits come from the file: a detour over f64 may change a NaN.
        let bits = match self.rest().split_first() {
            Some((&FLOAT32, rest)) => rest.first_chunk().copied().map(f32::from_be_bytes),
            _ => None,
        };
        *value = bits.ok_or(self.problem(CborProblem::FloatWidth))?;
        self.skip(used);
        Ok(())
    }

    fn digest(&mut self, thing: &'static str, value: &mut [u8; 32]) -> Result<(), ReadError> {
        let mut bytes = &[][..];
        self.string(Header::Bytes, "byte string", &mut bytes)?;
        count(thing, bytes.len(), value.len())?;
        for (place, byte) in value.iter_mut().zip(bytes) {
            *place = *byte;
        }
        Ok(())
    }

    fn at_text(&self, _: bool) -> Result<bool, ReadError> {
        Ok(matches!(self.peek()?, (Header::Text(_), _)))
    }
}
