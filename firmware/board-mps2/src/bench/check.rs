//! The board's kernels against plain Rust, bit for bit: the suite of all kernels, for so many seeds.

use engram_kernels::Line;
#[cfg(not(feature = "m55"))]
use engram_kernels::cortex_m::m7::CortexM7 as Board;
#[cfg(feature = "m55")]
use engram_kernels::cortex_m::m55::CortexM55 as Board;
use engram_kernels::suite::{SWEEP, check_all};

use crate::console::say;

/// Half a MiB: maps of 512 columns.
pub(crate) const ROOM_LINES: usize = (512 << 10) / size_of::<Line>();
/// Of the small shapes one in so many, and so many others: a few seconds of QEMU, which takes its time for vectors.
const STRIDE: usize = if cfg!(feature = "m55") { 131 } else { 61 };
const OTHERS: u32 = if cfg!(feature = "m55") { 20 } else { 48 };

/// Says how many cases agree, or which one does not.
pub(crate) fn all(room: &mut [Line]) {
    let seeds = (0..SWEEP).step_by(STRIDE).chain(SWEEP..SWEEP + OTHERS);
    match check_all(Board::new(), seeds, room) {
        Ok(cases) => say(format_args!("fact cases_checked {cases}")),
        Err((seed, mismatch)) => say(format_args!("error seed {seed}: {mismatch}")),
    }
}
