//! `attend`: one layer's attention over some steps, with and without somebody who looks on.

use super::draw::Draw;
use super::maps::refused;
use super::mismatch::{Label, Mismatch, Output};
use super::numbers::{SHIFTS, factor, fill};
use super::room::Room;
use super::subject::Subject;
use crate::{Attention, CachePosition, HeadHook, Kernels, Portable, Requant, Shape};

/// Largest model, most heads, longest window.
const MODEL: usize = 128;
const HEADS: usize = 16;
const WINDOW: usize = 512;
/// Bytes of a case for every entry of a ring: four rings, of which the kernels' may hold int16.
const BYTES_PER_ENTRY: usize = 10;
/// Products of the reference for every byte of room: how long a case takes, unless few steps take longer.
const PRODUCTS_PER_BYTE: usize = 2;
const FEW: usize = 3;

/// [`Kernels::attend`].
pub(crate) fn attend<K: Subject>(kernels: K, seed: u32, room: Room<'_>) -> Result<(), Mismatch> {
    run(kernels, seed, room, false)
}

/// [`Kernels::attend`] with a hook.
pub(crate) fn attend_hooked<K: Subject>(
    kernels: K,
    seed: u32,
    room: Room<'_>,
) -> Result<(), Mismatch> {
    run(kernels, seed, room, true)
}

/// What stays the same through the steps.
struct Layer<'a> {
    shape: Shape,
    logit: Requant,
    output: Requant,
    biases: &'a [[u8; 4]],
    label: Label,
}

impl<'a> Layer<'a> {
    fn new(draw: &mut Draw, room: &mut Room<'a>) -> Result<Self, Mismatch> {
        let [window, width] = draw.head([WINDOW, MODEL]);
        let entries = room.bytes() / BYTES_PER_ENTRY;
        let window = window.min((entries / width).max(1));
        // So many heads that the window is filled in time.
        let trial = 2 * window * width * window;
        let in_time = PRODUCTS_PER_BYTE * room.bytes() / trial;
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
        let shifts = draw.one_of(&SHIFTS);
        let logit = factor(draw, shifts, 1, (typical, 12));
        let shifts = draw.one_of(&SHIFTS);
        let output = factor(draw, shifts, 1, (127 << 16, 7));
        Ok(Self {
            shape,
            logit,
            output,
            biases: biases(draw, shape, room)?,
            label: Label {
                kernel: "attend",
                shape: [heads, width, window],
            },
        })
    }
}

/// Age biases: none, small ones, or such that logits leave their range.
fn biases<'a>(
    draw: &mut Draw,
    shape: Shape,
    room: &mut Room<'a>,
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
    let kind = draw.below(10);
    let count = if kind == 0 {
        0
    } else {
        shape.heads * shape.window
    };
    let biases: &mut [[u8; 4]] = room.take(count)?;
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

/// The rings and the work space of one of the two.
struct Memory<'a> {
    keys: &'a mut [i8],
    values: &'a mut [i8],
    acc: &'a mut [i32],
    probabilities: &'a mut [i16],
}

impl<'a> Memory<'a> {
    /// Work space with `padded` places.
    fn new<K: Kernels>(shape: Shape, padded: usize, room: &mut Room<'a>) -> Result<Self, Mismatch> {
        let [keys, values] = K::kv_bytes(shape);
        let (keys, values): (&mut [i8], &mut [i8]) = (room.take(keys)?, room.take(values)?);
        keys.fill(0);
        values.fill(0);
        Ok(Self {
            keys,
            values,
            acc: room.take(padded)?,
            probabilities: room.take(padded)?,
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

/// What the reference showed of its heads.
struct Seen<'a> {
    /// `[heads][window]`
    probabilities: &'a mut [i16],
    totals: &'a mut [u32],
}

fn run<K: Subject>(
    kernels: K,
    seed: u32,
    mut room: Room<'_>,
    watched: bool,
) -> Result<(), Mismatch> {
    let draw = &mut Draw::new(seed);
    let bytes = room.bytes();
    let layer = Layer::new(draw, &mut room)?;
    let Shape {
        heads,
        width,
        window,
    } = layer.shape;
    let model = heads * width;
    let room = &mut room;
    let biases = kernels.biases(layer.shape, layer.logit, layer.biases, room)?;
    let biases = biases.ok_or(refused(layer.label))?;
    // Kernels fill a window up; a head may be wider than a window is long.
    let padded = K::padded(window.max(width)).next_multiple_of(16);
    let mut plain = Memory::new::<Portable>(layer.shape, padded, room)?;
    let mut own = Memory::new::<K>(layer.shape, padded, room)?;
    let qkv: &mut [i8] = room.take(K::padded(3 * model))?;
    let mut context = Output::<i8>::new(room, model, K::padded(model), 1)?;
    let mut seen = Seen {
        probabilities: room.take(heads * window)?,
        totals: room.take(heads)?,
    };
    let steps = PRODUCTS_PER_BYTE * bytes / (2 * window * model);
    let steps = steps.clamp(FEW, window + window / 2 + FEW);
    let mut positions = Positions::new(draw, window);
    for _ in 0..steps {
        let position = positions.next(draw);
        for part in qkv.chunks_mut(model) {
            fill(draw, part);
        }
        let attention = plain.attention(&layer, position, (layer.biases, qkv), context.expected);
        Portable.attend(
            attention,
            Some(&mut |head, probabilities: &[i16], total| seen.note(head, probabilities, total)),
        );
        let attention = own.attention(&layer, position, (biases, qkv), context.got());
        let mut heads_seen = 0;
        let mut result = Ok(());
        let mut hook = |head: usize, probabilities: &[i16], total: u32| {
            heads_seen += 1;
            result = result.and(seen.check(&layer, head, probabilities, total));
        };
        let hook: Option<&mut HeadHook<'_>> = if watched { Some(&mut hook) } else { None };
        kernels.run(|| kernels.attend(attention, hook));
        if watched {
            layer
                .label
                .equal("heads seen", 0, heads as i64, heads_seen)?;
            result?;
        }
        context.check(layer.label, "context", |x| x ^ K::FLIP)?;
    }
    Ok(())
}

impl Seen<'_> {
    fn note(&mut self, head: usize, probabilities: &[i16], total: u32) {
        let window = probabilities.len();
        self.probabilities[head * window..][..window].copy_from_slice(probabilities);
        self.totals[head] = total;
    }

    /// Whether other kernels show the same.
    fn check(
        &self,
        layer: &Layer<'_>,
        head: usize,
        probabilities: &[i16],
        total: u32,
    ) -> Result<(), Mismatch> {
        let (label, window) = (layer.label, layer.shape.window);
        label.equal(
            "probabilities seen",
            head,
            window as i64,
            probabilities.len() as i64,
        )?;
        let expected = &self.probabilities[head * window..][..window];
        label.same(
            "probabilities",
            expected.iter().copied(),
            probabilities.iter().copied(),
        )?;
        label.equal("total", head, self.totals[head].into(), total.into())
    }
}

/// Where the tokens of a trial stand: one after the other from an empty window on, and when it has been full with
/// fewer memories or anywhere, as after a clear.
struct Positions {
    window: usize,
    last: CachePosition,
    /// Tokens so far, at most the window: places beyond have never been written.
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
