//! The board's kernels against plain Rust, bit for bit: the suite of all kernels, for so many seeds.

use engram_kernels::CacheLine;
use engram_kernels::suite::{SWEEP, check_all};

use crate::console::say;
use crate::machine::{Kernels, MACHINE};

/// Half a MiB: maps of 512 columns.
pub(crate) const ROOM_LINES: usize = (512 << 10) / size_of::<CacheLine>();

/// Says how many cases agree, or which one does not.
pub(crate) fn all(room: &mut [CacheLine]) {
    let (stride, others) = MACHINE.suite;
    let seeds = (0..SWEEP).step_by(stride).chain(SWEEP..SWEEP + others);
    match check_all(Kernels::default(), seeds, room) {
        Ok(cases) => say(format_args!("fact cases_checked {cases}")),
        Err((seed, mismatch)) => say(format_args!("error seed {seed}: {mismatch}")),
    }
}
