//! The learner that follows the gradient through plant and policy: whole flights in closed loop, there and back.
//!
//! PPO learns from what its trials happen to earn. Where a plant's equations can be differentiated
//! ([`engram_plants::Differentiable`]), the gradient of a flight's cost by every weight can be computed instead: forwards the
//! policy flies a block of craft as a board would, one token a step; backwards the gradient runs from the last step to the
//! first, through the plant's equations and through everything that the policy remembered. There is no critic, no
//! exploration and no reward; what a flight costs is the plant's [`cost`](engram_plants::Differentiable::cost).
//!
//! The craft of a block are the fastest axis of every number, so that a vector register holds one feature of neighbouring
//! craft. Blocks are computed in parallel and summed in order: no result depends on the number of threads.

mod attention;
mod flights;
mod gru;
mod linear;
mod places;
mod policy;
mod settings;
mod trainer;
mod transformer;

pub use settings::GradientSettings;
pub use trainer::{begin, is_gradient, resume};

/// Craft of a block.
const LANES: usize = 32;

#[cfg(test)]
mod tests;
