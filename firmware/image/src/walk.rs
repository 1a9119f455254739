//! The body of an image, map by map: every key once, for the reader, the writer and the hashes.
//!
//! The order of the entries is the file's. What a file may not say is checked here as well, where `READS` holds.

use engram_kernels::Requant;
use engram_kernels::portable::Rows;

use crate::bounds::Bounds;
use crate::codec::{Codec, Done};
use crate::config::{HeadInput, ModelConfig, Positions};
use crate::contract::{ActionChannel, Channel, Contract, QuadraticReward, Reward};
use crate::error::ReadError;
use crate::image::{Golden, Image, Provenance};
use crate::limits::{MAX_COLUMNS, MAX_GOLDEN_STEPS, NAME_BYTES, TEXT_BYTES, UNIT_BYTES};
use crate::packing::Packing;
use crate::weights::{Head, InPlace, Layer, Matrix, MatrixName};

/// Smallest normalised multiplier.
const MULTIPLIER_MIN: i32 = 1 << 30;
/// Largest shift.
const SHIFT_MAX: u8 = 62;

/// The whole body; the packing is the header's.
pub(crate) fn body<'a, C: Codec<'a>>(c: &mut C, image: &mut Image<'a>) -> Done {
    c.map("body", 7, |c| {
        c.entry("bounds", &mut image.bounds, bounds)?;
        c.entry("config", &mut image.config, config)?;
        let (config, packing) = (&image.config, image.packing);
        c.key("golden")?;
        golden(c, config, &mut image.golden)?;
        c.key("scales")?;
        c.map("scales", 3, |c| {
            let inputs = Some(config.inputs());
            c.list("mean", &mut image.input.mean, inputs, C::float)?;
            c.list("inverse", &mut image.input.inverse, inputs, C::positive)?;
            c.entry("residual", &mut image.residual_scale, C::positive)
        })?;
        c.key("weights")?;
        Network { config, packing }.walk(c, &mut image.weights)?;
        c.key("contract")?;
        let channels = [config.observations, config.actions];
        contract(c, channels, &mut image.contract)?;
        c.entry("provenance", &mut image.provenance, provenance)
    })
}

/// The bounds; a reader compares them with the computed ones once the weights are known.
fn bounds<'a, C: Codec<'a>>(c: &mut C, key: &'static str, x: &mut Bounds) -> Done {
    c.map(key, 3, |c| {
        c.list("accumulator", &mut x.accumulator, None, C::u32::<_, 0>)?;
        c.entry("state_bytes", &mut x.state_bytes, C::u32::<_, 0>)?;
        let macs = &mut x.macs_per_step;
        c.entry("macs_per_step", macs, C::integer::<_, 0, { u64::MAX }>)
    })
}

/// The config; a reader's is valid.
pub(crate) fn config<'a, C: Codec<'a>>(c: &mut C, key: &'static str, x: &mut ModelConfig) -> Done {
    c.map(key, 10, |c| {
        c.entry("ff", &mut x.ff, C::u32::<_, 0>)?;
        c.entry("heads", &mut x.heads, C::u32::<_, 0>)?;
        c.entry("model", &mut x.model, C::u32::<_, 0>)?;
        c.entry("hidden", &mut x.hidden, |c, key, [first, second]| {
            c.array(key, Some(2), 2)?;
            c.u32::<_, 0>(key, first)?;
            c.u32::<_, 0>(key, second)
        })?;
        c.entry("layers", &mut x.layers, C::u32::<_, 0>)?;
        c.entry("window", &mut x.window, C::u32::<_, 0>)?;
        c.entry("actions", &mut x.actions, C::u32::<_, 0>)?;
        c.entry("positions", &mut x.positions, |c, key, x| {
            c.variant(key, x, [Positions::Slot, Positions::Age], <&str>::from)
        })?;
        c.entry("head_input", &mut x.head_input, |c, key, x| {
            let inputs = [HeadInput::Encoder, HeadInput::Mixed];
            c.variant(key, x, inputs, <&str>::from)
        })?;
        c.entry("observations", &mut x.observations, C::u32::<_, 0>)
    })?;
    match C::READS {
        true => x.validate().map_err(ReadError::Config),
        false => Ok(()),
    }
}

/// The golden trace.
fn golden<'a, C: Codec<'a>>(c: &mut C, config: &ModelConfig, x: &mut Golden<'a>) -> Done {
    (x.observations, x.actions) = (config.observations, config.actions);
    c.map("golden", 5, |c| {
        // Longer than the window, so that every image shows a wrap of the rings.
        let least = config.window.saturating_add(1);
        c.bytes("done", &mut x.done, least, MAX_GOLDEN_STEPS)?;
        x.steps = x.done.len();
        let mut others = x.done.iter().filter(|&&done| C::READS && done > 1);
        if let Some(&value) = others.next() {
            return Err(ReadError::Integer {
                thing: "done",
                value: u64::from(value),
                min: 0,
                max: 1,
            });
        }
        let actions = x.steps.saturating_mul(x.actions);
        c.elements("words", &mut x.words, actions)?;
        c.elements("issued", &mut x.issued, actions)?;
        finite(c, "reward", &mut x.reward, x.steps)?;
        let observations = x.steps.saturating_mul(x.observations);
        finite(c, "observation", &mut x.observation, observations)
    })
}

/// A key and a tensor of finite f32.
fn finite<'a, C: Codec<'a>>(
    c: &mut C,
    key: &'static str,
    x: &mut &'a [[u8; 4]],
    expected: usize,
) -> Done {
    c.elements(key, x, expected)?;
    let mut values = x.iter().copied().map(f32::from_le_bytes);
    values.try_for_each(|value| c.must(key, value, value.is_finite(), "finite"))
}

/// The contract of as many observations and actions; a reader's is valid.
pub(crate) fn contract<'a, C: Codec<'a>>(
    c: &mut C,
    channels: [usize; 2],
    x: &mut Contract<'a>,
) -> Done {
    let [observations, actions] = channels.map(Some);
    c.map("contract", 4, |c| {
        c.key("reward")?;
        reward(c, channels, &mut x.reward)?;
        c.list("actions", &mut x.actions, actions, action)?;
        c.entry("period_us", &mut x.period_us, C::u32::<_, 1>)?;
        let list = &mut x.observations;
        c.list("observations", list, observations, observation)
    })?;
    match C::READS {
        true => x.validate().map_err(ReadError::Contract),
        false => Ok(()),
    }
}

fn observation<'a, C: Codec<'a>>(c: &mut C, _: &'static str, x: &mut Channel<'a>) -> Done {
    c.map("observation channel", 4, |c| {
        c.entry("max", &mut x.max, C::float)?;
        c.entry("min", &mut x.min, C::float)?;
        c.entry("name", &mut x.name, C::text::<NAME_BYTES>)?;
        c.entry("unit", &mut x.unit, C::text::<UNIT_BYTES>)
    })
}

fn action<'a, C: Codec<'a>>(c: &mut C, _: &'static str, x: &mut ActionChannel<'a>) -> Done {
    c.map("action channel", 6, |c| {
        c.entry("max", &mut x.max, C::float)?;
        c.entry("min", &mut x.min, C::float)?;
        c.entry("name", &mut x.name, C::text::<NAME_BYTES>)?;
        c.entry("safe", &mut x.safe, C::float)?;
        c.entry("unit", &mut x.unit, C::text::<UNIT_BYTES>)?;
        c.entry("slew_per_s", &mut x.slew_per_s, C::float)
    })
}

/// The reward by as many observations and actions.
pub(crate) fn reward<'a, C: Codec<'a>>(c: &mut C, channels: [usize; 2], x: &mut Reward) -> Done {
    if c.at_text(matches!(x, Reward::External))? {
        *x = Reward::External;
        return c.variant("reward", &mut (), [()], |()| "external");
    }
    let mut formula = match x {
        Reward::Formula(formula) => *formula,
        Reward::External => QuadraticReward::EMPTY,
    };
    let [observations, actions] = channels.map(Some);
    c.map("reward", 4, |c| {
        c.list("linear", &mut formula.linear, observations, C::float)?;
        c.entry("constant", &mut formula.constant, C::float)?;
        c.list("quadratic", &mut formula.quadratic, observations, C::float)?;
        let list = &mut formula.action_quadratic;
        c.list("action_quadratic", list, actions, C::float)
    })?;
    *x = Reward::Formula(formula);
    Ok(())
}

fn provenance<'a, C: Codec<'a>>(c: &mut C, key: &'static str, x: &mut Provenance<'a>) -> Done {
    c.map(key, 5, |c| {
        c.entry("seed", &mut x.seed, C::integer::<_, 0, { u64::MAX }>)?;
        c.entry("plant", &mut x.plant, C::text::<TEXT_BYTES>)?;
        c.entry("version", &mut x.version, C::text::<TEXT_BYTES>)?;
        c.entry("config_sha256", &mut x.config_sha256, C::digest)?;
        c.entry("training_return", &mut x.training_return, C::float)
    })
}

/// The map `weights`: every tensor has exactly the size that the config gives it.
struct Network<'c> {
    config: &'c ModelConfig,
    packing: Packing,
}

impl Network<'_> {
    fn walk<'a, C: Codec<'a>>(&self, c: &mut C, x: &mut InPlace<'a>) -> Done {
        let config = self.config;
        let slots = c.has(config.positions == Positions::Slot, !x.positions.is_empty());
        c.map("weights", if slots { 4 } else { 3 }, |c| {
            c.key("head")?;
            self.head(c, &mut x.head)?;
            self.matrix(c, "embed", MatrixName::Embed, &mut x.embed)?;
            c.key("layers")?;
            let count = c.array("layers", Some(config.layers), x.layers().count())?;
            for (index, x) in (0..).zip(x.layers.iter_mut().take(count)) {
                self.layer(c, index, x.get_or_insert(Layer::EMPTY))?;
            }
            if !slots {
                return Ok(());
            }
            let entries = config.window.saturating_mul(config.model);
            c.elements("positions", &mut x.positions, entries)
        })
    }

    fn head<'a, C: Codec<'a>>(&self, c: &mut C, x: &mut Head<Rows<'a>>) -> Done {
        let mixed = c.has(self.config.head_input == HeadInput::Mixed, x.raw.is_some());
        c.map("head", if mixed { 5 } else { 4 }, |c| {
            if mixed {
                let raw = x.raw.get_or_insert(Rows::EMPTY);
                self.matrix(c, "raw", MatrixName::Raw, raw)?;
            }
            self.matrix(c, "first", MatrixName::First, &mut x.first)?;
            c.entry("input", &mut x.input, factor)?;
            self.matrix(c, "third", MatrixName::Third, &mut x.third)?;
            self.matrix(c, "second", MatrixName::Second, &mut x.second)
        })
    }

    fn layer<'a, C: Codec<'a>>(
        &self,
        c: &mut C,
        index: u8,
        x: &mut Layer<Rows<'a>, &'a [[u8; 4]]>,
    ) -> Done {
        let config = self.config;
        let ages = c.has(config.positions == Positions::Age, !x.age_bias.is_empty());
        c.map("layer", if ages { 9 } else { 8 }, |c| {
            self.matrix(c, "ff1", MatrixName::Ff1(index), &mut x.ff1)?;
            self.matrix(c, "ff2", MatrixName::Ff2(index), &mut x.ff2)?;
            self.matrix(c, "out", MatrixName::Out(index), &mut x.out)?;
            self.matrix(c, "qkv", MatrixName::Qkv(index), &mut x.qkv)?;
            c.entry("logit", &mut x.logit, factor)?;
            if ages {
                let entries = config.heads.saturating_mul(config.window);
                c.elements("age_bias", &mut x.age_bias, entries)?;
            }
            c.entry("ff_input", &mut x.ff_input, factor)?;
            c.entry("attention_input", &mut x.attention_input, factor)?;
            c.entry("attention_output", &mut x.attention_output, factor)
        })
    }

    fn matrix<'a, C: Codec<'a>>(
        &self,
        c: &mut C,
        key: &'static str,
        name: MatrixName,
        x: &mut Rows<'a>,
    ) -> Done {
        let (rows, columns) = name.shape(self.config);
        let biases = if name.is_wide() { 0 } else { rows };
        c.key(key)?;
        c.map("matrix", 4, |c| {
            c.elements("bias", &mut x.bias, biases)?;
            c.aligned("shift", &mut x.shift, 4, rows)?;
            let bytes = self.packing.weight_bytes(rows, columns);
            let mut weight = bytemuck::must_cast_slice(x.weight);
            c.aligned("weight", &mut weight, 16, bytes)?;
            x.weight = bytemuck::must_cast_slice(weight);
            c.elements("multiplier", &mut x.multiplier, rows)
        })?;
        if !C::READS {
            return Ok(());
        }
        x.rows = rows;
        check(&Matrix::new(name, self.config, self.packing, *x))
    }
}

/// `[multiplier, shift]`, normalised.
fn factor<'a, C: Codec<'a>>(c: &mut C, thing: &'static str, x: &mut Requant) -> Done {
    const MIN: u64 = MULTIPLIER_MIN as u64;
    const MAX: u64 = i32::MAX as u64;
    c.array(thing, Some(2), 2)?;
    c.integer::<_, MIN, MAX>(thing, &mut x.multiplier)?;
    c.integer::<_, 1, { SHIFT_MAX as u64 }>(thing, &mut x.shift)
}

/// Whether every row can be computed, and everything that fills up a packed matrix is zero.
fn check(matrix: &Matrix<'_>) -> Done {
    let name = matrix.name;
    let mut room = [0; MAX_COLUMNS];
    for (index, number) in (0..).zip(0..matrix.rows.rows) {
        let Some(row) = matrix.row(number, &mut room) else {
            break;
        };
        if row.weight.contains(&i8::MIN) {
            return Err(ReadError::Weight {
                matrix: name,
                row: index,
            });
        }
        let Requant { multiplier, shift } = row.requant;
        let zero = row.bias == 0 && row.weight.iter().all(|&weight| weight == 0);
        let sound = multiplier >= MULTIPLIER_MIN || (multiplier == 0 && zero);
        if !sound || !(1..=SHIFT_MAX).contains(&shift) {
            return Err(ReadError::RowFactor {
                matrix: name,
                row: index,
                multiplier,
                shift,
            });
        }
        matrix
            .packing
            .check(name, index, row.weight, row.bias, shift)?;
    }
    if !matrix.packing.is_filled_with_zeros(matrix) {
        return Err(ReadError::Packing {
            matrix: name,
            row: u16::try_from(matrix.rows.rows).unwrap_or(u16::MAX),
        });
    }
    Ok(())
}
