//! The body's smaller maps: bounds, config, golden trace, scales, provenance.

use super::cursor::{Cursor, count};
use crate::bounds::Bounds;
use crate::config::{HeadInput, ModelConfig, Positions};
use crate::error::ReadError;
use crate::image::{Golden, InputScales, Provenance};
use crate::limits::{MAX_GOLDEN_STEPS, MAX_INPUTS, MAX_MATRICES, TEXT_BYTES};
use crate::list::{Full, List};

/// Longest name of a variant.
const VARIANT_BYTES: usize = 16;

/// Reads the stated bounds; they are compared with the computed ones once the weights are known.
pub(super) fn bounds(cursor: &mut Cursor<'_>, bounds: &mut Bounds) -> Result<(), ReadError> {
    let entries = cursor.map()?;
    cursor.key("accumulator")?;
    let found = cursor.array()?;
    let many = ReadError::Count {
        thing: "accumulator",
        found,
        expected: MAX_MATRICES,
    };
    for _ in 0..found {
        let bound = u32_in(cursor, "accumulator")?;
        bounds.accumulator.push(bound).map_err(|Full| many)?;
    }
    cursor.key("state_bytes")?;
    bounds.state_bytes = u32_in(cursor, "state_bytes")?;
    cursor.key("macs_per_step")?;
    bounds.macs_per_step = cursor.integer("macs_per_step", 0, u64::MAX)?;
    count("bounds", entries, 3)
}

fn u32_in(cursor: &mut Cursor<'_>, thing: &'static str) -> Result<u32, ReadError> {
    let value = cursor.integer(thing, 0, u64::from(u32::MAX))?;
    Ok(u32::try_from(value).unwrap_or(u32::MAX))
}

/// Reads and validates the config.
pub(super) fn config(cursor: &mut Cursor<'_>) -> Result<ModelConfig, ReadError> {
    let mut config = ModelConfig::SMALLEST;
    let entries = cursor.map()?;
    cursor.key("ff")?;
    config.ff = cursor.size("ff")?;
    cursor.key("heads")?;
    config.heads = cursor.size("heads")?;
    cursor.key("model")?;
    config.model = cursor.size("model")?;
    cursor.key("hidden")?;
    cursor.array_of("hidden", config.hidden.len())?;
    for width in &mut config.hidden {
        *width = cursor.size("hidden")?;
    }
    cursor.key("layers")?;
    config.layers = cursor.size("layers")?;
    cursor.key("window")?;
    config.window = cursor.size("window")?;
    cursor.key("actions")?;
    config.actions = cursor.size("actions")?;
    cursor.key("positions")?;
    config.positions = variant(
        cursor,
        "positions",
        [Positions::Slot, Positions::Age],
        Positions::name,
    )?;
    cursor.key("head_input")?;
    config.head_input = variant(
        cursor,
        "head_input",
        [HeadInput::Encoder, HeadInput::Mixed],
        HeadInput::name,
    )?;
    cursor.key("observations")?;
    config.observations = cursor.size("observations")?;
    count("config", entries, 10)?;
    config.validate()?;
    Ok(config)
}

fn variant<T: Copy>(
    cursor: &mut Cursor<'_>,
    thing: &'static str,
    variants: [T; 2],
    name: fn(T) -> &'static str,
) -> Result<T, ReadError> {
    let offset = cursor.offset();
    let text = cursor.text(thing, VARIANT_BYTES)?;
    let found = variants.into_iter().find(|&variant| name(variant) == text);
    found.ok_or(ReadError::Text { thing, offset })
}

/// Reads the golden trace.
pub(super) fn golden<'a>(
    cursor: &mut Cursor<'a>,
    config: &ModelConfig,
) -> Result<Golden<'a>, ReadError> {
    let mut golden = Golden {
        observations: config.observations,
        actions: config.actions,
        ..Golden::EMPTY
    };
    let entries = cursor.map()?;
    cursor.key("done")?;
    // Longer than the window, so that every image shows a wrap of the rings.
    let done = cursor.bytes_within("done", config.window.saturating_add(1), MAX_GOLDEN_STEPS)?;
    golden.steps = done.len();
    if let Some(&value) = done.iter().find(|&&done| done > 1) {
        return Err(ReadError::Integer {
            thing: "done",
            value: u64::from(value),
            min: 0,
            max: 1,
        });
    }
    golden.done = done;
    let actions = golden.steps.saturating_mul(config.actions);
    cursor.key("words")?;
    golden.words = cursor.elements("words", actions)?;
    cursor.key("issued")?;
    golden.issued = cursor.elements("issued", actions)?;
    cursor.key("reward")?;
    golden.reward = finite(cursor.elements("reward", golden.steps)?, "reward")?;
    cursor.key("observation")?;
    let observations = golden.steps.saturating_mul(config.observations);
    golden.observation = finite(cursor.elements("observation", observations)?, "observation")?;
    count("golden", entries, 5)?;
    Ok(golden)
}

fn finite<'a>(values: &'a [[u8; 4]], thing: &'static str) -> Result<&'a [[u8; 4]], ReadError> {
    match values
        .iter()
        .copied()
        .map(f32::from_le_bytes)
        .find(|value| !value.is_finite())
    {
        Some(value) => Err(ReadError::Float {
            thing,
            value,
            must: "finite",
        }),
        None => Ok(values),
    }
}

/// Reads the scales into `input`, and returns the residual stream's.
pub(super) fn scales(
    cursor: &mut Cursor<'_>,
    config: &ModelConfig,
    input: &mut InputScales,
) -> Result<f32, ReadError> {
    let entries = cursor.map()?;
    cursor.key("mean")?;
    floats(
        cursor,
        "mean",
        config.inputs(),
        &mut input.mean,
        Cursor::float,
    )?;
    cursor.key("inverse")?;
    floats(
        cursor,
        "inverse",
        config.inputs(),
        &mut input.inverse,
        Cursor::positive_float,
    )?;
    cursor.key("residual")?;
    let residual = cursor.positive_float("residual")?;
    count("scales", entries, 3)?;
    Ok(residual)
}

fn floats<'a>(
    cursor: &mut Cursor<'a>,
    thing: &'static str,
    expected: usize,
    list: &mut List<f32, MAX_INPUTS>,
    read: fn(&mut Cursor<'a>, &'static str) -> Result<f32, ReadError>,
) -> Result<(), ReadError> {
    cursor.array_of(thing, expected)?;
    for _ in 0..expected {
        let value = read(cursor, thing)?;
        list.push(value).map_err(|Full| ReadError::Count {
            thing,
            found: expected,
            expected: MAX_INPUTS,
        })?;
    }
    Ok(())
}

/// Reads the provenance.
pub(super) fn provenance<'a>(cursor: &mut Cursor<'a>) -> Result<Provenance<'a>, ReadError> {
    let entries = cursor.map()?;
    cursor.key("seed")?;
    let seed = cursor.integer("seed", 0, u64::MAX)?;
    cursor.key("plant")?;
    let plant = cursor.text("plant", TEXT_BYTES)?;
    cursor.key("version")?;
    let version = cursor.text("version", TEXT_BYTES)?;
    cursor.key("config_sha256")?;
    let mut config_sha256 = [0; 32];
    let bytes = cursor.bytes("config_sha256", config_sha256.len())?;
    for (place, byte) in config_sha256.iter_mut().zip(bytes) {
        *place = *byte;
    }
    cursor.key("training_return")?;
    let training_return = cursor.float("training_return")?;
    count("provenance", entries, 5)?;
    Ok(Provenance {
        plant,
        version,
        seed,
        config_sha256,
        training_return,
    })
}
