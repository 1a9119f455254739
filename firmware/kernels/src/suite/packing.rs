//! What packing refuses, and what becomes of lines that hold something else.

use super::draw::Draw;
use super::maps::{fill_up, plain, weights_of};
use super::mismatch::{Label, Mismatch, Output};
use super::room::Room;
use super::subject::{Limits, Subject};
use crate::portable::Rows;
use crate::{Kernels, PackedLinear, Portable};

/// Rows and columns, some groups and a remainder.
const MOST: [usize; 2] = [96, 160];

/// Maps that contradict themselves, and lines of another number, are refused.
pub(crate) fn refusals<K: Subject>(_: K, seed: u32, mut room: Room<'_>) -> Result<(), Mismatch> {
    let draw = &mut Draw::new(seed);
    let shape = draw.shape(MOST, weights_of(&room));
    let [rows, columns] = shape;
    let (map, _) = plain::<i8>(draw, Limits::NONE, 7, shape, &mut room)?;
    let contrary = [
        (map, columns, 1),
        (map, columns + 1, 0),
        (map, 0, 0),
        (
            Rows {
                rows: rows + 1,
                ..map
            },
            columns,
            0,
        ),
        (
            Rows {
                weight: &map.weight[1..],
                ..map
            },
            columns,
            0,
        ),
        (
            Rows {
                multiplier: &map.multiplier[1..],
                ..map
            },
            columns,
            0,
        ),
        (
            Rows {
                shift: &map.shift[1..],
                ..map
            },
            columns,
            0,
        ),
        (
            Rows {
                bias: &map.multiplier[1..],
                ..map
            },
            columns,
            usize::from(rows == 1),
        ),
    ];
    let packed = room.lines(K::Linear::lines(rows, columns) + 1)?;
    let wide = room.lines(K::WideLinear::lines(rows, columns) + 1)?;
    let label = Label {
        kernel: "pack",
        shape: [rows, columns, 1],
    };
    for (case, (map, columns, more)) in contrary.into_iter().enumerate() {
        let packed = &mut packed[1 - more..];
        let wide = &mut wide[1 - more..];
        let taken = K::Linear::pack(map, columns, packed);
        label.equal("refused", case, 1, taken.is_none().into())?;
        let taken = K::WideLinear::pack(map, columns, wide);
        label.equal("refused of int16", case, 1, taken.is_none().into())?;
    }
    Ok(())
}

/// A weight of -128, which no image has, is refused or multiplied rightly.
pub(crate) fn least_weight<K: Subject>(
    kernels: K,
    seed: u32,
    mut room: Room<'_>,
) -> Result<(), Mismatch> {
    let draw = &mut Draw::new(seed);
    let shape = draw.shape(MOST, weights_of(&room));
    let [rows, columns] = shape;
    let (map, input) = plain::<i8>(draw, Limits::NONE, 7, shape, &mut room)?;
    let weight = room.take(map.weight.len())?;
    weight.copy_from_slice(map.weight);
    weight[draw.below(rows * columns)] = i8::MIN;
    let map = Rows { weight, ..map };
    let Some(packed) = kernels.map(map, columns, &mut room)? else {
        return Ok(());
    };
    let filled = room.take(K::padded(columns))?;
    fill_up(draw, input, |x| x ^ K::FLIP, filled);
    let acc = room.take(K::padded(rows))?;
    let mut out = Output::<i8>::new(&mut room, rows, K::padded(rows), 1)?;
    Portable.linear_i8::<false, 1>(map, [input], acc, [out.expected]);
    kernels.run(|| kernels.linear_i8::<false, 1>(packed, [filled], acc, [out.got()]));
    let label = Label {
        kernel: "linear_i8 with a weight of -128",
        shape: [rows, columns, 1],
    };
    out.check(label, "out", |x| x)
}

/// Lines that hold anything else give other numbers, and nothing is written behind these.
pub(crate) fn foreign_lines<K: Subject>(
    kernels: K,
    seed: u32,
    mut room: Room<'_>,
) -> Result<(), Mismatch> {
    let draw = &mut Draw::new(seed);
    let shape = draw.shape(MOST, weights_of(&room));
    let [rows, columns] = shape;
    let (map, input) = plain::<i8>(draw, Limits::NONE, 7, shape, &mut room)?;
    let lines =
        room.lines(K::Linear::lines(rows, columns).max(K::WideLinear::lines(rows, columns)))?;
    for line in &mut *lines {
        line.0.fill_with(|| draw.next() as u8);
    }
    let filled: &mut [i8] = room.take(K::padded(columns))?;
    fill_up(draw, input, |x| x ^ K::FLIP, filled);
    let wide: &mut [i16] = room.take(K::padded(columns))?;
    wide.fill(i16::MIN);
    let acc = room.take(K::padded(rows))?;
    let mut out = Output::<i8>::new(&mut room, 0, K::padded(rows), 1)?;
    let mut wide_out = Output::<i16>::new(&mut room, 0, K::padded(rows), 1)?;
    let label = Label {
        kernel: "a map of foreign lines",
        shape: [rows, columns, 1],
    };
    if let Some(map) = K::Linear::view(map, columns, &lines[..K::Linear::lines(rows, columns)]) {
        kernels.run(|| kernels.linear_i8::<false, 1>(map, [filled], acc, [out.got()]));
        out.check(label, "out", |x| x)?;
    }
    if let Some(map) =
        K::WideLinear::view(map, columns, &lines[..K::WideLinear::lines(rows, columns)])
    {
        kernels.run(|| kernels.wide_linear_i16(map, wide, acc, wide_out.got()));
        wide_out.check(label, "embedded", |x| x)?;
    }
    Ok(())
}
