//! A contract that owns its texts: what hosts keep, and what runs save.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::{ActionChannel, Channel, Contract, QuadraticReward, Reward};

/// A [`Contract`] that owns its texts; serialized, it is `[contract]` of a run's `run.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnedContract {
    /// Control period, in microseconds.
    pub period_us: u32,
    /// `None` for a reward that travels in the sensor frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward: Option<OwnedReward>,
    /// As in [`Contract::observations`].
    pub observations: Vec<OwnedChannel>,
    /// As in [`Contract::actions`].
    pub actions: Vec<OwnedAction>,
}

/// As [`QuadraticReward`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnedReward {
    /// Added once.
    pub constant: f32,
    /// Factor of every observation channel.
    pub linear: Vec<f32>,
    /// Factor of the square of every observation channel.
    pub quadratic: Vec<f32>,
    /// Factor of the square of every action channel.
    pub action_quadratic: Vec<f32>,
}

/// As [`Channel`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnedChannel {
    /// Name.
    pub name: String,
    /// SI unit, `1` without one.
    pub unit: String,
    /// Smallest value expected, in `unit`.
    pub min: f32,
    /// Largest value expected, in `unit`.
    pub max: f32,
}

/// As [`ActionChannel`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnedAction {
    /// Name.
    pub name: String,
    /// SI unit.
    pub unit: String,
    /// Command of the word -32767, in `unit`.
    pub min: f32,
    /// Command of the word 32767, in `unit`.
    pub max: f32,
    /// Largest change of the issued command, in `unit` per second.
    pub slew_per_s: f32,
    /// Command of the safe stop, in `unit`.
    pub safe: f32,
}

impl From<&Contract<'_>> for OwnedContract {
    fn from(contract: &Contract<'_>) -> Self {
        let observation = |channel: &Channel<'_>| OwnedChannel {
            name: channel.name.to_owned(),
            unit: channel.unit.to_owned(),
            min: channel.min,
            max: channel.max,
        };
        let action = |channel: &ActionChannel<'_>| OwnedAction {
            name: channel.name.to_owned(),
            unit: channel.unit.to_owned(),
            min: channel.min,
            max: channel.max,
            slew_per_s: channel.slew_per_s,
            safe: channel.safe,
        };
        Self {
            period_us: contract.period_us,
            reward: match &contract.reward {
                Reward::External => None,
                Reward::Formula(formula) => Some(OwnedReward {
                    constant: formula.constant,
                    linear: formula.linear.to_vec(),
                    quadratic: formula.quadratic.to_vec(),
                    action_quadratic: formula.action_quadratic.to_vec(),
                }),
            },
            observations: contract.observations.iter().map(observation).collect(),
            actions: contract.actions.iter().map(action).collect(),
        }
    }
}

impl OwnedContract {
    /// The contract itself. What is beyond a controller's capacities is left out: no policy that loads has so much.
    #[must_use]
    pub fn contract(&self) -> Contract<'_> {
        let observations = self
            .observations
            .iter()
            .map(|channel| Channel::new(&channel.name, &channel.unit, [channel.min, channel.max]));
        let actions = self.actions.iter().map(|channel| {
            ActionChannel::new(&channel.name, &channel.unit, [channel.min, channel.max])
                .with_slew_per_s(channel.slew_per_s)
                .with_safe(channel.safe)
        });
        let formula = |saved: &OwnedReward| {
            Reward::Formula(QuadraticReward {
                constant: saved.constant,
                linear: saved.linear.iter().copied().collect(),
                quadratic: saved.quadratic.iter().copied().collect(),
                action_quadratic: saved.action_quadratic.iter().copied().collect(),
            })
        };
        Contract {
            period_us: self.period_us,
            observations: observations.collect(),
            actions: actions.collect(),
            reward: self.reward.as_ref().map_or(Reward::External, formula),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::List;

    #[test]
    fn a_contract_comes_back_from_text_bit_for_bit() {
        let awkward = [0.1, -0.0, 480.0, f32::MIN_POSITIVE, 1.0 / 3.0, -f32::MAX];
        let channel = |index: usize| Channel {
            name: ["first", "second", "third"][index],
            unit: "rad/s",
            min: awkward[index],
            max: awkward[index + 3],
        };
        let action = ActionChannel::new("motor", "N\u{b7}m", [awkward[5], awkward[4]])
            .with_slew_per_s(awkward[2])
            .with_safe(awkward[1]);
        let formula = QuadraticReward {
            constant: awkward[0],
            linear: List::from_slice(&awkward[..3]),
            quadratic: List::from_slice(&awkward[3..]),
            action_quadratic: List::from_slice(&awkward[4..5]),
        };
        for reward in [Reward::External, Reward::Formula(formula)] {
            let contract = Contract {
                period_us: 20_000,
                observations: List::from_slice(&[channel(0), channel(1), channel(2)]),
                actions: List::from_slice(&[action]),
                reward,
            };
            let text = toml::to_string(&OwnedContract::from(&contract)).expect("text");
            let again: OwnedContract = toml::from_str(&text).expect("the same");
            assert_eq!(again.contract().difference(&contract), None, "{text}");
        }
    }
}
