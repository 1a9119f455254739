//! What the board logs of itself: that it started, each change of state, each new fault.

use defmt::{info, warn};
use engram_firmware::platform::Identity;
use engram_link::{Faults, State};

use crate::logger;

/// Logs changes between two looks.
pub struct Journal {
    state: State,
    faults: Faults,
    dropped: u32,
}

impl Journal {
    /// Logs the start.
    #[must_use]
    pub fn start(identity: &Identity) -> Self {
        info!(
            "{=str} on {=str}: {=u32} bytes of static RAM, {=u32} of stack",
            identity.firmware, identity.board, identity.ram_bytes, identity.stack_bytes
        );
        Self {
            state: State::Disarmed,
            faults: Faults::NONE,
            dropped: 0,
        }
    }

    /// Logs what changed since the last call.
    pub fn note(&mut self, state: State, faults: Faults) {
        for fault in faults.iter().filter(|fault| !self.faults.contains(*fault)) {
            warn!("{=str}: {=str}", fault.requirement(), fault.text());
        }
        if state != self.state {
            info!("{=str} -> {=str}", self.state.name(), state.name());
        }
        let dropped = logger::dropped();
        if dropped != self.dropped {
            warn!(
                "{=u32} log lines did not fit",
                dropped.wrapping_sub(self.dropped)
            );
        }
        (self.state, self.faults, self.dropped) = (state, faults, dropped);
    }
}
