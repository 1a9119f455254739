//! Whose policy it is: the transformer's with its memory, or that of a reference.

use serde::{Deserialize, Serialize};

/// Which policy is trained.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumIter,
    strum::EnumMessage,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Agent {
    /// The transformer with its memory.
    Trmrl,
    /// The same network with a window of one working memory: it knows the last action and the last reward.
    OneStep,
    /// The same network, and it sees the current observation alone: no memory, no action, no reward.
    Markov,
    /// The same as the first, and the hidden task is part of its observation.
    Oracle,
    /// A recurrent network (RL^2) instead of the transformer, in everything else the same as the first.
    Rl2,
}
