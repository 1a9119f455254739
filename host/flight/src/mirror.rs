//! The host's own integer policy, fed with what the board says entered its memory.
//!
//! It runs beside every flight and in every replay, and computes the words that the board must
//! have computed. It decides nothing: whether the policy ran in a step is the board's word.

use engram_export::PackedWeights;
use engram_firmware::policy::{AttentionHook, LargestMemory, Memory, PolicyError, WorkingMemory};
use engram_image::{Image, ReadError};

/// The most attention shares that one step records: beyond this only the words are compared.
const MOST_SHARES: usize = 4_096;

/// The image's policy on the host.
pub struct Mirror<'a> {
    image: Image<'a>,
    weights: PackedWeights,
    memory: Box<Memory>,
    words: Vec<i16>,
    seen_attention: SeenAttention,
}

impl<'a> Mirror<'a> {
    /// A policy with empty memory.
    ///
    /// # Errors
    /// [`ReadError`] when the bytes are no image.
    pub fn new(image: &'a [u8]) -> Result<Self, ReadError> {
        let image = Image::read(image)?;
        let config = image.config;
        let shares = config.layers * config.window;
        let seen_attention = SeenAttention {
            layers: if shares <= MOST_SHARES {
                config.layers
            } else {
                0
            },
            window: config.window,
            heads: config.heads,
            shares: vec![0.0; if shares <= MOST_SHARES { shares } else { 0 }],
        };
        Ok(Self {
            weights: PackedWeights::new(&image),
            image,
            memory: Box::<LargestMemory>::default(),
            words: vec![0; config.actions],
            seen_attention,
        })
    }

    /// The image.
    #[must_use]
    pub fn image(&self) -> &Image<'a> {
        &self.image
    }

    /// Forgets all working memories.
    pub fn clear(&mut self) {
        self.memory.clear();
    }

    /// One policy step; returns the command words.
    ///
    /// # Errors
    /// [`PolicyError`] when a length does not fit the image.
    pub fn step(&mut self, input: &WorkingMemory<'_>) -> Result<&[i16], PolicyError> {
        self.seen_attention.shares.fill(0.0);
        self.weights.policy(&self.image).step(
            &mut self.memory,
            input,
            &mut self.words,
            &mut self.seen_attention,
        )?;
        Ok(&self.words)
    }

    /// What the newest step attended to: for each layer the share of each age, averaged over the
    /// heads. Empty for a network too large to record.
    #[must_use]
    pub fn attention(&self) -> Vec<Vec<f32>> {
        if self.seen_attention.layers == 0 {
            return Vec::new();
        }
        self.seen_attention
            .shares
            .chunks(self.seen_attention.window)
            .map(<[f32]>::to_vec)
            .collect()
    }
}

/// Gathers attention while the policy runs.
struct SeenAttention {
    layers: usize,
    window: usize,
    heads: usize,
    /// `[layers][window]`.
    shares: Vec<f32>,
}

impl AttentionHook for SeenAttention {
    fn attention(&mut self, layer: usize, _head: usize, age: usize, weight: u32, total: u32) {
        if age >= self.window || total == 0 {
            return;
        }
        if let Some(share) = self.shares.get_mut(layer * self.window + age) {
            *share += (f64::from(weight) / f64::from(total) / self.heads as f64) as f32;
        }
    }
}
