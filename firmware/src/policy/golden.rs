//! The golden trace: proof that this firmware computes what the exporter computed.

use engram_image::Golden;
use engram_image::limits::{MAX_ACTIONS, MAX_OBSERVATIONS};

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

/// [`super::Policy::replay_golden`].
pub(super) fn replay<K: Kernels>(
    network: &Network<'_, '_, K>,
    golden: &Golden<'_>,
    memory: &mut Memory,
) -> Result<(), GoldenDifference> {
    memory.clear();
    let replayed = (0..).zip(golden.iter()).try_for_each(|(step, golden)| {
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
        run(network, memory, &input, &mut words, None);
        for (action, (&bytes, &got)) in golden.words.iter().zip(&words).enumerate() {
            let expected = i16::from_le_bytes(bytes);
            if got != expected {
                return Err(GoldenDifference {
                    step,
                    action,
                    expected,
                    got,
                });
            }
        }
        Ok(())
    });
    memory.clear();
    replayed
}
