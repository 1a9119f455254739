//! A microsecond clock from SysTick, for real-time runs. In lock-step the messages carry the time.

use core::num::NonZeroU32;
use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::exception;

/// Milliseconds since the start, modulo 2^32; only the interrupt writes it.
static MILLISECONDS: AtomicU32 = AtomicU32::new(0);

/// SysTick counts 24 bits: the fastest core that it counts milliseconds of.
const MOST_MHZ: u16 = ((1 << 24) / 1_000) as u16;

/// The clock. It must be read at least once in 24 days, so that no wrap is lost.
#[derive(Clone)]
pub(crate) struct Clock {
    ticks_per_us: NonZeroU32,
    last_ms: u32,
    elapsed_ms: u64,
    last_us: u64,
}

impl Clock {
    /// Starts SysTick with one interrupt per millisecond, on a core that runs at `mhz` megahertz.
    pub(crate) fn start(mhz: u16, mut timer: SYST) -> Self {
        let ticks_per_us = NonZeroU32::new(mhz.min(MOST_MHZ).into()).unwrap_or(NonZeroU32::MIN);
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(1_000 * ticks_per_us.get() - 1);
        timer.clear_current();
        timer.enable_counter();
        timer.enable_interrupt();
        Self {
            ticks_per_us,
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
        let ticks = (1_000 * self.ticks_per_us.get() - 1).saturating_sub(ticks_left);
        let now_us = self.elapsed_ms * 1_000 + u64::from(ticks / self.ticks_per_us);
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
