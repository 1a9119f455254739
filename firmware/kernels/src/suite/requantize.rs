//! `narrow`: the residual as the input of a map.

use super::draw::Draw;
use super::linear::next;
use super::mismatch::{Label, Mismatch, Output};
use super::numbers::fill;
use super::room::Room;
use super::subject::Subject;
use crate::{Kernels, Portable};

/// [`Kernels::requantize`].
pub(crate) fn requantize<K: Subject>(
    kernels: K,
    seed: u32,
    mut room: Room<'_>,
) -> Result<(), Mismatch> {
    let draw = &mut Draw::new(seed);
    let length = draw.length(512);
    let label = Label {
        kernel: "requantize",
        shape: [length, 1, 1],
    };
    let factor = next(draw);
    let mut residual = Output::<i16>::new(&mut room, length, K::padded(length), 1)?;
    residual.start_with(|entries| fill(draw, entries));
    let mut out = Output::<i8>::new(&mut room, length, K::padded(length), 1)?;
    Portable.requantize(residual.expected, factor, out.expected);
    kernels.run(|| kernels.requantize(residual.got(), factor, out.got()));
    out.check(label, "out", |x| x ^ K::FLIP)?;
    residual.check(label, "residual", |x| x)
}
