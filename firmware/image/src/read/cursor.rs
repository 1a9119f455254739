//! Canonical CBOR, item by item, over the bytes of a file.
//!
//! ciborium-ll decodes the headers; what it is lenient about (longer forms, indefinite lengths,
//! floats of any width) is refused here. Strings are borrowed from the file.

use ciborium_ll::{Decoder, Error, Header};

use crate::encode::{FLOAT32, Shortest};
use crate::error::{CborProblem, ReadError};

/// A place in the file.
pub(super) struct Cursor<'a> {
    file: &'a [u8],
    position: usize,
}

/// Compares a number of entries with the one the format demands.
pub(super) fn count(thing: &'static str, found: usize, expected: usize) -> Result<(), ReadError> {
    match found == expected {
        true => Ok(()),
        false => Err(ReadError::Count {
            thing,
            found,
            expected,
        }),
    }
}

impl<'a> Cursor<'a> {
    /// Starts at `position` of `file`.
    pub(super) fn new(file: &'a [u8], position: usize) -> Self {
        Self { file, position }
    }

    fn rest(&self) -> &'a [u8] {
        self.file.get(self.position..).unwrap_or(&[])
    }

    /// The offset of the next item, for an error.
    pub(super) fn offset(&self) -> u32 {
        u32::try_from(self.position).unwrap_or(u32::MAX)
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

    /// Entries of the map that begins here.
    pub(super) fn map(&mut self) -> Result<usize, ReadError> {
        match self.peek()? {
            (Header::Map(Some(entries)), used) => {
                self.skip(used);
                Ok(entries)
            }
            _ => Err(self.expected("map")),
        }
    }

    /// Items of the array that begins here.
    pub(super) fn array(&mut self) -> Result<usize, ReadError> {
        match self.peek()? {
            (Header::Array(Some(items)), used) => {
                self.skip(used);
                Ok(items)
            }
            _ => Err(self.expected("array")),
        }
    }

    /// The array that begins here, which must have `expected` items.
    pub(super) fn array_of(
        &mut self,
        thing: &'static str,
        expected: usize,
    ) -> Result<(), ReadError> {
        let found = self.array()?;
        count(thing, found, expected)
    }

    /// The key that is due.
    pub(super) fn key(&mut self, expected: &'static str) -> Result<(), ReadError> {
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

    /// Whether a text begins here.
    pub(super) fn at_text(&self) -> Result<bool, ReadError> {
        Ok(matches!(self.peek()?, (Header::Text(_), _)))
    }

    /// A text of 1 to `limit` printable ASCII bytes without spaces.
    pub(super) fn text(&mut self, thing: &'static str, limit: usize) -> Result<&'a str, ReadError> {
        let offset = self.offset();
        let (Header::Text(Some(length)), used) = self.peek()? else {
            return Err(self.expected("text"));
        };
        self.skip(used);
        let bytes = self.take(offset, length)?;
        let plain =
            !bytes.is_empty() && bytes.len() <= limit && bytes.iter().all(u8::is_ascii_graphic);
        match core::str::from_utf8(bytes) {
            Ok(text) if plain => Ok(text),
            _ => Err(ReadError::Text { thing, offset }),
        }
    }

    /// An integer in `min..=max`.
    pub(super) fn integer(
        &mut self,
        thing: &'static str,
        min: u64,
        max: u64,
    ) -> Result<u64, ReadError> {
        let (Header::Positive(value), used) = self.peek()? else {
            return Err(self.expected("unsigned integer"));
        };
        if value < min || value > max {
            return Err(ReadError::Integer {
                thing,
                value,
                min,
                max,
            });
        }
        self.skip(used);
        Ok(value)
    }

    /// A dimension; its range is checked with the whole config.
    pub(super) fn size(&mut self, thing: &'static str) -> Result<usize, ReadError> {
        let value = self.integer(thing, 0, u64::from(u32::MAX))?;
        Ok(usize::try_from(value).unwrap_or(usize::MAX))
    }

    /// A finite f32.
    pub(super) fn float(&mut self, thing: &'static str) -> Result<f32, ReadError> {
        let (Header::Float(_), used) = self.peek()? else {
            return Err(self.expected("f32"));
        };
        // The bits come from the file: a detour over f64 may change a NaN.
        let value = match self.rest().split_first() {
            Some((&FLOAT32, rest)) => rest.first_chunk().copied().map(f32::from_be_bytes),
            _ => None,
        };
        let value = value.ok_or(self.problem(CborProblem::FloatWidth))?;
        if !value.is_finite() {
            return Err(ReadError::Float {
                thing,
                value,
                must: "finite",
            });
        }
        self.skip(used);
        Ok(value)
    }

    /// A finite f32 above 0.
    pub(super) fn positive_float(&mut self, thing: &'static str) -> Result<f32, ReadError> {
        let value = self.float(thing)?;
        match value > 0.0 {
            true => Ok(value),
            false => Err(ReadError::Float {
                thing,
                value,
                must: "positive",
            }),
        }
    }

    /// A byte string of `expected` bytes.
    pub(super) fn bytes(
        &mut self,
        thing: &'static str,
        expected: usize,
    ) -> Result<&'a [u8], ReadError> {
        let bytes = self.byte_string()?;
        count(thing, bytes.len(), expected)?;
        Ok(bytes)
    }

    /// A byte string of `min..=max` bytes.
    pub(super) fn bytes_within(
        &mut self,
        thing: &'static str,
        min: usize,
        max: usize,
    ) -> Result<&'a [u8], ReadError> {
        let bytes = self.byte_string()?;
        if bytes.len() < min || bytes.len() > max {
            let [value, min, max] =
                [bytes.len(), min, max].map(|length| u64::try_from(length).unwrap_or(u64::MAX));
            return Err(ReadError::Integer {
                thing,
                value,
                min,
                max,
            });
        }
        Ok(bytes)
    }

    fn byte_string(&mut self) -> Result<&'a [u8], ReadError> {
        let offset = self.offset();
        let (Header::Bytes(Some(length)), used) = self.peek()? else {
            return Err(self.expected("byte string"));
        };
        self.skip(used);
        self.take(offset, length)
    }

    /// `[pad, bytes]`: a byte string of `expected` bytes on a multiple of `align` (at most 16) bytes
    /// from the start of the file, after the shortest pad of zeros that puts it there.
    pub(super) fn aligned_bytes(
        &mut self,
        thing: &'static str,
        align: usize,
        expected: usize,
    ) -> Result<&'a [u8], ReadError> {
        self.array_of(thing, 2)?;
        let wrong = ReadError::Pad {
            offset: self.offset(),
        };
        let pad = self.byte_string()?;
        if pad.len() >= align {
            return Err(wrong);
        }
        let bytes = self.bytes(thing, expected)?;
        let start = self.position.saturating_sub(bytes.len());
        // The first multiple of `align` after a pad shorter than `align` leaves one pad possible.
        if start & align.saturating_sub(1) != 0 || pad.iter().any(|&byte| byte != 0) {
            return Err(wrong);
        }
        Ok(bytes)
    }

    /// As [`Cursor::aligned_bytes`], for `expected` elements of `N` bytes.
    pub(super) fn elements<const N: usize>(
        &mut self,
        thing: &'static str,
        expected: usize,
    ) -> Result<&'a [[u8; N]], ReadError> {
        let bytes = self.aligned_bytes(thing, 4, expected.saturating_mul(N))?;
        Ok(bytes.as_chunks().0)
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
