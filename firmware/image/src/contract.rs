//! What the plant and the policy agree on: channels, control period, reward.

mod check;
mod difference;

pub use check::ContractError;
pub(crate) use check::is_plain;
pub use difference::{ChannelKind, ContractDifference, DifferenceInWords};

use crate::codec::Hash;
use crate::limits::{MAX_ACTIONS, MAX_OBSERVATIONS};
use crate::list::{Fill, List};
use crate::walk;

/// One observation channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Channel<'a> {
    /// Name, unique among the observations: 1 to `NAME_BYTES` printable ASCII bytes, no space.
    pub name: &'a str,
    /// SI unit, `1` without one: 1 to `UNIT_BYTES` printable ASCII bytes, no space.
    pub unit: &'a str,
    /// Smallest value expected, in `unit`.
    pub min: f32,
    /// Largest value expected, in `unit`.
    pub max: f32,
}

/// One action channel; `min` and `max` are the ends of the command word's range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ActionChannel<'a> {
    /// Name, unique among the actions; as in [`Channel`].
    pub name: &'a str,
    /// SI unit; as in [`Channel`].
    pub unit: &'a str,
    /// Command of the word -32767, in `unit`.
    pub min: f32,
    /// Command of the word 32767, in `unit`.
    pub max: f32,
    /// Largest change of the issued command, in `unit` per second; finite and positive.
    pub slew_per_s: f32,
    /// Command of the safe stop, in `unit`; within the range.
    pub safe: f32,
}

impl<'a> Channel<'a> {
    /// The channel on `[min, max]`, in `unit`.
    #[must_use]
    pub const fn new(name: &'a str, unit: &'a str, [min, max]: [f32; 2]) -> Self {
        Self {
            name,
            unit,
            min,
            max,
        }
    }
}

impl<'a> ActionChannel<'a> {
    /// The channel on `[min, max]`, in `unit`. No contract with it is valid before it has its slew limit and its safe
    /// command, too.
    #[must_use]
    pub const fn new(name: &'a str, unit: &'a str, [min, max]: [f32; 2]) -> Self {
        Self {
            name,
            unit,
            min,
            max,
            slew_per_s: f32::NAN,
            safe: f32::NAN,
        }
    }

    /// The same whose issued command changes by at most `slew_per_s`, in `unit` per second.
    #[must_use]
    pub const fn with_slew_per_s(self, slew_per_s: f32) -> Self {
        Self { slew_per_s, ..self }
    }

    /// The same whose safe stop leads to the command `safe`, in `unit`.
    #[must_use]
    pub const fn with_safe(self, safe: f32) -> Self {
        Self { safe, ..self }
    }
}

impl Fill for Channel<'_> {
    const FILL: Self = Self::new("", "", [0.0; 2]);
}

impl Fill for ActionChannel<'_> {
    const FILL: Self = Self::new("", "", [0.0; 2])
        .with_slew_per_s(0.0)
        .with_safe(0.0);
}

/// Where the reward comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
// One contract lives in a constant and one in an image: the difference in size costs nothing there.
#[allow(clippy::large_enum_variant)]
pub enum Reward {
    /// It travels in the sensor frame; its absence is a fault.
    External,
    /// It is computed from the observation and the issued command.
    Formula(QuadraticReward),
}

/// `constant + sum_i (linear[i] o[i] + quadratic[i] o[i]^2) + sum_j action_quadratic[j] a[j]^2`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuadraticReward {
    /// Added once.
    pub constant: f32,
    /// Factor of every observation channel.
    pub linear: List<f32, MAX_OBSERVATIONS>,
    /// Factor of the square of every observation channel.
    pub quadratic: List<f32, MAX_OBSERVATIONS>,
    /// Factor of the square of every action channel.
    pub action_quadratic: List<f32, MAX_ACTIONS>,
}

impl QuadraticReward {
    /// No factors: a place to start from.
    pub(crate) const EMPTY: Self = Self {
        constant: 0.0,
        linear: List::EMPTY,
        quadratic: List::EMPTY,
        action_quadratic: List::EMPTY,
    };

    /// Whether it is 0 whatever happens: the policy is told nothing of its reward.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        let factors = self.linear.iter().chain(&self.quadratic);
        let mut factors = factors.chain(&self.action_quadratic);
        self.constant == 0.0 && factors.all(|factor| *factor == 0.0)
    }

    /// The reward of `observation` (channel units) after `action` (the last issued command, in
    /// contract units).
    ///
    /// Evaluated in f32 in the order of the formula, from left to right and without fused
    /// multiply-add, so that every target computes the same bits. Entries beyond the shorter of a
    /// factor list and its input are left out.
    #[must_use]
    pub fn evaluate(&self, observation: &[f32], action: &[f32]) -> f32 {
        let mut sum = self.constant;
        for ((linear, quadratic), value) in self.linear.iter().zip(&self.quadratic).zip(observation)
        {
            sum += linear * value;
            sum += quadratic * (value * value);
        }
        for (quadratic, value) in self.action_quadratic.iter().zip(action) {
            sum += quadratic * (value * value);
        }
        sum
    }
}

/// What the plant and the policy agree on.
///
/// A board refuses an image whose contract differs from its own in anything.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contract<'a> {
    /// Control period in microseconds.
    pub period_us: u32,
    /// Observation channels, in the order of the working memory.
    pub observations: List<Channel<'a>, MAX_OBSERVATIONS>,
    /// Action channels, in the order of the command words.
    pub actions: List<ActionChannel<'a>, MAX_ACTIONS>,
    /// Where the reward comes from.
    pub reward: Reward,
}

impl Contract<'_> {
    /// The contract without channels: not valid, a place to start from.
    pub(crate) const EMPTY: Self = Contract {
        period_us: 0,
        observations: List::EMPTY,
        actions: List::EMPTY,
        reward: Reward::External,
    };

    /// The channels of a kind in order. An observation is like an action without slew limit and safe command.
    fn channels(&self, kind: ChannelKind) -> impl Iterator<Item = ActionChannel<'_>> {
        (0..).map_while(move |index| match kind {
            ChannelKind::Action => self.actions.get(index).copied(),
            ChannelKind::Observation => {
                let seen = self.observations.get(index)?;
                let channel = ActionChannel::new(seen.name, seen.unit, [seen.min, seen.max]);
                Some(channel.with_slew_per_s(0.0).with_safe(0.0))
            }
        })
    }

    /// SHA-256 of the contract's canonical CBOR, the same bytes that stand in an image.
    ///
    /// Two contracts have the same digest exactly when [`Contract::difference`] finds none.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.clone().digest_in_place()
    }

    /// [`Contract::digest`], where the stack has no room for a contract twice. What is hashed is not changed.
    pub fn digest_in_place(&mut self) -> [u8; 32] {
        Hash::of(|hash| walk::contract(hash, [0, 0], self))
    }
}
