//! Where two contracts differ first, in words that a person at the robot can act on.

use core::fmt;

use super::{ActionChannel, Contract, Reward};
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

impl ChannelField {
    const ALL: [Self; 6] = [
        Self::Name,
        Self::Unit,
        Self::Min,
        Self::Max,
        Self::SlewPerS,
        Self::Safe,
    ];
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
        for kind in [ChannelKind::Observation, ChannelKind::Action] {
            if let Some(found) = self.counts(kind, other) {
                return Some(found);
            }
            let pairs = self.channels(kind).zip(other.channels(kind));
            for (index, (a, b)) in (0..).zip(pairs) {
                let mut fields = ChannelField::ALL.into_iter();
                if let Some(field) = fields.find(|&field| a.property(field) != b.property(field)) {
                    return Some(ContractDifference::Channel { kind, index, field });
                }
            }
        }
        rewards_differ(&self.reward, &other.reward).then_some(ContractDifference::Reward)
    }

    /// Whether the numbers of channels differ.
    fn counts(&self, kind: ChannelKind, other: &Contract<'_>) -> Option<ContractDifference> {
        let [this, other] = [self, other].map(|contract| contract.channels(kind).count());
        let small = |count: usize| u8::try_from(count).unwrap_or(u8::MAX);
        (this != other).then(|| ContractDifference::Count {
            kind,
            this: small(this),
            other: small(other),
        })
    }
}

impl<'a> ActionChannel<'a> {
    fn property(&self, field: ChannelField) -> Property<'a> {
        match field {
            ChannelField::Name => Property::Text(self.name),
            ChannelField::Unit => Property::Text(self.unit),
            ChannelField::Min => Property::Number(self.min.to_bits()),
            ChannelField::Max => Property::Number(self.max.to_bits()),
            ChannelField::SlewPerS => Property::Number(self.slew_per_s.to_bits()),
            ChannelField::Safe => Property::Number(self.safe.to_bits()),
        }
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
        let kinds = [ChannelKind::Observation, ChannelKind::Action];
        let difference = kinds
            .into_iter()
            .find_map(|kind| self.counts(kind, other))?;
        Some(DifferenceInWords {
            difference,
            this: self,
            other,
        })
    }

    /// A channel that `other` has not.
    fn alone(&self, kind: ChannelKind, other: &Contract<'_>) -> Option<&str> {
        let mut names = self.channels(kind).map(|channel| channel.name);
        names.find(|name| other.channels(kind).all(|other| other.name != *name))
    }
}

/// What a channel says of itself: a text, or the bits of a number.
#[derive(PartialEq)]
enum Property<'a> {
    Text(&'a str),
    Number(u32),
}

impl fmt::Display for Property<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "'{text}'"),
            Self::Number(bits) => write!(f, "{}", f32::from_bits(*bits)),
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
        let index_of = usize::from(index);
        let this = self.this.channels(kind).nth(index_of);
        let other = self.other.channels(kind).nth(index_of);
        let [this, other] = [this, other].map(|channel| channel.unwrap_or(ActionChannel::FILL));
        write!(
            f,
            "{kind} {index} '{}': {field} {} against {}",
            this.name,
            this.property(field),
            other.property(field)
        )
    }
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

    use super::super::tests::{self as external, ANGLE, RATE, TORQUE};
    use super::super::{Channel, QuadraticReward};
    use super::*;
    use crate::list::List;

    const REWARD: QuadraticReward = QuadraticReward {
        constant: 0.0,
        linear: List::from_slice(&[1.0, 0.0]),
        quadratic: List::from_slice(&[0.0, -0.1]),
        action_quadratic: List::from_slice(&[-0.01]),
    };
    const CONTRACT: Contract<'_> = Contract {
        reward: Reward::Formula(REWARD),
        ..external::CONTRACT
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
