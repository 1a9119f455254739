//! Linux under the node: its monotonic clock and the board's name.

use engram_firmware::platform::{Clock, Identity, Platform};
use nix::time::{ClockId, clock_gettime};

/// The platform of every board of Linux. Its clock is `CLOCK_MONOTONIC`, the one that the main loop sleeps by; sensors stamp their samples with a
/// copy of it.
#[derive(Debug, Clone, Copy)]
pub struct Linux {
    /// Name of the board, as hosts are told; at most 16 bytes are sent.
    pub board: &'static str,
}

/// Microseconds of `CLOCK_MONOTONIC`.
pub(crate) fn now_us() -> u64 {
    // The clock is there on every Linux, and never negative.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |now| {
        let seconds = u64::try_from(now.tv_sec()).unwrap_or(0);
        let nanoseconds = u64::try_from(now.tv_nsec()).unwrap_or(0);
        seconds * 1_000_000 + nanoseconds / 1_000
    })
}

impl Clock for Linux {
    fn now_us(&mut self) -> u64 {
        now_us()
    }
}

impl Platform for Linux {
    fn identity(&self) -> Identity {
        Identity {
            board: self.board,
            firmware: concat!("engram ", env!("CARGO_PKG_VERSION")),
            // A process has as much as it asks for: neither number means anything here.
            stack_bytes: 0,
            ram_bytes: 0,
        }
    }
}
