//! Linear maps: of one token, and of several, each as if it were alone.

use super::subject::Subject;
use super::trial::{Mismatch, Trial};
use crate::{Kernels, Portable, TOKENS};

/// Rows and columns of the widest map.
const MOST: [usize; 2] = [512; 2];
/// Rows of the largest hidden layer, and the width of the largest model.
const HIDDEN: usize = 128;

/// Cases of one function with other constants.
macro_rules! cases {
    ($($doc:literal $case:ident: $of:ident($($constant:expr),+);)+) => {$(
        #[doc = $doc]
        pub(crate) fn $case<K: Subject>(trial: Trial<'_, K>) -> Result<(), Mismatch> {
            $of::<K, $({ $constant }),+>(trial)
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
    "[`Kernels::linear_tanh`] of the encoder's output alone." linear_tanh: to_tanh(false);
    "[`Kernels::linear_tanh`] with the raw path." linear_tanh_raw: to_tanh(true);
}

fn to_i8<K: Subject, const RECTIFY: bool, const T: usize>(
    mut trial: Trial<'_, K>,
) -> Result<(), Mismatch> {
    let shape = trial.map_shape(MOST);
    let (kernels, case) = (trial.kernels, trial.twice::<i8, T>(shape, 7)?);
    let mut out = trial.output(shape[0], T)?;
    let (expected, got) = out.vectors();
    Portable.linear_i8::<RECTIFY, T>(case.plain, case.inputs, case.acc, expected);
    kernels.run(|| kernels.linear_i8::<RECTIFY, T>(case.map, case.filled, case.acc, got));
    let flip = if RECTIFY { K::FLIP } else { 0 };
    out.check(&trial, "out", |x| x ^ flip)
}

fn add<K: Subject, const T: usize>(mut trial: Trial<'_, K>) -> Result<(), Mismatch> {
    let shape = trial.map_shape(MOST);
    let (kernels, case) = (trial.kernels, trial.twice::<i8, T>(shape, 15)?);
    let mut out = trial.output(shape[0], T)?;
    let mut residual = trial.output(shape[0], T)?;
    residual.start_with(|entries| trial.draw.fill(entries));
    let next = trial.draw.residual_requant();
    let ((expected, got), (own, own_got)) = (residual.vectors(), out.vectors());
    Portable.linear_add(case.plain, case.inputs, case.acc, (expected, next, own));
    kernels.run(|| kernels.linear_add(case.map, case.filled, case.acc, (got, next, own_got)));
    residual.check(&trial, "residual", |x: i16| x)?;
    out.check(&trial, "next", |x: i8| x ^ K::FLIP)
}

/// [`Kernels::linear_i16`].
pub(crate) fn linear_i16<K: Subject>(mut trial: Trial<'_, K>) -> Result<(), Mismatch> {
    let shape = trial.map_shape(MOST);
    let (kernels, case) = (trial.kernels, trial.twice::<i8, 1>(shape, 15)?);
    let ([input], [filled]) = (case.inputs, case.filled);
    let mut out = trial.output::<i16>(shape[0], 1)?;
    Portable.linear_i16(case.plain, input, case.acc, out.expected);
    kernels.run(|| kernels.linear_i16(case.map, filled, case.acc, out.got()));
    out.check(&trial, "out", |x| x)
}

/// [`Kernels::wide_linear_i16`].
pub(crate) fn wide_linear_i16<K: Subject>(mut trial: Trial<'_, K>) -> Result<(), Mismatch> {
    let shape = trial.map_shape(MOST);
    let (kernels, case) = (trial.kernels, trial.twice::<i16, 1>(shape, 15)?);
    let ([input], [filled]) = (case.inputs, case.filled);
    let mut out = trial.output::<i16>(shape[0], 1)?;
    Portable.wide_linear_i16(case.plain, input, case.acc, out.expected);
    kernels.run(|| kernels.wide_linear_i16(case.map, filled, case.acc, out.got()));
    out.check(&trial, "out", |x| x)
}

fn to_tanh<K: Subject, const RAW: bool>(mut trial: Trial<'_, K>) -> Result<(), Mismatch> {
    // Preactivations beyond the tangent's range saturate when they are added: they come often, too.
    let bits = match RAW {
        true => trial.draw.one_of(&[13, 14, 31]),
        false => 14,
    };
    let shape = trial.map_shape([HIDDEN, MOST[1]]);
    let (kernels, case) = (trial.kernels, trial.twice::<i8, 1>(shape, bits)?);
    let (mut plain_raw, mut raw) = (None, None);
    if RAW {
        let columns = trial.draw.length(HIDDEN);
        let columns = columns.min((trial.weights() / shape[0]).max(1));
        let case = trial.twice::<i16, 1>([shape[0], columns], bits)?;
        plain_raw = Some((case.plain, case.inputs[0]));
        raw = Some((case.map, case.filled[0]));
    }
    let preactivation = trial.take(K::padded(shape[0]))?;
    let ([input], [filled]) = (case.inputs, case.filled);
    let mut out = trial.output::<i8>(shape[0], 1)?;
    let work = (&mut *case.acc, &mut *preactivation);
    Portable.linear_tanh(case.plain, input, plain_raw, work, out.expected);
    let work = (case.acc, preactivation);
    kernels.run(|| kernels.linear_tanh(case.map, filled, raw, work, out.got()));
    out.check(&trial, "out", |x| x ^ K::FLIP)
}
