//! The body as a tree that can be changed and written again, in canonical form or deliberately not.

use sha2::{Digest, Sha256};

/// How the header of an item is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Form {
    Shortest,
    /// One size longer than the shortest.
    Longer,
    /// Eight bytes.
    Longest,
    Indefinite,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Unsigned(u64),
    Negative(u64),
    Bytes(Vec<u8>),
    /// `[pad, bytes]`; `pad` is what is wrong with the pad.
    Aligned {
        align: usize,
        bytes: Vec<u8>,
        pad: PadLie,
    },
    Text(Vec<u8>),
    Array(Vec<Item>),
    Map(Vec<(Item, Item)>),
    /// The bytes of a float of any width.
    Float(Vec<u8>),
    /// An item behind the tag 1.
    Tagged(Box<Item>),
    /// Bytes as they stand.
    Raw(Vec<u8>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum PadLie {
    None,
    /// A whole alignment more than needed.
    TooLong,
    /// One byte more than needed.
    OneMore,
    /// One that is not zero, where there is one.
    NotZero,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    pub form: Form,
    pub value: Value,
}

/// States the right length and hash in the header of `file`, if it has one.
pub(crate) fn rehash(file: &mut [u8]) {
    if file.len() < 128 {
        return;
    }
    let length = u32::try_from(file.len()).unwrap();
    let hash = Sha256::digest(&file[128..]);
    file[12..16].copy_from_slice(&length.to_le_bytes());
    file[16..48].copy_from_slice(&hash);
}

impl Item {
    pub(crate) fn new(value: Value) -> Self {
        Self {
            form: Form::Shortest,
            value,
        }
    }

    pub(crate) fn text(text: &str) -> Self {
        Self::new(Value::Text(text.as_bytes().to_vec()))
    }

    /// The body of a file.
    pub(crate) fn parse(file: &[u8]) -> Self {
        let mut rest = &file[128..];
        let item = parse(&mut rest, "");
        assert!(rest.is_empty());
        item
    }

    /// A file with this body, and right length and hash.
    pub(crate) fn file(&self) -> Vec<u8> {
        self.file_with(&[])
    }

    /// As [`Item::file`], with bytes after the body.
    pub(crate) fn file_with(&self, trailing: &[u8]) -> Vec<u8> {
        let mut file = vec![0; 128];
        file[..8].copy_from_slice(b"ENGRAM\r\n");
        file[8] = 1;
        self.put(&mut file);
        file.extend_from_slice(trailing);
        rehash(&mut file);
        file
    }

    /// Calls `visit` with every item below this one, itself included; keys are items too.
    pub(crate) fn each(&mut self, visit: &mut impl FnMut(&mut Item)) {
        visit(self);
        match &mut self.value {
            Value::Array(items) => items.iter_mut().for_each(|item| item.each(visit)),
            Value::Map(entries) => {
                for (key, value) in entries {
                    key.each(visit);
                    value.each(visit);
                }
            }
            _ => {}
        }
    }

    /// Items of the tree.
    pub(crate) fn count(&self) -> usize {
        let mut count = 0;
        self.clone().each(&mut |_| count += 1);
        count
    }

    /// This tree with the item of number `index` changed.
    pub(crate) fn with(&self, index: usize, change: impl FnOnce(&mut Item)) -> Self {
        let mut changed = self.clone();
        let mut number = 0;
        let mut change = Some(change);
        changed.each(&mut |item| {
            if number == index
                && let Some(change) = change.take()
            {
                change(item);
            }
            number += 1;
        });
        changed
    }

    /// The item at `path`: keys, or numbers of array items.
    pub(crate) fn at(&mut self, path: &[&str]) -> &mut Item {
        let Some((first, rest)) = path.split_first() else {
            return self;
        };
        let found = match &mut self.value {
            Value::Array(items) => items.get_mut(first.parse::<usize>().unwrap()),
            Value::Map(entries) => {
                let key = Value::Text(first.as_bytes().to_vec());
                entries
                    .iter_mut()
                    .find(|(item, _)| item.value == key)
                    .map(|(_, value)| value)
            }
            _ => None,
        };
        found.unwrap_or_else(|| panic!("no {first}")).at(rest)
    }

    fn put(&self, file: &mut Vec<u8>) {
        let head = |major: u8, count: usize, file: &mut Vec<u8>| {
            put_header(file, major, u64::try_from(count).unwrap(), self.form);
        };
        match &self.value {
            Value::Unsigned(value) => put_header(file, 0, *value, self.form),
            Value::Negative(value) => put_header(file, 1, *value, self.form),
            Value::Bytes(bytes) | Value::Text(bytes) => {
                let major = if matches!(self.value, Value::Bytes(_)) {
                    2
                } else {
                    3
                };
                head(major, bytes.len(), file);
                if self.form == Form::Indefinite {
                    put_header(
                        file,
                        major,
                        u64::try_from(bytes.len()).unwrap(),
                        Form::Shortest,
                    );
                }
                file.extend_from_slice(bytes);
            }
            Value::Aligned { align, bytes, pad } => {
                head(4, 2, file);
                let mut header = Vec::new();
                put_header(
                    &mut header,
                    2,
                    u64::try_from(bytes.len()).unwrap(),
                    Form::Shortest,
                );
                let start = file.len() + 1 + header.len();
                let shortest = start.next_multiple_of(*align) - start;
                let mut zeros = match pad {
                    PadLie::TooLong => vec![0; shortest + align],
                    PadLie::OneMore => vec![0; shortest + 1],
                    _ => vec![0; shortest],
                };
                if let (PadLie::NotZero, Some(last)) = (pad, zeros.last_mut()) {
                    *last = 1;
                }
                put_header(file, 2, u64::try_from(zeros.len()).unwrap(), Form::Shortest);
                file.extend(zeros);
                file.extend(header);
                file.extend_from_slice(bytes);
            }
            Value::Array(items) => {
                head(4, items.len(), file);
                items.iter().for_each(|item| item.put(file));
            }
            Value::Map(entries) => {
                head(5, entries.len(), file);
                for (key, value) in entries {
                    key.put(file);
                    value.put(file);
                }
            }
            Value::Float(bytes) => {
                file.push(match bytes.len() {
                    2 => 0xf9,
                    4 => 0xfa,
                    _ => 0xfb,
                });
                file.extend_from_slice(bytes);
            }
            Value::Tagged(inner) => {
                file.push(0xc1);
                inner.put(file);
            }
            Value::Raw(bytes) => file.extend_from_slice(bytes),
        }
        if self.form == Form::Indefinite
            && !matches!(
                self.value,
                Value::Float(_) | Value::Tagged(_) | Value::Raw(_)
            )
        {
            file.push(0xff);
        }
    }
}

fn put_header(file: &mut Vec<u8>, major: u8, value: u64, form: Form) {
    let shortest = match value {
        0..24 => 0,
        24..256 => 1,
        256..65_536 => 2,
        65_536..4_294_967_296 => 3,
        _ => 4,
    };
    let size = match form {
        Form::Shortest => shortest,
        Form::Longer => (shortest + 1).min(4),
        Form::Longest => 4,
        Form::Indefinite => return file.push(major << 5 | 31),
    };
    let bytes = value.to_be_bytes();
    match size {
        0 => file.push(major << 5 | bytes[7]),
        size => {
            file.push(major << 5 | (23 + size));
            file.extend_from_slice(&bytes[8 - (1 << (size - 1))..]);
        }
    }
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, left) = rest.split_at(count);
    *rest = left;
    taken
}

fn parse(rest: &mut &[u8], key: &str) -> Item {
    let initial = take(rest, 1)[0];
    let (major, minor) = (initial >> 5, initial & 31);
    if major == 7 {
        assert_eq!(minor, 26);
        return Item::new(Value::Float(take(rest, 4).to_vec()));
    }
    let argument = match minor {
        0..24 => u64::from(minor),
        _ => take(rest, 1 << (minor - 24))
            .iter()
            .fold(0, |value, &byte| value << 8 | u64::from(byte)),
    };
    let count = usize::try_from(argument).unwrap();
    Item::new(match major {
        0 => Value::Unsigned(argument),
        2 => Value::Bytes(take(rest, count).to_vec()),
        3 => Value::Text(take(rest, count).to_vec()),
        4 => {
            let items: Vec<Item> = (0..count).map(|_| parse(rest, key)).collect();
            match items.as_slice() {
                [
                    Item {
                        value: Value::Bytes(_),
                        ..
                    },
                    Item {
                        value: Value::Bytes(bytes),
                        ..
                    },
                ] => Value::Aligned {
                    align: if key == "weight" { 16 } else { 4 },
                    bytes: bytes.clone(),
                    pad: PadLie::None,
                },
                _ => Value::Array(items),
            }
        }
        5 => Value::Map(
            (0..count)
                .map(|_| {
                    let key = parse(rest, "");
                    let name = match &key.value {
                        Value::Text(text) => String::from_utf8(text.clone()).unwrap(),
                        _ => String::new(),
                    };
                    let value = parse(rest, &name);
                    (key, value)
                })
                .collect(),
        ),
        other => panic!("major type {other}"),
    })
}
