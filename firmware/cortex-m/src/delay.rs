//! Waits by counting cycles of the core.

use cortex_m::asm;
use embedded_hal::delay::DelayNs;

/// Waits by counting cycles, for what takes microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Delay {
    mhz: u32,
}

impl Delay {
    /// For a core that runs at `mhz` megahertz.
    #[must_use]
    pub const fn new(mhz: u16) -> Self {
        // `as` because `From` is not const; it widens.
        Self { mhz: mhz as u32 }
    }
}

impl DelayNs for Delay {
    fn delay_ns(&mut self, ns: u32) {
        asm::delay((ns / 1_000 + 1).saturating_mul(self.mhz));
    }
}
