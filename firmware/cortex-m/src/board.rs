//! What the runtime must know of the board: its clock, its name, its memory.
//!
//! The clock counts microseconds by SysTick, for real-time runs. In lock-step the messages carry the time.

use core::num::NonZeroU32;
use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::exception;
use engram_firmware::platform::{Clock, Identity, Platform};

use crate::memory;

/// Milliseconds since the start, modulo 2^32; only the interrupt writes it.
static MILLISECONDS: AtomicU32 = AtomicU32::new(0);

/// SysTick counts 24 bits: the fastest core that it counts milliseconds of.
const MOST_MHZ: u16 = ((1 << 24) / 1_000) as u16;

/// A board with a Cortex-M.
///
/// A clone reads the same clock, for sensors that stamp their samples.
#[derive(Clone)]
pub struct Board {
    name: &'static str,
    ticks_per_us: NonZeroU32,
    last_ms: u32,
    elapsed_ms: u64,
    last_us: u64,
}

impl Board {
    /// Starts the clock of a core that runs at `mhz` megahertz: SysTick, with one interrupt per millisecond. `name`: of the
    /// board, as in `engram boards`; at most 16 bytes are sent.
    #[must_use]
    pub fn start(name: &'static str, mhz: u16, mut timer: SYST) -> Self {
        let ticks_per_us = NonZeroU32::new(mhz.min(MOST_MHZ).into()).unwrap_or(NonZeroU32::MIN);
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(1_000 * ticks_per_us.get() - 1);
        timer.clear_current();
        timer.enable_counter();
        timer.enable_interrupt();
        Self {
            name,
            ticks_per_us,
            last_ms: 0,
            elapsed_ms: 0,
            last_us: 0,
        }
    }
}

impl Clock for Board {
    /// It must be read at least once in 24 days, so that no wrap is lost.
    fn now_us(&mut self) -> u64 {
        let (ms, ticks_left) = loop {
            let before = MILLISECONDS.load(Ordering::Relaxed);
            let ticks_left = SYST::get_current();
            if before == MILLISECONDS.load(Ordering::Relaxed) {
                break (before, ticks_left);
            }
        };
        self.elapsed_ms += u64::from(ms.wrapping_sub(self.last_ms));
        self.last_ms = ms;
        let ticks = (1_000 * self.ticks_per_us.get() - 1).saturating_sub(ticks_left);
        let now_us = self.elapsed_ms * 1_000 + u64::from(ticks / self.ticks_per_us);
        // The counter may have begun its next round before its interrupt was counted.
        self.last_us = self.last_us.max(now_us);
        self.last_us
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

#[exception]
fn SysTick() {
    MILLISECONDS.store(
        MILLISECONDS.load(Ordering::Relaxed).wrapping_add(1),
        Ordering::Relaxed,
    );
}
