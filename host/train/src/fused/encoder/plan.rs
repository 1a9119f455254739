//! Which token goes where: blocks of columns, and who sees whom in them.

use candle_core::Result;

use super::super::product::GROUP;
use super::EncoderShape;
use super::attention::Layout;

/// Windows that are computed side by side: `WINDOWS` times the window's length columns stay in the cache.
const WINDOWS: usize = 64;

/// The newest memory of a window and how many it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Row of the newest token; the older ones lie before it.
    pub newest: usize,
    /// Tokens in the window, at least 1.
    pub present: usize,
}

/// The sequences that the encoder works on.
#[derive(Clone, Debug)]
pub enum Tokens {
    /// Trials of `steps` tokens that lie one after the other; a token sees those of the window before it, and
    /// every token's result is wanted.
    Trials {
        /// Trials.
        trials: usize,
        /// Tokens of one trial.
        steps: usize,
    },
    /// Windows that may share tokens; the newest token's result is wanted.
    Windows {
        /// One for each result.
        windows: Vec<Window>,
        /// Added to the token in each slot, `[window][model]`; slots fill from the front.
        encodings: Vec<f32>,
    },
}

impl Tokens {
    /// Rows of the result.
    pub(super) fn results(&self) -> usize {
        match self {
            Self::Trials { trials, steps } => trials * steps,
            Self::Windows { windows, .. } => windows.len(),
        }
    }

    pub(super) fn check(&self, tokens: usize, length: usize) -> Result<()> {
        match self {
            Self::Trials { trials, steps } if trials * steps != tokens || *steps == 0 => {
                candle_core::bail!("encoder: {trials} trials of {steps} steps, {tokens} tokens")
            }
            Self::Trials { .. } => Ok(()),
            Self::Windows { windows, .. } => {
                for Window { newest, present } in windows {
                    if *newest >= tokens
                        || *present == 0
                        || *present > length
                        || *present > newest + 1
                    {
                        candle_core::bail!(
                            "encoder: a window of {present} tokens up to {newest}, of {tokens}, length {length}"
                        );
                    }
                }
                Ok(())
            }
        }
    }
}

/// A block's columns.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// Row of the token in each column, if there is one.
    pub(super) tokens: Vec<Option<usize>>,
    /// Slot of the token in each column, for its encoding.
    pub(super) slots: Vec<usize>,
    /// How many memories each column's window holds.
    pub(super) present: Vec<f32>,
    /// Row of the result of each wanted column, if there is one.
    pub(super) results: Vec<Option<usize>>,
}

/// All blocks have the same layout.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Of all layers but the last.
    pub(super) layout: Layout,
    /// Of the last layer, whose active columns are the wanted ones.
    pub(super) last: Layout,
    pub(super) pad: usize,
    pub(super) blocks: Vec<Block>,
    pub(super) encodings: Vec<f32>,
}

impl Plan {
    pub(super) fn new(shape: &EncoderShape, tokens: &Tokens) -> Self {
        let EncoderShape {
            heads,
            model,
            window,
            ..
        } = *shape;
        let (step, slot, columns, pad) = match tokens {
            Tokens::Trials { steps, .. } => (
                1,
                0,
                steps.next_multiple_of(GROUP),
                (window - 1).next_multiple_of(GROUP),
            ),
            Tokens::Windows { windows, .. } => {
                let side = WINDOWS.min(windows.len().next_multiple_of(GROUP));
                (side, side, side * window, 0)
            }
        };
        let layout = Layout {
            heads,
            size: model / heads,
            window,
            columns,
            step,
            slot,
            active: 0..columns,
        };
        let last = Layout {
            active: columns - if slot == 0 { columns } else { slot }..columns,
            ..layout.clone()
        };
        let (blocks, encodings) = match tokens {
            Tokens::Trials { trials, steps } => (
                (0..*trials)
                    .map(|trial| Block::trial(trial, *steps, columns, window))
                    .collect(),
                Vec::new(),
            ),
            Tokens::Windows { windows, encodings } => (
                windows
                    .chunks(slot)
                    .enumerate()
                    .map(|(number, windows)| Block::windows(number * slot, windows, slot, window))
                    .collect(),
                encodings.clone(),
            ),
        };
        Self {
            layout,
            last,
            pad,
            blocks,
            encodings,
        }
    }
}

impl Block {
    fn trial(trial: usize, steps: usize, columns: usize, window: usize) -> Self {
        let tokens: Vec<_> = (0..columns)
            .map(|t| (t < steps).then_some(trial * steps + t))
            .collect();
        Self {
            slots: Vec::new(),
            present: (0..columns).map(|t| window.min(t + 1) as f32).collect(),
            results: tokens.clone(),
            tokens,
        }
    }

    /// Windows side by side, slot after slot. The newest memory is always in the last one.
    fn windows(first: usize, windows: &[Window], side: usize, length: usize) -> Self {
        let mut block = Self {
            tokens: vec![None; side * length],
            slots: vec![0; side * length],
            present: vec![1.0; side * length],
            results: vec![None; side],
        };
        for (number, Window { newest, present }) in windows.iter().enumerate() {
            block.results[number] = Some(first + number);
            for slot in 0..*present {
                let column = (length - present + slot) * side + number;
                block.tokens[column] = Some(newest + 1 + slot - present);
                block.slots[column] = slot;
                block.present[column] = (slot + 1) as f32;
            }
        }
        block
    }
}
