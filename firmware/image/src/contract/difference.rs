//! Where two contracts differ first, in words that a person at the robot can act on.

use core::fmt;

use strum::{Display, VariantArray};
use thiserror::Error;

use super::{ActionChannel, Contract};
use crate::codec::Hash;
use crate::list::Fill as _;
use crate::walk;

/// Observation or action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, VariantArray)]
#[strum(serialize_all = "lowercase")]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ChannelKind {
    /// From the sensors to the policy.
    Observation,
    /// From the policy to the actuators.
    Action,
}

/// The first difference between two contracts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ContractDifference {
    /// The control periods.
    #[error("control period: {this_us} us against {other_us} us")]
    Period {
        /// Of the contract asked, in microseconds.
        this_us: u32,
        /// Of the other, in microseconds.
        other_us: u32,
    },
    /// The numbers of channels.
    #[error("{kind} channels: {this} against {other}")]
    Count {
        /// Kind of the channels.
        kind: ChannelKind,
        /// Of the contract asked.
        this: usize,
        /// Of the other.
        other: usize,
    },
    /// One property of one channel.
    #[error("{field} of {kind} {index}")]
    Channel {
        /// Kind of the channel.
        kind: ChannelKind,
        /// Number of the channel.
        index: usize,
        /// The property. A changed order of channels shows as another `name`.
        field: &'static str,
    },
    /// Where the reward comes from, or a factor of it.
    #[error("reward")]
    Reward,
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
        for &kind in ChannelKind::VARIANTS {
            if let Some(found) = self.counts(kind, other) {
                return Some(found);
            }
            let pairs = self.channels(kind).zip(other.channels(kind));
            for (index, (this, other)) in pairs.enumerate() {
                if let Some((field, ..)) = this.difference(&other) {
                    return Some(ContractDifference::Channel { kind, index, field });
                }
            }
        }
        let [this, other] = [self, other].map(|contract| {
            Hash::of(|hash| walk::reward(hash, [0, 0], &mut contract.reward.clone()))
        });
        (this != other).then_some(ContractDifference::Reward)
    }

    /// Whether the numbers of channels differ.
    fn counts(&self, kind: ChannelKind, other: &Contract<'_>) -> Option<ContractDifference> {
        let [this, other] = [self, other].map(|contract| contract.channels(kind).count());
        (this != other).then_some(ContractDifference::Count { kind, this, other })
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

impl<'a> ActionChannel<'a> {
    /// All properties with their names.
    fn properties(&self) -> [(&'static str, Property<'a>); 6] {
        [
            ("name", Property::Text(self.name)),
            ("unit", Property::Text(self.unit)),
            ("min", Property::Number(self.min.to_bits())),
            ("max", Property::Number(self.max.to_bits())),
            ("slew_per_s", Property::Number(self.slew_per_s.to_bits())),
            ("safe", Property::Number(self.safe.to_bits())),
        ]
    }

    /// The first property that differs, with its name: of this channel, and of the other.
    fn difference(&self, other: &Self) -> Option<(&'static str, Property<'a>, Property<'a>)> {
        let mut pairs = self.properties().into_iter().zip(other.properties());
        let ((field, this), (_, other)) = pairs.find(|(this, other)| this != other)?;
        Some((field, this, other))
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
        let mut kinds = ChannelKind::VARIANTS.iter();
        Some(DifferenceInWords {
            difference: kinds.find_map(|&kind| self.counts(kind, other))?,
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

impl fmt::Display for DifferenceInWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { this, other, .. } = self;
        match self.difference {
            ContractDifference::Channel { kind, index, .. } => {
                let [this, other] = [this, other].map(|contract| {
                    let channel = contract.channels(kind).nth(index);
                    channel.unwrap_or(ActionChannel::FILL)
                });
                write!(f, "{kind} {index} '{}'", this.name)?;
                match this.difference(&other) {
                    Some((field, this, other)) => write!(f, ": {field} {this} against {other}"),
                    None => Ok(()),
                }
            }
            ContractDifference::Count { kind, .. } => {
                self.difference.fmt(f)?;
                if let Some(name) = this.alone(kind, other) {
                    write!(f, ", '{name}' only in the former")?;
                }
                if let Some(name) = other.alone(kind, this) {
                    write!(f, ", '{name}' only in the latter")?;
                }
                Ok(())
            }
            _ => self.difference.fmt(f),
        }
    }
}
