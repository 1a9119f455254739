//! Where two contracts differ first, in words that a person at the robot can act on.

use core::fmt;

use super::{ActionChannel, Channel, Contract, Reward};
use crate::list::Fill as _;

/// Observation or action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ChannelKind {
    /// From the sensors to the policy.
    Observation,
    /// From the policy to the actuators.
    Action,
}

impl fmt::Display for ChannelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Observation => "observation",
            Self::Action => "action",
        })
    }
}

/// A property of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ChannelField {
    /// Its name: also what a changed order of channels shows as.
    Name,
    /// Its unit.
    Unit,
    /// Its smallest value.
    Min,
    /// Its largest value.
    Max,
    /// Its slew limit.
    SlewPerS,
    /// Its safe command.
    Safe,
}

impl fmt::Display for ChannelField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "name",
            Self::Unit => "unit",
            Self::Min => "min",
            Self::Max => "max",
            Self::SlewPerS => "slew_per_s",
            Self::Safe => "safe",
        })
    }
}

/// The first difference between two contracts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ContractDifference {
    /// The control periods.
    Period {
        /// Of the contract asked, in microseconds.
        this_us: u32,
        /// Of the other, in microseconds.
        other_us: u32,
    },
    /// The numbers of channels.
    Count {
        /// Kind of the channels.
        kind: ChannelKind,
        /// Of the contract asked.
        this: u8,
        /// Of the other.
        other: u8,
    },
    /// One property of one channel.
    Channel {
        /// Kind of the channel.
        kind: ChannelKind,
        /// Number of the channel.
        index: u8,
        /// The property.
        field: ChannelField,
    },
    /// Where the reward comes from, or a factor of it.
    Reward,
}

impl fmt::Display for ContractDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Period { this_us, other_us } => {
                write!(f, "control period: {this_us} us against {other_us} us")
            }
            Self::Count { kind, this, other } => {
                write!(f, "{kind} channels: {this} against {other}")
            }
            Self::Channel { kind, index, field } => write!(f, "{field} of {kind} {index}"),
            Self::Reward => f.write_str("reward"),
        }
    }
}

impl Contract<'_> {
    /// The first difference between this contract and `other`, if there is one.
    ///
    /// Numbers are compared by their bits: what is equal here has an equal digest, and the reverse.
    #[must_use]
    pub fn difference(&self, other: &Contract<'_>) -> Option<ContractDifference> {
        if self.period_us != other.period_us {
            return Some(ContractDifference::Period {
                this_us: self.period_us,
                other_us: other.period_us,
            });
        }
        let kind = ChannelKind::Observation;
        if let Some(found) = counts(kind, self.observations.len(), other.observations.len()) {
            return Some(found);
        }
        for (index, (a, b)) in (0..).zip(self.observations.iter().zip(&other.observations)) {
            let field = if a.name != b.name {
                ChannelField::Name
            } else if a.unit != b.unit {
                ChannelField::Unit
            } else if differ(a.min, b.min) {
                ChannelField::Min
            } else if differ(a.max, b.max) {
                ChannelField::Max
            } else {
                continue;
            };
            return Some(ContractDifference::Channel { kind, index, field });
        }
        let kind = ChannelKind::Action;
        if let Some(found) = counts(kind, self.actions.len(), other.actions.len()) {
            return Some(found);
        }
        for (index, (a, b)) in (0..).zip(self.actions.iter().zip(&other.actions)) {
            let field = if a.name != b.name {
                ChannelField::Name
            } else if a.unit != b.unit {
                ChannelField::Unit
            } else if differ(a.min, b.min) {
                ChannelField::Min
            } else if differ(a.max, b.max) {
                ChannelField::Max
            } else if differ(a.slew_per_s, b.slew_per_s) {
                ChannelField::SlewPerS
            } else if differ(a.safe, b.safe) {
                ChannelField::Safe
            } else {
                continue;
            };
            return Some(ContractDifference::Channel { kind, index, field });
        }
        rewards_differ(&self.reward, &other.reward).then_some(ContractDifference::Reward)
    }
}

/// The first difference between two contracts, with what each of them says there.
#[derive(Clone, Copy, Debug)]
pub struct DifferenceInWords<'a> {
    /// Where.
    pub difference: ContractDifference,
    this: &'a Contract<'a>,
    other: &'a Contract<'a>,
}

impl<'a> Contract<'a> {
    /// [`difference`](Contract::difference), to be shown: it names the channel, and what this contract says against what
    /// the other does.
    #[must_use]
    pub fn difference_in_words(&'a self, other: &'a Contract<'a>) -> Option<DifferenceInWords<'a>> {
        self.difference(other).map(|difference| DifferenceInWords {
            difference,
            this: self,
            other,
        })
    }

    /// The numbers of channels alone, as [`difference_in_words`](Self::difference_in_words): a policy fits no plant with other
    /// numbers, whatever else is the same.
    #[must_use]
    pub fn channels_in_words(&'a self, other: &'a Contract<'a>) -> Option<DifferenceInWords<'a>> {
        use ChannelKind::{Action, Observation};
        let observations = counts(
            Observation,
            self.observations.len(),
            other.observations.len(),
        );
        let actions = || counts(Action, self.actions.len(), other.actions.len());
        let difference = observations.or_else(actions)?;
        Some(DifferenceInWords {
            difference,
            this: self,
            other,
        })
    }

    /// The names of its channels.
    fn names(&self, kind: ChannelKind) -> impl Iterator<Item = &str> {
        let observations = self.observations.iter().map(|channel| channel.name);
        let actions = self.actions.iter().map(|channel| channel.name);
        let (observations, actions) = match kind {
            ChannelKind::Observation => (Some(observations), None),
            ChannelKind::Action => (None, Some(actions)),
        };
        (observations.into_iter().flatten()).chain(actions.into_iter().flatten())
    }

    /// A channel that `other` has not.
    fn alone(&self, kind: ChannelKind, other: &Contract<'_>) -> Option<&str> {
        self.names(kind)
            .find(|name| other.names(kind).all(|other| other != *name))
    }

    /// A channel's name and one of its properties.
    fn property(
        &self,
        kind: ChannelKind,
        index: usize,
        field: ChannelField,
    ) -> (&str, Property<'_>) {
        use Property::{Number, Text};
        match kind {
            ChannelKind::Observation => {
                let channel = self.observations.get(index).unwrap_or(&Channel::FILL);
                let property = match field {
                    ChannelField::Name => Text(channel.name),
                    ChannelField::Unit => Text(channel.unit),
                    ChannelField::Min => Number(channel.min),
                    _ => Number(channel.max),
                };
                (channel.name, property)
            }
            ChannelKind::Action => {
                let channel = self.actions.get(index).unwrap_or(&ActionChannel::FILL);
                let property = match field {
                    ChannelField::Name => Text(channel.name),
                    ChannelField::Unit => Text(channel.unit),
                    ChannelField::Min => Number(channel.min),
                    ChannelField::Max => Number(channel.max),
                    ChannelField::SlewPerS => Number(channel.slew_per_s),
                    ChannelField::Safe => Number(channel.safe),
                };
                (channel.name, property)
            }
        }
    }
}

/// What a channel says of itself.
enum Property<'a> {
    Text(&'a str),
    Number(f32),
}

impl fmt::Display for Property<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "'{text}'"),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

impl fmt::Display for DifferenceInWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, index, field) = match self.difference {
            ContractDifference::Channel { kind, index, field } => (kind, index, field),
            ContractDifference::Count { kind, .. } => {
                self.difference.fmt(f)?;
                if let Some(name) = self.this.alone(kind, self.other) {
                    write!(f, ", '{name}' only in the former")?;
                }
                if let Some(name) = self.other.alone(kind, self.this) {
                    write!(f, ", '{name}' only in the latter")?;
                }
                return Ok(());
            }
            _ => return self.difference.fmt(f),
        };
        let (name, this) = self.this.property(kind, usize::from(index), field);
        let (_, other) = self.other.property(kind, usize::from(index), field);
        write!(f, "{kind} {index} '{name}': {field} {this} against {other}")
    }
}

fn counts(kind: ChannelKind, this: usize, other: usize) -> Option<ContractDifference> {
    let small = |count: usize| u8::try_from(count).unwrap_or(u8::MAX);
    (this != other).then(|| ContractDifference::Count {
        kind,
        this: small(this),
        other: small(other),
    })
}

fn differ(a: f32, b: f32) -> bool {
    a.to_bits() != b.to_bits()
}

fn lists_differ(a: &[f32], b: &[f32]) -> bool {
    a.len() != b.len() || a.iter().zip(b).any(|(a, b)| differ(*a, *b))
}

fn rewards_differ(a: &Reward, b: &Reward) -> bool {
    match (a, b) {
        (Reward::External, Reward::External) => false,
        (Reward::Formula(a), Reward::Formula(b)) => {
            differ(a.constant, b.constant)
                || lists_differ(&a.linear, &b.linear)
                || lists_differ(&a.quadratic, &b.quadratic)
                || lists_differ(&a.action_quadratic, &b.action_quadratic)
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::super::QuadraticReward;
    use super::*;
    use crate::list::List;

    const ANGLE: Channel<'_> = Channel {
        name: "angle",
        unit: "rad",
        min: -3.2,
        max: 3.2,
    };
    const RATE: Channel<'_> = Channel {
        name: "rate",
        unit: "rad/s",
        min: -20.0,
        max: 20.0,
    };
    const TORQUE: ActionChannel<'_> = ActionChannel {
        name: "torque",
        unit: "Nm",
        min: -2.0,
        max: 2.0,
        slew_per_s: 40.0,
        safe: 0.0,
    };
    const REWARD: QuadraticReward = QuadraticReward {
        constant: 0.0,
        linear: List::from_slice(&[1.0, 0.0]),
        quadratic: List::from_slice(&[0.0, -0.1]),
        action_quadratic: List::from_slice(&[-0.01]),
    };
    const CONTRACT: Contract<'_> = Contract {
        period_us: 20_000,
        observations: List::from_slice(&[ANGLE, RATE]),
        actions: List::from_slice(&[TORQUE]),
        reward: Reward::Formula(REWARD),
    };

    #[test]
    fn names_the_first_difference_and_agrees_with_the_digest() {
        use ChannelField as F;
        use ChannelKind::{Action, Observation};
        use ContractDifference as D;
        let observations = |first, second| Contract {
            observations: List::from_slice(&[first, second]),
            ..CONTRACT
        };
        let torque = |change: fn(&mut ActionChannel<'static>)| {
            let mut channel = TORQUE;
            change(&mut channel);
            Contract {
                actions: List::from_slice(&[channel]),
                ..CONTRACT
            }
        };
        let channel = |kind, index, field| D::Channel { kind, index, field };
        let linear = QuadraticReward {
            linear: List::from_slice(&[1.0, -0.0]),
            ..REWARD
        };
        let cases = [
            (
                Contract {
                    period_us: 1,
                    ..CONTRACT
                },
                D::Period {
                    this_us: 20_000,
                    other_us: 1,
                },
            ),
            (
                Contract {
                    observations: List::from_slice(&[ANGLE]),
                    ..CONTRACT
                },
                D::Count {
                    kind: Observation,
                    this: 2,
                    other: 1,
                },
            ),
            (observations(RATE, ANGLE), channel(Observation, 0, F::Name)),
            (
                observations(
                    ANGLE,
                    Channel {
                        unit: "deg/s",
                        ..RATE
                    },
                ),
                channel(Observation, 1, F::Unit),
            ),
            (
                observations(ANGLE, Channel { min: -21.0, ..RATE }),
                channel(Observation, 1, F::Min),
            ),
            (
                observations(Channel { max: 3.0, ..ANGLE }, RATE),
                channel(Observation, 0, F::Max),
            ),
            (torque(|c| c.max = 3.0), channel(Action, 0, F::Max)),
            (
                torque(|c| c.slew_per_s = 41.0),
                channel(Action, 0, F::SlewPerS),
            ),
            (torque(|c| c.safe = -0.0), channel(Action, 0, F::Safe)),
            (
                Contract {
                    reward: Reward::External,
                    ..CONTRACT
                },
                D::Reward,
            ),
            (
                Contract {
                    reward: Reward::Formula(linear),
                    ..CONTRACT
                },
                D::Reward,
            ),
        ];
        let swapped = observations(RATE, ANGLE);
        let contract = CONTRACT;
        let words = contract.difference_in_words(&swapped).expect("they differ");
        assert_eq!(
            std::format!("{words}"),
            "observation 0 'angle': name 'angle' against 'rate'"
        );
        let faster = torque(|c| c.slew_per_s = 41.0);
        let words = contract.difference_in_words(&faster).expect("they differ");
        assert_eq!(
            std::format!("{words}"),
            "action 0 'torque': slew_per_s 40 against 41"
        );
        let blind = Contract {
            period_us: 1,
            observations: List::from_slice(&[ANGLE]),
            ..CONTRACT
        };
        for (this, other, expected) in [
            (
                &contract,
                &blind,
                "observation channels: 2 against 1, 'rate' only in the former",
            ),
            (
                &blind,
                &contract,
                "observation channels: 1 against 2, 'rate' only in the latter",
            ),
        ] {
            let words = this.channels_in_words(other).expect("they differ");
            assert_eq!(std::format!("{words}"), expected);
        }
        assert!(contract.channels_in_words(&faster).is_none());
        assert_eq!(CONTRACT.difference(&CONTRACT), None);
        for (other, expected) in cases {
            assert_eq!(CONTRACT.difference(&other), Some(expected));
            assert_ne!(CONTRACT.digest(), other.digest(), "{expected}");
        }
    }
}
