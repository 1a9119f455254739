//! `linear_i16`: a map of the head's output.

use super::draw::Draw;
use super::maps::Twice;
use super::mismatch::{Mismatch, Output};
use super::room::Room;
use super::subject::Subject;
use crate::{Kernels, Portable};

/// [`Kernels::linear_i16`].
pub(crate) fn linear_i16<K: Subject>(
    kernels: K,
    seed: u32,
    mut room: Room<'_>,
) -> Result<(), Mismatch> {
    let draw = &mut Draw::new(seed);
    let case = Twice::new(kernels, ("linear_i16", 512, 15), draw, &mut room)?;
    let rows = case.plain.rows;
    let mut out = Output::<i16>::new(&mut room, rows, K::padded(rows), 1)?;
    Portable.linear_i16(case.plain, case.input, case.acc, out.expected);
    kernels.run(|| kernels.linear_i16(case.map, case.filled, case.acc, out.got()));
    out.check(case.label, "out", |x| x)
}
