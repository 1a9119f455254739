//! What a firmware takes before any image: static RAM and flash, read off its ELF file.

use std::path::Path;

use object::{File, Object, ObjectSection, ObjectSymbol, SectionFlags, elf};

/// The section of image slots that lie in flash.
const SLOTS: &str = ".slots";

/// Bytes that a firmware's sections take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// Code and constants, and what initialises variables.
    pub flash_bytes: u64,
    /// Variables, the policy's memory included; without the stack and without image slots that lie in flash.
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
    /// The file is not an ELF file.
    #[error("the firmware is not an ELF file")]
    NotElf,
}

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
        let file = File::parse(bytes).ok()?;
        let address = |name| Some(file.symbol_by_name(name)?.address());
        let stack = address("_stack_start").zip(address("_stack_end"));
        let mut footprint = Self {
            flash_bytes: 0,
            ram_bytes: 0,
            stack_bytes: stack.and_then(|(start, end)| start.checked_sub(end)),
        };
        for section in file.sections() {
            let SectionFlags::Elf { sh_flags } = section.flags() else {
                return None;
            };
            if sh_flags & u64::from(elf::SHF_ALLOC) == 0 {
                continue;
            }
            // Where a controller has flash for them, this board keeps its image slots.
            let slots = section.name() == Ok(SLOTS);
            if sh_flags & u64::from(elf::SHF_WRITE) != 0 && !slots {
                footprint.ram_bytes = footprint.ram_bytes.checked_add(section.size())?;
            }
            // What is all zero takes no place in the file.
            if section.file_range().is_some() {
                footprint.flash_bytes = footprint.flash_bytes.checked_add(section.size())?;
            }
        }
        Some(footprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF32 file of four sections: nothing, code, variables that are zero, and names.
    fn elf() -> Vec<u8> {
        let mut bytes = vec![0; 52];
        bytes[..7].copy_from_slice(b"\x7fELF\x01\x01\x01");
        // The size of this header, too.
        bytes[0x28] = 52;
        bytes[0x20] = 52;
        bytes[0x2E] = 40;
        (bytes[0x30], bytes[0x32]) = (4, 3);
        for (kind, flags, size) in [(0_u8, 0_u8, 0_u8), (1, 6, 100), (8, 3, 200), (3, 0, 50)] {
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
        for length in 0..52 + 4 * 40 {
            assert_eq!(Footprint::of(&elf()[..length]), None, "{length}");
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
