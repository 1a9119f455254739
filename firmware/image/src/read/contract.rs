//! The body's map `contract`.

use super::cursor::{Cursor, count};
use crate::config::ModelConfig;
use crate::contract::{ActionChannel, Channel, Contract, QuadraticReward, Reward};
use crate::error::ReadError;
use crate::limits::{NAME_BYTES, UNIT_BYTES};
use crate::list::{Fill, Full, List};

/// Longest name of a kind of reward.
const REWARD_BYTES: usize = 16;

/// Reads the contract into `contract`; it must fit the config and be valid by itself.
pub(super) fn read<'a>(
    cursor: &mut Cursor<'a>,
    config: &ModelConfig,
    contract: &mut Contract<'a>,
) -> Result<(), ReadError> {
    let entries = cursor.map()?;
    cursor.key("reward")?;
    reward(cursor, config, &mut contract.reward)?;
    cursor.key("actions")?;
    cursor.array_of("actions", config.actions)?;
    for _ in 0..config.actions {
        let channel = action(cursor)?;
        contract
            .actions
            .push(channel)
            .map_err(|Full| too_many("actions", config.actions))?;
    }
    cursor.key("period_us")?;
    let period_us = cursor.integer("period_us", 1, u64::from(u32::MAX))?;
    contract.period_us = u32::try_from(period_us).unwrap_or(u32::MAX);
    cursor.key("observations")?;
    cursor.array_of("observations", config.observations)?;
    for _ in 0..config.observations {
        let channel = observation(cursor)?;
        contract
            .observations
            .push(channel)
            .map_err(|Full| too_many("observations", config.observations))?;
    }
    count("contract", entries, 4)?;
    contract.validate()?;
    Ok(())
}

/// Cannot be: a valid config stays within the lists' capacities.
fn too_many(thing: &'static str, found: usize) -> ReadError {
    ReadError::Count {
        thing,
        found,
        expected: 0,
    }
}

fn observation<'a>(cursor: &mut Cursor<'a>) -> Result<Channel<'a>, ReadError> {
    let mut channel = Channel::FILL;
    let entries = cursor.map()?;
    cursor.key("max")?;
    channel.max = cursor.float("max")?;
    cursor.key("min")?;
    channel.min = cursor.float("min")?;
    cursor.key("name")?;
    channel.name = cursor.text("name", NAME_BYTES)?;
    cursor.key("unit")?;
    channel.unit = cursor.text("unit", UNIT_BYTES)?;
    count("observation channel", entries, 4)?;
    Ok(channel)
}

fn action<'a>(cursor: &mut Cursor<'a>) -> Result<ActionChannel<'a>, ReadError> {
    let mut channel = ActionChannel::FILL;
    let entries = cursor.map()?;
    cursor.key("max")?;
    channel.max = cursor.float("max")?;
    cursor.key("min")?;
    channel.min = cursor.float("min")?;
    cursor.key("name")?;
    channel.name = cursor.text("name", NAME_BYTES)?;
    cursor.key("safe")?;
    channel.safe = cursor.float("safe")?;
    cursor.key("unit")?;
    channel.unit = cursor.text("unit", UNIT_BYTES)?;
    cursor.key("slew_per_s")?;
    channel.slew_per_s = cursor.float("slew_per_s")?;
    count("action channel", entries, 6)?;
    Ok(channel)
}

fn reward(
    cursor: &mut Cursor<'_>,
    config: &ModelConfig,
    reward: &mut Reward,
) -> Result<(), ReadError> {
    if cursor.at_text()? {
        let offset = cursor.offset();
        return match cursor.text("reward", REWARD_BYTES)? {
            "external" => {
                *reward = Reward::External;
                Ok(())
            }
            _ => Err(ReadError::Text {
                thing: "reward",
                offset,
            }),
        };
    }
    let mut formula = QuadraticReward {
        constant: 0.0,
        linear: List::EMPTY,
        quadratic: List::EMPTY,
        action_quadratic: List::EMPTY,
    };
    let entries = cursor.map()?;
    cursor.key("linear")?;
    factors(cursor, "linear", config.observations, &mut formula.linear)?;
    cursor.key("constant")?;
    formula.constant = cursor.float("constant")?;
    cursor.key("quadratic")?;
    factors(
        cursor,
        "quadratic",
        config.observations,
        &mut formula.quadratic,
    )?;
    cursor.key("action_quadratic")?;
    factors(
        cursor,
        "action_quadratic",
        config.actions,
        &mut formula.action_quadratic,
    )?;
    count("reward", entries, 4)?;
    *reward = Reward::Formula(formula);
    Ok(())
}

fn factors<const N: usize>(
    cursor: &mut Cursor<'_>,
    thing: &'static str,
    expected: usize,
    list: &mut List<f32, N>,
) -> Result<(), ReadError> {
    cursor.array_of(thing, expected)?;
    for _ in 0..expected {
        let factor = cursor.float(thing)?;
        list.push(factor)
            .map_err(|Full| too_many(thing, expected))?;
    }
    Ok(())
}
