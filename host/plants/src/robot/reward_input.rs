//! What a policy is told of its reward: sent with every sample, computed on board, or nothing.

use engram_image::{ActionChannel, List, QuadraticReward, Reward};

use super::check::Context;
use super::text::RewardInput;
use super::{RobotError, Source, Term};

/// The contract's reward. `actions` are its action channels.
pub(super) fn reward(
    context: &Context<'_>,
    input: RewardInput,
    rewards: &[(f64, Term)],
    sources: &[Source],
    actions: &[ActionChannel<'_>],
) -> Result<Reward, RobotError> {
    let mut formula = Formula {
        constant: 0.0,
        linear: vec![0.0; sources.len()],
        actions: vec![0.0; actions.len()],
    };
    match input {
        RewardInput::External => return Ok(Reward::External),
        RewardInput::None => {}
        RewardInput::Formula => {
            for (index, (weight, term)) in rewards.iter().enumerate() {
                formula.add(*weight, term, sources, actions).ok_or_else(|| {
                    let must = format!(
                        "\"external\" or \"none\": reward[{index}] cannot be computed on board. What can be: alive, control of actions whose range is symmetric about 0, and \
                         velocity, height and upright where an observation reads the same"
                    );
                    context.refuse("reward_input", must)
                })?;
            }
        }
    }
    Ok(Reward::Formula(QuadraticReward {
        constant: formula.constant as f32,
        linear: List::from_slice(&formula.linear),
        quadratic: List::from_slice(&vec![0.0; sources.len()]),
        action_quadratic: List::from_slice(&formula.actions),
    }))
}

/// The reward as a board computes it: of observations as they are measured, and of the issued command.
struct Formula {
    constant: f64,
    /// Factor of every observation channel.
    linear: Vec<f32>,
    /// Factor of the square of every action channel.
    actions: Vec<f32>,
}

impl Formula {
    /// Adds a term; `None` where no board can compute it.
    fn add(
        &mut self,
        weight: f64,
        term: &Term,
        sources: &[Source],
        actions: &[ActionChannel<'_>],
    ) -> Option<()> {
        match term {
            // In the step in which an episode ends the plant pays 0; the board does not know of it before the next.
            Term::Alive => self.constant += weight,
            Term::Control => {
                for (factor, action) in self.actions.iter_mut().zip(actions) {
                    if action.min != -action.max {
                        return None;
                    }
                    // The term scales commands to [-1, 1].
                    *factor += (weight / f64::from(action.max).powi(2)) as f32;
                }
            }
            Term::Value(of) => {
                let channel = sources.iter().position(|source| source.reads(of))?;
                *self.linear.get_mut(channel)? += weight as f32;
            }
            Term::Track(..) | Term::ControlChange | Term::JointVelocity(_) => return None,
        }
        Some(())
    }
}

impl Source {
    /// Whether both read the same number of the simulation.
    fn reads(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::BodyPosition(a, axis), Self::BodyPosition(b, other)) => {
                a.name == b.name && axis == other
            }
            (Self::BodyVelocity(a, axis, frame), Self::BodyVelocity(b, other, others)) => {
                a.name == b.name && (axis, frame) == (other, others)
            }
            (Self::BodyRotation(a, row, column), Self::BodyRotation(b, other, others)) => {
                a.name == b.name && (row, column) == (other, others)
            }
            _ => false,
        }
    }
}
