//! The transmit queue: frames that wait until the line takes them. Nothing here waits.
//!
//! Answers and telemetry (actions in real time, log lines) wait in rings of their own, so that a flood of the one
//! never takes the room of the other. Answers go first. What finds no room is dropped and counted:
//! a host that misses an answer asks again, and one that misses telemetry reads the next.

use engram_link::limits::MAX_FRAME_BYTES;
use heapless::Deque;

/// Bytes of each ring: two of the longest frames, which is about 30 actions of a small robot.
const RING_BYTES: usize = 2 * MAX_FRAME_BYTES;

/// What a frame is, for the order in which it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Kind {
    /// Somebody asked for it.
    Answer,
    /// It comes unasked.
    Telemetry,
}

/// The frames of one kind.
#[derive(Debug, Clone)]
struct Ring {
    bytes: Deque<u8, RING_BYTES>,
    /// Frames that found no room; wraps.
    dropped: u32,
}

impl Ring {
    const EMPTY: Self = Self {
        bytes: Deque::new(),
        dropped: 0,
    };

    const fn room(&self) -> usize {
        RING_BYTES.saturating_sub(self.bytes.len())
    }
}

/// Whole frames on their way to the line. See the module's text.
#[derive(Debug, Clone)]
pub struct TransmitQueue {
    answers: Ring,
    telemetry: Ring,
    /// The ring whose front frame the line has taken a part of.
    begun: Option<Kind>,
}

impl TransmitQueue {
    /// An empty queue.
    pub const fn new() -> Self {
        Self {
            answers: Ring::EMPTY,
            telemetry: Ring::EMPTY,
            begun: None,
        }
    }

    /// Takes one frame, final zero included; dropped and counted if there is no room.
    pub fn push(&mut self, kind: Kind, frame: &[u8]) {
        let ring = self.ring_mut(kind);
        if frame.len() > ring.room() {
            ring.dropped = ring.dropped.wrapping_add(1);
            return;
        }
        for byte in frame {
            let _ = ring.bytes.push_back(*byte);
        }
    }

    /// Whether a frame of any length finds room.
    pub const fn has_room(&self, kind: Kind) -> bool {
        self.ring(kind).room() >= MAX_FRAME_BYTES
    }

    /// The bytes that the line shall take next, of one frame; empty when nothing waits.
    pub fn front(&self) -> &[u8] {
        // Those that lie side by side in the ring.
        let (bytes, _) = self.ring(self.next()).bytes.as_slices();
        let mut frames = bytes.split_inclusive(|byte| *byte == 0);
        frames.next().unwrap_or_default()
    }

    /// The line took the first `count` bytes of [`TransmitQueue::front`].
    pub fn taken(&mut self, count: usize) {
        let (kind, count) = (self.next(), count.min(self.front().len()));
        let ring = self.ring_mut(kind);
        let mut last = None;
        for _ in 0..count {
            last = ring.bytes.pop_front();
        }
        self.begun = match last {
            None => self.begun,
            Some(0) => None,
            Some(_) => Some(kind),
        };
    }

    /// Frames that found no room; the counter wraps.
    pub const fn dropped(&self, kind: Kind) -> u32 {
        self.ring(kind).dropped
    }

    /// A frame that was begun goes on; then answers go first.
    fn next(&self) -> Kind {
        match self.begun {
            Some(kind) => kind,
            None if self.answers.bytes.is_empty() => Kind::Telemetry,
            None => Kind::Answer,
        }
    }

    const fn ring(&self, kind: Kind) -> &Ring {
        match kind {
            Kind::Answer => &self.answers,
            Kind::Telemetry => &self.telemetry,
        }
    }

    const fn ring_mut(&mut self, kind: Kind) -> &mut Ring {
        match kind {
            Kind::Answer => &mut self.answers,
            Kind::Telemetry => &mut self.telemetry,
        }
    }
}

impl Default for TransmitQueue {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn take_all(queue: &mut TransmitQueue, most: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while !queue.front().is_empty() {
            let count = queue.front().len().min(most);
            bytes.extend_from_slice(&queue.front()[..count]);
            queue.taken(count);
        }
        bytes
    }

    #[test]
    fn answers_overtake_telemetry_but_never_cut_a_frame_in_two() {
        let mut queue = TransmitQueue::new();
        queue.push(Kind::Telemetry, &[1, 1, 1, 0]);
        queue.push(Kind::Telemetry, &[2, 2, 0]);
        assert_eq!(queue.front(), [1, 1, 1, 0]);
        queue.taken(2);
        queue.push(Kind::Answer, &[9, 9, 0]);
        assert_eq!(take_all(&mut queue, 2), [1, 0, 9, 9, 0, 2, 2, 0]);
    }

    #[test]
    fn a_line_that_takes_nothing_loses_whole_frames_and_counts_them() {
        let mut queue = TransmitQueue::new();
        let frame = [[7; 99].as_slice(), &[0]].concat();
        for _ in 0..1_000 {
            queue.push(Kind::Telemetry, &frame);
        }
        queue.push(Kind::Answer, &[9, 0]);
        let kept = RING_BYTES / 100;
        assert_eq!(
            (queue.dropped(Kind::Telemetry), queue.dropped(Kind::Answer)),
            (1_000 - kept as u32, 0)
        );
        assert!(!queue.has_room(Kind::Telemetry) && queue.has_room(Kind::Answer));
        queue.taken(0);
        let bytes = take_all(&mut queue, 33);
        assert_eq!(bytes, [[9, 0].as_slice(), &frame.repeat(kept)].concat());
        assert!(queue.has_room(Kind::Telemetry));
    }

    proptest! {
        #[test]
        fn frames_arrive_whole_and_in_their_order(
            steps in proptest::collection::vec((any::<bool>(), 1..700_usize, 0..900_usize), 1..200),
        ) {
            let mut queue = TransmitQueue::new();
            let mut sent = Vec::new();
            let mut waiting = [Vec::<Vec<u8>>::new(), Vec::new()];
            for (number, (answer, length, takes)) in steps.into_iter().enumerate() {
                let kind = if answer { Kind::Answer } else { Kind::Telemetry };
                let mut frame = std::vec![1 + (number % 255) as u8; length];
                frame.push(0);
                let dropped = queue.dropped(kind);
                queue.push(kind, &frame);
                if queue.dropped(kind) == dropped {
                    waiting[usize::from(!answer)].push(frame);
                }
                let mut left = takes;
                while left > 0 && !queue.front().is_empty() {
                    let count = queue.front().len().min(left);
                    sent.extend_from_slice(&queue.front()[..count]);
                    queue.taken(count);
                    left -= count;
                }
            }
            sent.extend(take_all(&mut queue, usize::MAX));
            for frame in sent.split_inclusive(|byte| *byte == 0) {
                let place = waiting.iter().position(|ring| ring.first().is_some_and(|first| first == frame));
                prop_assert!(place.is_some(), "a frame of {} bytes came out of turn", frame.len());
                waiting[place.unwrap_or_default()].remove(0);
            }
            prop_assert!(waiting.iter().all(Vec::is_empty));
        }
    }
}
