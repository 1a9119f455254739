//! A queue of bytes between an interrupt and the main loop, without locks. (heapless' queue for two ends divides by a length that it
//! does not know at build time, which could panic.)

use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

/// Up to `N` bytes, `N` a power of two. One end puts, the other takes.
#[derive(Debug)]
pub struct Ring<const N: usize> {
    bytes: [AtomicU8; N],
    /// Bytes put and taken since the start; both wrap.
    put: AtomicUsize,
    taken: AtomicUsize,
}

impl<const N: usize> Ring<N> {
    /// An empty ring.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "for a static")]
    pub const fn new() -> Self {
        const { assert!(N.is_power_of_two()) };
        Self {
            bytes: [const { AtomicU8::new(0) }; N],
            put: AtomicUsize::new(0),
            taken: AtomicUsize::new(0),
        }
    }

    /// Bytes that wait.
    pub fn waiting(&self) -> usize {
        let taken = self.taken.load(Ordering::Acquire);
        self.put.load(Ordering::Acquire).wrapping_sub(taken)
    }

    /// Puts a byte at the end; false where there is no room.
    pub fn put(&self, byte: u8) -> bool {
        let put = self.put.load(Ordering::Relaxed);
        let place = self.bytes.get(put % N);
        let Some(place) = place.filter(|_| self.waiting() < N) else {
            return false;
        };
        place.store(byte, Ordering::Relaxed);
        self.put.store(put.wrapping_add(1), Ordering::Release);
        true
    }

    /// Takes the oldest byte.
    pub fn take(&self) -> Option<u8> {
        if self.waiting() == 0 {
            return None;
        }
        let taken = self.taken.load(Ordering::Relaxed);
        let byte = self.bytes.get(taken % N)?.load(Ordering::Relaxed);
        self.taken.store(taken.wrapping_add(1), Ordering::Release);
        Some(byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_order_and_says_when_it_is_full() {
        let ring = Ring::<4>::new();
        for round in 0..10_u8 {
            for byte in 0..4 {
                assert!(ring.put(round * 4 + byte));
            }
            assert!(!ring.put(99));
            assert_eq!(ring.waiting(), 4);
            for byte in 0..4 {
                assert_eq!(ring.take(), Some(round * 4 + byte));
            }
            assert_eq!(ring.take(), None);
        }
    }

    #[test]
    fn two_threads_lose_nothing() {
        static RING: Ring<8> = Ring::new();
        let bytes = || (0..50_000_u32).map(|number| ((number * 31) >> 3) as u8);
        let putting = std::thread::spawn(move || {
            for byte in bytes() {
                while !RING.put(byte) {
                    std::thread::yield_now();
                }
            }
        });
        for byte in bytes() {
            let taken = std::iter::repeat_with(|| RING.take()).find_map(|taken| {
                std::thread::yield_now();
                taken
            });
            assert_eq!(taken, Some(byte));
        }
        putting.join().expect("all put");
    }
}
