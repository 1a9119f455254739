//! `hidden`: a layer of the head, with and without the raw path.

use super::draw::Draw;
use super::maps::{Twice, fill_up, plain, refused, weights_of};
use super::mismatch::{Mismatch, Output};
use super::room::Room;
use super::subject::{Limits, Subject};
use crate::{Kernels, Portable};

/// Rows of the largest hidden layer, and the width of the largest model.
const MOST: usize = 128;

/// [`Kernels::linear_tanh`] of the encoder's output alone.
pub(crate) fn linear_tanh<K: Subject>(
    kernels: K,
    seed: u32,
    mut room: Room<'_>,
) -> Result<(), Mismatch> {
    let draw = &mut Draw::new(seed);
    let case = Twice::new(kernels, ("linear_tanh", MOST, 14), draw, &mut room)?;
    let rows = case.plain.rows;
    let preactivation: &mut [i32] = room.take(K::padded(rows))?;
    let mut out = Output::<i8>::new(&mut room, rows, K::padded(rows), 1)?;
    let work = (&mut *case.acc, &mut *preactivation);
    Portable.linear_tanh(case.plain, case.input, None, work, out.expected);
    let work = (&mut *case.acc, preactivation);
    kernels.run(|| kernels.linear_tanh(case.map, case.filled, None, work, out.got()));
    out.check(case.label, "out", |x| x ^ K::FLIP)
}

/// [`Kernels::linear_tanh`] with the raw path.
pub(crate) fn linear_tanh_raw<K: Subject>(
    kernels: K,
    seed: u32,
    mut room: Room<'_>,
) -> Result<(), Mismatch> {
    let draw = &mut Draw::new(seed);
    // Preactivations beyond the tangent's range saturate when they are added: they come often, too.
    let bits = draw.one_of(&[13, 14, 31]);
    let case = Twice::new(
        kernels,
        ("linear_tanh with raw", MOST, bits),
        draw,
        &mut room,
    )?;
    let rows = case.plain.rows;
    let columns = draw.length(MOST).min((weights_of(&room) / rows).max(1));
    let shape = [rows, columns];
    let (raw, raw_input) = plain::<i16>(draw, Limits::NONE, bits, shape, &mut room)?;
    let wide = kernels.wide_map(raw, columns, &mut room)?;
    let wide = wide.ok_or(refused(case.label))?;
    let filled: &mut [i16] = room.take(K::padded(columns))?;
    fill_up(draw, raw_input, |x| x, filled);
    let preactivation: &mut [i32] = room.take(K::padded(rows))?;
    let mut out = Output::<i8>::new(&mut room, rows, K::padded(rows), 1)?;
    let work = (&mut *case.acc, &mut *preactivation);
    let both = Some((raw, raw_input));
    Portable.linear_tanh(case.plain, case.input, both, work, out.expected);
    let work = (&mut *case.acc, preactivation);
    let both = Some((wide, &*filled));
    kernels.run(|| kernels.linear_tanh(case.map, case.filled, both, work, out.got()));
    out.check(case.label, "out", |x| x ^ K::FLIP)
}
