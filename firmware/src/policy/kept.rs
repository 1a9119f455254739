//! What a policy keeps from step to step, taken out of its memory and put back: on a host, one [`Memory`] serves many.
//!
//! A host's `Memory` has room for every image that there may be, and the buffers of a step. What one policy keeps is some
//! hundredth of that.

use super::{Memory, Policy};

/// Bytes of a number that says where the window stands.
const NUMBER: usize = size_of::<u16>();

impl Policy<'_> {
    /// Bytes that persist from step to step: keys and values as the backend lays them out, or the ring of embedded working
    /// memories of a `slot` policy, whose keys and values are computed anew in every step.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        self.cache().kept_bytes()
    }

    /// Bytes of cache that a memory must have for this policy.
    #[must_use]
    pub fn cache_bytes(&self) -> usize {
        self.cache().all()
    }

    /// Bytes that [`Policy::store`] writes: the state, and where the window stands.
    #[must_use]
    pub fn stored_bytes(&self) -> usize {
        self.state_bytes().saturating_add(2 * NUMBER)
    }

    /// Writes what `memory` keeps of this policy to `stored`, of [`Policy::stored_bytes`]; of fewer bytes it fills what there is.
    pub fn store(&self, memory: &mut Memory, stored: &mut [u8]) {
        // Neither is more than the largest window, 512.
        let numbers = [memory.next, memory.filled].map(|number| (number as u16).to_le_bytes());
        let (to_numbers, mut rest) = halves_mut(stored, 2 * NUMBER);
        for (to, from) in to_numbers.iter_mut().zip(numbers.as_flattened()) {
            *to = *from;
        }
        for part in self.kept_parts(memory) {
            let to;
            (to, rest) = halves_mut(rest, part.len());
            for (to, from) in to.iter_mut().zip(part) {
                *to = from.cast_unsigned();
            }
        }
    }

    /// Puts back what [`Policy::store`] wrote, into a memory that may have served another since. Zeros are an empty memory.
    pub fn load(&self, stored: &[u8], memory: &mut Memory) {
        let (numbers, mut rest) = halves(stored, 2 * NUMBER);
        let mut numbers = numbers
            .as_chunks::<NUMBER>()
            .0
            .iter()
            .map(|&number| usize::from(u16::from_le_bytes(number)));
        memory.next = numbers.next().unwrap_or(0);
        memory.filled = numbers.next().unwrap_or(0);
        for part in self.kept_parts(memory) {
            let from;
            (from, rest) = halves(rest, part.len());
            for (to, from) in part.iter_mut().zip(from) {
                *to = from.cast_signed();
            }
        }
    }

    /// The parts of the cache that later steps read, in the order in which they are stored.
    fn kept_parts<'m>(&self, memory: &'m mut Memory) -> [&'m mut [i8]; 3] {
        let cache = self.cache();
        let [slots, keys, values] = cache.kept();
        let Some(parts) = memory.parts(cache) else {
            return [&mut [], &mut [], &mut []];
        };
        [
            parts.slots.get_mut(..slots).unwrap_or_default(),
            parts.keys.get_mut(..keys).unwrap_or_default(),
            parts.values.get_mut(..values).unwrap_or_default(),
        ]
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
