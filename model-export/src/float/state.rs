//! What the f32 policy remembers from step to step, and its scratch space.

use engram_image::{HeadInput, ModelConfig, Positions};

/// Memory of one trial. Made by `FloatPolicy::new_state`; a step never resizes it.
#[derive(Clone, Debug)]
pub struct FloatState {
    dimensions: ModelConfig,
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
    pub(super) input: Vec<f32>,
    pub(super) embedded: Vec<f32>,
    pub(super) residual: Vec<f32>,
    pub(super) qkv: Vec<f32>,
    pub(super) logits: Vec<f32>,
    pub(super) mixed: Vec<f32>,
    pub(super) branch: Vec<f32>,
    pub(super) ff: Vec<f32>,
    pub(super) head_input: Vec<f32>,
    pub(super) hidden: [Vec<f32>; 2],
}

impl FloatState {
    pub(super) fn new(config: &ModelConfig) -> Self {
        let (d, window) = (config.model, config.window);
        let zeros = |length: usize| vec![0.0_f32; length];
        let ring = config.layers * d * window;
        Self {
            dimensions: *config,
            next: 0,
            filled: 0,
            keys: zeros(ring),
            values: zeros(ring),
            memories: zeros(if config.positions == Positions::Slot {
                window * d
            } else {
                0
            }),
            input: zeros(config.inputs()),
            embedded: zeros(d),
            residual: zeros(d),
            qkv: zeros(3 * d),
            logits: zeros(window),
            mixed: zeros(d),
            branch: zeros(d),
            ff: zeros(config.ff),
            head_input: zeros(if config.head_input == HeadInput::Mixed {
                2 * d
            } else {
                d
            }),
            hidden: config.hidden.map(zeros),
        }
    }

    /// Forgets everything. What the rings hold stays there and is never read.
    pub(super) fn clear(&mut self) {
        self.next = 0;
        self.filled = 0;
    }

    pub(super) fn fits(&self, config: &ModelConfig) -> bool {
        self.dimensions == *config
    }

    /// Working memories in the window: 0 after a clear, at most `window`.
    #[must_use]
    pub fn filled(&self) -> usize {
        self.filled
    }

    /// The newest encoder output, `[d]`: the episodic memory that the head read at the last step.
    #[must_use]
    pub fn episodic_memory(&self) -> &[f32] {
        &self.residual
    }
}
