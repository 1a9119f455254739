//! `linear_i8` and `linear_add`: one token, and several, each as if it were alone.

use super::draw::Draw;
use super::maps::{Twice, fill_up};
use super::mismatch::{Mismatch, Output};
use super::numbers::{SHIFTS, factor, fill};
use super::room::Room;
use super::subject::Subject;
use crate::{Kernels, Portable, Requant, TOKENS};

/// Cases of one function with other constants.
macro_rules! cases {
    ($($doc:literal $case:ident: $of:ident($($constant:expr),+);)+) => {$(
        #[doc = $doc]
        pub(crate) fn $case<K: Subject>(
            kernels: K,
            seed: u32,
            room: Room<'_>,
        ) -> Result<(), Mismatch> {
            $of::<K, $({ $constant }),+>(kernels, seed, room)
        }
    )+};
}

cases! {
    "[`Kernels::linear_i8`]." linear_i8: to_i8(false, 1);
    "[`Kernels::linear_i8`] that rectifies." linear_relu_i8: to_i8(true, 1);
    "[`Kernels::linear_add`]." linear_add: add(1);
    "[`linear_i8`] of several tokens." linear_i8_together: to_i8(false, TOKENS);
    "[`linear_relu_i8`] of several tokens." linear_relu_i8_together: to_i8(true, TOKENS);
    "[`linear_add`] of several tokens." linear_add_together: add(TOKENS);
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
    let (label, acc) = (case.map.label, &mut *case.map.acc);
    let (expected, got) = out.vectors();
    Portable.linear_i8::<RECTIFY, T>(case.map.plain, case.inputs, acc, expected);
    let (map, inputs) = (case.map.map, case.filled);
    kernels.run(|| kernels.linear_i8::<RECTIFY, T>(map, inputs, acc, got));
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
    let (label, acc) = (case.map.label, &mut *case.map.acc);
    let ((expected, got), (own, own_got)) = (residual.vectors(), out.vectors());
    Portable.linear_add(case.map.plain, case.inputs, acc, (expected, next, own));
    let (map, inputs) = (case.map.map, case.filled);
    kernels.run(|| kernels.linear_add(map, inputs, acc, (got, next, own_got)));
    residual.check(label, "residual", |x: i16| x)?;
    out.check(label, "next", |x: i8| x ^ K::FLIP)
}
