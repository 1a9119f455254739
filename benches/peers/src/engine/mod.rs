//! Engines that step a policy. All get the same working memories and give the same action mean.

#[cfg(feature = "burn")]
pub(crate) mod burn;
#[cfg(feature = "candle")]
pub(crate) mod candle;
pub(crate) mod engram;
#[cfg(feature = "onnxruntime")]
pub(crate) mod onnxruntime;
#[cfg(feature = "tract")]
pub(crate) mod tract;

use crate::graph::Cache;
use crate::reference::Moment;

/// What an engine computes at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    /// The whole window from nothing.
    Window,
    /// One token on a cache.
    Token(Cache),
}

impl Function {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Window => "window",
            Self::Token(Cache::Shift) => "token, shifted cache",
            Self::Token(Cache::Ring) => "token, ring",
        }
    }
}

/// A policy on an engine, with its memory.
pub(crate) trait Engine {
    /// Forgets everything.
    fn clear(&mut self) -> anyhow::Result<()>;

    /// One control step. An engine of [`Function::Window`] gives a mean once the window is full.
    fn step(&mut self, moment: &Moment, mean: &mut [f32]) -> anyhow::Result<()>;
}

/// The last working memories, the oldest first.
#[cfg(any(
    feature = "burn",
    feature = "candle",
    feature = "onnxruntime",
    feature = "tract"
))]
pub(crate) fn push(rows: &mut [f32], input: &[f32]) {
    rows.copy_within(input.len().., 0);
    let start = rows.len() - input.len();
    rows[start..].copy_from_slice(input);
}
