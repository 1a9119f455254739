//! defmt's global logger: whole encoded frames wait here until the main loop sends them over the
//! link as log messages.
//!
//! A log line never blocks and never displaces the link: when there is no room it is dropped and
//! counted.

#![expect(unsafe_code, reason = "defmt's Logger is an unsafe trait")]

use core::cell::UnsafeCell;

use critical_section::RestoreState;
use engram_link::limits::LOG_BYTES;
use heapless::{Deque, Vec};

/// Bytes of encoded log frames that may wait.
const QUEUE_BYTES: usize = 2_048;

/// Encoded log frames that wait.
struct Queue {
    bytes: Deque<u8, QUEUE_BYTES>,
    /// The frame being written did not fit.
    overflow: bool,
}

impl Queue {
    fn put(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.overflow |= self.bytes.push_back(*byte).is_err();
        }
    }
}

/// What `acquire` … `release` guard.
struct State {
    encoder: defmt::Encoder,
    queue: Queue,
    /// How many bytes waited when the frame being written began.
    frame_start: usize,
    /// Frames that did not fit.
    dropped: u32,
    /// Set between `acquire` and `release`.
    taken: bool,
    restore: RestoreState,
}

struct Guarded(UnsafeCell<State>);

// SAFETY: there is one core, and every access happens with interrupts off.
unsafe impl Sync for Guarded {}

static STATE: Guarded = Guarded(UnsafeCell::new(State {
    encoder: defmt::Encoder::new(),
    queue: Queue {
        bytes: Deque::new(),
        overflow: false,
    },
    frame_start: 0,
    dropped: 0,
    taken: false,
    restore: RestoreState::invalid(),
}));

#[defmt::global_logger]
struct LinkLogger;

// SAFETY: interrupts stay off from `acquire` to `release`, so on the one core nothing else runs in
// between; a second `acquire` (a log line inside a `Format` implementation) does not return.
unsafe impl defmt::Logger for LinkLogger {
    fn acquire() {
        // SAFETY: `release` gives this back; defmt calls the two in pairs.
        let restore = unsafe { critical_section::acquire() };
        // SAFETY: interrupts are off and no other borrow is alive.
        let state = unsafe { &mut *STATE.0.get() };
        if state.taken {
            crate::stop("a log line inside a log line");
        }
        state.taken = true;
        state.restore = restore;
        state.frame_start = state.queue.bytes.len();
        state.queue.overflow = false;
        state.encoder.start_frame(|bytes| state.queue.put(bytes));
    }

    unsafe fn flush() {}

    unsafe fn release() {
        // SAFETY: called after `acquire` only: interrupts are off and no other borrow is alive.
        let state = unsafe { &mut *STATE.0.get() };
        state.encoder.end_frame(|bytes| state.queue.put(bytes));
        if state.queue.overflow {
            state.queue.bytes.truncate(state.frame_start);
            state.dropped = state.dropped.saturating_add(1);
        }
        state.taken = false;
        // SAFETY: `restore` is what `acquire` got.
        unsafe { critical_section::release(state.restore) };
    }

    unsafe fn write(bytes: &[u8]) {
        // SAFETY: called between `acquire` and `release` only.
        let state = unsafe { &mut *STATE.0.get() };
        state.encoder.write(bytes, |bytes| state.queue.put(bytes));
    }
}

/// Bytes that are moved with interrupts off: about 300 instructions, in which a line at 921,600 baud receives less than the two bytes that
/// a UART holds.
const PIECE: usize = 16;
const _: () = assert!(LOG_BYTES.is_multiple_of(PIECE));

/// Takes waiting bytes, oldest first; `None` when nothing waits. Interrupts are off for [`PIECE`] bytes at a time.
pub fn take() -> Option<Vec<u8, LOG_BYTES>> {
    let mut taken = Vec::new();
    while !taken.is_full() {
        let more = critical_section::with(|_| {
            // SAFETY: interrupts are off, and nobody is between `acquire` and `release`: those run with
            // interrupts off as well and call nothing of ours.
            let queue = unsafe { &mut (*STATE.0.get()).queue.bytes };
            (0..PIECE).all(|_| match queue.pop_front() {
                Some(byte) => taken.push(byte).is_ok(),
                None => false,
            })
        });
        if !more {
            break;
        }
    }
    (!taken.is_empty()).then_some(taken)
}

/// Log lines lost so far because they came faster than the link took them.
pub(crate) fn dropped() -> u32 {
    // SAFETY: interrupts are off, as in `take`.
    critical_section::with(|_| unsafe { (*STATE.0.get()).dropped })
}
