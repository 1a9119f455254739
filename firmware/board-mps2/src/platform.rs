//! What the runtime must know of this board.

use cortex_m::peripheral::SYST;
use engram_firmware::platform::{Clock, Identity, Platform};

use crate::{clock, memory};

/// The board: its clock and its memory.
pub(crate) struct Mps2 {
    clock: clock::Clock,
}

impl Mps2 {
    /// Starts the clock.
    pub(crate) fn start(timer: SYST) -> Self {
        Self {
            clock: clock::Clock::start(timer),
        }
    }
}

impl Clock for Mps2 {
    fn now_us(&mut self) -> u64 {
        self.clock.microseconds()
    }
}

impl Platform for Mps2 {
    fn identity(&self) -> Identity {
        Identity {
            board: if cfg!(feature = "m55") {
                "qemu-m55"
            } else {
                "qemu-m7"
            },
            firmware: concat!("engram ", env!("CARGO_PKG_VERSION")),
            stack_bytes: memory::stack_bytes(),
            ram_bytes: memory::static_bytes(),
        }
    }

    fn worst_stack_bytes(&mut self) -> u32 {
        memory::worst_stack_bytes()
    }
}
