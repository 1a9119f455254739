//! Executed instructions of a control step on a microcontroller in QEMU, counted exactly.
//!
//! A bench program (`firmware/board-mps2/src/bench`) runs steps and kernels between two marks, and a plugin of QEMU counts
//! between them. Neither has a clock: the same program and image give the same counts on every machine.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use engram_image::write::{ImageSpec, WriteError, write, write_packed};
use engram_image::{Image, Packing};

use crate::board::{BoardName, Missing};
use crate::footprint::symbol;

/// What a board needs for one image, as the board itself tells and QEMU counts.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct BoardCost {
    /// Order of the weights in the image.
    pub packing: String,
    /// Instructions of a step into a full window.
    pub instructions_per_step: u64,
    /// The same over the step's multiply-accumulates.
    pub instructions_per_mac: f64,
    /// Of steps into an `empty`, a `filling` and a `full` window, and `after_reset`.
    pub steps: BTreeMap<String, u64>,
    /// Of the board's kernels on inputs of a fixed size each.
    pub kernels: BTreeMap<String, u64>,
    /// Static RAM of the bench program, the policy's memory for the largest policy included.
    pub ram_bytes: u64,
    /// Deepest stack of the bench program.
    pub stack_bytes: u64,
    /// Bytes that persist from step to step, as this board's kernels lay them out.
    pub state_bytes: u64,
    /// Of these, what the steps have written; the rest fills up blocks.
    pub written_bytes: u64,
    /// Static memory of the runtime for the largest policy.
    pub memory_bytes: u64,
    /// Bytes of the image as the board reads it.
    pub image_bytes: u64,
}

/// Why nothing was counted.
#[derive(Debug, thiserror::Error)]
pub enum CountError {
    /// There is no bench program for this board.
    #[error("instructions are counted on qemu-m7 and qemu-m55, not on {0}")]
    Board(BoardName),
    /// Something has to be installed or built first.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// The image cannot lie as the board reads it.
    #[error("the image cannot be packed for the board: {0}")]
    Packing(#[from] WriteError),
    /// A file or a program cannot be used.
    #[error("{}: {cause}", path.display())]
    Io {
        /// The file or program.
        path: PathBuf,
        /// The operating system's words.
        cause: io::Error,
    },
    /// The program has no such mark.
    #[error("{} has no symbol {symbol}: build it anew", path.display())]
    Symbol {
        /// The bench program.
        path: PathBuf,
        /// The mark.
        symbol: &'static str,
    },
    /// The bench program did not get to its end.
    #[error("the bench program ended early: {0}")]
    Early(String),
}

/// Where a board's bench program expects the image.
const fn address(board: BoardName) -> Option<u32> {
    match board {
        BoardName::QemuM7 => Some(0x0010_0000),
        BoardName::QemuM55 => Some(0x0100_0000),
        BoardName::Loopback | BoardName::QemuJetson | BoardName::Jetson => None,
    }
}

/// Counts steps of `image`, in the order of weights that the board reads best, and the board's kernels.
///
/// # Errors
/// [`CountError`] says what is missing and what builds it, or what the bench program said.
pub fn instructions(board: BoardName, image: &Image<'_>) -> Result<BoardCost, CountError> {
    let address = address(board).ok_or(CountError::Board(board))?;
    let bench = board.find_bench()?.ok_or(CountError::Board(board))?;
    let emulator = board.find_emulator()?.ok_or(CountError::Board(board))?;
    let spec = ImageSpec::from(image);
    // A row that the packing cannot hold leaves the image in rows, as a flight does.
    let (bytes, packing) = match write_packed(&spec, board.packing()) {
        Ok(bytes) => (bytes, board.packing()),
        Err(_) => (write(&spec)?, Packing::Rows),
    };
    let folder = tempfile::tempdir().map_err(|cause| at(Path::new("a temporary folder"), cause))?;
    let (file, counts) = (folder.path().join("image"), folder.path().join("counts"));
    std::fs::write(&file, &bytes).map_err(|cause| at(&file, cause))?;
    let program = std::fs::read(&bench.program).map_err(|cause| at(&bench.program, cause))?;
    let mark = |name| {
        symbol(&program, name).ok_or_else(|| CountError::Symbol {
            path: bench.program.clone(),
            symbol: name,
        })
    };
    // Bit 0 of a function's address says Thumb.
    let (begin, end) = (mark("bench_begin")? & !1, mark("bench_end")? & !1);
    let done = Command::new(&emulator)
        .args([
            "-machine",
            bench.machine,
            "-nographic",
            "-monitor",
            "none",
            "-serial",
            "none",
        ])
        .args(["-semihosting-config", "enable=on,target=native"])
        .arg("-kernel")
        .arg(&bench.program)
        .arg("-device")
        .arg(format!(
            "loader,file={},addr={address:#x},force-raw=on",
            file.display()
        ))
        .arg("-plugin")
        .arg(format!(
            "{},out={},begin={begin:x},end={end:x}",
            bench.plugin.display(),
            counts.display()
        ))
        .stdin(Stdio::null())
        .output()
        .map_err(|cause| at(&emulator, cause))?;
    // QEMU's semihosting console is its standard error.
    let text = String::from_utf8_lossy(&done.stderr).replace('\0', "");
    let counted = std::fs::read_to_string(&counts).unwrap_or_default();
    cost(&text, &counted, packing).ok_or_else(|| CountError::Early(text.trim().to_owned()))
}

fn at(path: &Path, cause: io::Error) -> CountError {
    CountError::Io {
        path: path.to_owned(),
        cause,
    }
}

/// The program's lines beside the plugin's; `None` where either ended early.
fn cost(text: &str, counted: &str, packing: Packing) -> Option<BoardCost> {
    let mut counted = counted
        .lines()
        .map(|line| line.split(' ').next()?.parse::<u64>().ok());
    let (mut facts, mut regions) = (BTreeMap::new(), BTreeMap::new());
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some("fact"), Some(name), Some(value)) => {
                facts.insert(name, value.parse::<u64>().ok()?);
            }
            (Some("region"), Some(name), Some(_)) => {
                regions.insert(name.to_owned(), counted.next()??);
            }
            (Some("error"), ..) => return None,
            _ => {}
        }
    }
    facts.get("cases_checked")?;
    // An empty region costs what the marks cost.
    let marks = regions.remove("nothing")?;
    for count in regions.values_mut() {
        *count = count.checked_sub(marks)?;
    }
    let (steps, kernels): (BTreeMap<_, _>, BTreeMap<_, _>) = regions
        .into_iter()
        .partition(|(name, _)| name.starts_with("step_"));
    let steps: BTreeMap<String, u64> = steps
        .into_iter()
        .map(|(name, count)| (name.trim_start_matches("step_").to_owned(), count))
        .collect();
    let full = *steps.get("full")?;
    let fact = |name| facts.get(name).copied();
    Some(BoardCost {
        packing: packing.to_string(),
        instructions_per_step: full,
        instructions_per_mac: full as f64 / fact("macs")? as f64,
        steps,
        kernels,
        ram_bytes: fact("static_bytes")?,
        stack_bytes: fact("stack_bytes")?,
        state_bytes: fact("state_bytes")?,
        written_bytes: fact("written_bytes")?,
        memory_bytes: fact("memory_bytes")?,
        image_bytes: fact("image_bytes")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "region nothing 0\nfact macs 100\nfact image_bytes 9\nregion step_empty 100\nregion step_full 100\n\
        fact state_bytes 8\nfact written_bytes 7\nfact stack_bytes 5\nfact static_bytes 6\nfact memory_bytes 4\n\
        region tanh_64 0\nfact cases_checked 3\n";

    #[test]
    fn lines_and_counts_go_together() {
        let cost = cost(TEXT, "2\n52\n62\n12\n", Packing::Rows).expect("complete");
        assert_eq!(cost.instructions_per_step, 60);
        assert!((cost.instructions_per_mac - 0.6).abs() < 1e-9);
        assert_eq!(cost.steps["empty"], 50);
        assert_eq!(cost.kernels["tanh_64"], 10);
        assert_eq!(
            (cost.ram_bytes, cost.stack_bytes, cost.state_bytes),
            (6, 5, 8)
        );
    }

    #[test]
    fn what_ended_early_is_no_result() {
        assert_eq!(cost(TEXT, "2\n52\n62\n", Packing::Rows), None);
        let early = TEXT.replace("fact cases_checked 3\n", "");
        assert_eq!(cost(&early, "2\n52\n62\n12\n", Packing::Rows), None);
        let failed = format!("{TEXT}error a kernel is wrong\n");
        assert_eq!(cost(&failed, "2\n52\n62\n12\n", Packing::Rows), None);
    }
}
