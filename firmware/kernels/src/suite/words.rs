//! `words`: a map of the head's output.

use super::draw::Draw;
use super::maps::Twice;
use super::mismatch::{Mismatch, Output};
use super::room::Room;
use super::subject::Subject;
use crate::{Kernels, Portable};

/// [`Kernels::words`].
pub(crate) fn words<K: Subject>(kernels: K, seed: u32, mut room: Room<'_>) -> Result<(), Mismatch> {
    let draw = &mut Draw::new(seed);
    let case = Twice::new(kernels, ("words", 512, 15), draw, &mut room)?;
    let rows = case.plain.rows;
    let mut out = Output::<i16>::new(&mut room, rows, K::padded(rows), 1)?;
    Portable.words(case.plain, case.input, case.sums, out.expected);
    kernels.run(|| kernels.words(case.map, case.filled, case.sums, out.got()));
    out.check(case.label, "out", |x| x)
}
