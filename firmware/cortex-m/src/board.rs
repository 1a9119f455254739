//! What the runtime must know of the board: its clock, its name, its memory.
//!
//! The clock counts microseconds by SysTick, for real-time runs. In lock-step the messages carry the time.

use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::exception;
use engram_firmware::platform::{Clock, Identity, Platform};

use crate::memory;

/// Milliseconds since the start, modulo 2^32; only the interrupt writes it.
static MILLISECONDS: AtomicU32 = AtomicU32::new(0);

/// A board whose core runs at `MHZ` megahertz.
///
/// A clone reads the same clock, for sensors that stamp their samples.
#[derive(Clone)]
pub struct Board<const MHZ: u32> {
    name: &'static str,
    last_ms: u32,
    elapsed_ms: u64,
    last_us: u64,
}

impl<const MHZ: u32> Board<MHZ> {
    /// SysTick counts 24 bits.
    const TICKS_PER_MS: u32 = {
        assert!(MHZ > 0 && MHZ < (1 << 24) / 1_000);
        1_000 * MHZ
    };

    /// Starts the clock: SysTick, with one interrupt per millisecond. `name`: of the board, as in `engram boards`; at most
    /// 16 bytes are sent.
    #[must_use]
    pub fn start(name: &'static str, mut timer: SYST) -> Self {
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(Self::TICKS_PER_MS - 1);
        timer.clear_current();
        timer.enable_counter();
        timer.enable_interrupt();
        Self {
            name,
            last_ms: 0,
            elapsed_ms: 0,
            last_us: 0,
        }
    }
}

impl<const MHZ: u32> Clock for Board<MHZ> {
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
        let ticks = (Self::TICKS_PER_MS - 1).saturating_sub(ticks_left);
        let now_us = self.elapsed_ms * 1_000 + u64::from(ticks / MHZ);
        // The counter may have begun its next round before its interrupt was counted.
        self.last_us = self.last_us.max(now_us);
        self.last_us
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

#[exception]
fn SysTick() {
    MILLISECONDS.store(
        MILLISECONDS.load(Ordering::Relaxed).wrapping_add(1),
        Ordering::Relaxed,
    );
}
