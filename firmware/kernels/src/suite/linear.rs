//! `linear_i8` and `linear_add`: one token, and several, each as if it were alone.

use super::draw::Draw;
use super::maps::{Twice, fill_up};
use super::mismatch::{Mismatch, Output};
use super::numbers::{SHIFTS, factor, fill};
use super::room::Room;
use super::subject::Subject;
use crate::{Kernels, Portable, Requant, TOKENS};

/// [`Kernels::linear_i8`].
pub(crate) fn linear_i8<K: Subject>(kernels: K, seed: u32, room: Room<'_>) -> Result<(), Mismatch> {
    to_i8::<K, false, 1>(kernels, seed, room)
}

/// [`Kernels::linear_i8`] that rectifies.
pub(crate) fn linear_relu_i8<K: Subject>(
    kernels: K,
    seed: u32,
    room: Room<'_>,
) -> Result<(), Mismatch> {
    to_i8::<K, true, 1>(kernels, seed, room)
}

/// [`Kernels::linear_add`].
pub(crate) fn linear_add<K: Subject>(
    kernels: K,
    seed: u32,
    room: Room<'_>,
) -> Result<(), Mismatch> {
    add::<K, 1>(kernels, seed, room)
}

/// [`linear_i8`] of several tokens.
pub(crate) fn linear_i8_together<K: Subject>(
    kernels: K,
    seed: u32,
    room: Room<'_>,
) -> Result<(), Mismatch> {
    to_i8::<K, false, TOKENS>(kernels, seed, room)
}

/// [`linear_relu_i8`] of several tokens.
pub(crate) fn linear_relu_i8_together<K: Subject>(
    kernels: K,
    seed: u32,
    room: Room<'_>,
) -> Result<(), Mismatch> {
    to_i8::<K, true, TOKENS>(kernels, seed, room)
}

/// [`linear_add`] of several tokens.
pub(crate) fn linear_add_together<K: Subject>(
    kernels: K,
    seed: u32,
    room: Room<'_>,
) -> Result<(), Mismatch> {
    add::<K, TOKENS>(kernels, seed, room)
}

/// A factor from the residual to an int8.
pub(super) fn next(draw: &mut Draw) -> Requant {
    let shifts = draw.one_of(&SHIFTS);
    let typical = draw.one_of(&[32_767, 32_767, 8_000, 300]);
    factor(draw, shifts, 1, (typical, 7))
}

/// A map with the inputs of `T` tokens.
struct Tokens<'a, K: Subject, const T: usize> {
    map: Twice<'a, K>,
    /// The tokens' inputs, for the reference and for the kernels.
    inputs: [&'a [i8]; T],
    filled: [&'a [i8]; T],
}

impl<'a, K: Subject, const T: usize> Tokens<'a, K, T> {
    fn new(
        kernels: K,
        (kernel, bits): (&'static str, u32),
        draw: &mut Draw,
        room: &mut Room<'a>,
    ) -> Result<Self, Mismatch> {
        let mut map = Twice::new(kernels, (kernel, 512, bits), draw, room)?;
        map.label.shape[2] = T;
        let (mut inputs, mut filled) = ([map.input; T], [map.filled; T]);
        for (input, filled) in inputs.iter_mut().zip(&mut filled).skip(1) {
            let (own, own_filled) = (room.take(input.len())?, room.take(filled.len())?);
            fill(draw, own);
            fill_up(draw, own, |x| x ^ K::FLIP, own_filled);
            (*input, *filled) = (own, own_filled);
        }
        Ok(Self {
            map,
            inputs,
            filled,
        })
    }

    /// The results of every token.
    fn output<'b, N: bytemuck::Pod + Into<i64>>(
        &self,
        room: &mut Room<'b>,
    ) -> Result<Output<'b, N>, Mismatch> {
        let rows = self.map.plain.rows;
        Output::new(room, rows, K::padded(rows), T)
    }
}

fn to_i8<K: Subject, const RECTIFY: bool, const T: usize>(
    kernels: K,
    seed: u32,
    mut room: Room<'_>,
) -> Result<(), Mismatch> {
    let draw = &mut Draw::new(seed);
    let kernel = ["linear_i8", "linear_relu_i8"][usize::from(RECTIFY)];
    let case = Tokens::<K, T>::new(kernels, (kernel, 7), draw, &mut room)?;
    let mut out = case.output(&mut room)?;
    let (label, sums) = (case.map.label, &mut *case.map.sums);
    let (expected, got) = out.vectors();
    Portable.linear_i8::<RECTIFY, T>(case.map.plain, case.inputs, sums, expected);
    let (map, inputs) = (case.map.map, case.filled);
    kernels.run(|| kernels.linear_i8::<RECTIFY, T>(map, inputs, sums, got));
    let flip = if RECTIFY { K::FLIP } else { 0 };
    out.check(label, "out", |x| x ^ flip)
}

fn add<K: Subject, const T: usize>(
    kernels: K,
    seed: u32,
    mut room: Room<'_>,
) -> Result<(), Mismatch> {
    let draw = &mut Draw::new(seed);
    let case = Tokens::<K, T>::new(kernels, ("linear_add", 15), draw, &mut room)?;
    let mut out = case.output(&mut room)?;
    let mut residual = case.output(&mut room)?;
    residual.start_with(|entries| fill(draw, entries));
    let next = next(draw);
    let (label, sums) = (case.map.label, &mut *case.map.sums);
    let ((expected, got), (own, own_got)) = (residual.vectors(), out.vectors());
    Portable.linear_add(case.map.plain, case.inputs, sums, (expected, next, own));
    let (map, inputs) = (case.map.map, case.filled);
    kernels.run(|| kernels.linear_add(map, inputs, sums, (got, next, own_got)));
    residual.check(label, "residual", |x: i16| x)?;
    out.check(label, "next", |x: i8| x ^ K::FLIP)
}
