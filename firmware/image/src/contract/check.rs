//! What every contract must satisfy before anything is sized or scaled by it.

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
        for kind in [ChannelKind::Observation, ChannelKind::Action] {
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
    let action = kind == ChannelKind::Action;
    let span = max > min && (max - min).is_finite();
    let slews = slew_per_s.is_finite() && slew_per_s > 0.0;
    for (holds, field, value, must) in [
        (min.is_finite(), "min", min, "finite"),
        (max.is_finite(), "max", max, "finite"),
        (span, "max", max, "above min by a finite span"),
        (
            slews || !action,
            "slew_per_s",
            slew_per_s,
            "finite and positive",
        ),
        (
            (min..=max).contains(&safe) || !action,
            "safe",
            safe,
            "within the range",
        ),
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

#[cfg(test)]
mod tests {
    use super::super::tests::{ANGLE, CONTRACT, RATE, TORQUE};
    use super::super::{Channel, QuadraticReward};
    use super::*;
    use crate::list::List;

    fn observation(change: fn(&mut Channel<'static>)) -> Result<(), ContractError> {
        let mut channel = RATE;
        change(&mut channel);
        Contract {
            observations: List::from_slice(&[ANGLE, channel]),
            ..CONTRACT
        }
        .validate()
    }

    fn action(change: fn(&mut ActionChannel<'static>)) -> Result<(), ContractError> {
        let mut channel = TORQUE;
        change(&mut channel);
        Contract {
            actions: List::from_slice(&[channel]),
            ..CONTRACT
        }
        .validate()
    }

    fn number_field(result: Result<(), ContractError>) -> &'static str {
        match result {
            Err(ContractError::Number { field, .. }) => field,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_sound_contract() {
        assert_eq!(CONTRACT.validate(), Ok(()));
        assert_eq!(
            Contract {
                period_us: 0,
                ..CONTRACT
            }
            .validate(),
            Err(ContractError::Period)
        );
        assert_eq!(
            Contract {
                actions: List::EMPTY,
                ..CONTRACT
            }
            .validate(),
            Err(ContractError::NoChannel(ChannelKind::Action))
        );
    }

    #[test]
    fn texts_and_duplicates() {
        use ContractError::{Duplicate, Text};
        assert!(matches!(
            observation(|c| c.name = ""),
            Err(Text {
                field: "name",
                index: 1,
                ..
            })
        ));
        assert!(matches!(observation(|c| c.name = "a b"), Err(Text { .. })));
        assert!(matches!(
            observation(|c| c.name = "rate\n"),
            Err(Text { .. })
        ));
        assert!(matches!(
            observation(|c| c.name = "a-name-longer-than-allowed"),
            Err(Text { .. })
        ));
        assert!(matches!(
            observation(|c| c.unit = "m/s\u{b2}"),
            Err(Text { field: "unit", .. })
        ));
        assert!(matches!(
            observation(|c| c.name = "angle"),
            Err(Duplicate { index: 1, .. })
        ));
    }

    #[test]
    fn ranges() {
        assert_eq!(number_field(observation(|c| c.min = f32::NAN)), "min");
        assert_eq!(number_field(observation(|c| c.max = f32::INFINITY)), "max");
        assert_eq!(number_field(observation(|c| c.max = c.min)), "max");
        assert_eq!(
            number_field(observation(|c| (c.min, c.max) = (f32::MIN, f32::MAX))),
            "max"
        );
        assert_eq!(number_field(action(|c| c.slew_per_s = 0.0)), "slew_per_s");
        assert_eq!(
            number_field(action(|c| c.slew_per_s = f32::INFINITY)),
            "slew_per_s"
        );
        assert_eq!(number_field(action(|c| c.safe = 2.1)), "safe");
        assert_eq!(number_field(action(|c| c.safe = f32::NAN)), "safe");
    }

    #[test]
    fn rewards() {
        let formula = |linear: &[f32], action_quadratic: &[f32]| {
            let reward = Reward::Formula(QuadraticReward {
                constant: 0.0,
                linear: List::from_slice(linear),
                quadratic: List::from_slice(&[0.0, 0.0]),
                action_quadratic: List::from_slice(action_quadratic),
            });
            Contract { reward, ..CONTRACT }.validate()
        };
        assert_eq!(formula(&[1.0, 2.0], &[3.0]), Ok(()));
        assert_eq!(
            formula(&[1.0], &[3.0]),
            Err(ContractError::RewardFactors {
                field: "linear",
                found: 1,
                expected: 2
            })
        );
        assert!(matches!(
            formula(&[1.0, f32::NAN], &[3.0]),
            Err(ContractError::RewardFactor {
                field: "linear",
                index: 1,
                ..
            })
        ));
        assert!(formula(&[1.0, 2.0], &[3.0, 4.0]).is_err());
    }
}
