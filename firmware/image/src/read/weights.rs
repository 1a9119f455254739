//! The body's map `weights`: every tensor has exactly the size that the config gives it.

use engram_kernels::Requant;
use engram_kernels::portable::Rows;

use super::cursor::{Cursor, count};
use crate::config::{HeadInput, ModelConfig, Positions};
use crate::error::ReadError;
use crate::limits::MAX_COLUMNS;
use crate::packing::Packing;
use crate::weights::{InPlace, Layer, Matrix, MatrixName};

/// Smallest normalised multiplier.
const MULTIPLIER_MIN: i32 = 1 << 30;
/// Largest shift.
const SHIFT_MAX: u8 = 62;

/// Reads the network into `weights`.
pub(super) fn read<'a>(
    cursor: &mut Cursor<'a>,
    packing: Packing,
    config: &ModelConfig,
    weights: &mut InPlace<'a>,
) -> Result<(), ReadError> {
    let entries = cursor.map()?;
    cursor.key("head")?;
    head(cursor, packing, config, weights)?;
    cursor.key("embed")?;
    weights.embed = matrix(cursor, packing, config, MatrixName::Embed)?;
    cursor.key("layers")?;
    cursor.array_of("layers", config.layers)?;
    for (index, place) in (0..).zip(weights.layers.iter_mut().take(config.layers)) {
        *place = Some(layer(cursor, packing, config, index)?);
    }
    match config.positions {
        Positions::Age => count("weights", entries, 3),
        Positions::Slot => {
            cursor.key("positions")?;
            weights.positions =
                cursor.elements("positions", config.window.saturating_mul(config.model))?;
            count("weights", entries, 4)
        }
    }
}

fn head<'a>(
    cursor: &mut Cursor<'a>,
    packing: Packing,
    config: &ModelConfig,
    weights: &mut InPlace<'a>,
) -> Result<(), ReadError> {
    let head = &mut weights.head;
    let entries = cursor.map()?;
    let expected = match config.head_input {
        HeadInput::Encoder => 4,
        HeadInput::Mixed => {
            cursor.key("raw")?;
            head.raw = Some(matrix(cursor, packing, config, MatrixName::Raw)?);
            5
        }
    };
    cursor.key("first")?;
    head.first = matrix(cursor, packing, config, MatrixName::First)?;
    cursor.key("input")?;
    head.input = factor(cursor, "input")?;
    cursor.key("third")?;
    head.third = matrix(cursor, packing, config, MatrixName::Third)?;
    cursor.key("second")?;
    head.second = matrix(cursor, packing, config, MatrixName::Second)?;
    count("head", entries, expected)
}

fn layer<'a>(
    cursor: &mut Cursor<'a>,
    packing: Packing,
    config: &ModelConfig,
    index: u8,
) -> Result<Layer<Rows<'a>, &'a [[u8; 4]]>, ReadError> {
    let mut layer = Layer {
        attention_input: Requant::ZERO,
        qkv: Rows::EMPTY,
        logit: Requant::ZERO,
        age_bias: &[][..],
        attention_output: Requant::ZERO,
        out: Rows::EMPTY,
        ff_input: Requant::ZERO,
        ff1: Rows::EMPTY,
        ff2: Rows::EMPTY,
    };
    let entries = cursor.map()?;
    cursor.key("ff1")?;
    layer.ff1 = matrix(cursor, packing, config, MatrixName::Ff1(index))?;
    cursor.key("ff2")?;
    layer.ff2 = matrix(cursor, packing, config, MatrixName::Ff2(index))?;
    cursor.key("out")?;
    layer.out = matrix(cursor, packing, config, MatrixName::Out(index))?;
    cursor.key("qkv")?;
    layer.qkv = matrix(cursor, packing, config, MatrixName::Qkv(index))?;
    cursor.key("logit")?;
    layer.logit = factor(cursor, "logit")?;
    let expected = match config.positions {
        Positions::Slot => 8,
        Positions::Age => {
            cursor.key("age_bias")?;
            layer.age_bias =
                cursor.elements("age_bias", config.heads.saturating_mul(config.window))?;
            9
        }
    };
    cursor.key("ff_input")?;
    layer.ff_input = factor(cursor, "ff_input")?;
    cursor.key("attention_input")?;
    layer.attention_input = factor(cursor, "attention_input")?;
    cursor.key("attention_output")?;
    layer.attention_output = factor(cursor, "attention_output")?;
    count("layer", entries, expected)?;
    Ok(layer)
}

/// `[multiplier, shift]`, normalised.
fn factor(cursor: &mut Cursor<'_>, thing: &'static str) -> Result<Requant, ReadError> {
    cursor.array_of(thing, 2)?;
    let [min, max] = [MULTIPLIER_MIN, i32::MAX].map(|end| u64::from(end.unsigned_abs()));
    let multiplier = cursor.integer(thing, min, max)?;
    let shift = cursor.integer(thing, 1, SHIFT_MAX.into())?;
    Ok(Requant {
        multiplier: i32::try_from(multiplier).unwrap_or(MULTIPLIER_MIN),
        shift: u8::try_from(shift).unwrap_or(SHIFT_MAX),
    })
}

/// The map of one matrix.
fn matrix<'a>(
    cursor: &mut Cursor<'a>,
    packing: Packing,
    config: &ModelConfig,
    name: MatrixName,
) -> Result<Rows<'a>, ReadError> {
    let (rows, columns) = name.shape(config);
    let biases = if name.has_bias() { rows } else { 0 };
    let entries = cursor.map()?;
    cursor.key("bias")?;
    let bias = cursor.elements("bias", biases)?;
    cursor.key("shift")?;
    let shift = cursor.aligned_bytes("shift", 4, rows)?;
    cursor.key("weight")?;
    let bytes = packing.weight_bytes(rows, columns);
    let weight = cursor.aligned_bytes("weight", 16, bytes)?;
    cursor.key("multiplier")?;
    let multiplier = cursor.elements("multiplier", rows)?;
    count("matrix", entries, 4)?;
    let weight = bytemuck::must_cast_slice(weight);
    let matrix = Rows {
        rows,
        weight,
        bias,
        multiplier,
        shift,
    };
    let matrix = Matrix::new(name, config, packing, matrix);
    check_rows(&matrix)?;
    if !packing.is_filled_with_zeros(&matrix) {
        return Err(ReadError::Packing {
            matrix: name,
            row: u16::try_from(rows).unwrap_or(u16::MAX),
        });
    }
    Ok(matrix.rows)
}

fn check_rows(matrix: &Matrix<'_>) -> Result<(), ReadError> {
    let name = matrix.name;
    let mut room = [0; MAX_COLUMNS];
    for (index, number) in (0..).zip(0..matrix.rows.rows) {
        let Some(row) = matrix.row(number, &mut room) else {
            return Ok(());
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
    Ok(())
}
