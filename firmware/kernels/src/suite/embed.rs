//! `embed`: a map of an int16 input.

use super::draw::Draw;
use super::maps::{fill_up, plain, refused, weights_of};
use super::mismatch::{Label, Mismatch, Output};
use super::room::Room;
use super::subject::{Limits, Subject};
use crate::{Kernels, Portable};

/// [`Kernels::embed`].
pub(crate) fn embed<K: Subject>(kernels: K, seed: u32, mut room: Room<'_>) -> Result<(), Mismatch> {
    let draw = &mut Draw::new(seed);
    let shape = draw.shape([512; 2], weights_of(&room));
    let [rows, columns] = shape;
    let label = Label {
        kernel: "embed",
        shape: [rows, columns, 1],
    };
    let (plain, input) = plain::<i16>(draw, Limits::NONE, 15, shape, &mut room)?;
    let map = kernels.wide_map(plain, columns, &mut room)?;
    let map = map.ok_or(refused(label))?;
    let filled = room.take(K::padded(columns))?;
    fill_up(draw, input, |x| x, filled);
    let sums = room.take(K::padded(rows))?;
    let mut out = Output::<i16>::new(&mut room, rows, K::padded(rows), 1)?;
    Portable.embed(plain, input, sums, out.expected);
    kernels.run(|| kernels.embed(map, filled, sums, out.got()));
    out.check(label, "out", |x| x)
}
