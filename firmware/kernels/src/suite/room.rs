//! Memory that a case is made in.

use bytemuck::Pod;

use super::mismatch::Mismatch;
use crate::CacheLine;

/// Lines that are handed out from the front.
pub struct Room<'a> {
    rest: &'a mut [CacheLine],
}

impl<'a> Room<'a> {
    /// All of these lines.
    pub fn new(lines: &'a mut [CacheLine]) -> Self {
        Self { rest: lines }
    }

    /// Bytes that are left.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.rest)
    }

    /// So many numbers, whatever they are, aligned to a line.
    pub(super) fn take<T: Pod>(&mut self, count: usize) -> Result<&'a mut [T], Mismatch> {
        let lines = count.saturating_mul(size_of::<T>()).div_ceil(64);
        let lines = self.lines(lines)?;
        let numbers = bytemuck::cast_slice_mut(lines);
        numbers.get_mut(..count).ok_or(Mismatch::NO_ROOM)
    }

    /// So many lines.
    pub(super) fn lines(&mut self, count: usize) -> Result<&'a mut [CacheLine], Mismatch> {
        let rest = core::mem::take(&mut self.rest);
        let (taken, rest) = rest.split_at_mut_checked(count).ok_or(Mismatch::NO_ROOM)?;
        self.rest = rest;
        Ok(taken)
    }
}
