//! What a case says of a path that differs.

use core::fmt;

use bytemuck::Pod;

use super::room::Room;

/// The first number that is not that of the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Which function of the kernels.
    pub kernel: &'static str,
    /// Which of its results.
    pub what: &'static str,
    /// Of a map rows, columns, tokens; of attention heads, width, window; of a vector its length.
    pub shape: [usize; 3],
    /// Where in the result.
    pub place: usize,
    /// What the reference gives.
    pub expected: i64,
    /// What the path gives.
    pub got: i64,
}

impl Mismatch {
    /// The memory that was lent is too small.
    pub(super) const NO_ROOM: Self = Self {
        kernel: "any",
        what: "room for a case",
        shape: [0; 3],
        place: 0,
        expected: 1,
        got: 0,
    };
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kernel,
            what,
            shape,
            place,
            expected,
            got,
        } = self;
        write!(
            f,
            "{kernel} of shape {shape:?}: {what}[{place}] is {got}, but must be {expected}"
        )
    }
}

/// What is tested, for its mismatches.
#[derive(Clone, Copy)]
pub(super) struct Label {
    pub(super) kernel: &'static str,
    pub(super) shape: [usize; 3],
}

impl Label {
    /// Whether two results are the same.
    pub(super) fn same<T: Copy + Into<i64>>(
        self,
        what: &'static str,
        expected: impl IntoIterator<Item = T>,
        got: impl IntoIterator<Item = T>,
    ) -> Result<(), Mismatch> {
        for (place, (expected, got)) in expected.into_iter().zip(got).enumerate() {
            self.equal(what, place, expected.into(), got.into())?;
        }
        Ok(())
    }

    /// Whether two numbers are the same.
    pub(super) fn equal(
        self,
        what: &'static str,
        place: usize,
        expected: i64,
        got: i64,
    ) -> Result<(), Mismatch> {
        if expected == got {
            return Ok(());
        }
        Err(Mismatch {
            kernel: self.kernel,
            what,
            shape: self.shape,
            place,
            expected,
            got,
        })
    }
}

/// What a kernel writes, between the reference's result and numbers that nobody may write: one vector or several
/// of one length.
pub(super) struct Output<'a, T> {
    /// The reference's vectors one after the other.
    pub(super) expected: &'a mut [T],
    /// The kernel's, each filled up, and the guard.
    got: &'a mut [T],
    length: usize,
    padded: usize,
}

/// Numbers behind an output.
const GUARD: usize = 64;
/// Every byte of what nobody has written.
const UNTOUCHED: u8 = 0x5a;

impl<'a, T: Pod + Into<i64>> Output<'a, T> {
    /// Room for `count` vectors of `length` numbers, of which a kernel writes at most `padded`.
    pub(super) fn new(
        room: &mut Room<'a>,
        length: usize,
        padded: usize,
        count: usize,
    ) -> Result<Self, Mismatch> {
        let expected = room.take(length.saturating_mul(count))?;
        let got = room.take(padded.saturating_mul(count).saturating_add(GUARD))?;
        bytemuck::cast_slice_mut(&mut *got).fill(UNTOUCHED);
        Ok(Self {
            expected,
            got,
            length,
            padded,
        })
    }

    /// What the kernel gets.
    pub(super) fn got(&mut self) -> &mut [T] {
        let guard = self.got.len().saturating_sub(GUARD);
        &mut self.got[..guard]
    }

    /// The vectors that the reference writes and those that the kernel writes, each by itself.
    pub(super) fn vectors<const N: usize>(&mut self) -> ([&mut [T]; N], [&mut [T]; N]) {
        let mut expected = self.expected.chunks_exact_mut(self.length);
        let mut got = self.got.chunks_exact_mut(self.padded);
        (
            core::array::from_fn(|_| expected.next().unwrap_or_default()),
            core::array::from_fn(|_| got.next().unwrap_or_default()),
        )
    }

    /// Fills what the kernel gets, padding included, and gives the reference the same vectors.
    pub(super) fn start_with(&mut self, fill: impl FnOnce(&mut [T])) {
        fill(self.got());
        let expected = self.expected.chunks_exact_mut(self.length);
        for (expected, got) in expected.zip(self.got.chunks_exact(self.padded)) {
            expected.copy_from_slice(&got[..self.length]);
        }
    }

    /// Both have the same vectors once `read` has made numbers of the kernel's, and nothing lies behind.
    pub(super) fn check(
        &self,
        label: Label,
        what: &'static str,
        read: impl Fn(T) -> T,
    ) -> Result<(), Mismatch> {
        let got = self.got.chunks_exact(self.padded);
        let got = got.flat_map(|got| got.iter().take(self.length).map(|&got| read(got)));
        label.same(what, self.expected.iter().copied(), got)?;
        let behind = &self.got[self.got.len().saturating_sub(GUARD)..];
        let behind = bytemuck::cast_slice::<T, u8>(behind);
        let untouched = core::iter::repeat_n(UNTOUCHED, behind.len());
        label.same("what lies behind", untouched, behind.iter().copied())
    }
}
