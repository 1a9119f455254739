//! Linear maps with inputs, as the reference reads them and as kernels do.

use bytemuck::Pod;

use super::subject::{Limits, Subject};
use super::trial::{Mismatch, Trial};
use crate::portable::Rows;
use crate::{PackedLinear, matvec};

/// Bytes of a case for every weight: its own, packed as int16, and rows and columns that are filled up.
const BYTES_PER_WEIGHT: usize = 6;

/// An entry of a map's input.
pub(super) trait Entry: Pod + Into<i32> + Into<i64> {
    /// Largest magnitude.
    const LIMIT: u32;
    /// What no activation is.
    const LEAST: Self;
    /// Whether it is an int16, whose maps have no biases.
    const WIDE: bool;
    /// Maps of such inputs as kernels read them.
    type Map<'a, K: Subject>: PackedLinear<'a>;
    fn of(x: i32) -> Self;
    /// As the kernels `K` want it.
    fn flip<K: Subject>(self) -> Self;
}

impl Entry for i8 {
    const LIMIT: u32 = 127;
    const LEAST: Self = Self::MIN;
    const WIDE: bool = false;
    type Map<'a, K: Subject> = K::Linear<'a>;

    fn of(x: i32) -> Self {
        x as Self
    }

    fn flip<K: Subject>(self) -> Self {
        self ^ K::FLIP
    }
}

impl Entry for i16 {
    const LIMIT: u32 = 32_767;
    const LEAST: Self = Self::MIN;
    const WIDE: bool = true;
    type Map<'a, K: Subject> = K::WideLinear<'a>;

    fn of(x: i32) -> Self {
        x as Self
    }

    fn flip<K: Subject>(self) -> Self {
        self
    }
}

/// A map, twice, with the inputs of `T` tokens.
pub(super) struct Twice<'a, K: Subject, E: Entry, const T: usize> {
    pub(super) plain: Rows<'a>,
    pub(super) inputs: [&'a [E]; T],
    pub(super) map: E::Map<'a, K>,
    /// The inputs for `map`.
    pub(super) filled: [&'a [E]; T],
    /// Room for accumulators.
    pub(super) acc: &'a mut [i32],
}

impl<'a, K: Subject> Trial<'a, K> {
    /// Weights that there is room for.
    pub(super) fn weights(&self) -> usize {
        self.bytes() / BYTES_PER_WEIGHT
    }

    /// Rows and columns, at most `max` each, which become the case's shape.
    pub(super) fn map_shape(&mut self, max: [usize; 2]) -> [usize; 2] {
        let shape = self.draw.shape(max, self.weights());
        self.shape = [shape[0], shape[1], 1];
        shape
    }

    /// A map of a shape, and inputs. Results that fit their type have some `bits`.
    pub(super) fn twice<E: Entry, const T: usize>(
        &mut self,
        shape: [usize; 2],
        bits: u32,
    ) -> Result<Twice<'a, K, E, T>, Mismatch> {
        let (plain, input) = self.plain::<E>(shape, bits)?;
        let map = self.packed::<E>(plain, shape[1])?;
        // They took not what they must take.
        let map = map.ok_or(self.mismatch("packed", 0, 1, 0))?;
        let (mut inputs, mut filled) = ([input; T], [self.filled(input)?; T]);
        let acc = self.take(K::padded(shape[0]))?;
        for (input, filled) in inputs.iter_mut().zip(&mut filled).skip(1) {
            let own = self.take(input.len())?;
            self.draw.fill(own);
            *input = own;
            *filled = self.filled(input)?;
        }
        Ok(Twice {
            plain,
            inputs,
            map,
            filled,
            acc,
        })
    }

    /// The map as the kernels read it; `None`: they refuse it.
    pub(super) fn packed<E: Entry>(
        &mut self,
        plain: Rows<'a>,
        columns: usize,
    ) -> Result<Option<E::Map<'a, K>>, Mismatch> {
        let Some(map) = K::of_image(self, plain, columns, E::WIDE)? else {
            return Ok(None);
        };
        let lines = self.lines(E::Map::<'a, K>::lines(map.rows, columns))?;
        let packed = E::Map::<'a, K>::pack(map, columns, lines);
        Ok(packed.and_then(|()| PackedLinear::view(map, columns, lines)))
    }

    /// An input as kernels want it: filled up with numbers that must not matter.
    pub(super) fn filled<E: Entry>(&mut self, input: &[E]) -> Result<&'a [E], Mismatch> {
        let out: &'a mut [E] = self.take(K::padded(input.len()))?;
        self.draw.fill(out);
        let (vector, rest) = out.split_at_mut(input.len());
        for (out, entry) in vector.iter_mut().zip(input) {
            *out = entry.flip::<K>();
        }
        rest.iter_mut()
            .step_by(3)
            .for_each(|entry| *entry = E::LEAST);
        Ok(out)
    }

    /// A map as the reference reads it, and an input.
    pub(super) fn plain<E: Entry>(
        &mut self,
        [rows, columns]: [usize; 2],
        bits: u32,
    ) -> Result<(Rows<'a>, &'a [E]), Mismatch> {
        let limits = if E::WIDE { Limits::NONE } else { K::LIMITS };
        let weight = self.take(rows * columns)?;
        self.draw.fill_rows(columns, weight);
        let input = self.take(columns)?;
        self.draw.fill(input);
        let acc: &mut [i32] = self.take(rows)?;
        matvec(weight, input, acc);
        let biased = !E::WIDE && !self.draw.once_in(6);
        let biases: &mut [[u8; 4]] = self.take(if biased { rows } else { 0 })?;
        let multipliers: &mut [[u8; 4]] = self.take(rows)?;
        let shift = self.take(rows)?;
        let draw = &mut self.draw;
        let kind = draw.below(8);
        let shifts = draw.shifts();
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
            if let Some(place) = biases.get_mut(row) {
                let bias = match nothing {
                    true => 0,
                    false => draw.bias(kind, sum.unsigned_abs()),
                };
                let bias = bounded(bias, weight, limits);
                *sum = sum.wrapping_add(bias);
                *place = bias.to_le_bytes();
            }
            let shifts = match odd == Some(row) {
                true => draw.shifts(),
                false => shifts,
            };
            let mut own = draw.requant(shifts, limits.shift, (sum.unsigned_abs(), bits));
            if !each {
                own.shift = *one.get_or_insert(own.shift);
            }
            multipliers[row] = if nothing { 0 } else { own.multiplier }.to_le_bytes();
            shift[row] = own.shift;
        }
        let map = Rows {
            rows,
            weight,
            bias: biases,
            multiplier: multipliers,
            shift,
        };
        Ok((map, input))
    }
}

/// The bias, no larger than the limit of a row's sum leaves it.
fn bounded(bias: i32, weight: &[i8], limits: Limits) -> i32 {
    let sum = weight.iter().map(|weight| u64::from(weight.unsigned_abs()));
    let left = limits.sum.saturating_sub(1 + 127 * sum.sum::<u64>());
    let left = i64::try_from(left).unwrap_or(i64::MAX);
    i64::from(bias).clamp(-left, left) as i32
}
