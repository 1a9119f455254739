//! `[contract]` of `run.toml`: the channels, period and reward that a policy was trained with, as an image holds them.
//!
//! Without it a policy would run on any robot with as many channels, whatever these are.

use engram_image::{ActionChannel, Channel, Contract, QuadraticReward, Reward};
use serde::{Deserialize, Serialize};

/// A [`Contract`] that owns its texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedContract {
    period_us: u32,
    /// `None` for a reward that travels in the sensor frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reward: Option<SavedReward>,
    observations: Vec<SavedChannel>,
    actions: Vec<SavedAction>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedReward {
    constant: f32,
    linear: Vec<f32>,
    quadratic: Vec<f32>,
    action_quadratic: Vec<f32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedChannel {
    name: String,
    unit: String,
    min: f32,
    max: f32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedAction {
    name: String,
    unit: String,
    min: f32,
    max: f32,
    slew_per_s: f32,
    safe: f32,
}

/// Which channels a policy and a plant have alone, to be said behind their numbers; empty where the policy does not tell.
#[must_use]
pub fn channels_apart(own: Option<&Contract<'_>>, plant: &Contract<'_>) -> String {
    own.and_then(|own| own.channels_in_words(plant))
        .map_or_else(String::new, |words| {
            format!(" (policy against plant: {words})")
        })
}

impl From<&Contract<'_>> for SavedContract {
    fn from(contract: &Contract<'_>) -> Self {
        let observation = |channel: &Channel<'_>| SavedChannel {
            name: channel.name.to_owned(),
            unit: channel.unit.to_owned(),
            min: channel.min,
            max: channel.max,
        };
        let action = |channel: &ActionChannel<'_>| SavedAction {
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
                Reward::Formula(formula) => Some(SavedReward {
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

impl SavedContract {
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
        let formula = |saved: &SavedReward| {
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
    use engram_image::List;

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
            let text = toml::to_string(&SavedContract::from(&contract)).expect("text");
            let again: SavedContract = toml::from_str(&text).expect("the same");
            assert_eq!(again.contract().difference(&contract), None, "{text}");
        }
    }
}
