//! The kernels of a step, one after the other, for models that are too wide for an image.

use std::hint::black_box;

use engram_image::ModelConfig;
use engram_image::write::{MatrixSpec, WeightsSpec};
use engram_kernels::portable::Rows;
use engram_kernels::{
    Attention, Kernels, Line, PackedBiases, PackedMap, Packing, Place, Requant, Shape,
};

/// The widest model, its widest block, and the longest window.
const MODEL: usize = 256;
const FF: usize = 1024;
const WINDOW: usize = 512;
const RING: usize = 1 << 19;

/// Steps of `config` on the fastest kernels that pack; none on a machine that has none.
pub(crate) fn run(config: &ModelConfig) -> Option<Box<dyn FnMut(usize)>> {
    #[cfg(target_arch = "x86_64")]
    return on(engram_kernels::Avx512Vnni::detect()?, config);
    #[cfg(target_arch = "aarch64")]
    return on(engram_kernels::Sdot::detect()?, config);
    #[allow(unreachable_code)]
    {
        let _ = config;
        None
    }
}

/// Steps of `config` on some kernels.
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64")),
    allow(dead_code)
)]
fn on<K: Packing + 'static>(kernels: K, config: &ModelConfig) -> Option<Box<dyn FnMut(usize)>> {
    let spec = engram_image::random::spec(config, 1).weights;
    let spec: &'static WeightsSpec = Box::leak(Box::new(spec));
    let chain = Chain::new(kernels, *config, spec)?;
    let mut chain = Box::new(chain);
    Some(Box::new(move |steps| {
        for _ in 0..steps {
            chain.step();
            black_box(&chain.room.words);
        }
    }))
}

#[repr(C, align(64))]
struct Aligned<T>(T);

/// What a step writes.
struct Room {
    input: Aligned<[i16; 64]>,
    embedded: Aligned<[i16; MODEL]>,
    residual: Aligned<[i16; MODEL]>,
    narrow: Aligned<[i8; MODEL]>,
    qkv: Aligned<[i8; 3 * MODEL]>,
    means: Aligned<[i8; MODEL]>,
    wide: Aligned<[i8; FF]>,
    sums: Aligned<[i32; FF]>,
    spare: Aligned<[i32; FF]>,
    weights: Aligned<[i16; WINDOW]>,
    hidden: [Aligned<[i8; 128]>; 2],
    words: Aligned<[i16; 64]>,
    keys: Aligned<[i8; RING]>,
    values: Aligned<[i8; RING]>,
}

struct Layer<K: Kernels + 'static> {
    attention_input: Requant,
    qkv: K::Map<'static>,
    logit: Requant,
    biases: K::Biases<'static>,
    attention_output: Requant,
    out: K::Map<'static>,
    ff_input: Requant,
    ff1: K::Map<'static>,
    ff2: K::Map<'static>,
}

struct Chain<K: Kernels + 'static> {
    kernels: K,
    shape: Shape,
    model: usize,
    ff: usize,
    hidden: [usize; 2],
    embed: K::WideMap<'static>,
    layers: Vec<Layer<K>>,
    head: [K::Map<'static>; 3],
    head_input: Requant,
    place: Place,
    room: Box<Room>,
}

fn factor(factor: engram_image::Requant) -> Requant {
    Requant {
        multiplier: factor.multiplier,
        shift: factor.shift,
    }
}

fn rows(spec: &'static MatrixSpec) -> Rows<'static> {
    let bytes = |values: Vec<i32>| -> &'static [[u8; 4]] {
        values
            .into_iter()
            .map(i32::to_le_bytes)
            .collect::<Vec<_>>()
            .leak()
    };
    Rows {
        rows: spec.rows,
        weight: &spec.weight,
        bias: bytes(spec.bias.clone()),
        multiplier: bytes(spec.requant.iter().map(|r| r.multiplier).collect()),
        shift: spec
            .requant
            .iter()
            .map(|r| r.shift)
            .collect::<Vec<_>>()
            .leak(),
    }
}

fn lines(count: usize) -> &'static mut [Line] {
    vec![Line::ZERO; count].leak()
}

fn map<M: PackedMap<'static>>(spec: &'static MatrixSpec) -> Option<M> {
    let lines = lines(M::lines(spec.rows, spec.columns));
    M::pack(rows(spec), spec.columns, lines)?;
    M::view(rows(spec), spec.columns, lines)
}

impl<K: Packing + 'static> Chain<K> {
    fn new(kernels: K, config: ModelConfig, spec: &'static WeightsSpec) -> Option<Self> {
        let shape = Shape {
            heads: config.heads,
            width: config.head_dim(),
            window: config.window,
        };
        let layers = spec.layers.iter().map(|layer| {
            let logit = factor(layer.logit);
            let biases: Vec<_> = layer.age_bias.iter().map(|b| b.to_le_bytes()).collect();
            let biases: &'static [_] = biases.leak();
            let lines = lines(K::Biases::lines(shape));
            K::Biases::pack(shape, logit, biases, lines)?;
            Some(Layer {
                attention_input: factor(layer.attention_input),
                qkv: map(&layer.qkv)?,
                logit,
                biases: K::Biases::view(shape, logit, biases, lines)?,
                attention_output: factor(layer.attention_output),
                out: map(&layer.out)?,
                ff_input: factor(layer.ff_input),
                ff1: map(&layer.ff1)?,
                ff2: map(&layer.ff2)?,
            })
        });
        let layers = layers.collect::<Option<Vec<_>>>()?;
        let head = &spec.head;
        Some(Self {
            kernels,
            shape,
            model: K::padded(config.model),
            ff: K::padded(config.ff),
            hidden: config.hidden.map(K::padded),
            embed: map(&spec.embed)?,
            layers,
            head: [map(&head.first)?, map(&head.second)?, map(&head.third)?],
            head_input: factor(head.input),
            place: Place {
                index: 0,
                filled: 0,
            },
            room: Box::new(Room {
                input: Aligned([1_000; 64]),
                embedded: Aligned([0; MODEL]),
                residual: Aligned([0; MODEL]),
                narrow: Aligned([0; MODEL]),
                qkv: Aligned([0; 3 * MODEL]),
                means: Aligned([0; MODEL]),
                wide: Aligned([0; FF]),
                sums: Aligned([0; FF]),
                spare: Aligned([0; FF]),
                weights: Aligned([0; WINDOW]),
                hidden: [Aligned([0; 128]), Aligned([0; 128])],
                words: Aligned([0; 64]),
                keys: Aligned([0; RING]),
                values: Aligned([0; RING]),
            }),
        })
    }
}

impl<K: Kernels + 'static> Chain<K> {
    /// As `engram_firmware::policy` runs a step with `age` positions.
    fn step(&mut self) {
        self.place.index = (self.place.index + 1) % self.shape.window;
        self.place.filled = (self.place.filled + 1).min(self.shape.window);
        let kernels = self.kernels;
        let padded = K::padded(25);
        let room = &mut *self.room;
        kernels.run(
            #[inline(always)]
            || {
                let embedded = &mut room.embedded.0[..self.model];
                kernels.embed(
                    self.embed,
                    &room.input.0[..padded],
                    &mut room.sums.0,
                    embedded,
                );
            },
        );
        room.residual.0 = room.embedded.0;
        self.token();
        let Room {
            narrow,
            sums,
            spare,
            hidden: [first, second],
            words,
            ..
        } = &mut *self.room;
        let (first, second) = (
            &mut first.0[..self.hidden[0]],
            &mut second.0[..self.hidden[1]],
        );
        kernels.run(
            #[inline(always)]
            || {
                let (sums, spare) = (&mut sums.0, &mut spare.0);
                let encoded = &narrow.0[..self.model];
                kernels.hidden(
                    self.head[0],
                    encoded,
                    None,
                    (&mut *sums, &mut *spare),
                    first,
                );
                kernels.hidden(self.head[1], first, None, (&mut *sums, spare), second);
                kernels.words(self.head[2], second, sums, &mut words.0[..K::padded(6)]);
            },
        );
    }

    fn token(&mut self) {
        let kernels = self.kernels;
        let (model, ff) = (self.model, self.ff);
        let [key_bytes, value_bytes] = K::ring_bytes(self.shape);
        let Room {
            residual,
            narrow,
            qkv,
            means,
            wide,
            sums,
            weights,
            keys,
            values,
            ..
        } = &mut *self.room;
        let residual = &mut residual.0[..model];
        let narrow = &mut narrow.0[..model];
        let (means, wide) = (&mut means.0[..model], &mut wide.0[..ff]);
        let (sums, weights, qkv) = (&mut sums.0, &mut weights.0, &mut qkv.0);
        let mut keys = keys.0.chunks_exact_mut(key_bytes);
        let mut values = values.0.chunks_exact_mut(value_bytes);
        kernels.run(
            #[inline(always)]
            || {
                let mut layers = self.layers.iter().peekable();
                let input = layers.peek().map_or(self.head_input, |l| l.attention_input);
                kernels.narrow(residual, input, narrow);
                while let Some(layer) = layers.next() {
                    let next = layers.peek().map_or(self.head_input, |l| l.attention_input);
                    let (Some(keys), Some(values)) = (keys.next(), values.next()) else {
                        return;
                    };
                    kernels.project(layer.qkv, narrow, sums, qkv);
                    let attention = Attention {
                        shape: self.shape,
                        place: self.place,
                        logit: layer.logit,
                        output: layer.attention_output,
                        biases: layer.biases,
                        qkv,
                        keys,
                        values,
                        sums,
                        weights,
                        means,
                    };
                    kernels.attend(attention, None);
                    kernels.add(layer.out, means, sums, residual, (layer.ff_input, narrow));
                    kernels.rectify(layer.ff1, narrow, sums, wide);
                    kernels.add(layer.ff2, wide, sums, residual, (next, narrow));
                }
            },
        );
    }
}
