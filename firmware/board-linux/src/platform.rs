//! What the runtime must know of this process.

use std::time::Instant;

use engram_firmware::platform::{Clock, Identity, Platform};

/// The process: a monotonic clock and a name.
#[derive(Debug)]
pub(crate) struct Process {
    started: Instant,
    board: &'static str,
}

impl Process {
    /// The clock starts at 0. The name is kept for as long as the process runs: make one.
    pub(crate) fn start(board: &str) -> Self {
        Self {
            started: Instant::now(),
            board: String::from(board).leak(),
        }
    }
}

impl Clock for Process {
    fn now_us(&mut self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

impl Platform for Process {
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
