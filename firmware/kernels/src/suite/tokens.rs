//! `project_all`, `rectify_all`, `add_all`: several tokens, each as if it were alone.

use core::num::NonZeroUsize;

use super::draw::Draw;
use super::maps::{Twice, fill_up};
use super::mismatch::{Label, Mismatch, Output};
use super::numbers::fill;
use super::residual::{next, residuals};
use super::room::Room;
use super::subject::Subject;
use crate::{Kernels, Portable};

/// Some more than steps take together.
const TOKENS: usize = 11;

/// A map with the inputs of several tokens.
struct Several<'a, K: Subject> {
    one: Twice<'a, K>,
    count: NonZeroUsize,
    /// The tokens' inputs one after the other, for the reference and for the kernels.
    inputs: &'a [i8],
    filled: &'a [i8],
    sums: &'a mut [i32],
    label: Label,
}

impl<'a, K: Subject> Several<'a, K> {
    fn new(
        kernels: K,
        (kernel, bits): (&'static str, u32),
        draw: &mut Draw,
        room: &mut Room<'a>,
    ) -> Result<Self, Mismatch> {
        let one = Twice::new(kernels, (kernel, 512, bits), draw, room)?;
        let count = NonZeroUsize::MIN.saturating_add(draw.below(TOKENS));
        let (rows, columns) = (one.plain.rows, one.input.len());
        let padded = K::padded(columns);
        let inputs: &mut [i8] = room.take(columns * count.get())?;
        let filled: &mut [i8] = room.take(padded * count.get())?;
        let tokens = inputs.chunks_exact_mut(columns);
        for (index, (input, filled)) in tokens.zip(filled.chunks_exact_mut(padded)).enumerate() {
            if index == 0 {
                input.copy_from_slice(one.input);
            } else {
                fill(draw, input);
            }
            fill_up(draw, input, |x| x ^ K::FLIP, filled);
        }
        let label = Label {
            kernel,
            shape: [rows, columns, count.get()],
        };
        let sums = room.take(K::padded(rows) * count.get())?;
        Ok(Self {
            one,
            count,
            inputs,
            filled,
            sums,
            label,
        })
    }

    /// The results of every token.
    fn output<'b>(&self, room: &mut Room<'b>) -> Result<Output<'b, i8>, Mismatch> {
        let rows = self.one.plain.rows;
        Output::new(room, rows, K::padded(rows), self.count.get())
    }

    /// Every token's input with the reference's results.
    fn each<'b>(
        &self,
        out: &'b mut [i8],
    ) -> impl Iterator<Item = (&'a [i8], &'b mut [i8])> + use<'a, 'b, K> {
        let inputs = self.inputs.chunks_exact(self.one.input.len());
        inputs.zip(out.chunks_exact_mut(self.one.plain.rows))
    }
}

/// [`Kernels::project_all`].
pub(crate) fn project_all<K: Subject>(
    kernels: K,
    seed: u32,
    mut room: Room<'_>,
) -> Result<(), Mismatch> {
    let draw = &mut Draw::new(seed);
    let case = Several::new(kernels, ("project_all", 7), draw, &mut room)?;
    let mut out = case.output(&mut room)?;
    for (input, expected) in case.each(out.expected) {
        Portable.project(case.one.plain, input, &mut *case.one.sums, expected);
    }
    let (map, count, input) = (case.one.map, case.count, case.filled);
    kernels.run(|| kernels.project_all(map, count, input, case.sums, out.got()));
    out.check(case.label, "out", |x| x)
}

/// [`Kernels::rectify_all`].
pub(crate) fn rectify_all<K: Subject>(
    kernels: K,
    seed: u32,
    mut room: Room<'_>,
) -> Result<(), Mismatch> {
    let draw = &mut Draw::new(seed);
    let case = Several::new(kernels, ("rectify_all", 7), draw, &mut room)?;
    let mut out = case.output(&mut room)?;
    for (input, expected) in case.each(out.expected) {
        Portable.rectify(case.one.plain, input, &mut *case.one.sums, expected);
    }
    let (map, count, input) = (case.one.map, case.count, case.filled);
    kernels.run(|| kernels.rectify_all(map, count, input, case.sums, out.got()));
    out.check(case.label, "out", |x| x ^ K::FLIP)
}

/// [`Kernels::add_all`].
pub(crate) fn add_all<K: Subject>(
    kernels: K,
    seed: u32,
    mut room: Room<'_>,
) -> Result<(), Mismatch> {
    let draw = &mut Draw::new(seed);
    let case = Several::new(kernels, ("add_all", 15), draw, &mut room)?;
    let rows = case.one.plain.rows;
    let mut out = case.output(&mut room)?;
    let mut residual = residuals(draw, &mut room, rows, K::padded(rows), case.count.get())?;
    let next = next(draw);
    let residuals = residual.expected.chunks_exact_mut(rows);
    for ((input, expected), residual) in case.each(out.expected).zip(residuals) {
        let (map, sums) = (case.one.plain, &mut *case.one.sums);
        Portable.add(map, input, sums, residual, (next, expected));
    }
    let (map, count, input) = (case.one.map, case.count, case.filled);
    let next = (next, out.got());
    kernels.run(|| kernels.add_all(map, count, input, case.sums, residual.got(), next));
    residual.check(case.label, "residual", |x| x)?;
    out.check(case.label, "next", |x| x ^ K::FLIP)
}
