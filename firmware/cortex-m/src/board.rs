//! What the runtime must know of the board: its clock, its name, its memory.

use cortex_m::peripheral::SYST;
use engram_firmware::platform::{Clock, Identity, Platform};

use crate::{clock, memory};

/// A board with a Cortex-M.
///
/// A clone reads the same clock, for sensors that stamp their samples.
#[derive(Clone)]
pub struct Board {
    name: &'static str,
    clock: clock::Clock,
}

impl Board {
    /// Starts the clock of a core that runs at `mhz` megahertz. `name`: of the board, as in `engram boards`; at most 16 bytes are sent.
    #[must_use]
    pub fn start(name: &'static str, mhz: u16, timer: SYST) -> Self {
        Self {
            name,
            clock: clock::Clock::start(mhz, timer),
        }
    }
}

impl Clock for Board {
    /// It must be read at least once in 24 days.
    fn now_us(&mut self) -> u64 {
        self.clock.microseconds()
    }
}

impl Platform for Board {
    fn identity(&self) -> Identity {
        Identity {
            board: self.name,
            firmware: concat!("engram ", env!("CARGO_PKG_VERSION")),
            stack_bytes: memory::stack_bytes(),
            ram_bytes: memory::static_bytes(),
        }
    }

    fn worst_stack_bytes(&mut self) -> u32 {
        memory::worst_stack_bytes()
    }
}
