//! A microsecond clock from SysTick, for real-time runs. In lock-step the messages carry the time.

use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::exception;

/// Milliseconds since the start, modulo 2^32; only the interrupt writes it.
static MILLISECONDS: AtomicU32 = AtomicU32::new(0);

/// The clock of a core that runs at `MHZ` megahertz. It must be read at least once in 24 days, so that no wrap is lost.
#[derive(Clone)]
pub(crate) struct Clock<const MHZ: u32> {
    last_ms: u32,
    elapsed_ms: u64,
    last_us: u64,
}

impl<const MHZ: u32> Clock<MHZ> {
    /// SysTick counts 24 bits.
    const TICKS_PER_MS: u32 = {
        assert!(MHZ > 0 && MHZ < (1 << 24) / 1_000);
        1_000 * MHZ
    };

    /// Starts SysTick with one interrupt per millisecond.
    pub(crate) fn start(mut timer: SYST) -> Self {
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(Self::TICKS_PER_MS - 1);
        timer.clear_current();
        timer.enable_counter();
        timer.enable_interrupt();
        Self {
            last_ms: 0,
            elapsed_ms: 0,
            last_us: 0,
        }
    }

    /// Microseconds since the start; never runs backwards.
    pub(crate) fn microseconds(&mut self) -> u64 {
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

#[exception]
fn SysTick() {
    MILLISECONDS.store(
        MILLISECONDS.load(Ordering::Relaxed).wrapping_add(1),
        Ordering::Relaxed,
    );
}
