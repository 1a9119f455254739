//! What a policy is told of its reward: sent with every sample, computed on board, or nothing.

use engram_image::{ActionChannel, List, QuadraticReward, Reward};

use super::check::Context;
use super::measured::{Effort, Measure, Shape};
use super::text::RewardInput;
use super::{ALL, RobotError, Source, Target, Term};

/// What a board can compute, for errors.
const COMPUTABLE: &str = "What can be: alive, control of actions whose range is symmetric about 0, and of what an observation reads the same: single \
                          numbers (velocity, height, upright, value), joint_velocity and torque of named joints, and track with square = true of constant targets";

/// The contract's reward. `actions` are its action channels, `keys` the kind of every term.
pub(super) fn reward(
    context: &Context<'_>,
    input: RewardInput,
    rewards: &[(f64, Term)],
    keys: &[&str],
    sources: &[Source],
    actions: &[ActionChannel<'_>],
) -> Result<Reward, RobotError> {
    let mut formula = Formula {
        sources,
        actions,
        constant: 0.0,
        linear: vec![0.0; sources.len()],
        quadratic: vec![0.0; sources.len()],
        action_quadratic: vec![0.0; actions.len()],
    };
    match input {
        RewardInput::External => return Ok(Reward::External),
        RewardInput::None => {}
        RewardInput::Formula => {
            for (index, ((weight, term), key)) in rewards.iter().zip(keys).enumerate() {
                formula.add(*weight, term).map_err(|why| {
                    let must = format!(
                        "\"external\" or \"none\": reward[{index}] cannot be computed on board ({key}): {why}. {COMPUTABLE}"
                    );
                    context.refuse("reward_input", must)
                })?;
            }
        }
    }
    Ok(Reward::Formula(QuadraticReward {
        constant: formula.constant as f32,
        linear: List::from_slice(&formula.linear),
        quadratic: List::from_slice(&formula.quadratic),
        action_quadratic: List::from_slice(&formula.action_quadratic),
    }))
}

/// The reward as a board computes it: of observations as they are measured, and of the issued command.
struct Formula<'a> {
    sources: &'a [Source],
    actions: &'a [ActionChannel<'a>],
    constant: f64,
    /// Factor of every observation channel,
    linear: Vec<f32>,
    /// of its square,
    quadratic: Vec<f32>,
    /// and of the square of every action channel.
    action_quadratic: Vec<f32>,
}

impl Formula<'_> {
    /// Adds a term, or says why no board can compute it.
    fn add(&mut self, weight: f64, term: &Term) -> Result<(), &'static str> {
        match term {
            // In the step in which an episode ends the plant pays 0; the board does not know of it before the next.
            Term::Alive => self.constant += weight,
            Term::Control => {
                for (factor, action) in self.action_quadratic.iter_mut().zip(self.actions) {
                    if action.min != -action.max {
                        return Err("the range of an action is not symmetric about 0");
                    }
                    // The term scales commands to [-1, 1].
                    *factor += (weight / f64::from(action.max).powi(2)) as f32;
                }
            }
            Term::Value(Measure(parts)) => {
                let [(source, _)] = parts.as_slice() else {
                    return Err(
                        "the norm of several numbers is no sum of channels and their squares",
                    );
                };
                let channel = self.channel(source)?;
                self.linear[channel] += weight as f32;
            }
            Term::Track(measure, Shape::Square) => {
                for (source, target) in &measure.0 {
                    self.add_square(weight, source, *target)?;
                }
            }
            Term::Track(..) => {
                return Err("only with square = true it is a sum of channels and their squares");
            }
            Term::Effort(effort, joints) => {
                let source = match effort {
                    Effort::Velocity => Source::JointVelocity,
                    Effort::Torque => Source::JointTorque,
                    Effort::Acceleration => return Err("no observation reads an acceleration"),
                };
                for joint in joints {
                    if joint.name == ALL {
                        return Err("the joints must be named, each with an observation");
                    }
                    // Minus the square of a difference from 0, with the sign turned round.
                    self.add_square(-weight, &source(joint.clone(), 0), Target::Constant(0.0))?;
                }
            }
            Term::ControlChange => return Err("a board's formula knows only the newest command"),
            Term::Power(_) => return Err("it is a product"),
            Term::Gait { .. } | Term::Landing { .. } | Term::Reached => {
                return Err("it depends on what was before");
            }
        }
        Ok(())
    }

    /// Adds minus the square of the distance from a constant.
    fn add_square(
        &mut self,
        weight: f64,
        source: &Source,
        target: Target,
    ) -> Result<(), &'static str> {
        let Target::Constant(target) = target else {
            return Err("its target is a hidden parameter");
        };
        if matches!(source, Source::BodyEuler(..)) {
            return Err("an angle wraps round");
        }
        let channel = self.channel(source)?;
        self.quadratic[channel] -= weight as f32;
        self.linear[channel] += (2.0 * weight * target) as f32;
        self.constant -= weight * target * target;
        Ok(())
    }

    /// The observation that reads the same number.
    fn channel(&self, source: &Source) -> Result<usize, &'static str> {
        let same = |of: &Source| of == source;
        let found = self.sources.iter().position(same);
        found.ok_or("no observation reads what it reads")
    }
}
