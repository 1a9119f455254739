//! What reader and writer do with the items of canonical CBOR, and the writer's half: shortest integers, f32 floats,
//! definite lengths.
//!
//! A walk (`crate::walk`) says which keys a map has, in which order and with which values, once for both: the reader
//! fills in what it is given, the writer puts what is there. One writer serves hashes (on the board as well) and the
//! body of a file.

use ciborium_ll::{Encoder, Header};
use sha2::{Digest, Sha256};

use crate::contract::is_plain;
use crate::error::ReadError;
use crate::list::{Fill, Full, List};

/// First byte of an f32 in CBOR: major type 7, four bytes follow.
pub(crate) const FLOAT32: u8 = 0xfa;

/// Whether something was read or written.
pub(crate) type Done = Result<(), ReadError>;

/// Compares a number of entries with the one the format demands.
pub(crate) fn count(thing: &'static str, found: usize, expected: usize) -> Done {
    match found == expected {
        true => Ok(()),
        false => Err(ReadError::Count {
            thing,
            found,
            expected,
        }),
    }
}

/// The items that a walk passes, in their order. What is expected is the reader's to check; a writer cannot fail.
pub(crate) trait Codec<'a>: Sized {
    /// Whether values come from a file, which nobody has checked.
    const READS: bool;

    /// Where in the file the next item begins.
    fn position(&self) -> usize;
    /// A header that is not a float, of the same kind as `header`, which is put; `item` is what a reader expects.
    fn header(&mut self, header: Header, item: &'static str) -> Result<Header, ReadError>;
    /// `length` bytes, which belong to the item that began at `offset`.
    fn run(&mut self, offset: u32, length: usize, bytes: &mut &'a [u8]) -> Done;
    /// A key.
    fn key(&mut self, key: &'static str) -> Done;
    /// An f32, whatever it is.
    fn any_float(&mut self, value: &mut f32) -> Done;
    /// The byte string of a SHA-256.
    fn digest(&mut self, thing: &'static str, value: &mut [u8; 32]) -> Done;
    /// Whether a text begins here, as it does in what is written where `present` says so.
    fn at_text(&self, present: bool) -> Result<bool, ReadError>;

    /// Whether a part is there: `expected` in a file, `present` in what is written.
    fn has(&self, expected: bool, present: bool) -> bool {
        if Self::READS { expected } else { present }
    }

    /// Where the next item begins, for an error.
    fn offset(&self) -> u32 {
        u32::try_from(self.position()).unwrap_or(u32::MAX)
    }

    /// A key and its value.
    fn entry<T>(
        &mut self,
        key: &'static str,
        value: &mut T,
        walk: impl FnOnce(&mut Self, &'static str, &mut T) -> Done,
    ) -> Done {
        self.key(key)?;
        walk(self, key, value)
    }

    /// A map of `entries` keys, which `walk` passes.
    fn map(
        &mut self,
        thing: &'static str,
        entries: usize,
        walk: impl FnOnce(&mut Self) -> Done,
    ) -> Done {
        let found = match self.header(Header::Map(Some(entries)), "map")? {
            Header::Map(Some(found)) => found,
            _ => entries,
        };
        walk(self)?;
        count(thing, found, entries)
    }

    /// Items of the array that begins here: `expected` of them (any number where that is `None`) in a file, `present` in
    /// what is written.
    fn array(
        &mut self,
        thing: &'static str,
        expected: Option<usize>,
        present: usize,
    ) -> Result<usize, ReadError> {
        let found = match self.header(Header::Array(Some(present)), "array")? {
            Header::Array(Some(found)) => found,
            _ => present,
        };
        match expected {
            Some(expected) if Self::READS => count(thing, found, expected)?,
            _ => {}
        }
        Ok(found)
    }

    /// A key and a list, empty before it is read; `expected` as in [`Codec::array`].
    fn list<T: Fill, const N: usize>(
        &mut self,
        key: &'static str,
        list: &mut List<T, N>,
        expected: Option<usize>,
        walk: impl Fn(&mut Self, &'static str, &mut T) -> Done,
    ) -> Done {
        self.key(key)?;
        let found = self.array(key, expected, list.len())?;
        for index in 0..found {
            let mut item = list.get(index).copied().unwrap_or(T::FILL);
            walk(self, key, &mut item)?;
            if Self::READS {
                list.push(item).map_err(|Full| ReadError::Count {
                    thing: key,
                    found,
                    expected: N,
                })?;
            }
        }
        Ok(())
    }

    /// An integer in `MIN..=MAX`, which `T` can hold. One that is below zero becomes a large one: a reader refuses both.
    fn integer<T: Copy + TryInto<u64> + TryFrom<u64>, const MIN: u64, const MAX: u64>(
        &mut self,
        thing: &'static str,
        value: &mut T,
    ) -> Done {
        let present = (*value).try_into().unwrap_or(u64::MAX);
        let found = match self.header(Header::Positive(present), "unsigned integer")? {
            Header::Positive(found) => found,
            _ => present,
        };
        if Self::READS && !(MIN..=MAX).contains(&found) {
            return Err(ReadError::Integer {
                thing,
                value: found,
                min: MIN,
                max: MAX,
            });
        }
        *value = T::try_from(found).unwrap_or(*value);
        Ok(())
    }

    /// An integer of at least `MIN` and at most 32 bits. The range of a dimension is checked with the whole config.
    fn u32<T: Copy + TryInto<u64> + TryFrom<u64>, const MIN: u64>(
        &mut self,
        thing: &'static str,
        value: &mut T,
    ) -> Done {
        self.integer::<T, MIN, { u32::MAX as u64 }>(thing, value)
    }

    /// A finite f32.
    fn float(&mut self, thing: &'static str, value: &mut f32) -> Done {
        self.any_float(value)?;
        self.must(thing, *value, value.is_finite(), "finite")
    }

    /// A finite f32 above 0.
    fn positive(&mut self, thing: &'static str, value: &mut f32) -> Done {
        self.float(thing, value)?;
        self.must(thing, *value, *value > 0.0, "positive")
    }

    /// Refuses a float from a file that is not what it must be.
    fn must(&self, thing: &'static str, value: f32, holds: bool, must: &'static str) -> Done {
        match holds || !Self::READS {
            true => Ok(()),
            false => Err(ReadError::Float { thing, value, must }),
        }
    }

    /// A byte string or a text, as `kind` says.
    fn string(
        &mut self,
        kind: fn(Option<usize>) -> Header,
        item: &'static str,
        bytes: &mut &'a [u8],
    ) -> Done {
        let offset = self.offset();
        let length = match self.header(kind(Some(bytes.len())), item)? {
            Header::Bytes(Some(length)) | Header::Text(Some(length)) => length,
            _ => 0,
        };
        self.run(offset, length, bytes)
    }

    /// A text of 1 to `LIMIT` printable ASCII bytes without spaces.
    fn text<const LIMIT: usize>(&mut self, thing: &'static str, value: &mut &'a str) -> Done {
        let offset = self.offset();
        let mut bytes = value.as_bytes();
        self.string(Header::Text, "text", &mut bytes)?;
        match core::str::from_utf8(bytes) {
            Ok(text) if is_plain(text, LIMIT) || !Self::READS => *value = text,
            _ => return Err(ReadError::Text { thing, offset }),
        }
        Ok(())
    }

    /// One of some texts, which stand for `values`.
    fn variant<T: Copy, const N: usize>(
        &mut self,
        thing: &'static str,
        value: &mut T,
        values: [T; N],
        name: fn(T) -> &'static str,
    ) -> Done {
        let offset = self.offset();
        let mut text = name(*value).as_bytes();
        self.string(Header::Text, "text", &mut text)?;
        let mut values = values.into_iter();
        let found = values.find(|&value| name(value).as_bytes() == text);
        *value = found.ok_or(ReadError::Text { thing, offset })?;
        Ok(())
    }

    /// A key and a byte string of `min..=max` bytes.
    fn bytes(&mut self, key: &'static str, bytes: &mut &'a [u8], min: usize, max: usize) -> Done {
        self.key(key)?;
        self.string(Header::Bytes, "byte string", bytes)?;
        if Self::READS && !(min..=max).contains(&bytes.len()) {
            let [value, min, max] =
                [bytes.len(), min, max].map(|length| u64::try_from(length).unwrap_or(u64::MAX));
            return Err(ReadError::Integer {
                thing: key,
                value,
                min,
                max,
            });
        }
        Ok(())
    }

    /// A key and `[pad, bytes]`: a byte string of `expected` bytes on a multiple of `align` (at most 16) bytes
    /// from the start of the file, after the shortest pad of zeros that puts it there.
    fn aligned(
        &mut self,
        key: &'static str,
        bytes: &mut &'a [u8],
        align: usize,
        expected: usize,
    ) -> Done {
        self.key(key)?;
        self.array(key, Some(2), 2)?;
        let wrong = ReadError::Pad {
            offset: self.offset(),
        };
        // Of what is written. The pad's own header takes one byte: a pad is shorter than 16.
        let header = Shortest::new(Header::Bytes(Some(bytes.len())));
        let after = self
            .position()
            .saturating_add(1)
            .saturating_add(header.length);
        let pad = after.wrapping_neg() & align.saturating_sub(1);
        let zeros: &'static [u8; 16] = &[0; 16];
        let mut pad = zeros.get(..pad).unwrap_or_default();
        self.string(Header::Bytes, "byte string", &mut pad)?;
        if pad.len() >= align {
            return Err(wrong);
        }
        self.string(Header::Bytes, "byte string", bytes)?;
        if !Self::READS {
            return Ok(());
        }
        count(key, bytes.len(), expected)?;
        let start = self.position().saturating_sub(bytes.len());
        // The first multiple of `align` after a pad shorter than `align` leaves one pad possible.
        if start & align.saturating_sub(1) != 0 || pad.iter().any(|&byte| byte != 0) {
            return Err(wrong);
        }
        Ok(())
    }

    /// As [`Codec::aligned`], for `expected` elements of `N` bytes.
    fn elements<const N: usize>(
        &mut self,
        key: &'static str,
        value: &mut &'a [[u8; N]],
        expected: usize,
    ) -> Done {
        let mut bytes = value.as_flattened();
        self.aligned(key, &mut bytes, 4, expected.saturating_mul(N))?;
        *value = bytes.as_chunks().0;
        Ok(())
    }
}

/// Where encoded bytes go; nothing that takes them here can fail.
pub(crate) trait Sink {
    /// Takes the next bytes.
    fn put(&mut self, bytes: &[u8]);

    /// Where in a file the next byte goes, which decides how tensors are padded.
    fn place(&self) -> usize {
        0
    }
}

/// A sink that hashes with SHA-256.
#[derive(Default)]
pub(crate) struct Hash(Sha256);

impl Hash {
    /// The digest of what `walk` puts: what there is, since what hashes cannot fail.
    pub(crate) fn of(walk: impl FnOnce(&mut Self) -> Done) -> [u8; 32] {
        let mut hash = Self::default();
        let _ = walk(&mut hash);
        hash.0.finalize().into()
    }
}

impl Sink for Hash {
    fn put(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

/// The shortest encoding of a header that is not a float.
pub(crate) struct Shortest {
    bytes: [u8; 9],
    length: usize,
}

impl Shortest {
    /// Encodes `header`.
    pub(crate) fn new(header: Header) -> Self {
        let mut bytes = [0; 9];
        let mut rest = &mut bytes[..];
        // Nine bytes hold every header.
        let _ = Encoder::from(&mut rest).push(header);
        let length = 9_usize.saturating_sub(rest.len());
        Self { bytes, length }
    }

    /// The encoded bytes.
    pub(crate) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&[])
    }
}

impl<'a, S: Sink> Codec<'a> for S {
    const READS: bool = false;

    fn position(&self) -> usize {
        self.place()
    }

    fn header(&mut self, header: Header, _: &'static str) -> Result<Header, ReadError> {
        self.put(Shortest::new(header).as_slice());
        Ok(header)
    }

    fn run(&mut self, _: u32, _: usize, bytes: &mut &'a [u8]) -> Done {
        self.put(bytes);
        Ok(())
    }

    fn key(&mut self, key: &'static str) -> Done {
        self.string(Header::Text, "text", &mut key.as_bytes())
    }

    fn any_float(&mut self, value: &mut f32) -> Done {
        self.put(&[FLOAT32]);
        self.put(&value.to_bits().to_be_bytes());
        Ok(())
    }

    fn digest(&mut self, _: &'static str, value: &mut [u8; 32]) -> Done {
        self.put(Shortest::new(Header::Bytes(Some(value.len()))).as_slice());
        self.put(value);
        Ok(())
    }

    fn at_text(&self, present: bool) -> Result<bool, ReadError> {
        Ok(present)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_shortest() {
        let length = |value| Shortest::new(Header::Positive(value)).as_slice().len();
        let lengths = [0, 23, 24, 255, 256, 65_536, u64::MAX].map(length);
        assert_eq!(lengths, [1, 1, 2, 2, 3, 5, 9]);
    }
}
