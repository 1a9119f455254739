//! The least that the multiply-accumulates of a step take: no int8 engine on this processor can be faster.
//!
//! Counted, but for the clock, which is measured between the steps; nothing of a policy runs here.

use std::hint::black_box;
use std::time::Instant;

use engram_firmware::policy::Backend;
use engram_image::ModelConfig;

/// What `vpdpbusd` on 512 bits does. Zen 4 starts one a cycle; a processor that starts two has half the floor.
const MACS_PER_CYCLE: f64 = 64.0;
/// Links of the chain that the clock is measured by, and the cycles that each takes: three shifts, three exclusive
/// ors, each waiting for the one before.
const LINKS: u32 = 2_000;
const CYCLES_PER_LINK: f64 = 6.0;

/// What a step cannot leave out, and how fast the processor runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Floor {
    /// Multiply-accumulates.
    pub(crate) macs: u64,
    /// Cycles per nanosecond, the most that was measured.
    pub(crate) clock_ghz: f64,
}

impl Floor {
    pub(crate) fn new(config: &ModelConfig) -> Self {
        Self {
            macs: config.least_macs_per_step(),
            clock_ghz: 0.0,
        }
    }

    /// Measures the clock once more.
    pub(crate) fn measure(&mut self) {
        let clock_ghz = f64::from(LINKS) * CYCLES_PER_LINK / chain_us() / 1e3;
        self.clock_ghz = self.clock_ghz.max(clock_ghz);
    }

    /// Microseconds of the multiply-accumulates alone. None without AVX-512 VNNI.
    pub(crate) fn us(&self) -> Option<f64> {
        let has_vnni = Backend::best() == Backend::Avx512Vnni;
        has_vnni.then(|| self.macs as f64 / MACS_PER_CYCLE / self.clock_ghz / 1e3)
    }
}

/// Microseconds of a chain in which every instruction waits for the one before.
fn chain_us() -> f64 {
    let mut state = black_box(0x9E37_79B9_7F4A_7C15_u64);
    let start = Instant::now();
    for _ in 0..LINKS {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
    }
    black_box(state);
    start.elapsed().as_secs_f64() * 1e6
}
