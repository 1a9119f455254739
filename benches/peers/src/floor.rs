//! The least that the multiply-accumulates of a step take: no int8 engine on this processor can be faster.
//!
//! Counted, but for the clock, which is measured between the steps; nothing of a policy runs here.

use std::hint::black_box;
use std::time::Instant;

use engram_firmware::policy::Path;
use engram_image::{ModelConfig, Positions};

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
            macs: least_macs(config),
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
        let has_vnni = Path::best() == Path::Avx512Vnni;
        has_vnni.then(|| self.macs as f64 / MACS_PER_CYCLE / self.clock_ghz / 1e3)
    }
}

/// Multiply-accumulates of a step without what nobody reads: of the last layer, whatever is not the newest token's
/// and neither key nor value.
fn least_macs(config: &ModelConfig) -> u64 {
    let (d, window) = (config.model as u64, config.window as u64);
    let unread = match config.positions {
        Positions::Age => 0,
        // Queries, mixing of heads, feed-forward block, logits, weighted sum.
        Positions::Slot => (window - 1) * d * (2 * d + 2 * config.ff as u64 + 2 * window),
    };
    config.macs_per_step() - unread
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

#[cfg(test)]
mod tests {
    use engram_image::shapes::REFERENCE;

    use super::*;

    #[test]
    fn the_paper_s_shape_leaves_the_older_tokens_of_its_last_layer_out() {
        let least: Vec<u64> = REFERENCE
            .iter()
            .map(|(_, config)| least_macs(config))
            .collect();
        let [d, ff, window, layers] = [128, 512, 5, 4];
        let token = 4 * d * d + 2 * d * ff + 2 * window * d;
        let last = window * 2 * d * d + 2 * d * d + 2 * d * ff + 2 * window * d;
        let (_, paper) = REFERENCE[2];
        let ends = d * paper.inputs() as u64 + 64 * d + 64 * 64 + 64 * paper.actions as u64;
        assert_eq!(
            least,
            [62_880, 853_504, (layers - 1) * window * token + last + ends]
        );
    }
}
