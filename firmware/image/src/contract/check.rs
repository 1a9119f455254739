//! What every contract must satisfy before anything is sized or scaled by it.

use strum::VariantArray as _;
use thiserror::Error;

use super::{ActionChannel, ChannelKind, Contract, Reward};
use crate::limits::{NAME_BYTES, UNIT_BYTES};
use crate::number::Number;

/// A contract that no board may run.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ContractError {
    /// The control period is 0.
    #[error("the control period is 0 us")]
    Period,
    /// There is no channel of this kind.
    #[error("there is no {0} channel")]
    NoChannel(ChannelKind),
    /// A name or unit is empty, too long, or not printable ASCII without spaces.
    #[error(
        "the {field} of {kind} {index} must be 1 to {limit} bytes of printable ASCII without spaces"
    )]
    Text {
        /// Kind of the channel.
        kind: ChannelKind,
        /// Number of the channel.
        index: u8,
        /// `name` or `unit`.
        field: &'static str,
        /// Most bytes allowed.
        limit: usize,
    },
    /// Two channels of a kind share a name.
    #[error("{kind} {index} has the name of an earlier {kind}")]
    Duplicate {
        /// Kind of the channels.
        kind: ChannelKind,
        /// Number of the second of the two.
        index: u8,
    },
    /// A number is not finite, or not where it must be.
    #[error("the {field} of {kind} {index} is {}, but must be {must}", Number(*value))]
    Number {
        /// Kind of the channel.
        kind: ChannelKind,
        /// Number of the channel.
        index: u8,
        /// The field.
        field: &'static str,
        /// Its value, in the channel's unit.
        value: f32,
        /// What it must satisfy.
        must: &'static str,
    },
    /// A factor of the reward is not finite.
    #[error("reward: {field}[{index}] is {}, but must be finite", Number(*value))]
    RewardFactor {
        /// The list of factors.
        field: &'static str,
        /// Which of them.
        index: u8,
        /// Its value.
        value: f32,
    },
    /// The reward has not one factor for every channel.
    #[error("reward: {field} has {found} factors for {expected} channels")]
    RewardFactors {
        /// The list of factors.
        field: &'static str,
        /// Factors present.
        found: usize,
        /// Channels of the contract.
        expected: usize,
    },
}

/// Printable ASCII without spaces: what a terminal, a log and a CSV header show unchanged.
pub(crate) fn is_plain(text: &str, limit: usize) -> bool {
    !text.is_empty() && text.len() <= limit && text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Contract<'_> {
    /// Checks names, units, ranges, slew limits, safe commands and the reward's factors.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self) -> Result<(), ContractError> {
        if self.period_us == 0 {
            return Err(ContractError::Period);
        }
        for &kind in ChannelKind::VARIANTS {
            if self.channels(kind).next().is_none() {
                return Err(ContractError::NoChannel(kind));
            }
            for (index, channel) in (0..).zip(self.channels(kind)) {
                check(kind, index, &channel)?;
                let mut earlier = self.channels(kind).take(usize::from(index));
                if earlier.any(|other| other.name == channel.name) {
                    return Err(ContractError::Duplicate { kind, index });
                }
            }
        }
        match &self.reward {
            Reward::External => Ok(()),
            Reward::Formula(reward) => {
                factors("constant", &[reward.constant], 1)?;
                factors("linear", &reward.linear, self.observations.len())?;
                factors("quadratic", &reward.quadratic, self.observations.len())?;
                factors(
                    "action_quadratic",
                    &reward.action_quadratic,
                    self.actions.len(),
                )
            }
        }
    }
}

/// One channel by itself.
fn check(kind: ChannelKind, index: u8, channel: &ActionChannel<'_>) -> Result<(), ContractError> {
    for (field, text, limit) in [
        ("name", channel.name, NAME_BYTES),
        ("unit", channel.unit, UNIT_BYTES),
    ] {
        if !is_plain(text, limit) {
            return Err(ContractError::Text {
                kind,
                index,
                field,
                limit,
            });
        }
    }
    let &ActionChannel {
        min,
        max,
        slew_per_s,
        safe,
        ..
    } = channel;
    let span = max > min && (max - min).is_finite();
    let observation = kind == ChannelKind::Observation;
    let slews = observation || (slew_per_s.is_finite() && slew_per_s > 0.0);
    let stops = observation || (min..=max).contains(&safe);
    for (holds, field, value, must) in [
        (min.is_finite(), "min", min, "finite"),
        (max.is_finite(), "max", max, "finite"),
        (span, "max", max, "above min by a finite span"),
        (slews, "slew_per_s", slew_per_s, "finite and positive"),
        (stops, "safe", safe, "within the range"),
    ] {
        if !holds {
            return Err(ContractError::Number {
                kind,
                index,
                field,
                value,
                must,
            });
        }
    }
    Ok(())
}

fn factors(field: &'static str, values: &[f32], expected: usize) -> Result<(), ContractError> {
    if values.len() != expected {
        return Err(ContractError::RewardFactors {
            field,
            found: values.len(),
            expected,
        });
    }
    match (0..).zip(values).find(|(_, value)| !value.is_finite()) {
        Some((index, &value)) => Err(ContractError::RewardFactor {
            field,
            index,
            value,
        }),
        None => Ok(()),
    }
}
