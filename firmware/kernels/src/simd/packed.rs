//! The packed layout of a linear map, the same for all vector instructions but for the constants of [`PackedLayout`].
//!
//! Rows lie in blocks of as many as a register has i32, blocks in groups whose lines alternate: so a product reads one
//! line after the other. A map starts with a line that says how far its accumulators are scaled up. Every group of `G`
//! blocks follows: `G` lines of biases, `G` of multipliers, the shifts, then for every four columns (two of an int16
//! input, whose weights are widened) `G` lines with four bytes of each row.

use core::marker::PhantomData;

use bytemuck::Pod;

use crate::portable::Rows;
use crate::{CacheLine, PackedLinear};

/// Columns of an int8 input in four bytes.
pub(crate) const QUAD: usize = 4;
/// Columns of an int16 input in four bytes.
pub(crate) const PAIR: usize = 2;

/// By how much accumulators are scaled up, so that the upper half of a product is enough: `x * 2^k`
/// times `m / 2^(s+k)` is `x` times `m / 2^s`, rounding included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prescale(pub(crate) u8);

/// How kernels read a packed map with `COLUMNS` columns in four bytes.
pub trait PackedLayout<const COLUMNS: usize>: Copy {
    /// As many bytes as a block has of a column: four of each row.
    type CacheLine: Pod;
    /// Rows of a block.
    const ROWS: usize = size_of::<Self::CacheLine>() / 4;
    /// Blocks of a group: as many groups as possible of the first size, the rest of the others. The last is 1.
    const GROUPS: &'static [usize];
    /// Blocks whose shifts share a line.
    const SHIFTS: usize = 1;
    /// Lines of a block that a product reads in one go; columns are filled up with zeros to as many.
    const RUN: usize = 1;
    /// What is added to an input where kernels multiply unsigned numbers, and taken off the biases for that.
    const INPUT_OFFSET: i32 = 0;
    /// The least weight that the kernels multiply rightly.
    const LEAST_WEIGHT: i8 = i8::MIN;
    /// From this shift on, the upper half of a product is enough.
    const HIGH_SHIFT: u8;
    /// What stands for the shift of rows that only fill up a block.
    const NO_SHIFT: i32 = 0;

    /// How the upper half of a product is made enough for a map with this least shift and sums of at most this
    /// magnitude. `None`: it is not.
    fn prescale(least: u8, magnitude: u64) -> Option<Prescale>;

    /// What stands for a shift.
    fn shift(shift: u8, prescale: Option<Prescale>) -> i32;

    /// Block and lane of a row of a group with so many blocks.
    fn place(row: usize, _blocks: usize) -> (usize, usize) {
        (row / Self::ROWS, row % Self::ROWS)
    }

    /// Which byte of a line has the weight of this lane and column.
    fn byte(lane: usize, column: usize) -> usize {
        4 * lane + 4 / COLUMNS * column
    }
}

/// A packed map of an int8 input.
pub(crate) type Linear<'a, L> = Packed<'a, L, QUAD>;
/// A packed map of an int16 input.
pub(crate) type WideLinear<'a, L> = Packed<'a, L, PAIR>;

/// A packed map with `COLUMNS` columns in four bytes.
#[derive(Clone, Copy)]
pub struct Packed<'a, L: PackedLayout<COLUMNS>, const COLUMNS: usize> {
    /// The groups.
    pub(crate) lines: &'a [L::CacheLine],
    /// Blocks of rows.
    pub(crate) blocks: usize,
    /// Runs of lines of weights of one block.
    pub(crate) depth: usize,
    /// How the upper half of a product is made enough, where it can be.
    pub(crate) prescale: Option<Prescale>,
    layout: PhantomData<L>,
}

impl<L: PackedLayout<COLUMNS>, const COLUMNS: usize> Packed<'_, L, COLUMNS> {
    /// Bytes of a line.
    const LINE: usize = size_of::<L::CacheLine>();

    /// Blocks and runs of lines of so many rows and columns.
    const fn size(rows: usize, columns: usize) -> (usize, usize) {
        (rows.div_ceil(L::ROWS), columns.div_ceil(COLUMNS * L::RUN))
    }

    /// How many groups of which size there are of so many blocks.
    fn groups(blocks: usize) -> impl Iterator<Item = (usize, usize)> {
        L::GROUPS.iter().scan(blocks, |left, &size| {
            let count = *left / size;
            *left %= size;
            Some((count, size))
        })
    }

    /// Lines of a group before its weights.
    const fn header(blocks: usize) -> usize {
        2 * blocks + blocks.div_ceil(L::SHIFTS)
    }

    /// Puts a row of a map at its places in a group.
    fn pack_row(row: &Row<'_>, shift: i32, group: &mut [u8], blocks: usize, place: (usize, usize)) {
        let (block, lane) = place;
        let mut put = |line: usize, byte: usize, bytes: &[u8]| {
            let places = group.iter_mut().skip(Self::LINE * line + byte);
            for (place, &byte) in places.zip(bytes) {
                *place = byte;
            }
        };
        let of_shift = 4 / L::SHIFTS;
        let offset = row.sum().wrapping_mul(L::INPUT_OFFSET);
        put(
            block,
            4 * lane,
            &row.bias.wrapping_sub(offset).to_le_bytes(),
        );
        put(blocks + block, 4 * lane, &row.multiplier.to_le_bytes());
        let shifts = of_shift * (L::ROWS * block + lane);
        put(2 * blocks, shifts, shift.to_le_bytes().split_at(of_shift).0);
        for (column, &weight) in row.weight.iter().enumerate() {
            let line = Self::header(blocks) + column / COLUMNS * blocks + block;
            let weight = i16::from(weight).to_le_bytes();
            let weight = weight.split_at(4 / COLUMNS).0;
            put(line, L::byte(lane, column % COLUMNS), weight);
        }
    }
}

impl<'a, L: PackedLayout<COLUMNS>, const COLUMNS: usize> PackedLinear<'a>
    for Packed<'a, L, COLUMNS>
{
    fn lines(rows: usize, columns: usize) -> usize {
        let (blocks, depth) = Self::size(rows, columns);
        let of_block = depth.saturating_mul(L::RUN).saturating_add(2);
        // Seldom asked for, yet once a step for every map: no sum where the shifts of every block have a line.
        let shifts = match L::SHIFTS {
            1 => blocks,
            _ => Self::groups(blocks).fold(0, |lines, (count, size)| {
                lines + count * size.div_ceil(L::SHIFTS)
            }),
        };
        let lines = blocks.saturating_mul(of_block).saturating_add(shifts);
        let per_line = size_of::<CacheLine>() / Self::LINE;
        lines.saturating_add(1).div_ceil(per_line)
    }

    fn view(map: Rows<'a>, columns: usize, lines: &'a [CacheLine]) -> Option<Self> {
        if columns == 0 || lines.len() != Self::lines(map.rows, columns) {
            return None;
        }
        let (blocks, depth) = Self::size(map.rows, columns);
        let (first, lines) =
            bytemuck::cast_slice::<CacheLine, L::CacheLine>(lines).split_first()?;
        let prescale = bytemuck::bytes_of(first).first()?.checked_sub(1);
        Some(Self {
            lines,
            blocks,
            depth,
            prescale: prescale.map(Prescale),
            layout: PhantomData,
        })
    }

    fn pack(map: Rows<'_>, columns: usize, lines: &mut [CacheLine]) -> Option<()> {
        let fits = columns > 0
            && map.weight.len() == map.rows.checked_mul(columns)?
            && (map.bias.is_empty() || map.bias.len() == map.rows)
            && map.multiplier.len() == map.rows
            && map.shift.len() == map.rows
            && lines.len() == Self::lines(map.rows, columns)
            && map.weight.iter().all(|&weight| weight >= L::LEAST_WEIGHT);
        if !fits {
            return None;
        }
        let mut rows = Row::all(&map, columns, L::HIGH_SHIFT);
        let prescale = {
            // The largest magnitude of an input.
            let input = 1 << (32 / COLUMNS - 1);
            let (mut least, mut most) = (L::HIGH_SHIFT, 0);
            for row in rows.clone() {
                least = least.min(row.shift);
                most = most.max(row.magnitude(input));
            }
            L::prescale(least, most)
        };
        lines.fill(CacheLine::ZERO);
        let bytes = bytemuck::cast_slice_mut::<CacheLine, u8>(lines);
        let (first, mut bytes) = bytes.split_at_mut_checked(Self::LINE)?;
        *first.first_mut()? = prescale.map_or(0, |prescale| prescale.0.saturating_add(1));
        let (blocks, depth) = Self::size(map.rows, columns);
        let sizes =
            Self::groups(blocks).flat_map(|(count, size)| core::iter::repeat_n(size, count));
        for blocks in sizes {
            let lines = Self::header(blocks) + depth * L::RUN * blocks;
            let (group, rest) = bytes.split_at_mut_checked(Self::LINE * lines)?;
            bytes = rest;
            for row in 0..L::ROWS * blocks {
                let place = L::place(row, blocks);
                match rows.next() {
                    Some(row) => {
                        let shift = L::shift(row.shift, prescale);
                        Self::pack_row(&row, shift, group, blocks, place);
                    }
                    None => Self::pack_row(&Row::NONE, L::NO_SHIFT, group, blocks, place),
                }
            }
        }
        Some(())
    }
}

/// One row of a map.
struct Row<'a> {
    bias: i32,
    multiplier: i32,
    shift: u8,
    weight: &'a [i8],
}

impl<'a> Row<'a> {
    /// A row that only fills up a block.
    const NONE: Self = Self {
        bias: 0,
        multiplier: 0,
        shift: 0,
        weight: &[],
    };

    /// All rows. One of zeros gives 0 whatever it is shifted by: by `high`.
    fn all(map: &Rows<'a>, columns: usize, high: u8) -> impl Iterator<Item = Self> + Clone {
        let biases = map.bias.iter().copied().map(i32::from_le_bytes);
        let biases = biases.chain(core::iter::repeat(0));
        let multipliers = map.multiplier.iter().copied().map(i32::from_le_bytes);
        let rows = map.weight.chunks_exact(columns).zip(biases);
        let factors = multipliers.zip(map.shift);
        rows.zip(factors)
            .map(move |((weight, bias), (multiplier, &shift))| Self {
                bias,
                multiplier,
                shift: if multiplier == 0 { high } else { shift },
                weight,
            })
    }

    /// The sum of its weights.
    fn sum(&self) -> i32 {
        let weights = self.weight.iter().map(|&weight| i32::from(weight));
        weights.fold(0, i32::wrapping_add)
    }

    /// Largest magnitude of its products' sum for inputs of at most `input`.
    fn magnitude(&self, input: u64) -> u64 {
        let weights = self.weight.iter();
        let weights = weights.map(|weight| u64::from(weight.unsigned_abs()));
        let sum = weights.fold(0, u64::wrapping_add).wrapping_mul(input);
        sum.wrapping_add(u64::from(self.bias.unsigned_abs()))
    }
}
