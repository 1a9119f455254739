//! `quantize`: the entries of a working memory.

use super::draw::Draw;
use super::mismatch::{Label, Mismatch, Output};
use super::numbers::fill;
use super::room::Room;
use super::subject::Subject;
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
pub(crate) fn quantize<K: Subject>(
    kernels: K,
    seed: u32,
    mut room: Room<'_>,
) -> Result<(), Mismatch> {
    let draw = &mut Draw::new(seed);
    let observation: &mut [f32] = room.take(draw.length(OBSERVATIONS))?;
    observation.fill_with(|| entry(draw));
    let issued: &mut [i16] = room.take(draw.below(ACTIONS))?;
    fill(draw, issued);
    let entries = Entries {
        observation,
        issued,
        last: [entry(draw), entry(draw)],
    };
    let count = observation.len() + issued.len() + 2;
    let (mean, inverse): (&mut [f32], &mut [f32]) = (room.take(count)?, room.take(count)?);
    let plain = draw.once_in(3);
    for (mean, inverse) in mean.iter_mut().zip(inverse.iter_mut()) {
        *mean = draw.integer(1 << 20) as f32 / 262_144.0;
        *inverse = draw.one_of(&[1.0 / 64.0, 0.3, 7.7, 9_000.0, 32_767.0, 4e6]);
        if plain {
            (*mean, *inverse) = (0.0, draw.one_of(&[1.0, 2.0, 32_768.0]));
        }
    }
    let padded = K::padded(count);
    let label = Label {
        kernel: "quantize",
        shape: [observation.len(), issued.len(), count],
    };
    // Behind the entries there must be zeros.
    let mut out = Output::<i16>::new(&mut room, padded, padded, 1)?;
    Portable.quantize(entries, (mean, inverse), out.expected);
    kernels.run(|| kernels.quantize(entries, (mean, inverse), out.got()));
    out.check(label, "out", |x| x)
}
