//! What a firmware takes before any image: static RAM and flash, read off its ELF file.

use std::path::Path;

/// Bytes that a firmware's sections take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// Code and constants, and what initialises variables.
    pub flash_bytes: u64,
    /// Variables, image slots and the policy's memory included; without the stack.
    pub ram_bytes: u64,
    /// What the linker keeps for the stack; none where the system gives it.
    pub stack_bytes: Option<u64>,
}

/// Why a file has no footprint.
#[derive(Debug, thiserror::Error)]
pub enum FootprintError {
    /// The file cannot be read.
    #[error("cannot read the firmware: {0}")]
    Io(std::io::Error),
    /// The file is not a little-endian ELF file with sections.
    #[error("the firmware is not a little-endian ELF file with section headers")]
    NotElf,
}

/// Section is in memory when the firmware runs.
const ALLOCATED: u64 = 2;
/// Section can be written.
const WRITABLE: u64 = 1;
/// Section takes no place in the file.
const NOBITS: u64 = 8;

impl Footprint {
    /// Reads an ELF file.
    ///
    /// # Errors
    /// [`FootprintError`].
    pub fn read(path: &Path) -> Result<Self, FootprintError> {
        Self::of(&std::fs::read(path).map_err(FootprintError::Io)?).ok_or(FootprintError::NotElf)
    }

    /// The footprint of an ELF file's bytes; `None` if they are not one.
    fn of(bytes: &[u8]) -> Option<Self> {
        let (magic, class, order) = (bytes.get(..4)?, *bytes.get(4)?, *bytes.get(5)?);
        if magic != b"\x7fELF" || order != 1 {
            return None;
        }
        // Offsets of: table of sections, entry size, entry count; and in an entry: type, flags, size.
        let (word, table, entry_size, entries, flags, size) = match class {
            1 => (4, 0x20, 0x2E, 0x30, 0x08, 0x14),
            2 => (8, 0x28, 0x3A, 0x3C, 0x08, 0x20),
            _ => return None,
        };
        let start = usize::try_from(number(bytes, table, word)?).ok()?;
        let entry_size = usize::try_from(number(bytes, entry_size, 2)?).ok()?;
        let mut footprint = Self {
            flash_bytes: 0,
            ram_bytes: 0,
            stack_bytes: symbol(bytes, "_stack_start")
                .zip(symbol(bytes, "_stack_end"))
                .and_then(|(start, end)| start.checked_sub(end)),
        };
        for index in 0..usize::try_from(number(bytes, entries, 2)?).ok()? {
            let entry = bytes.get(start.checked_add(index.checked_mul(entry_size)?)?..)?;
            let (kind, flags, size) = (
                number(entry, 4, 4)?,
                number(entry, flags, word)?,
                number(entry, size, word)?,
            );
            if flags & ALLOCATED == 0 {
                continue;
            }
            if flags & WRITABLE != 0 {
                footprint.ram_bytes = footprint.ram_bytes.checked_add(size)?;
            }
            if kind != NOBITS {
                footprint.flash_bytes = footprint.flash_bytes.checked_add(size)?;
            }
        }
        Some(footprint)
    }
}

/// The value of the symbol `name` in an ELF file of 32 bits, or of the first function whose name contains it; `None` if there is
/// none.
pub(crate) fn symbol(bytes: &[u8], name: &str) -> Option<u64> {
    /// A section of symbols.
    const SYMBOLS: u64 = 2;
    /// A function, in the lower half of a symbol's information.
    const FUNCTION: u64 = 2;
    if bytes.get(..6)? != b"\x7fELF\x01\x01" {
        return None;
    }
    let at = |value: u64| usize::try_from(value).ok();
    let start = at(number(bytes, 0x20, 4)?)?;
    let (entry_size, entries) = (number(bytes, 0x2E, 2)?, number(bytes, 0x30, 2)?);
    let section = |index: u64| {
        let offset = start.checked_add(at(index.checked_mul(entry_size)?)?)?;
        bytes.get(offset..)
    };
    let content = |section: &[u8]| {
        let (offset, size) = (
            at(number(section, 0x10, 4)?)?,
            at(number(section, 0x14, 4)?)?,
        );
        bytes.get(offset..offset.checked_add(size)?)
    };
    let table = (0..entries)
        .filter_map(section)
        .find(|section| number(section, 4, 4) == Some(SYMBOLS))?;
    let names = content(section(number(table, 0x18, 4)?)?)?;
    content(table)?.chunks_exact(16).find_map(|symbol| {
        let text = names.get(at(number(symbol, 0, 4)?)?..)?;
        let text = text.split(|&byte| byte == 0).next()?;
        let is_function = number(symbol, 12, 1)? % 16 == FUNCTION;
        let found = text.windows(name.len()).any(|part| part == name.as_bytes());
        (text == name.as_bytes() || is_function && found).then(|| number(symbol, 4, 4))?
    })
}

/// A little-endian number of `length` bytes at `offset`.
fn number(bytes: &[u8], offset: usize, length: usize) -> Option<u64> {
    let field = bytes.get(offset..offset.checked_add(length)?)?;
    Some(
        field
            .iter()
            .rev()
            .fold(0, |number, byte| (number << 8) | u64::from(*byte)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF32 file of three sections: code, variables that are zero, and names.
    fn elf() -> Vec<u8> {
        let mut bytes = vec![0; 52];
        bytes[..6].copy_from_slice(b"\x7fELF\x01\x01");
        bytes[0x20] = 52;
        bytes[0x2E] = 40;
        bytes[0x30] = 3;
        for (kind, flags, size) in [(1_u8, 6_u8, 100_u8), (8, 3, 200), (3, 0, 50)] {
            let mut section = [0; 40];
            (section[4], section[8], section[0x14]) = (kind, flags, size);
            bytes.extend(section);
        }
        bytes
    }

    #[test]
    fn code_is_flash_and_variables_are_ram() {
        let expected = Footprint {
            flash_bytes: 100,
            ram_bytes: 200,
            stack_bytes: None,
        };
        assert_eq!(Footprint::of(&elf()), Some(expected));
    }

    #[test]
    fn other_files_have_none() {
        assert_eq!(Footprint::of(b"ENGRAM"), None);
        for length in 0..elf().len() {
            assert_eq!(
                Footprint::of(&elf()[..length]).is_some(),
                length > 52 + 80 + 0x17,
                "{length}"
            );
        }
    }

    #[test]
    fn a_function_is_found_by_a_part_of_its_name() {
        // Sections: nothing, symbols, their names. Two symbols: a variable and a function.
        let mut bytes = vec![0; 52];
        bytes[..6].copy_from_slice(b"\x7fELF\x01\x01");
        (bytes[0x20], bytes[0x2E], bytes[0x30]) = (52, 40, 3);
        let (table, names) = (52 + 3 * 40, 52 + 3 * 40 + 32);
        for (kind, offset, size, link) in [(0, 0, 0, 0), (2, table, 32, 2), (3, names, 16, 0_u8)] {
            let mut section = [0; 40];
            (section[4], section[0x10], section[0x14], section[0x18]) = (kind, offset, size, link);
            bytes.extend(section);
        }
        for (name, value, kind) in [(1, 7, 1), (1, 9, 2)] {
            let mut symbol = [0; 16];
            (symbol[0], symbol[4], symbol[12]) = (name, value, kind);
            bytes.extend(symbol);
        }
        bytes.extend(b"\0_ZN9the_mark3\0\0");
        assert_eq!(symbol(&bytes, "the_mark"), Some(9));
        assert_eq!(symbol(&bytes, "another"), None);
        for length in 0..bytes.len() {
            let _ = symbol(&bytes[..length], "the_mark");
        }
    }

    #[test]
    fn this_program_has_one() {
        let footprint =
            Footprint::read(&std::env::current_exe().expect("a path")).expect("an ELF file");
        assert!(
            footprint.flash_bytes > 100_000 && footprint.ram_bytes > 0,
            "{footprint:?}"
        );
    }
}
