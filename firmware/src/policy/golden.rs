//! The golden trace: proof that this firmware computes what the exporter computed.

use engram_image::limits::{MAX_ACTIONS, MAX_OBSERVATIONS};
use engram_image::{Golden, Image, Parameters};

use engram_kernels::Kernels;
use thiserror::Error;

use super::network::Network;
use super::{Memory, WorkingMemory, run};

/// The first word of a replay that differs from the golden trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[error(
    "golden trace differs at step {step}, action {action}: expected word {expected}, computed {got}"
)]
pub struct GoldenDifference {
    /// Control step of the trace, from 0.
    pub step: usize,
    /// Action channel.
    pub action: usize,
    /// Word in the image.
    pub expected: i16,
    /// Word computed here.
    pub got: i16,
}

/// A replay of an image's golden trace in pieces, for boards that have other things to do as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GoldenReplay {
    next: usize,
}

impl GoldenReplay {
    /// A replay before its first step.
    #[must_use]
    pub const fn new() -> Self {
        Self { next: 0 }
    }

    /// Replays at most `steps` more steps; returns whether the trace is through.
    ///
    /// All but `steps` must be the same in all calls, and the memory must not be used in
    /// between. The first call clears the memory, and so does the last.
    ///
    /// # Errors
    /// The first word that differs. The memory is cleared; only a new replay may follow.
    pub fn advance(
        &mut self,
        parameters: Parameters<'_>,
        golden: &Golden<'_>,
        memory: &mut Memory,
        steps: usize,
    ) -> Result<bool, GoldenDifference> {
        #[cfg(all(target_arch = "arm", feature = "cortex-m7"))]
        if parameters.packing == engram_image::Packing::CortexM {
            return self.advance_on(super::CORTEX_M7, &parameters.into(), golden, memory, steps);
        }
        self.advance_on(super::OF_ROWS, &parameters.into(), golden, memory, steps)
    }

    /// [`GoldenReplay::advance`] on the kernels that the network is packed for.
    pub(super) fn advance_on<K: Kernels>(
        &mut self,
        kernels: K,
        network: &Network<'_, '_, K>,
        trace: &Golden<'_>,
        memory: &mut Memory,
        steps: usize,
    ) -> Result<bool, GoldenDifference> {
        if self.next == 0 {
            memory.clear();
        }
        let first = self.next;
        for golden in trace.iter().skip(first).take(steps) {
            let mut observation = [0.0; MAX_OBSERVATIONS];
            for (value, &bytes) in observation.iter_mut().zip(golden.observation) {
                *value = f32::from_le_bytes(bytes);
            }
            let mut issued = [0; MAX_ACTIONS];
            for (word, &bytes) in issued.iter_mut().zip(golden.issued) {
                *word = i16::from_le_bytes(bytes);
            }
            let input = WorkingMemory {
                observation: observation
                    .get(..golden.observation.len())
                    .unwrap_or_default(),
                issued: issued.get(..golden.issued.len()).unwrap_or_default(),
                reward: golden.reward,
                done: golden.done,
            };
            let mut words = [0; MAX_ACTIONS];
            run(kernels, network, memory, &input, &mut words, None);
            for (action, (&bytes, &got)) in golden.words.iter().zip(&words).enumerate() {
                let expected = i16::from_le_bytes(bytes);
                if got != expected {
                    memory.clear();
                    return Err(GoldenDifference {
                        step: self.next,
                        action,
                        expected,
                        got,
                    });
                }
            }
            self.next = self.next.wrapping_add(1);
        }
        let through = self.next >= trace.steps || self.next == first && steps > 0;
        if through {
            memory.clear();
        }
        Ok(through)
    }
}

/// Replays the whole golden trace of `image` on `memory`, which is cleared before and after.
///
/// # Errors
/// The first word that differs.
pub fn replay_golden(image: &Image<'_>, memory: &mut Memory) -> Result<(), GoldenDifference> {
    GoldenReplay::new()
        .advance(image.into(), &image.golden, memory, usize::MAX)
        .map(|_| ())
}
