//! `project`, `rectify`, `words`: a map, and its results limited to a type.

use super::draw::Draw;
use super::maps::Twice;
use super::mismatch::{Mismatch, Output};
use super::room::Room;
use super::subject::Subject;
use crate::{Kernels, Portable};

/// [`Kernels::project`].
pub(crate) fn project<K: Subject>(
    kernels: K,
    seed: u32,
    mut room: Room<'_>,
) -> Result<(), Mismatch> {
    let draw = &mut Draw::new(seed);
    let case = Twice::new(kernels, ("project", 512, 7), draw, &mut room)?;
    let rows = case.plain.rows;
    let mut out = Output::<i8>::new(&mut room, rows, K::padded(rows), 1)?;
    Portable.project(case.plain, case.input, case.sums, out.expected);
    kernels.run(|| kernels.project(case.map, case.filled, case.sums, out.got()));
    out.check(case.label, "out", |x| x)
}

/// [`Kernels::rectify`].
pub(crate) fn rectify<K: Subject>(
    kernels: K,
    seed: u32,
    mut room: Room<'_>,
) -> Result<(), Mismatch> {
    let draw = &mut Draw::new(seed);
    let case = Twice::new(kernels, ("rectify", 512, 7), draw, &mut room)?;
    let rows = case.plain.rows;
    let mut out = Output::<i8>::new(&mut room, rows, K::padded(rows), 1)?;
    Portable.rectify(case.plain, case.input, case.sums, out.expected);
    kernels.run(|| kernels.rectify(case.map, case.filled, case.sums, out.got()));
    out.check(case.label, "out", |x| x ^ K::FLIP)
}

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
