//! The policy: one working memory in, one command word per action channel out, in integers.
//!
//! [`step`] runs the network of an image on the episodic memory in [`Memory`]. Both kinds of
//! positions share one routine for one token: `age` runs it once per step on keys and values that
//! stay in a ring, `slot` runs it for every slot of the window. The work of a step depends on the
//! image alone: empty places of the window are computed and masked.
//!
//! The formulas, scales and error bounds are in `docs/src/numerics.md`; the arithmetic itself is
//! in engram-kernels. What may not happen here: allocation, a reachable panic, floating point
//! after the inputs are quantized, and a weight that changes.

#[cfg(feature = "count-macs")]
mod counting;
mod golden;
mod head;
mod kept;
mod memory;
mod network;
mod observer;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
mod packed;
mod path;
#[cfg(feature = "record")]
mod record;
#[cfg(feature = "count-macs")]
mod steps;
mod token;
#[cfg(target_pointer_width = "64")]
mod tokens;

#[cfg(feature = "count-macs")]
pub use counting::counted_macs;
pub use engram_kernels::Line;
pub use golden::{GoldenDifference, GoldenReplay, replay_golden};
pub use memory::{BUFFERS_BYTES, LARGEST_CACHE, LargestMemory, Memory};
pub use observer::Observer;
pub use path::{LINES, Packed, Path, Policy};
#[cfg(feature = "record")]
pub use record::{Moment, Recorder, random_moments};
#[cfg(feature = "count-macs")]
pub use steps::{BenchProgram, count_steps};

use engram_image::{Image, ModelConfig, Packing, Parameters, Positions};
use engram_kernels::{Entries, Kernels, Place, Rings, add_saturating};
use thiserror::Error;

use memory::{CacheBytes, Parts, Scratch};
use network::Network;

/// The kernels of images that are packed for them.
#[cfg(all(target_arch = "arm", feature = "cortex-m7"))]
const CORTEX_M7: engram_kernels::cortex_m::m7::CortexM7 =
    engram_kernels::cortex_m::m7::CortexM7::new();

/// The kernels of images in the order of rows.
#[cfg(all(target_arch = "arm", feature = "cortex-m55"))]
const OF_ROWS: engram_kernels::cortex_m::m55::CortexM55 =
    engram_kernels::cortex_m::m55::CortexM55::new();
#[cfg(not(all(target_arch = "arm", feature = "cortex-m55")))]
const OF_ROWS: engram_kernels::Portable = engram_kernels::Portable;

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
    /// Observations in the working memory.
    #[error("{given} observations for a policy of {expected}")]
    Observations {
        /// Entries given.
        given: usize,
        /// Channels of the image.
        expected: usize,
    },
    /// Issued command words in the working memory.
    #[error("{given} issued command words for a policy of {expected}")]
    Issued {
        /// Entries given.
        given: usize,
        /// Channels of the image.
        expected: usize,
    },
    /// Places for the command words.
    #[error("{given} places for command words for a policy of {expected}")]
    Words {
        /// Entries given.
        given: usize,
        /// Channels of the image.
        expected: usize,
    },
    /// The image is packed for kernels that this program does not have.
    #[error("the weights are packed for {0}, which runs on a board only; export without --for")]
    Packing(Packing),
    /// The cache that was lent is too small.
    #[error("{given} bytes of cache for a policy of {expected}")]
    Cache {
        /// Bytes lent.
        given: usize,
        /// Bytes that the policy needs.
        expected: usize,
    },
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

/// One control step of the policy: takes `input` into `memory` and writes one word per action.
///
/// `memory` must have been cleared since another image used it; otherwise the words are defined
/// but mean nothing. An image that did not come from the reader and contradicts its own
/// configuration likewise gives meaningless words, never a panic.
///
/// # Errors
/// [`PolicyError`] when the length of a slice is not the one in the image's configuration, or the image
/// is packed for another program ([`runs`]).
pub fn step<'a>(
    parameters: impl Into<Parameters<'a>>,
    memory: &mut Memory,
    input: &WorkingMemory<'_>,
    words: &mut [i16],
    observer: &mut impl Observer,
) -> Result<(), PolicyError> {
    let parameters = parameters.into();
    #[cfg(all(target_arch = "arm", feature = "cortex-m7"))]
    if parameters.packing == Packing::CortexM {
        return step_on(
            CORTEX_M7,
            &parameters.into(),
            memory,
            input,
            words,
            observer,
        );
    }
    if !runs(parameters.packing) {
        return Err(PolicyError::Packing(parameters.packing));
    }
    step_on(OF_ROWS, &parameters.into(), memory, input, words, observer)
}

/// Bytes that persist from step to step: keys and values as [`step`] of this program lays them out for `image`, or the
/// ring of embedded working memories of a `slot` policy, whose keys and values are computed anew in every step.
#[must_use]
pub fn state_bytes(image: &Image<'_>) -> usize {
    Policy::from(image).state_bytes()
}

/// [`state_bytes`] and [`Policy::cache_bytes`] with the rings of the kernels of any board.
#[must_use]
pub fn bytes_with(rings: Rings, config: &ModelConfig) -> [usize; 2] {
    let cache = CacheBytes::of(config, rings.bytes(token::shape(config)));
    let state = cache.kept().into_iter().fold(0, usize::saturating_add);
    [state, cache.all()]
}

/// What a policy takes of a cache on these kernels.
fn cache_on<K: Kernels>(kernels: K, config: &ModelConfig) -> CacheBytes {
    let shape = token::shape(config);
    CacheBytes::of(
        config,
        [kernels.key_bytes(shape), kernels.value_bytes(shape)],
    )
}

/// [`cache_on`] the kernels that read an image as it lies.
fn cache_as_it_is(packing: Packing, config: &ModelConfig) -> CacheBytes {
    #[cfg(all(target_arch = "arm", feature = "cortex-m7"))]
    if packing == Packing::CortexM {
        return cache_on(CORTEX_M7, config);
    }
    let _ = packing;
    cache_on(OF_ROWS, config)
}

/// [`step`] on the kernels that the network is packed for.
fn step_on<K: Kernels>(
    kernels: K,
    network: &Network<'_, '_, K>,
    memory: &mut Memory,
    input: &WorkingMemory<'_>,
    words: &mut [i16],
    observer: &mut impl Observer,
) -> Result<(), PolicyError> {
    let config = network.config;
    let expected = config.observations;
    if input.observation.len() != expected {
        let given = input.observation.len();
        return Err(PolicyError::Observations { given, expected });
    }
    let expected = config.actions;
    if input.issued.len() != expected {
        let given = input.issued.len();
        return Err(PolicyError::Issued { given, expected });
    }
    if words.len() != expected {
        let given = words.len();
        return Err(PolicyError::Words { given, expected });
    }
    let expected = cache_on(kernels, config).all();
    if memory.cache_bytes() < expected {
        let given = memory.cache_bytes();
        return Err(PolicyError::Cache { given, expected });
    }
    let observer: Option<&mut dyn Observer> = if observer.watches() {
        Some(observer)
    } else {
        None
    };
    run(kernels, network, memory, input, words, observer);
    Ok(())
}

/// [`step_on`] behind its checks.
fn run<K: Kernels>(
    kernels: K,
    network: &Network<'_, '_, K>,
    memory: &mut Memory,
    input: &WorkingMemory<'_>,
    words: &mut [i16],
    observer: Option<&mut dyn Observer>,
) {
    embed(kernels, network, input, &mut memory.scratch);
    match network.config.positions {
        Positions::Age => age(kernels, network, memory, observer),
        Positions::Slot => slot(kernels, network, memory, observer),
    }
    head::run(kernels, network, memory, words);
}

/// The quantized working memory times `W_e`, into `scratch.embedded`.
fn embed<K: Kernels>(
    kernels: K,
    network: &Network<'_, '_, K>,
    input: &WorkingMemory<'_>,
    scratch: &mut Scratch,
) {
    let Network {
        config,
        input: scales,
        weights,
    } = network;
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
    let scales = (scales.mean.as_slice(), scales.inverse.as_slice());
    kernels.quantize(entries, scales, quantized);
    kernels.run(
        #[inline(always)]
        || kernels.embed(weights.embed, quantized, &mut scratch.sums.0, embedded),
    );
}

/// `age`: one token; its keys and values take the oldest place of the ring.
fn age<K: Kernels>(
    kernels: K,
    network: &Network<'_, '_, K>,
    memory: &mut Memory,
    observer: Option<&mut dyn Observer>,
) {
    let (place, _) = memory.advance(network.config.window);
    let Scratch {
        residual, embedded, ..
    } = &mut memory.scratch;
    residual.0 = embedded.0;
    token::run(kernels, network, memory, place, observer);
    memory.scratch.encoded.0 = memory.scratch.narrow.0;
}

/// `slot`: the embedding takes the oldest place of the ring, then all slots are computed in order.
///
/// Slots fill from 0. Those that are still empty are computed too and change nothing: a token sees
/// only itself and the slots before it.
fn slot<K: Kernels>(
    kernels: K,
    network: &Network<'_, '_, K>,
    memory: &mut Memory,
    mut observer: Option<&mut dyn Observer>,
) {
    let Network {
        config, weights, ..
    } = network;
    let (model, window) = (config.model, config.window);
    let (place, oldest) = memory.advance(window);
    let cache = cache_on(kernels, config);
    if let Some(Parts { slots, scratch, .. }) = memory.parts(cache)
        && let Some(row) = memory::row_mut(slots, model, place.index)
    {
        for (kept, &embedded) in row.iter_mut().zip(&scratch.embedded.0) {
            *kept = embedded.to_le_bytes().map(u8::cast_signed);
        }
    }
    let newest = place.filled.wrapping_sub(1);
    #[cfg(target_pointer_width = "64")]
    if K::TOKENS > 1 {
        return tokens::slots(kernels, network, memory, (oldest, newest), observer);
    }
    let mut index = oldest;
    let positions = weights.positions.chunks_exact(model.max(1));
    for (slot, position) in (0..window).zip(positions) {
        if let Some(Parts { slots, scratch, .. }) = memory.parts(cache)
            && let Some(row) = memory::row_mut(slots, model, index)
        {
            let residual = &mut scratch.residual.0;
            let entries = residual.iter_mut().zip(row).zip(position);
            for ((residual, &mut embedded), &position) in entries {
                *residual = add_saturating(memory::entry(embedded), i16::from_le_bytes(position));
            }
        }
        let place = Place {
            index: slot,
            filled: slot.wrapping_add(1),
        };
        if slot == newest {
            token::run(kernels, network, memory, place, observer.take());
            memory.scratch.encoded.0 = memory.scratch.narrow.0;
        } else {
            token::run(kernels, network, memory, place, None);
        }
        index = memory::next_index(index, window);
    }
}

#[cfg(test)]
mod tests;
