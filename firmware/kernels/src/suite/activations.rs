//! What becomes an input of a map: the entries of a working memory, and the residual.

use super::draw::Draw;
use super::subject::Subject;
use super::trial::{Mismatch, Output, Trial};
use crate::{Entries, Kernels, Portable};

/// Some more than contracts have.
const OBSERVATIONS: usize = 70;
const ACTIONS: usize = 9;

/// Numbers that need a case of their own.
const CONTRARY: [f32; 12] = [
    f32::NAN,
    -f32::NAN,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::MAX,
    f32::MIN,
    f32::MIN_POSITIVE,
    1e-45,
    0.0,
    -0.0,
    0.5,
    -1.5,
];

/// A number that an entry may be.
fn entry(draw: &mut Draw) -> f32 {
    match draw.below(8) {
        0 => draw.one_of(&CONTRARY),
        1 => f32::from_bits(draw.next()),
        // Where the scale is a power of two, halves of a word.
        2 => draw.integer(70_000) as f32 / 65_536.0,
        3 => draw.integer(70_000) as f32 * 0.5,
        _ => draw.integer(1 << 24) as f32 / (1 << 21) as f32,
    }
}

/// [`Kernels::quantize`].
pub(crate) fn quantize<K: Subject>(mut trial: Trial<'_, K>) -> Result<(), Mismatch> {
    let observations = trial.draw.length(OBSERVATIONS);
    let observation: &mut [f32] = trial.take(observations)?;
    observation.fill_with(|| entry(&mut trial.draw));
    let actions = trial.draw.below(ACTIONS);
    let issued: &mut [i16] = trial.take(actions)?;
    trial.draw.fill(issued);
    let entries = Entries {
        observation,
        issued,
        last: [entry(&mut trial.draw), entry(&mut trial.draw)],
    };
    let count = observations + actions + 2;
    trial.shape = [observations, actions, count];
    let (mean, inverse): (&mut [f32], &mut [f32]) = (trial.take(count)?, trial.take(count)?);
    let draw = &mut trial.draw;
    let plain = draw.once_in(3);
    for (mean, inverse) in mean.iter_mut().zip(inverse.iter_mut()) {
        *mean = draw.integer(1 << 20) as f32 / 262_144.0;
        *inverse = draw.one_of(&[1.0 / 64.0, 0.3, 7.7, 9_000.0, 32_767.0, 4e6]);
        if plain {
            (*mean, *inverse) = (0.0, draw.one_of(&[1.0, 2.0, 32_768.0]));
        }
    }
    // Behind the entries there must be zeros.
    let padded = K::padded(count);
    let mut out = Output::<i16>::new(&mut trial, padded, padded, 1)?;
    Portable.quantize(entries, (mean, inverse), out.expected);
    let kernels = trial.kernels;
    kernels.run(|| kernels.quantize(entries, (mean, inverse), out.got()));
    out.check(&trial, "out", |x| x)
}

/// [`Kernels::requantize`].
pub(crate) fn requantize<K: Subject>(mut trial: Trial<'_, K>) -> Result<(), Mismatch> {
    let length = trial.draw.length(512);
    trial.shape = [length, 1, 1];
    let requant = trial.draw.residual_requant();
    let mut residual = trial.output::<i16>(length, 1)?;
    residual.start_with(|entries| trial.draw.fill(entries));
    let mut out = trial.output::<i8>(length, 1)?;
    Portable.requantize(residual.expected, requant, out.expected);
    let kernels = trial.kernels;
    kernels.run(|| kernels.requantize(residual.got(), requant, out.got()));
    out.check(&trial, "out", |x| x ^ K::FLIP)?;
    residual.check(&trial, "residual", |x| x)
}
