//! What the f32 policy remembers from step to step.

use engram_image::{ModelConfig, Positions};

use super::scratch::Scratch;

/// The window of one trial. A step never resizes it.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    pub(super) dimensions: ModelConfig,
    /// Place that the next working memory takes.
    pub(super) next: usize,
    /// Working memories in the window, at most `window`.
    pub(super) filled: usize,
    /// `[layers][d][window]`.
    pub(super) keys: Vec<f32>,
    /// `[layers][d][window]`.
    pub(super) values: Vec<f32>,
    /// `slot`: the last embedded working memories, `[window][d]`.
    pub(super) memories: Vec<f32>,
}

impl Memory {
    pub(super) fn new(config: &ModelConfig) -> Self {
        let (d, window) = (config.model, config.window);
        let ring = config.layers * d * window;
        let slots = match config.positions {
            Positions::Slot => window * d,
            Positions::Age => 0,
        };
        Self {
            dimensions: *config,
            next: 0,
            filled: 0,
            keys: vec![0.0; ring],
            values: vec![0.0; ring],
            memories: vec![0.0; slots],
        }
    }

    /// Forgets everything. What the rings hold stays there and is never read.
    pub(super) fn clear(&mut self) {
        self.next = 0;
        self.filled = 0;
    }

    /// Takes the next place of the window and returns it.
    pub(super) fn advance(&mut self) -> usize {
        let (place, window) = (self.next, self.dimensions.window);
        self.next = if place + 1 == window { 0 } else { place + 1 };
        self.filled = (self.filled + 1).min(window);
        place
    }
}

/// Memory of one trial and a step's scratch space. Made by `FloatPolicy::new_state`.
#[derive(Clone, Debug)]
pub struct FloatState {
    pub(super) memory: Memory,
    pub(super) scratch: Scratch,
}

impl FloatState {
    pub(super) fn new(config: &ModelConfig) -> Self {
        Self {
            memory: Memory::new(config),
            scratch: Scratch::new(config, 1),
        }
    }

    /// Working memories in the window: 0 after a clear, at most `window`.
    #[must_use]
    pub fn filled(&self) -> usize {
        self.memory.filled
    }

    /// The newest encoder output, `[d]`: the episodic memory that the head read at the last step.
    #[must_use]
    pub fn episodic_memory(&self) -> &[f32] {
        &self.scratch.encoded
    }
}

/// Memories of several trials that step together, each weight read once for several of them. Made by
/// `FloatPolicy::new_batch`.
#[derive(Clone, Debug)]
pub struct FloatBatch {
    pub(super) memories: Vec<Memory>,
    pub(super) scratch: Scratch,
}

impl FloatBatch {
    pub(super) fn new(config: &ModelConfig, trials: usize) -> Self {
        Self {
            memories: vec![Memory::new(config); trials],
            scratch: Scratch::new(config, trials),
        }
    }

    /// Empties the memory of one trial; nothing happens where there is no such trial.
    pub fn clear(&mut self, trial: usize) {
        if let Some(memory) = self.memories.get_mut(trial) {
            memory.clear();
        }
    }
}
