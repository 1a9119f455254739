//! A case that is being run: its kernels, its random numbers and its memory; and what it says of kernels that differ.

use core::fmt;

use bytemuck::Pod;

use super::draw::Draw;
use super::subject::Subject;
use crate::CacheLine;

/// One case of one seed.
pub struct Trial<'a, K> {
    pub(super) kernels: K,
    pub(super) draw: Draw,
    /// Lines that are handed out from the front.
    room: &'a mut [CacheLine],
    case: &'static str,
    /// [`Mismatch::shape`]
    pub(super) shape: [usize; 3],
}

/// The first number that is not that of the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Which case.
    pub case: &'static str,
    /// Which of its results.
    pub what: &'static str,
    /// Of a map rows, columns, tokens; of attention heads, width, window; of a vector its length.
    pub shape: [usize; 3],
    /// Where in the result.
    pub index: usize,
    /// What the reference gives.
    pub expected: i64,
    /// What the kernels give.
    pub got: i64,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of shape {:?}: {}[{}] is {}, but must be {}",
            self.case, self.shape, self.what, self.index, self.got, self.expected
        )
    }
}

impl<'a, K: Subject> Trial<'a, K> {
    /// In all of these lines.
    pub(super) fn new(
        kernels: K,
        case: &'static str,
        seed: u32,
        room: &'a mut [CacheLine],
    ) -> Self {
        Self {
            kernels,
            draw: Draw::new(seed),
            room,
            case,
            shape: [0; 3],
        }
    }

    /// Bytes that are left.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.room)
    }

    /// So many lines.
    pub(super) fn lines(&mut self, count: usize) -> Result<&'a mut [CacheLine], Mismatch> {
        let room = core::mem::take(&mut self.room);
        let (taken, rest) =
            room.split_at_mut_checked(count)
                .ok_or(self.mismatch("room for a case", 0, 1, 0))?;
        self.room = rest;
        Ok(taken)
    }

    /// So many numbers, whatever they are, aligned to a line.
    pub(super) fn take<T: Pod>(&mut self, count: usize) -> Result<&'a mut [T], Mismatch> {
        let lines = self.lines(count.saturating_mul(size_of::<T>()).div_ceil(64))?;
        Ok(&mut bytemuck::cast_slice_mut(lines)[..count])
    }

    /// Room for `count` vectors of `length` numbers.
    pub(super) fn output<T: Pod + Into<i64>>(
        &mut self,
        length: usize,
        count: usize,
    ) -> Result<Output<'a, T>, Mismatch> {
        Output::new(self, length, K::padded(length), count)
    }

    /// Whether two results are the same.
    pub(super) fn same<T: Copy + Into<i64>>(
        &self,
        what: &'static str,
        expected: impl IntoIterator<Item = T>,
        got: impl IntoIterator<Item = T>,
    ) -> Result<(), Mismatch> {
        for (index, (expected, got)) in expected.into_iter().zip(got).enumerate() {
            self.equal(what, index, expected, got)?;
        }
        Ok(())
    }

    /// Whether two numbers are the same.
    pub(super) fn equal<T: Into<i64>>(
        &self,
        what: &'static str,
        index: usize,
        expected: T,
        got: T,
    ) -> Result<(), Mismatch> {
        let (expected, got) = (expected.into(), got.into());
        if expected == got {
            return Ok(());
        }
        Err(self.mismatch(what, index, expected, got))
    }

    pub(super) fn mismatch(
        &self,
        what: &'static str,
        index: usize,
        expected: i64,
        got: i64,
    ) -> Mismatch {
        Mismatch {
            case: self.case,
            what,
            shape: self.shape,
            index,
            expected,
            got,
        }
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
    pub(super) fn new<K: Subject>(
        trial: &mut Trial<'a, K>,
        length: usize,
        padded: usize,
        count: usize,
    ) -> Result<Self, Mismatch> {
        let expected = trial.take(length.saturating_mul(count))?;
        let got = trial.take(padded.saturating_mul(count).saturating_add(GUARD))?;
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
    pub(super) fn check<K: Subject>(
        &self,
        trial: &Trial<'_, K>,
        what: &'static str,
        read: impl Fn(T) -> T,
    ) -> Result<(), Mismatch> {
        let got = self.got.chunks_exact(self.padded);
        let got = got.flat_map(|got| got.iter().take(self.length).map(|&got| read(got)));
        trial.same(what, self.expected.iter().copied(), got)?;
        let behind = &self.got[self.got.len().saturating_sub(GUARD)..];
        let behind = bytemuck::cast_slice::<T, u8>(behind);
        let untouched = core::iter::repeat_n(UNTOUCHED, behind.len());
        trial.same("what lies behind", untouched, behind.iter().copied())
    }
}
