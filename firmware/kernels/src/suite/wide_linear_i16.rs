//! `wide_linear_i16`: a map of an int16 input.

use super::draw::Draw;
use super::maps::{fill_up, plain, refused, weights_of};
use super::mismatch::{Label, Mismatch, Output};
use super::room::Room;
use super::subject::{Limits, Subject};
use crate::{Kernels, Portable};

/// [`Kernels::wide_linear_i16`].
pub(crate) fn wide_linear_i16<K: Subject>(
    kernels: K,
    seed: u32,
    mut room: Room<'_>,
) -> Result<(), Mismatch> {
    let draw = &mut Draw::new(seed);
    let shape = draw.shape([512; 2], weights_of(&room));
    let [rows, columns] = shape;
    let label = Label {
        kernel: "wide_linear_i16",
        shape: [rows, columns, 1],
    };
    let (plain, input) = plain::<i16>(draw, Limits::NONE, 15, shape, &mut room)?;
    let map = kernels.wide_map(plain, columns, &mut room)?;
    let map = map.ok_or(refused(label))?;
    let filled = room.take(K::padded(columns))?;
    fill_up(draw, input, |x| x, filled);
    let acc = room.take(K::padded(rows))?;
    let mut out = Output::<i16>::new(&mut room, rows, K::padded(rows), 1)?;
    Portable.wide_linear_i16(plain, input, acc, out.expected);
    kernels.run(|| kernels.wide_linear_i16(map, filled, acc, out.got()));
    out.check(label, "out", |x| x)
}
