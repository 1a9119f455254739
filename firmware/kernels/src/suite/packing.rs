//! What packing refuses, and what becomes of lines that hold something else.

use super::subject::Subject;
use super::trial::{Mismatch, Output, Trial};
use crate::portable::Rows;
use crate::{Kernels, PackedLinear, Portable};

/// Rows and columns, some groups and a remainder.
const MOST: [usize; 2] = [96, 160];

/// Maps that contradict themselves, and lines of another number, are refused.
pub(crate) fn refusals<K: Subject>(mut trial: Trial<'_, K>) -> Result<(), Mismatch> {
    let [rows, columns] = trial.map_shape(MOST);
    let (map, _) = trial.plain::<i8>([rows, columns], 7)?;
    // The map, its columns, and how many lines there are too many.
    let mut contrary = [(map, columns, 0); 8];
    contrary[0].2 = 1;
    contrary[1].1 += 1;
    contrary[2].1 = 0;
    contrary[3].0.rows += 1;
    contrary[4].0.weight = &map.weight[1..];
    contrary[5].0.multiplier = &map.multiplier[1..];
    contrary[6].0.shift = &map.shift[1..];
    contrary[7].0.bias = &map.multiplier[1..];
    contrary[7].2 = usize::from(rows == 1);
    let packed = trial.lines(K::Linear::lines(rows, columns) + 1)?;
    let wide = trial.lines(K::WideLinear::lines(rows, columns) + 1)?;
    for (case, (map, columns, more)) in contrary.into_iter().enumerate() {
        let taken = K::Linear::pack(map, columns, &mut packed[1 - more..]);
        trial.equal("refused", case, true, taken.is_none())?;
        let taken = K::WideLinear::pack(map, columns, &mut wide[1 - more..]);
        trial.equal("refused of int16", case, true, taken.is_none())?;
    }
    Ok(())
}

/// A weight of -128, which no image has, is refused or multiplied rightly.
pub(crate) fn least_weight<K: Subject>(mut trial: Trial<'_, K>) -> Result<(), Mismatch> {
    let [rows, columns] = trial.map_shape(MOST);
    let (map, input) = trial.plain::<i8>([rows, columns], 7)?;
    let weight = trial.take(map.weight.len())?;
    weight.copy_from_slice(map.weight);
    weight[trial.draw.below(rows * columns)] = i8::MIN;
    let map = Rows { weight, ..map };
    let Some(packed) = trial.packed::<i8>(map, columns)? else {
        return Ok(());
    };
    let filled = trial.filled(input)?;
    let acc = trial.take(K::padded(rows))?;
    let mut out = trial.output::<i8>(rows, 1)?;
    Portable.linear_i8::<false, 1>(map, [input], acc, [out.expected]);
    let kernels = trial.kernels;
    kernels.run(|| kernels.linear_i8::<false, 1>(packed, [filled], acc, [out.got()]));
    out.check(&trial, "out", |x| x)
}

/// Lines that hold anything else give other numbers, and nothing is written behind these.
pub(crate) fn foreign_lines<K: Subject>(mut trial: Trial<'_, K>) -> Result<(), Mismatch> {
    let [rows, columns] = trial.map_shape(MOST);
    let kernels = trial.kernels;
    let (map, input) = trial.plain::<i8>([rows, columns], 7)?;
    let narrow = K::Linear::lines(rows, columns);
    let wide = K::WideLinear::lines(rows, columns);
    let lines = trial.lines(narrow.max(wide))?;
    for line in &mut *lines {
        line.0.fill_with(|| trial.draw.next() as u8);
    }
    let filled = trial.filled(input)?;
    let wide_input: &mut [i16] = trial.take(K::padded(columns))?;
    wide_input.fill(i16::MIN);
    let acc = trial.take(K::padded(rows))?;
    if let Some(map) = K::Linear::view(map, columns, &lines[..narrow]) {
        let mut out = Output::<i8>::new(&mut trial, 0, K::padded(rows), 1)?;
        kernels.run(|| kernels.linear_i8::<false, 1>(map, [filled], acc, [out.got()]));
        out.check(&trial, "out", |x| x)?;
    }
    if let Some(map) = K::WideLinear::view(map, columns, &lines[..wide]) {
        let mut out = Output::<i16>::new(&mut trial, 0, K::padded(rows), 1)?;
        kernels.run(|| kernels.wide_linear_i16(map, wide_input, acc, out.got()));
        out.check(&trial, "out of int16", |x| x)?;
    }
    Ok(())
}
