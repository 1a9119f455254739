//! What the runtime must know of the board: its clock, its name, its memory.

use cortex_m::peripheral::SYST;
use engram_firmware::platform::{Clock, Identity, Platform};

use crate::{clock, memory};

/// A board whose core runs at `MHZ` megahertz.
///
/// A clone reads the same clock, for sensors that stamp their samples.
#[derive(Clone)]
pub struct Board<const MHZ: u32> {
    name: &'static str,
    clock: clock::Clock<MHZ>,
}

impl<const MHZ: u32> Board<MHZ> {
    /// Starts the clock. `name`: of the board, as in `engram boards`; at most 16 bytes are sent.
    #[must_use]
    pub fn start(name: &'static str, timer: SYST) -> Self {
        Self {
            name,
            clock: clock::Clock::start(timer),
        }
    }
}

impl<const MHZ: u32> Clock for Board<MHZ> {
    /// It must be read at least once in 24 days.
    fn now_us(&mut self) -> u64 {
        self.clock.microseconds()
    }
}

impl<const MHZ: u32> Platform for Board<MHZ> {
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
