//! The bench program as a file: where its marks and functions lie.

use std::path::{Path, PathBuf};

use object::{File, Object, ObjectSegment, ObjectSymbol, SegmentFlags, SymbolKind, elf};

use super::{CountError, at};

/// Most functions that the plugin counts one by one.
const FUNCTIONS: usize = 512;

/// Addresses, as the file has them.
pub(super) struct Program {
    /// The marks.
    pub(super) begin: u64,
    pub(super) end: u64,
    /// The executable segment.
    pub(super) code: u64,
    /// The largest functions of the policy and of its kernels, if asked for.
    pub(super) functions: Vec<Function>,
}

/// A function's code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) low: u64,
    pub(super) high: u64,
}

impl Program {
    /// Reads an ELF file; functions only if asked for.
    ///
    /// # Errors
    /// The file cannot be read, or lacks a mark.
    pub(super) fn read(path: &Path, functions: bool) -> Result<Self, CountError> {
        let bytes = std::fs::read(path).map_err(|cause| at(path, cause))?;
        let lacks = |what| CountError::Program {
            path: PathBuf::from(path),
            what,
        };
        let file = File::parse(&*bytes).map_err(|_| lacks("ELF header"))?;
        let mut all = functions_of(&file);
        let mark = |name| {
            let found = all.iter().find(|function| function.name.ends_with(name));
            found.map(|function| function.low)
        };
        let begin = mark("::bench_begin").ok_or_else(|| lacks("symbol bench_begin"))?;
        let end = mark("::bench_end").ok_or_else(|| lacks("symbol bench_end"))?;
        let code = file.segments().find(|segment| match segment.flags() {
            SegmentFlags::Elf { p_flags } => p_flags & elf::PF_X != 0,
            _ => false,
        });
        all.retain(|function| functions && is_counted(&function.name));
        all.sort_by_key(|function| std::cmp::Reverse(function.high - function.low));
        all.truncate(FUNCTIONS);
        Ok(Self {
            begin,
            end,
            code: code.ok_or_else(|| lacks("code"))?.address(),
            functions: all,
        })
    }
}

/// Whether a step may spend instructions there that say something; the suite that checks the kernels is no part of it.
fn is_counted(name: &str) -> bool {
    let counted = ["engram_kernels", "policy", "aeabi", "steps", "mem"];
    counted.iter().any(|part| name.contains(part)) && !name.contains("::suite::")
}

/// Every function of the file.
fn functions_of(file: &File<'_>) -> Vec<Function> {
    file.symbols()
        .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.is_definition())
        .filter_map(|symbol| {
            // Bit 0 of the address of a function of an ARM microcontroller says Thumb.
            let low = symbol.address() & !1;
            Some(Function {
                // Without the hash.
                name: format!("{:#}", rustc_demangle::demangle(symbol.name().ok()?)),
                low,
                high: low + symbol.size(),
            })
        })
        .collect()
}
