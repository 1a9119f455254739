//! The policy: one working memory in, one command word per action channel out, in integers.
//!
//! [`Policy::step`] runs the network of an [`engram_image::Image`] on the episodic memory in [`Memory`]. Both kinds of
//! positions share one routine for one token: `age` runs it once per step on keys and values that
//! stay in a ring, `slot` runs it for every slot of the window. The work of a step depends on the
//! image alone: empty places of the window are computed and masked.
//!
//! The formulas, scales and error bounds are in `docs/src/numerics.md`; the arithmetic itself is
//! in engram-kernels. What may not happen here: allocation, a reachable panic, floating point
//! after the inputs are quantized, and a weight that changes.

mod attention_hook;
mod backend;
#[cfg(feature = "bench")]
mod counting;
mod encoder;
mod golden;
mod head;
mod kept;
mod memory;
mod network;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
mod packed;
#[cfg(feature = "record")]
mod record;
#[cfg(feature = "bench")]
mod steps;

pub use attention_hook::AttentionHook;
pub use backend::{Backend, LINES, Packed, Policy};
#[cfg(feature = "bench")]
pub use counting::counted_macs;
pub use engram_kernels::CacheLine;
pub use golden::GoldenDifference;
pub use memory::{BUFFERS_BYTES, LARGEST_CACHE, LargestMemory, Memory};
#[cfg(feature = "record")]
pub use record::{Moment, Recorder, random_golden, random_moments};
#[cfg(feature = "bench")]
pub use steps::{BenchProgram, ControlSteps, count_control_steps, count_steps};

use engram_image::{ModelConfig, Packing};
use engram_kernels::{Entries, Kernels, KvLayout};
use thiserror::Error;

use memory::{CacheBytes, Scratch};
use network::Network;

/// The newest working memory `[observation_t, action_{t-1}, reward_{t-1}, done_{t-1}]`.
///
/// The caller has checked that the numbers are finite; NaN counts as the mean of its entry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WorkingMemory<'a> {
    /// `[observations]`, in channel units.
    pub observation: &'a [f32],
    /// `[actions]`: words of the command issued at the step before.
    pub issued: &'a [i16],
    /// Reward of the step before; 0 at the first step of a trial.
    pub reward: f32,
    /// Whether an episode ended before this step.
    pub done: bool,
}

/// A slice that does not fit the image's configuration, or an image for another program. Nothing has been computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PolicyError {
    /// A slice of the working memory, the places for the words or the cache that was lent.
    #[error("{given} {what} for a policy of {expected}")]
    Length {
        /// What it holds, in the plural.
        what: &'static str,
        /// Entries given.
        given: usize,
        /// Entries that the policy takes.
        expected: usize,
    },
    /// The image is packed for kernels that this program does not have.
    #[error("the weights are packed for {0}, which runs on a board only; export without --for")]
    Packing(Packing),
}

/// The packing that the kernels of this firmware want, which a host sends unless an image is signed.
pub const PACKING: Packing = if cfg!(all(target_arch = "arm", feature = "cortex-m7")) {
    Packing::CortexM
} else {
    Packing::Rows
};

/// Whether this firmware runs images of a packing: its own ([`PACKING`]), and the order of rows, which every firmware runs.
#[must_use]
pub const fn runs(packing: Packing) -> bool {
    matches!(
        (packing, PACKING),
        (Packing::Rows, _) | (Packing::CortexM, Packing::CortexM)
    )
}

/// [`Policy::state_bytes`] and [`Policy::cache_bytes`] with the rings of the kernels of any board.
#[must_use]
pub fn bytes_with(rings: KvLayout, config: &ModelConfig) -> [usize; 2] {
    let cache = CacheBytes::of(config, rings.bytes(encoder::shape(config)));
    [cache.kept_bytes(), cache.all()]
}

/// What a policy takes of a cache on these kernels.
fn cache_on<K: Kernels>(config: &ModelConfig) -> CacheBytes {
    CacheBytes::of(config, K::kv_bytes(encoder::shape(config)))
}

/// [`Policy::step`].
fn step_on<K: Kernels>(
    network: &Network<'_, '_, K>,
    memory: &mut Memory,
    input: &WorkingMemory<'_>,
    words: &mut [i16],
    hook: &mut impl AttentionHook,
) -> Result<(), PolicyError> {
    if !runs(network.packing) {
        return Err(PolicyError::Packing(network.packing));
    }
    let config = network.config;
    let (actions, cache) = (config.actions, network.cache.all());
    for (what, given, expected) in [
        ("observations", input.observation.len(), config.observations),
        ("issued command words", input.issued.len(), actions),
        ("places for command words", words.len(), actions),
        // More of it is not used.
        ("bytes of cache", memory.cache_bytes().min(cache), cache),
    ] {
        if given != expected {
            return Err(PolicyError::Length {
                what,
                given,
                expected,
            });
        }
    }
    let hook: Option<&mut dyn AttentionHook> = if hook.enabled() { Some(hook) } else { None };
    run(network, memory, input, words, hook);
    Ok(())
}

/// [`step_on`] behind its checks.
fn run<K: Kernels>(
    network: &Network<'_, '_, K>,
    memory: &mut Memory,
    input: &WorkingMemory<'_>,
    words: &mut [i16],
    hook: Option<&mut dyn AttentionHook>,
) {
    embed(network, input, &mut memory.scratch);
    encoder::step(network, memory, hook);
    head::run(network, memory, words);
}

/// The quantized working memory times `W_e`, into `scratch.embedded`.
fn embed<K: Kernels>(
    network: &Network<'_, '_, K>,
    input: &WorkingMemory<'_>,
    scratch: &mut Scratch,
) {
    let config = network.config;
    let entries = Entries {
        observation: input.observation,
        issued: input.issued,
        last: [input.reward, if input.done { 1.0 } else { 0.0 }],
    };
    let (Some(quantized), Some(embedded)) = (
        scratch.quantized.0.get_mut(..K::padded(config.inputs())),
        scratch.embedded.0.get_mut(..K::padded(config.model)),
    ) else {
        return;
    };
    let scales = (
        network.input.mean.as_slice(),
        network.input.inverse.as_slice(),
    );
    let kernels = network.kernels;
    kernels.quantize(entries, scales, quantized);
    kernels.run(
        #[inline(always)]
        || {
            kernels.wide_linear_i16(
                network.weights.embed,
                quantized,
                &mut scratch.acc.0,
                embedded,
            )
        },
    );
}

#[cfg(test)]
mod tests;
