//! Everything random in a case, from its seed.

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
        if let Some([rows, _]) = self.swept {
            return rows.min(max);
        }
        self.any_length(max)
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
}
