//! The integer policy beside the f32 policy on the same working memories, open loop.

use engram_firmware::policy::{AttentionHook, LargestMemory, Memory, WorkingMemory};
use engram_image::{Image, ModelConfig};
use engram_kernels::{WORD_MAX, word_from_command};

use crate::calibrate::Trial;
use crate::float::{FloatObserver, FloatPolicy, Site};
use crate::packed::PackedWeights;
use crate::quantize::{IntegerPolicy, decibel};

/// How far the integers are from the f32 policy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Errors {
    /// Steps compared.
    pub steps: u64,
    /// Root mean square of the difference of the commands, as a share of the half range (1 = from the middle
    /// of the contract's range to its end).
    pub rms: f64,
    /// Largest difference of the commands, in the same unit.
    pub max: f64,
    /// Signal to noise of the commands, dB.
    pub snr_db: f64,
    /// Per layer: how much of its attention a head spends on other memories than the f32 policy, on average
    /// (total variation distance, 0 to 1).
    pub attention: Vec<f64>,
    /// Per int8 activation: share of its values that the integers cannot hold.
    pub clipped: Vec<(Site, f64)>,
}

/// Feeds `trials` to both policies, each trial to an empty memory.
///
/// `image` must be what `integers` were written as.
///
/// # Panics
/// When a working memory does not have the policy's entries; calibration on the same trials refuses them.
#[must_use]
pub fn compare(
    policy: &FloatPolicy,
    integers: &IntegerPolicy,
    image: &Image<'_>,
    trials: &[Trial],
) -> Errors {
    let config = policy.config();
    let weights = PackedWeights::new(image);
    let on_board = weights.policy(image);
    let mut state = policy.new_state();
    let mut memory: Box<Memory> = Box::<LargestMemory>::default();
    let mut mean = vec![0.0_f32; config.actions];
    let mut words = vec![0_i16; config.actions];
    let mut float = FloatSide {
        attention: Attention::new(config),
        clipping: Clipping::new(integers),
    };
    let mut integer = IntegerSide {
        attention: Attention::new(config),
    };
    let mut distance = vec![0.0; config.layers];
    let (mut steps, mut noise, mut signal, mut max) = (0_u64, 0.0, 0.0, 0.0_f64);
    for trial in trials {
        policy.clear(&mut state);
        memory.clear();
        for input in trial {
            policy.step_observed(&mut state, input, &mut mean, &mut float);
            let (observation, rest) = input.split_at(config.observations);
            let (action, rest) = rest.split_at(config.actions);
            let issued: Vec<i16> = action
                .iter()
                .map(|a| word_from_command(*a, -1.0, 1.0))
                .collect();
            let moment = WorkingMemory {
                observation,
                issued: &issued,
                reward: rest[0],
                done: rest[1] != 0.0,
            };
            let done = on_board.step(&mut memory, &moment, &mut words, &mut integer);
            assert!(done.is_ok(), "{done:?}");
            for (mean, word) in mean.iter().zip(&words) {
                let expected = f64::from(mean.clamp(-1.0, 1.0));
                let error = (f64::from(*word) / f64::from(WORD_MAX) - expected).abs();
                noise += error * error;
                signal += expected * expected;
                max = max.max(error);
            }
            for (l, sum) in distance.iter_mut().enumerate() {
                *sum += float.attention.distance(&integer.attention, l);
            }
            steps += 1;
        }
    }
    let count = (steps * config.actions as u64).max(1) as f64;
    Errors {
        steps,
        rms: (noise / count).sqrt(),
        max,
        snr_db: decibel(signal, noise),
        attention: distance
            .iter()
            .map(|sum| sum / steps.max(1) as f64)
            .collect(),
        clipped: float.clipping.shares(),
    }
}

/// Attention of the newest token, `[layers][heads][age]`.
struct Attention {
    heads: usize,
    window: usize,
    share: Vec<f64>,
}

impl Attention {
    fn new(config: &ModelConfig) -> Self {
        let (heads, window) = (config.heads, config.window);
        Self {
            heads,
            window,
            share: vec![0.0; config.layers * heads * window],
        }
    }

    fn head(&mut self, layer: usize, head: usize) -> &mut [f64] {
        let start = (layer * self.heads + head) * self.window;
        &mut self.share[start..start + self.window]
    }

    /// Mean total variation distance over the heads of a layer.
    fn distance(&self, other: &Self, layer: usize) -> f64 {
        let row = self.heads * self.window;
        let (mine, others) = (
            &self.share[layer * row..][..row],
            &other.share[layer * row..][..row],
        );
        mine.iter()
            .zip(others)
            .map(|(a, b)| (a - b).abs())
            .sum::<f64>()
            / (2.0 * self.heads as f64)
    }
}

/// Counts activations that int8 cannot hold.
struct Clipping {
    /// Site, largest value per channel, values seen, values beyond.
    sites: Vec<(Site, Vec<f64>, u64, u64)>,
}

impl Clipping {
    fn new(integers: &IntegerPolicy) -> Self {
        let site = |(site, limits): &(Site, Vec<f64>)| (*site, limits.clone(), 0, 0);
        Self {
            sites: integers.limits.iter().map(site).collect(),
        }
    }

    fn shares(&self) -> Vec<(Site, f64)> {
        self.sites
            .iter()
            .map(|(site, _, seen, beyond)| (*site, *beyond as f64 / (*seen).max(1) as f64))
            .collect()
    }
}

struct FloatSide {
    attention: Attention,
    clipping: Clipping,
}

impl FloatObserver for FloatSide {
    fn values(&mut self, site: Site, values: &[f32]) {
        if let Some((_, limits, seen, beyond)) =
            self.clipping.sites.iter_mut().find(|entry| entry.0 == site)
        {
            *seen += values.len() as u64;
            let out = values
                .iter()
                .zip(limits)
                .filter(|(value, limit)| f64::from(value.abs()) > **limit);
            *beyond += out.count() as u64;
        }
    }

    fn attention(&mut self, layer: usize, head: usize, weights: &[f32], newest: usize, total: f32) {
        let window = self.attention.window;
        let shares = self.attention.head(layer, head);
        shares.fill(0.0);
        // With `slot` positions several tokens come by; the newest one comes last and stays.
        for (place, weight) in weights.iter().enumerate() {
            shares[(newest + window - place) % window] = f64::from(*weight) / f64::from(total);
        }
    }
}

struct IntegerSide {
    attention: Attention,
}

impl AttentionHook for IntegerSide {
    fn attention(&mut self, layer: usize, head: usize, age: usize, weight: u32, total: u32) {
        if let Some(share) = self.attention.head(layer, head).get_mut(age) {
            *share = f64::from(weight) / f64::from(total.max(1));
        }
    }
}
