//! The body as a tree that can be changed and written again, in canonical form or deliberately not.

use sha2::{Digest, Sha256};

/// How an item is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Form {
    Shortest,
    /// Its header one size longer than the shortest.
    Longer,
    /// Its header with eight bytes.
    Longest,
    Indefinite,
    /// Behind the tag 1.
    Tagged,
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
    Float(f32),
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

impl Value {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.as_bytes().to_vec())
    }

    /// The bytes of a string, whatever kind it is of.
    pub(crate) fn bytes(&mut self) -> Option<&mut Vec<u8>> {
        match self {
            Self::Bytes(bytes) | Self::Text(bytes) | Self::Aligned { bytes, .. } => Some(bytes),
            _ => None,
        }
    }
}

impl Item {
    pub(crate) fn new(value: Value) -> Self {
        Self {
            form: Form::Shortest,
            value,
        }
    }

    /// The body of a file.
    pub(crate) fn parse(file: &[u8]) -> Self {
        let mut rest = &file[128..];
        let item = parse(&mut rest, b"");
        assert!(rest.is_empty());
        item
    }

    /// A file with this body, and right length and hash.
    pub(crate) fn file(&self) -> Vec<u8> {
        let mut file = vec![0; 128];
        file[..8].copy_from_slice(b"ENGRAM\r\n");
        file[8] = 2;
        self.put(&mut file);
        rehash(&mut file);
        file
    }

    /// The item `index` places behind this one, in the order of the file and with keys; `index` counts down to it.
    pub(crate) fn nth(&mut self, index: &mut usize) -> Option<&mut Item> {
        if *index == 0 {
            return Some(self);
        }
        *index -= 1;
        match &mut self.value {
            Value::Array(items) => items.iter_mut().find_map(|item| item.nth(index)),
            Value::Map(entries) => entries
                .iter_mut()
                .flat_map(|(key, value)| [key, value])
                .find_map(|item| item.nth(index)),
            _ => None,
        }
    }

    /// The item at `path`: keys, or numbers of array items, with dots between them.
    pub(crate) fn at(&mut self, path: &str) -> &mut Item {
        path.split('.').fold(self, |item, step| {
            let found = match &mut item.value {
                Value::Array(items) => items.get_mut(step.parse::<usize>().unwrap()),
                Value::Map(entries) => {
                    let mut entries = entries.iter_mut();
                    let entry = entries.find(|(key, _)| key.value == Value::text(step));
                    entry.map(|(_, value)| value)
                }
                _ => None,
            };
            found.unwrap_or_else(|| panic!("no {step} of {path}"))
        })
    }

    fn put(&self, file: &mut Vec<u8>) {
        if self.form == Form::Tagged {
            file.push(0xc1);
        }
        let string = |major, bytes: &[u8], file: &mut Vec<u8>| {
            self.form.put(major, bytes.len(), file);
            if self.form == Form::Indefinite {
                Form::Shortest.put(major, bytes.len(), file);
            }
            file.extend(bytes);
        };
        match &self.value {
            Value::Unsigned(value) => self.form.put(0, *value as usize, file),
            Value::Negative(value) => self.form.put(1, *value as usize, file),
            Value::Bytes(bytes) => string(2, bytes, file),
            Value::Text(bytes) => string(3, bytes, file),
            Value::Aligned { align, bytes, pad } => {
                self.form.put(4, 2, file);
                let mut header = Vec::new();
                Form::Shortest.put(2, bytes.len(), &mut header);
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
                Form::Shortest.put(2, zeros.len(), file);
                file.extend([&zeros, &header, bytes].into_iter().flatten());
            }
            Value::Array(items) => {
                self.form.put(4, items.len(), file);
                items.iter().for_each(|item| item.put(file));
            }
            Value::Map(entries) => {
                self.form.put(5, entries.len(), file);
                for (key, value) in entries {
                    key.put(file);
                    value.put(file);
                }
            }
            Value::Float(value) => {
                file.push(0xfa);
                file.extend(value.to_be_bytes());
                return;
            }
            Value::Raw(bytes) => return file.extend(bytes),
        }
        if self.form == Form::Indefinite {
            file.push(0xff);
        }
    }
}

impl Form {
    /// Writes a header.
    fn put(self, major: u8, value: usize, file: &mut Vec<u8>) {
        let shortest = match value {
            0..24 => 0,
            24..256 => 1,
            256..65_536 => 2,
            65_536..4_294_967_296 => 3,
            _ => 4,
        };
        let size = match self {
            Self::Shortest | Self::Tagged => shortest,
            Self::Longer => (shortest + 1).min(4),
            Self::Longest => 4,
            Self::Indefinite => return file.push(major << 5 | 31),
        };
        let bytes = value.to_be_bytes();
        match size {
            0 => file.push(major << 5 | bytes[7]),
            size => {
                file.push(major << 5 | (23 + size));
                file.extend(&bytes[8 - (1 << (size - 1))..]);
            }
        }
    }
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> &'a [u8] {
    rest.split_off(..count).unwrap()
}

/// The next item, which is the value of `key`.
fn parse(rest: &mut &[u8], key: &[u8]) -> Item {
    let initial = take(rest, 1)[0];
    let (major, minor) = (initial >> 5, initial & 31);
    if major == 7 {
        assert_eq!(minor, 26);
        let bytes = take(rest, 4).try_into().unwrap();
        return Item::new(Value::Float(f32::from_be_bytes(bytes)));
    }
    let argument = match minor {
        0..24 => usize::from(minor),
        _ => take(rest, 1 << (minor - 24))
            .iter()
            .fold(0, |value, &byte| value << 8 | usize::from(byte)),
    };
    Item::new(match major {
        0 => Value::Unsigned(argument as u64),
        2 => Value::Bytes(take(rest, argument).to_vec()),
        3 => Value::text(str::from_utf8(take(rest, argument)).unwrap()),
        4 => {
            let mut items: Vec<Item> = (0..argument).map(|_| parse(rest, key)).collect();
            match items.last_mut().map(|item| &mut item.value) {
                Some(Value::Bytes(bytes)) => Value::Aligned {
                    align: if key == b"weight" { 16 } else { 4 },
                    bytes: std::mem::take(bytes),
                    pad: PadLie::None,
                },
                _ => Value::Array(items),
            }
        }
        5 => Value::Map(
            (0..argument)
                .map(|_| {
                    let mut key = parse(rest, b"");
                    let value = parse(rest, key.value.bytes().unwrap());
                    (key, value)
                })
                .collect(),
        ),
        other => panic!("major type {other}"),
    })
}
