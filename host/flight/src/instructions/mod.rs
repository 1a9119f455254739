//! Executed instructions of a control step on a board in QEMU, counted exactly.
//!
//! A bench program (`firmware/board-mps2/src/bench`, `firmware/board-linux/src/bench`) runs steps and kernels between two
//! marks, and a plugin of QEMU counts between them. Neither has a clock: the same program and image give the same
//! counts on every machine.

mod emulator;
mod output;
mod program;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use engram_firmware::policy;
use engram_image::write::{ImageSpec, WriteError, write, write_packed};
use engram_image::{Image, Packing};

use crate::board::{BoardName, Missing};

/// What a board needs for one image on one of its paths, as the board itself tells and QEMU counts.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct BoardCost {
    /// Order of the weights in the image, or on a Linux board the instructions that the policy runs on.
    pub path: String,
    /// Instructions of a step into a full window.
    pub instructions_per_step: u64,
    /// The same over the step's multiply-accumulates.
    pub instructions_per_mac: f64,
    /// Of steps into an `empty`, a `filling` and a `full` window, and `after_reset`: the policy alone.
    pub steps: BTreeMap<String, u64>,
    /// Of whole control steps, from the sample to the actuators, in the same windows.
    pub control_steps: BTreeMap<String, u64>,
    /// Of the board's kernels on inputs of a fixed size each; none on Linux.
    pub kernels: BTreeMap<String, KernelCost>,
    /// Where a step into a full window spends its instructions, if asked for.
    pub functions: BTreeMap<String, u64>,
    /// Multiply-accumulates of a step that the board has counted in plain Rust; it cannot with a packed image.
    pub counted_macs: Option<u64>,
    /// Static RAM of the bench program, the policy's memory for the largest policy included. A Linux program has as much as it
    /// asks for: there it is the policy's memory, and what the weights are packed into.
    pub ram_bytes: u64,
    /// Deepest stack of the bench program; none on Linux, where the system gives it.
    pub stack_bytes: Option<u64>,
    /// Bytes that persist from step to step, as this board's kernels lay them out.
    pub state_bytes: u64,
    /// Of the rings, what the steps have read or written, as QEMU saw it.
    pub touched_bytes: u64,
    /// Static memory of the runtime for the largest policy.
    pub memory_bytes: u64,
    /// What the weights are packed into, on a Linux board.
    pub packed_bytes: Option<u64>,
    /// Bytes of the image as the board reads it.
    pub image_bytes: u64,
    /// Cases on which the board's kernels were bit for bit what plain Rust gives; none on Linux.
    pub cases_checked: Option<u64>,
    /// A hash of all command words: equal ones computed the same.
    pub words_hash: u64,
}

/// What one kernel executes.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct KernelCost {
    /// All of it.
    pub instructions: u64,
    /// Of a kernel that multiplies.
    pub instructions_per_mac: Option<f64>,
}

/// Why nothing was counted.
#[derive(Debug, thiserror::Error)]
pub enum CountError {
    /// There is no bench program for this board.
    #[error("instructions are counted on qemu-m7, qemu-m55 and qemu-linux, not on {0}")]
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
    #[error("{} has no {what}: build it anew", path.display())]
    Program {
        /// The bench program.
        path: PathBuf,
        /// What is missing.
        what: &'static str,
    },
    /// The bench program did not get to its end.
    #[error("the bench program ended early: {0}")]
    Early(String),
}

/// Counts steps of `image` and the board's kernels: on every path that the board has for it, the fastest first. With `functions`
/// also in which functions a step spends its instructions.
///
/// # Errors
/// [`CountError`] says what is missing and what builds it, or what the bench program said.
pub fn instructions(
    board: BoardName,
    image: &Image<'_>,
    functions: bool,
) -> Result<Vec<BoardCost>, CountError> {
    let bench = board.find_bench()?.ok_or(CountError::Board(board))?;
    let emulator = board.find_emulator()?.ok_or(CountError::Board(board))?;
    let program = program::Program::read(&bench.program, functions)?;
    let folder = tempfile::tempdir().map_err(|cause| at(Path::new("a temporary folder"), cause))?;
    let mut costs = Vec::new();
    for (path, bytes) in paths(board, image)? {
        let run = emulator::Run {
            emulator: &emulator,
            bench: &bench,
            program: &program,
            folder: folder.path(),
        };
        let said = run.start(&path, &bytes)?;
        let cost = output::cost(&said, &path, &program.functions)
            .ok_or_else(|| CountError::Early(said.text.trim().to_owned()))?;
        // A shape that a path does not take runs on another one, which has a row of its own.
        if cost.path == path {
            costs.push(cost);
        }
    }
    Ok(costs)
}

/// The paths of a board by name, and the image that each reads.
fn paths(board: BoardName, image: &Image<'_>) -> Result<Vec<(String, Vec<u8>)>, CountError> {
    let spec = ImageSpec::from(image);
    let rows = write(&spec)?;
    if board == BoardName::QemuLinux {
        let paths = [
            policy::Backend::Sdot,
            policy::Backend::Neon,
            policy::Backend::Portable,
        ];
        return Ok(paths.map(|path| (path.to_string(), rows.clone())).into());
    }
    let mut paths = vec![(Packing::Rows.to_string(), rows)];
    // A row that the packing cannot hold leaves the image in rows, as a flight does.
    if board.packing() != Packing::Rows
        && let Ok(packed) = write_packed(&spec, board.packing())
    {
        paths.insert(0, (board.packing().to_string(), packed));
    }
    Ok(paths)
}

fn at(path: &Path, cause: io::Error) -> CountError {
    CountError::Io {
        path: path.to_owned(),
        cause,
    }
}
