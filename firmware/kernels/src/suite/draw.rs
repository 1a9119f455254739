//! Everything random in a case, from its seed: shapes, and numbers of which some are those that go wrong.

use crate::Requant;

use super::maps::Entry;

/// Seeds below this have every number of rows up to [`SWEPT_ROWS`] with every number of columns up to
/// [`SWEPT_COLUMNS`].
pub const SWEEP: u32 = (SWEPT_ROWS * SWEPT_COLUMNS) as u32;
/// Beyond the largest group of rows that kernels compute together.
const SWEPT_ROWS: usize = 80;
const SWEPT_COLUMNS: usize = 40;

/// Lengths that policies have, and kernels have loops for.
const USUAL: [usize; 9] = [8, 16, 32, 64, 96, 128, 256, 384, 512];
/// Largest of the other lengths.
const UNUSUAL: usize = 200;

/// A generator of numbers (SplitMix64), the same for ever.
pub(super) struct Draw {
    state: u64,
    /// Of a seed of the sweep.
    swept: Option<[usize; 2]>,
}

impl Draw {
    pub(super) fn new(seed: u32) -> Self {
        let number = seed as usize;
        let swept = [1 + number % SWEPT_ROWS, 1 + number / SWEPT_ROWS];
        Self {
            state: u64::from(seed),
            swept: (seed < SWEEP).then_some(swept),
        }
    }

    pub(super) fn next(&mut self) -> u32 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 32) as u32
    }

    /// Less than `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        ((u64::from(self.next()) * end as u64) >> 32) as usize
    }

    pub(super) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// True once in so many times.
    pub(super) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// In `[-limit, limit]`.
    pub(super) fn integer(&mut self, limit: u32) -> i32 {
        let span = 2 * u64::from(limit) + 1;
        let offset = (u64::from(self.next()) * span) >> 32;
        (offset as i64 - i64::from(limit)) as i32
    }

    /// One length, at most `max`.
    pub(super) fn length(&mut self, max: usize) -> usize {
        match self.swept {
            Some([rows, _]) => rows.min(max),
            None => self.any_length(max),
        }
    }

    fn any_length(&mut self, max: usize) -> usize {
        if self.once_in(3) {
            self.one_of(&USUAL).min(max)
        } else {
            1 + self.below(UNUSUAL.min(max))
        }
    }

    /// Rows and columns, at most `max` each, and at most so many weights.
    pub(super) fn shape(&mut self, max: [usize; 2], weights: usize) -> [usize; 2] {
        let [rows, columns] = match self.swept {
            Some([rows, columns]) => [rows.min(max[0]), columns.min(max[1])],
            None => max.map(|max| self.any_length(max)),
        };
        [rows.min((weights / columns).max(1)), columns]
    }

    /// Window and width of a head, at most `max` each.
    pub(super) fn head(&mut self, max: [usize; 2]) -> [usize; 2] {
        match self.swept {
            Some([window, width]) => [window.min(max[0]), width.min(max[1])],
            None => {
                let width = self.one_of(&[4, 8, 16, 32, 64, 128, 1 + self.state as usize % 40]);
                [self.any_length(max[0]), width.min(max[1])]
            }
        }
    }

    /// Fills a vector, all of it in one manner.
    pub(super) fn fill<T: Entry>(&mut self, out: &mut [T]) {
        let zero = self.once_in(24);
        let manner = (!zero).then(|| self.below(12));
        let end = T::LIMIT as i32;
        let turn = self.below(2);
        for (index, out) in out.iter_mut().enumerate() {
            *out = T::of(match manner {
                Some(0..=4) => self.integer(T::LIMIT),
                Some(5 | 6) => self.one_of(&[-end, end]),
                Some(7) => end,
                Some(8) => -end,
                // Both ends by turns.
                Some(9) if index % 2 == turn => end,
                Some(9) => -end,
                // Zeros, and a few ends.
                Some(10) if self.once_in(9) => self.one_of(&[-end, end]),
                Some(11) => self.integer(1),
                _ => 0,
            });
        }
    }

    /// Fills the rows of a matrix, all in one manner or each in its own.
    pub(super) fn fill_rows(&mut self, columns: usize, out: &mut [i8]) {
        if self.once_in(2) {
            self.fill(out);
        } else {
            out.chunks_mut(columns).for_each(|row| self.fill(row));
        }
    }

    /// How shifts are chosen, for [`Draw::requant`].
    pub(super) fn shifts(&mut self) -> usize {
        self.below(10)
    }

    /// A factor of at least the shift `least`; where it fits, `typical` becomes a number of some `bits`.
    pub(super) fn requant(
        &mut self,
        shifts: usize,
        least: u8,
        (typical, bits): (u32, u32),
    ) -> Requant {
        let shift = match shifts {
            // So that results are of their type's size.
            0..=5 => {
                let size = 32 - typical.leading_zeros();
                (30 + size + self.below(5) as u32).saturating_sub(bits + 1) as u8
            }
            6 => 1 + self.below(62) as u8,
            // Where the upper half of a product begins to be enough.
            7 => 31 + self.below(4) as u8,
            8 => 33 + self.below(30) as u8,
            _ => 1 + self.below(32) as u8,
        };
        Requant {
            multiplier: self.multiplier(),
            shift: shift.clamp(least, 62),
        }
    }

    /// In `[2^30, 2^31)`, often at an end of it or of its halves.
    fn multiplier(&mut self) -> i32 {
        const LOWEST: i32 = 1 << 30;
        let near = self.below(4) as i32;
        match self.below(8) {
            0 => LOWEST + near,
            1 => i32::MAX - near,
            2 => (LOWEST | 0x8000) - 2 + near,
            3 => i32::MAX - 0x8001 + near,
            _ => LOWEST | (self.next() >> 2) as i32,
        }
    }

    /// The factor from the residual to an int8.
    pub(super) fn residual_requant(&mut self) -> Requant {
        let shifts = self.shifts();
        let typical = self.one_of(&[32_767, 32_767, 8_000, 300]);
        self.requant(shifts, 1, (typical, 7))
    }

    /// A bias of one of eight kinds; sums of `typical` size are what it is added to.
    pub(super) fn bias(&mut self, kind: usize, typical: u32) -> i32 {
        match kind {
            0 => 0,
            1 => self.integer(100),
            2 => self.integer(u32::MAX >> 1),
            3 => self.one_of(&[i32::MIN, i32::MIN + 1, i32::MAX, i32::MAX - 1]),
            _ => self.integer(typical),
        }
    }
}
