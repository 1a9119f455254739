//! Linear maps with an input, as the reference reads them and as kernels do.

use super::draw::Draw;
use super::mismatch::{Label, Mismatch};
use super::numbers::{Number, SHIFTS, bias, factor, fill, fill_rows};
use super::room::Room;
use super::subject::{Limits, Subject};
use crate::portable::Rows;
use crate::{matvec_i8, matvec_i16};

/// Bytes of a case for every weight: its own, packed as int16, and rows and columns that are filled up.
const BYTES_PER_WEIGHT: usize = 6;

/// An input of a map.
pub(super) trait Entry: Number + bytemuck::Pod {
    /// Whether maps of such inputs have biases.
    const BIASES: bool;
    fn product(weight: &[i8], input: &[Self], acc: &mut [i32]);
}

impl Entry for i8 {
    const BIASES: bool = true;
    fn product(weight: &[i8], input: &[Self], acc: &mut [i32]) {
        matvec_i8(weight, input, acc);
    }
}

impl Entry for i16 {
    const BIASES: bool = false;
    fn product(weight: &[i8], input: &[Self], acc: &mut [i32]) {
        matvec_i16(weight, input, acc);
    }
}

/// Weights that a room of this size has place for.
pub(super) fn weights_of(room: &Room<'_>) -> usize {
    room.bytes() / BYTES_PER_WEIGHT
}

/// A map and an input. Results that fit their type have some `bits`.
pub(super) fn plain<'a, T: Entry>(
    draw: &mut Draw,
    limits: Limits,
    bits: u32,
    [rows, columns]: [usize; 2],
    room: &mut Room<'a>,
) -> Result<(Rows<'a>, &'a [T]), Mismatch> {
    let weight = room.take(rows * columns)?;
    fill_rows(draw, columns, weight);
    let input = room.take(columns)?;
    fill(draw, input);
    let acc: &mut [i32] = room.take(rows)?;
    T::product(weight, input, acc);
    let biased = T::BIASES && !draw.once_in(6);
    let bias_bytes: &mut [[u8; 4]] = room.take(if biased { rows } else { 0 })?;
    let multiplier: &mut [[u8; 4]] = room.take(rows)?;
    let shift = room.take(rows)?;
    let kind = draw.below(8);
    let shifts = draw.one_of(&SHIFTS);
    // One shift that is not like the others sends a whole map another way.
    let odd = draw.once_in(4).then(|| draw.below(rows));
    let each = draw.once_in(2);
    let mut one = None;
    for (row, sum) in acc.iter_mut().enumerate() {
        let weight = &mut weight[row * columns..][..columns];
        let nothing = draw.once_in(32);
        if nothing {
            weight.fill(0);
            *sum = 0;
        }
        if let Some(place) = bias_bytes.get_mut(row) {
            let bias = match nothing {
                true => 0,
                false => bias(draw, kind, sum.unsigned_abs()),
            };
            let bias = bounded(bias, weight, limits);
            *sum = sum.wrapping_add(bias);
            *place = bias.to_le_bytes();
        }
        let typical = (sum.unsigned_abs(), bits);
        let shifts = if odd == Some(row) {
            draw.one_of(&SHIFTS)
        } else {
            shifts
        };
        let mut own = factor(draw, shifts, limits.shift, typical);
        if !each {
            own.shift = *one.get_or_insert(own.shift);
        }
        multiplier[row] = if nothing { 0 } else { own.multiplier }.to_le_bytes();
        shift[row] = own.shift;
    }
    let rows = Rows {
        rows,
        weight,
        bias: bias_bytes,
        multiplier,
        shift,
    };
    Ok((rows, input))
}

/// The bias, no larger than the limit of a row's sum leaves it.
fn bounded(bias: i32, weight: &[i8], limits: Limits) -> i32 {
    let sum = weight.iter().map(|weight| u64::from(weight.unsigned_abs()));
    let left = limits.sum.saturating_sub(1 + 127 * sum.sum::<u64>());
    let most = i32::try_from(left).unwrap_or(i32::MAX);
    if u64::from(bias.unsigned_abs()) <= left {
        bias
    } else {
        bias.clamp(-most, most)
    }
}

/// An input as kernels want it: filled up with numbers that must not matter.
pub(super) fn fill_up<T: Entry>(
    draw: &mut Draw,
    input: &[T],
    flip: impl Fn(T) -> T,
    out: &mut [T],
) {
    fill(draw, out);
    let (vector, rest) = out.split_at_mut(input.len());
    for (out, &entry) in vector.iter_mut().zip(input) {
        *out = flip(entry);
    }
    for entry in rest.iter_mut().step_by(3) {
        *entry = T::LEAST;
    }
}

/// A map of an int8 input, twice.
pub(super) struct Twice<'a, K: Subject> {
    pub(super) plain: Rows<'a>,
    pub(super) input: &'a [i8],
    pub(super) map: K::Linear<'a>,
    /// The input for `map`.
    pub(super) filled: &'a [i8],
    /// Room for sums.
    pub(super) acc: &'a mut [i32],
    pub(super) label: Label,
}

impl<'a, K: Subject> Twice<'a, K> {
    /// Of at most so many rows.
    pub(super) fn new(
        kernels: K,
        (kernel, rows_max, bits): (&'static str, usize, u32),
        draw: &mut Draw,
        room: &mut Room<'a>,
    ) -> Result<Self, Mismatch> {
        let [rows, columns] = draw.shape([rows_max, 512], weights_of(room));
        let label = Label {
            kernel,
            shape: [rows, columns, 1],
        };
        let (plain, input) = plain::<i8>(draw, K::LIMITS, bits, [rows, columns], room)?;
        let map = kernels.map(plain, columns, room)?;
        let map = map.ok_or(refused(label))?;
        let filled = room.take(K::padded(columns))?;
        fill_up(draw, input, |x| x ^ K::FLIP, filled);
        Ok(Self {
            plain,
            input,
            map,
            filled,
            acc: room.take(K::padded(rows))?,
            label,
        })
    }
}

/// A path did not take what it must take.
pub(super) fn refused(label: Label) -> Mismatch {
    Mismatch {
        kernel: label.kernel,
        what: "packed",
        shape: label.shape,
        place: 0,
        expected: 1,
        got: 0,
    }
}
