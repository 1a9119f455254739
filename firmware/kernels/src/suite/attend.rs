//! `attend`: one layer's attention over some steps, with and without a hook.

use super::draw::Draw;
use super::subject::Subject;
use super::trial::{Mismatch, Output, Trial};
use crate::{Attention, CachePosition, HeadHook, Kernels, PackedBiases, Portable, Requant, Shape};

/// Largest model, most heads, longest window.
const MODEL: usize = 128;
const HEADS: usize = 16;
const WINDOW: usize = 512;
/// Bytes of a case for every entry of a head's keys: keys and values twice, of which the kernels' may hold int16.
const BYTES_PER_ENTRY: usize = 10;
/// Products of the reference for every byte of room: how long a case takes, unless few steps take longer.
const PRODUCTS_PER_BYTE: usize = 2;
const FEW: usize = 3;

/// [`Kernels::attend`].
pub(crate) fn attend<K: Subject>(trial: Trial<'_, K>) -> Result<(), Mismatch> {
    run(trial, false)
}

/// [`Kernels::attend`] with a hook.
pub(crate) fn attend_hooked<K: Subject>(trial: Trial<'_, K>) -> Result<(), Mismatch> {
    run(trial, true)
}

/// What stays the same through the steps.
struct Layer<'a> {
    shape: Shape,
    logit: Requant,
    output: Requant,
    biases: &'a [[u8; 4]],
}

impl<'a> Layer<'a> {
    fn new<K: Subject>(trial: &mut Trial<'a, K>) -> Result<Self, Mismatch> {
        let bytes = trial.bytes();
        let draw = &mut trial.draw;
        let [window, width] = draw.head([WINDOW, MODEL]);
        let entries = bytes / BYTES_PER_ENTRY;
        let window = window.min((entries / width).max(1));
        // So many heads that the window is filled in time.
        let trial_products = 2 * window * width * window;
        let in_time = PRODUCTS_PER_BYTE * bytes / trial_products;
        let most = HEADS.min(MODEL / width).min(entries / (window * width));
        let most = most.min(in_time);
        // Some kernels compute four heads together.
        let heads = match draw.below(6) {
            0 | 1 => most.clamp(1, 4),
            2 => most.max(1),
            _ => 1 + draw.below(most.clamp(1, 5)),
        };
        let shape = Shape {
            heads,
            width,
            window,
        };
        // What a product of query and key can be, and what most are.
        let typical = draw.one_of(&[127 * 127 * width as u32, 3_000 * width as u32]);
        let shifts = draw.shifts();
        let logit = draw.requant(shifts, 1, (typical, 12));
        let shifts = draw.shifts();
        let output = draw.requant(shifts, 1, (127 << 16, 7));
        trial.shape = [heads, width, window];
        Ok(Self {
            shape,
            logit,
            output,
            biases: biases(trial, shape)?,
        })
    }
}

/// Age biases: none, small ones, or such that logits leave their range.
fn biases<'a, K: Subject>(
    trial: &mut Trial<'a, K>,
    shape: Shape,
) -> Result<&'a [[u8; 4]], Mismatch> {
    const SMALL: i32 = 1 << 29;
    const ENDS: [i32; 8] = [
        i32::MIN,
        i32::MIN + 1,
        i32::MAX,
        SMALL + 1,
        -SMALL - 1,
        1 << 30,
        -(1 << 30),
        0,
    ];
    let kind = trial.draw.below(10);
    let biased = kind != 0;
    let biases: &mut [[u8; 4]] = trial.take(usize::from(biased) * shape.heads * shape.window)?;
    let draw = &mut trial.draw;
    for bias in &mut *biases {
        *bias = match kind {
            1 => 0,
            2 => draw.one_of(&[SMALL, -SMALL]),
            3 => draw.integer(1 << 29),
            4 => draw.one_of(&ENDS),
            // Sums that would wrap, below a maximum that counts.
            5 if draw.once_in(2) => i32::MIN + draw.integer(255).abs(),
            6 => draw.integer(1 << 15),
            _ => draw.integer(1_500),
        }
        .to_le_bytes();
    }
    Ok(biases)
}

/// The KV cache and the work space of one of the two.
struct Memory<'a> {
    keys: &'a mut [i8],
    values: &'a mut [i8],
    acc: &'a mut [i32],
    probabilities: &'a mut [i16],
}

impl<'a> Memory<'a> {
    /// Of the kernels `L`, work space for `padded` positions.
    fn new<L: Kernels, K: Subject>(
        trial: &mut Trial<'a, K>,
        shape: Shape,
        padded: usize,
    ) -> Result<Self, Mismatch> {
        let [keys, values] = L::kv_bytes(shape);
        let (keys, values): (&mut [i8], &mut [i8]) = (trial.take(keys)?, trial.take(values)?);
        keys.fill(0);
        values.fill(0);
        Ok(Self {
            keys,
            values,
            acc: trial.take(padded)?,
            probabilities: trial.take(padded)?,
        })
    }

    /// What attention gets in one step.
    fn attention<'b, B>(
        &'b mut self,
        layer: &Layer<'_>,
        position: CachePosition,
        (biases, qkv): (B, &'b [i8]),
        context: &'b mut [i8],
    ) -> Attention<'b, B> {
        Attention {
            shape: layer.shape,
            position,
            logit: layer.logit,
            output: layer.output,
            biases,
            qkv,
            keys: self.keys,
            values: self.values,
            acc: self.acc,
            probabilities: self.probabilities,
            context,
        }
    }
}

/// What a hook has seen of the heads.
struct Seen<'a> {
    heads: u32,
    /// `[heads][window]`
    probabilities: &'a mut [i16],
    totals: &'a mut [u32],
}

impl<'a> Seen<'a> {
    fn new<K: Subject>(trial: &mut Trial<'a, K>, shape: Shape) -> Result<Self, Mismatch> {
        Ok(Self {
            heads: 0,
            probabilities: trial.take(shape.heads * shape.window)?,
            totals: trial.take(shape.heads)?,
        })
    }

    /// Every position of the window has a probability, or the head does not count.
    fn note(&mut self, head: usize, probabilities: &[i16], total: u32) {
        let window = self.probabilities.len() / self.totals.len();
        if probabilities.len() == window {
            self.probabilities[head * window..][..window].copy_from_slice(probabilities);
            self.totals[head] = total;
            self.heads += 1;
        }
    }
}

fn run<K: Subject>(mut trial: Trial<'_, K>, hooked: bool) -> Result<(), Mismatch> {
    let bytes = trial.bytes();
    let kernels = trial.kernels;
    let layer = Layer::new(&mut trial)?;
    let Shape {
        heads,
        width,
        window,
    } = layer.shape;
    let model = heads * width;
    let lines = trial.lines(K::Biases::lines(layer.shape))?;
    let packed = K::Biases::pack(layer.shape, layer.logit, layer.biases, lines);
    let biases = packed
        .and_then(|()| K::Biases::view(layer.shape, layer.logit, layer.biases, lines))
        .ok_or(trial.mismatch("packed", 0, 1, 0))?;
    // Kernels fill a window up; a head may be wider than a window is long.
    let padded = K::padded(window.max(width)).next_multiple_of(16);
    let mut plain = Memory::new::<Portable, K>(&mut trial, layer.shape, padded)?;
    let mut own = Memory::new::<K, K>(&mut trial, layer.shape, padded)?;
    let qkv: &mut [i8] = trial.take(K::padded(3 * model))?;
    let mut context: Output<'_, i8> = trial.output(model, 1)?;
    let mut expected = Seen::new(&mut trial, layer.shape)?;
    let mut seen = Seen::new(&mut trial, layer.shape)?;
    let steps = PRODUCTS_PER_BYTE * bytes / (2 * window * model);
    let steps = steps.clamp(FEW, window + window / 2 + FEW);
    let mut positions = Positions::new(&mut trial.draw, window);
    for _ in 0..steps {
        let position = positions.next(&mut trial.draw);
        qkv.chunks_mut(model).for_each(|part| trial.draw.fill(part));
        let attention = plain.attention(&layer, position, (layer.biases, qkv), context.expected);
        let mut hook =
            |head, probabilities: &[i16], total| expected.note(head, probabilities, total);
        Portable.attend(attention, Some(&mut hook));
        let attention = own.attention(&layer, position, (biases, qkv), context.got());
        let mut hook = |head, probabilities: &[i16], total| seen.note(head, probabilities, total);
        let hook: Option<&mut HeadHook<'_>> = if hooked { Some(&mut hook) } else { None };
        kernels.run(|| kernels.attend(attention, hook));
        if hooked {
            trial.equal("heads seen", 0, expected.heads, seen.heads)?;
            let (probabilities, got) = (expected.probabilities.iter(), seen.probabilities.iter());
            trial.same("probabilities", probabilities.copied(), got.copied())?;
            let (totals, got) = (expected.totals.iter(), seen.totals.iter());
            trial.same("totals", totals.copied(), got.copied())?;
        }
        context.check(&trial, "context", |x| x ^ K::FLIP)?;
    }
    Ok(())
}

/// Where the tokens of a trial stand: one after the other from an empty window on, and when it has been full with
/// fewer memories or anywhere, as after a clear.
struct Positions {
    window: usize,
    last: CachePosition,
    /// Tokens so far, at most the window: positions beyond have never been written.
    written: usize,
    anywhere: bool,
}

impl Positions {
    fn new(draw: &mut Draw, window: usize) -> Self {
        Self {
            window,
            last: CachePosition {
                index: draw.below(window),
                filled: 0,
            },
            written: 0,
            anywhere: draw.once_in(3),
        }
    }

    fn next(&mut self, draw: &mut Draw) -> CachePosition {
        let full = self.written == self.window;
        self.last = if full && self.anywhere {
            CachePosition {
                index: draw.below(self.window),
                filled: 1 + draw.below(self.window),
            }
        } else {
            let cleared = draw.once_in(20);
            let filled = if cleared { 0 } else { self.last.filled };
            CachePosition {
                index: (self.last.index + 1) % self.window,
                filled: (filled + 1).min(self.window),
            }
        };
        self.written = (self.written + 1).min(self.window);
        self.last
    }
}
