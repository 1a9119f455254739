//! What a policy keeps from step to step, taken out of its memory and put back: on a host, one [`Memory`] serves many.
//!
//! A `Memory` has room for every image that there may be, and the buffers of a step. What one policy keeps is some
//! hundredth of that.

use super::{Memory, Policy};

/// Bytes of a number that says where the window stands.
const NUMBER: usize = size_of::<u16>();

/// Bytes of a memory that later steps read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) keys: usize,
    pub(super) values: usize,
    /// Embedded working memories, `slot` only.
    pub(super) slots: usize,
}

impl Kept {
    /// All of them.
    pub(super) const fn bytes(self) -> usize {
        self.keys
            .saturating_add(self.values)
            .saturating_add(self.slots)
    }
}

impl Policy<'_> {
    /// Bytes that persist from step to step: keys and values as the backend lays them out, or the ring of embedded working
    /// memories of a `slot` policy, whose keys and values are computed anew in every step.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        self.kept().bytes()
    }

    /// Bytes that [`Policy::store`] writes: the state, and where the window stands.
    #[must_use]
    pub fn stored_bytes(&self) -> usize {
        self.state_bytes().saturating_add(2 * NUMBER)
    }

    /// Writes what `memory` keeps of this policy to `stored`, of [`Policy::stored_bytes`]; of fewer bytes it fills what there is.
    pub fn store(&self, memory: &Memory, stored: &mut [u8]) {
        let Kept {
            keys,
            values,
            slots,
        } = self.kept();
        let (stand, rest) = halves_mut(stored, 2 * NUMBER);
        // Neither is more than the largest window, 512.
        let numbers = [memory.next, memory.filled].map(|number| (number as u16).to_le_bytes());
        for (to, from) in stand.iter_mut().zip(numbers.as_flattened()) {
            *to = *from;
        }
        let (to_keys, rest) = halves_mut(rest, keys);
        let (to_values, to_slots) = halves_mut(rest, values);
        for (to, from) in to_keys.iter_mut().zip(&memory.keys.0) {
            *to = from.cast_unsigned();
        }
        for (to, from) in to_values.iter_mut().zip(&memory.values.0) {
            *to = from.cast_unsigned();
        }
        let (to_slots, _) = halves_mut(to_slots, slots);
        for (to, from) in to_slots.chunks_exact_mut(2).zip(&memory.slots) {
            for (to, from) in to.iter_mut().zip(from.to_le_bytes()) {
                *to = from;
            }
        }
    }

    /// Puts back what [`Policy::store`] wrote, into a memory that may have served another since. Zeros are an empty memory.
    pub fn load(&self, stored: &[u8], memory: &mut Memory) {
        let Kept {
            keys,
            values,
            slots,
        } = self.kept();
        let (stand, rest) = halves(stored, 2 * NUMBER);
        let mut numbers = stand
            .as_chunks::<NUMBER>()
            .0
            .iter()
            .map(|&number| usize::from(u16::from_le_bytes(number)));
        memory.next = numbers.next().unwrap_or(0);
        memory.filled = numbers.next().unwrap_or(0);
        let (from_keys, rest) = halves(rest, keys);
        let (from_values, from_slots) = halves(rest, values);
        for (to, from) in memory.keys.0.iter_mut().zip(from_keys) {
            *to = from.cast_signed();
        }
        for (to, from) in memory.values.0.iter_mut().zip(from_values) {
            *to = from.cast_signed();
        }
        let (from_slots, _) = halves(from_slots, slots);
        for (to, &from) in memory.slots.iter_mut().zip(from_slots.as_chunks().0) {
            *to = i16::from_le_bytes(from);
        }
    }
}

/// The first `bytes` and the rest, or all and nothing.
fn halves(all: &[u8], bytes: usize) -> (&[u8], &[u8]) {
    all.split_at_checked(bytes).unwrap_or((all, &[]))
}

fn halves_mut(all: &mut [u8], bytes: usize) -> (&mut [u8], &mut [u8]) {
    let bytes = bytes.min(all.len());
    all.split_at_mut_checked(bytes).unwrap_or_default()
}
