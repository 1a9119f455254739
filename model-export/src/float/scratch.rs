//! The buffers of a step: vectors of all trials that step together, and of all their tokens, one behind the other.

use engram_image::{HeadInput, ModelConfig, Positions};

/// One token on its way through the encoder.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    /// Number of its trial.
    pub(super) trial: usize,
    /// Where its keys and values go.
    pub(super) place: usize,
    /// It attends to the places below this.
    pub(super) filled: usize,
}

/// Scratch space. A step never resizes it.
#[derive(Clone, Debug)]
pub(super) struct Scratch {
    /// Tokens of this step; those of a trial are neighbours, the newest is the last of them.
    pub(super) tokens: Vec<Token>,
    /// `[trials][inputs]`
    pub(super) input: Vec<f32>,
    /// `[trials][d]`
    pub(super) embedded: Vec<f32>,
    /// `[tokens][d]`
    pub(super) residual: Vec<f32>,
    /// `[tokens][3d]`
    pub(super) qkv: Vec<f32>,
    /// `[window]`
    pub(super) logits: Vec<f32>,
    /// `[tokens][d]`
    pub(super) mixed: Vec<f32>,
    /// `[tokens][d]`
    pub(super) branch: Vec<f32>,
    /// `[tokens][ff]`
    pub(super) ff: Vec<f32>,
    /// `[trials][d]`: the newest token's output.
    pub(super) encoded: Vec<f32>,
    /// `[trials][d or 2d]`
    pub(super) head_input: Vec<f32>,
    /// `[trials][h0]`, `[trials][h1]`
    pub(super) hidden: [Vec<f32>; 2],
}

impl Scratch {
    pub(super) fn new(config: &ModelConfig, trials: usize) -> Self {
        let d = config.model;
        let tokens = match config.positions {
            Positions::Slot => trials * config.window,
            Positions::Age => trials,
        };
        let zeros = |length: usize| vec![0.0_f32; length];
        Self {
            tokens: Vec::with_capacity(tokens),
            input: zeros(trials * config.inputs()),
            embedded: zeros(trials * d),
            residual: zeros(tokens * d),
            qkv: zeros(tokens * 3 * d),
            logits: zeros(config.window),
            mixed: zeros(tokens * d),
            branch: zeros(tokens * d),
            ff: zeros(tokens * config.ff),
            encoded: zeros(trials * d),
            head_input: zeros(trials * head_inputs(config)),
            hidden: config.hidden.map(|width| zeros(trials * width)),
        }
    }
}

/// Entries of the head's input.
pub(super) fn head_inputs(config: &ModelConfig) -> usize {
    match config.head_input {
        HeadInput::Mixed => 2 * config.model,
        HeadInput::Encoder => config.model,
    }
}
