//! `add`: a map onto the residual, and that as the next input.

use super::draw::Draw;
use super::maps::Twice;
use super::mismatch::{Mismatch, Output};
use super::numbers::{SHIFTS, factor, fill};
use super::room::Room;
use super::subject::Subject;
use crate::{Kernels, Portable, Requant};

/// A factor from the residual to an int8.
pub(super) fn next(draw: &mut Draw) -> Requant {
    let shifts = draw.one_of(&SHIFTS);
    let typical = draw.one_of(&[32_767, 32_767, 8_000, 300]);
    factor(draw, shifts, 1, (typical, 7))
}

/// Residuals of so many tokens, twice.
pub(super) fn residuals<'a>(
    draw: &mut Draw,
    room: &mut Room<'a>,
    length: usize,
    padded: usize,
    count: usize,
) -> Result<Output<'a, i16>, Mismatch> {
    let mut residual = Output::<i16>::new(room, length, padded, count)?;
    residual.start_with(|entries| fill(draw, entries));
    Ok(residual)
}

/// [`Kernels::add`].
pub(crate) fn add<K: Subject>(kernels: K, seed: u32, mut room: Room<'_>) -> Result<(), Mismatch> {
    let draw = &mut Draw::new(seed);
    let case = Twice::new(kernels, ("add", 512, 15), draw, &mut room)?;
    let rows = case.plain.rows;
    let padded = K::padded(rows);
    let mut residual = residuals(draw, &mut room, rows, padded, 1)?;
    let mut out = Output::<i8>::new(&mut room, rows, padded, 1)?;
    let next = next(draw);
    Portable.add(
        case.plain,
        case.input,
        case.sums,
        residual.expected,
        (next, out.expected),
    );
    let (map, input, sums) = (case.map, case.filled, case.sums);
    kernels.run(|| kernels.add(map, input, sums, residual.got(), (next, out.got())));
    residual.check(case.label, "residual", |x| x)?;
    out.check(case.label, "next", |x| x ^ K::FLIP)
}
