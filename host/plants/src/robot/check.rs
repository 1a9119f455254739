//! From the file as written to a checked [`Robot`]: every bound that does not need the model.

use std::path::Path;
use std::sync::Arc;

use engram_image::limits::{MAX_ACTIONS, MAX_OBSERVATIONS, TEXT_BYTES};
use engram_image::{ActionChannel, Channel, Contract, ContractError, List, OwnedContract, Reward};

use super::actions::{actions, added, changes_per_trial, delays};
use super::effects::{effects, range};
use super::judged::{ends, goal, rewards};
use super::quantity::observed;
use super::reward_input::reward;
use super::starts::start;
use super::text;
use super::{Effect, Robot, RobotError, Source};
use crate::toml_place::Document;
use crate::{Change, MUJOCO_NAMES, NAMES, Parameter, PlantSpec, Protocol, Text};

/// Control steps of one episode, at most: a day at 10 Hz.
const MAX_EPISODE_STEPS: usize = 864_000;
/// Episodes of one trial, at most.
const MAX_EPISODES: usize = 100;

/// The file under examination, for errors and for the names of hidden parameters.
pub(super) struct Context<'a> {
    file: Document<'a>,
    hidden: Vec<&'a str>,
}

impl Context<'_> {
    /// The error for the value of a key.
    pub(super) fn refuse(&self, key: &str, must: impl Into<String>) -> RobotError {
        RobotError::value(self.file, key, must)
    }

    /// Refuses the value of a key unless it is good.
    pub(super) fn must(&self, good: bool, key: &str, must: &str) -> Result<(), RobotError> {
        if good {
            Ok(())
        } else {
            Err(self.refuse(key, must))
        }
    }

    /// The number of the hidden parameter of this name.
    pub(super) fn parameter(&self, name: &str, key: &str) -> Result<usize, RobotError> {
        self.hidden
            .iter()
            .position(|known| *known == name)
            .ok_or_else(|| {
                let known = if self.hidden.is_empty() {
                    "none".to_owned()
                } else {
                    self.hidden.join(", ")
                };
                self.refuse(
                    key,
                    format!("the name of a [[hidden]] parameter (there is: {known})"),
                )
            })
    }

    /// The one kind that a table names, of those that it may.
    pub(super) fn one<T>(
        &self,
        section: &str,
        kinds: Vec<(&str, Option<T>)>,
    ) -> Result<T, RobotError> {
        self.one_of(section, kinds).map(|(_, value)| value)
    }

    /// The same with its key.
    pub(super) fn one_of<'k, T>(
        &self,
        section: &str,
        kinds: Vec<(&'k str, Option<T>)>,
    ) -> Result<(&'k str, T), RobotError> {
        let names: Vec<&str> = kinds.iter().map(|(name, _)| *name).collect();
        let all = names.join(", ");
        let mut given = kinds
            .into_iter()
            .filter_map(|(name, value)| value.map(|value| (name, value)));
        match (given.next(), given.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err(RobotError::Toml {
                path: self.file.find(section).place,
                message: format!("{section} needs one of: {all}"),
            }),
            (Some((first, _)), Some((second, _))) => Err(self.refuse(
                &format!("{section}.{second}"),
                format!("absent beside {first}: each {section} takes one of: {all}"),
            )),
        }
    }
}

/// Reads and checks a robot.
pub(super) fn robot(source: &str, file: &Path) -> Result<Robot, RobotError> {
    let origin = &file.display().to_string();
    let written: text::File = toml::from_str(source).map_err(|error| RobotError::Toml {
        path: origin.clone(),
        message: error.to_string(),
    })?;
    let context = Context {
        file: Document {
            origin,
            text: source,
        },
        hidden: written
            .hidden
            .iter()
            .map(|hidden| hidden.name.as_str())
            .collect(),
    };
    head(&context, &written)?;
    let parameters = parameters(&context, &written)?;
    let sources = observed(&context, &written.observation)?;
    let rewards = rewards(&context, &written)?;
    let mut contract = contract(&context, &written)?;
    let input = written.reward_input;
    contract.reward = reward(
        &context,
        input,
        &rewards,
        &kinds(&written),
        &sources,
        &contract.actions,
    )?;
    let (changes, factors) = changes(&context, &written)?;
    let protocol = protocol(&context, &written, &changes)?;
    let goal = goal(&context, &written.goal)?;
    let spec = PlantSpec {
        name: written.name.clone().into(),
        channels: OwnedContract::from(&contract),
        protocol,
        parameters,
        changes,
        state_names: state_names(&written),
        has_goal: !goal.conditions.is_empty(),
        metric_name: goal.metric_name.map(Text::from),
    };
    let robot = Robot {
        spec: Arc::new(spec),
        model: file.parent().unwrap_or(Path::new("")).join(&written.model),
        sources,
        noise_std: written
            .observation
            .iter()
            .map(|channel| channel.noise_std)
            .collect(),
        observation_delays: delays(&context, &written)?,
        actions: actions(&context, &written)?,
        added: added(&context, &written)?,
        rewards,
        ended: ends(&context, &written)?,
        start: start(&context, &written)?,
        effects: effects(&context, &written)?,
        draws: written.hidden.iter().map(text::Hidden::drawn).collect(),
        factors,
        changes_per_trial: changes_per_trial(&context, &written)?,
        training_changes: (written.change.iter())
            .filter(|change| change.in_training)
            .map(|change| change.name.clone())
            .collect(),
        goal: goal.conditions,
        reached: goal.reached,
        file: file.to_owned(),
        text: source.to_owned(),
    };
    every_goal_is_used(&robot)?;
    every_clock_goes_on(&robot, &written)?;
    Ok(robot)
}

/// What every reward's term is called.
fn kinds(written: &text::File) -> Vec<&'static str> {
    let given = written.reward.iter().flat_map(text::Reward::kinds);
    given.filter_map(|(key, term)| term.map(|_| key)).collect()
}

/// Refuses a parameter that only stands for a goal and that no reward, goal or observation asks for.
fn every_goal_is_used(robot: &Robot) -> Result<(), RobotError> {
    let rewards = (robot.rewards.iter()).filter(|(weight, _)| *weight != 0.0);
    let conditions = robot.goal.iter().chain(robot.ended.iter().flatten());
    let used: Vec<usize> = rewards
        .flat_map(|(_, term)| term.parameters())
        .chain(conditions.flat_map(|condition| condition.measure.parameters()))
        .chain(robot.sources.iter().filter_map(Source::parameter))
        .collect();
    let effects = robot.effects.iter().enumerate();
    for (index, _) in effects.filter(|(_, effect)| **effect == Effect::Goal) {
        if !used.contains(&index) {
            let why = "it is a goal, and no reward, no [goal] and no observation refers to it";
            return Err(robot.without_effect(index, why.to_owned()));
        }
    }
    Ok(())
}

/// Refuses a parameter that is a clock's period and may be 0 or below.
fn every_clock_goes_on(robot: &Robot, written: &text::File) -> Result<(), RobotError> {
    let must = "above 0: it is the period of a clock, in s";
    for index in robot.clocks() {
        let parameter = &robot.spec.parameters[index];
        for (key, range) in [("training", parameter.training), ("wide", parameter.wide)] {
            if range.0 <= 0.0 {
                return Err(robot.refuse(&format!("hidden[{index}].{key}"), must));
            }
        }
        for (number, change) in written.change.iter().enumerate() {
            if (change.multiply.get(&*parameter.name)).is_some_and(|factor| *factor <= 0.0) {
                let key = format!("change[{number}].multiply.{}", parameter.name);
                return Err(robot.refuse(&key, must));
            }
        }
    }
    Ok(())
}

/// Printable ASCII without spaces.
pub(crate) fn is_plain(text: &str, limit: usize) -> bool {
    !text.is_empty() && text.len() <= limit && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn head(context: &Context<'_>, written: &text::File) -> Result<(), RobotError> {
    context.must(
        is_plain(&written.name, TEXT_BYTES),
        "name",
        &format!("1 to {TEXT_BYTES} bytes of printable ASCII without spaces"),
    )?;
    let own = !(NAMES.iter().chain(&MUJOCO_NAMES)).any(|name| *name == written.name);
    context.must(own, "name", "unlike the name of every built-in plant")?;
    let steps = 1..=MAX_EPISODE_STEPS;
    let must = format!("from 1 to {MAX_EPISODE_STEPS}");
    context.must(
        steps.contains(&written.episode_steps),
        "episode_steps",
        &must,
    )?;
    let must = format!("from 1 to {MAX_EPISODES}");
    context.must(
        (1..=MAX_EPISODES).contains(&written.episodes),
        "episodes",
        &must,
    )
}

fn contract<'a>(
    context: &Context<'_>,
    written: &'a text::File,
) -> Result<Contract<'a>, RobotError> {
    let observations = written
        .observation
        .iter()
        .map(|channel| Channel::new(&channel.name, &channel.unit, [channel.min, channel.max]));
    let actions = written.action.iter().map(|channel| {
        ActionChannel::new(&channel.name, &channel.unit, [channel.min, channel.max])
            .with_slew_per_s(channel.slew_per_s)
            .with_safe(channel.safe)
    });
    for (key, count, most, advice) in [
        (
            "observation",
            written.observation.len(),
            MAX_OBSERVATIONS,
            "leave out what the policy can find out or do without",
        ),
        (
            "action",
            written.action.len(),
            MAX_ACTIONS,
            "leave the other actuators to the start keyframe, whose controls they keep",
        ),
    ] {
        if !(1..=most).contains(&count) {
            return Err(RobotError::Count {
                place: context.file.find(&format!("{key}[0]")).place,
                key,
                count,
                most,
                advice: if count > 0 { advice } else { "add one" },
            });
        }
    }
    for (index, channel) in written.observation.iter().enumerate() {
        let good = channel.noise_std.is_finite() && channel.noise_std >= 0.0;
        let key = format!("observation[{index}].noise_std");
        context.must(good, &key, "finite and at least 0")?;
    }
    let contract = Contract {
        period_us: written.period_us,
        observations: List::from_slice(&observations.collect::<Vec<_>>()),
        actions: List::from_slice(&actions.collect::<Vec<_>>()),
        reward: Reward::External,
    };
    contract
        .validate()
        .map_err(|error| refuse_channel(context, &error))?;
    Ok(contract)
}

/// The contract's own error, with the line.
fn refuse_channel(context: &Context<'_>, error: &ContractError) -> RobotError {
    match error {
        ContractError::Text {
            kind,
            index,
            field,
            limit,
        } => context.refuse(
            &format!("{kind}[{index}].{field}"),
            format!("1 to {limit} bytes of printable ASCII without spaces"),
        ),
        ContractError::Duplicate { kind, index } => context.refuse(
            &format!("{kind}[{index}].name"),
            format!("unlike the name of every other {kind}"),
        ),
        ContractError::Number {
            kind,
            index,
            field,
            must,
            ..
        } => context.refuse(&format!("{kind}[{index}].{field}"), *must),
        _ => context.refuse("period_us", "at least 1"),
    }
}

fn state_names(written: &text::File) -> Vec<Text> {
    let name = |channel: &text::Observation| match channel.unit.as_str() {
        "1" => channel.name.clone().into(),
        unit => format!("{}_{}", channel.name, unit.replace('/', "_per_")).into(),
    };
    written.observation.iter().map(name).collect()
}

fn parameters(context: &Context<'_>, written: &text::File) -> Result<Vec<Parameter>, RobotError> {
    let mut parameters = Vec::new();
    for (index, hidden) in written.hidden.iter().enumerate() {
        let key = |field: &str| format!("hidden[{index}].{field}");
        let plain = is_plain(&hidden.name, TEXT_BYTES);
        let must = format!("1 to {TEXT_BYTES} bytes of printable ASCII without spaces");
        context.must(plain, &key("name"), &must)?;
        let known = &context.hidden[..index];
        let new = !known.contains(&hidden.name.as_str());
        context.must(
            new,
            &key("name"),
            "unlike the name of every other [[hidden]]",
        )?;
        let wide = hidden.wide.unwrap_or(hidden.training);
        range(context, &key("training"), hidden.training, hidden)?;
        if hidden.wide.is_some() {
            range(context, &key("wide"), wide, hidden)?;
        }
        let within = wide[0] <= hidden.training[0] && wide[1] >= hidden.training[1];
        let must = format!("a range that holds all of training, {:?}", hidden.training);
        context.must(within, &key("wide"), &must)?;
        parameters.push(Parameter {
            name: hidden.name.clone().into(),
            unit: hidden.unit.clone().into(),
            training: hidden.training.into(),
            wide: wide.into(),
        });
    }
    Ok(parameters)
}

type Factors = Vec<Vec<(usize, f32)>>;

fn changes(
    context: &Context<'_>,
    written: &text::File,
) -> Result<(Vec<Change>, Factors), RobotError> {
    let (mut changes, mut factors) = (vec![Change::NONE], vec![Vec::new()]);
    for (index, change) in written.change.iter().enumerate() {
        let key = |field: &str| format!("change[{index}].{field}");
        let must = format!("1 to {TEXT_BYTES} bytes of printable ASCII without spaces");
        context.must(is_plain(&change.name, TEXT_BYTES), &key("name"), &must)?;
        let new = changes
            .iter()
            .all(|known: &Change| known.name != change.name);
        context.must(
            new,
            &key("name"),
            "neither 'none' nor the name of another [[change]]",
        )?;
        context.must(
            !change.multiply.is_empty(),
            &key("multiply"),
            "at least one factor",
        )?;
        let mut each = Vec::new();
        for (name, factor) in &change.multiply {
            let key = key(&format!("multiply.{name}"));
            let parameter = context.parameter(name, &key)?;
            let hidden = &written.hidden[parameter];
            if hidden.polarity.is_some() {
                context.must(*factor == -1.0, &key, "-1: a polarity has no size")?;
            }
            context.must(*factor != 1.0, &key, "other than 1, which changes nothing")?;
            let signed = hidden.is_signed();
            let good = factor.is_finite() && (signed || *factor > 0.0);
            context.must(
                good,
                &key,
                "finite, and above 0 unless what it multiplies has a sign",
            )?;
            each.push((parameter, *factor));
        }
        changes.push(Change {
            name: change.name.clone().into(),
            summary: change.summary.clone().into(),
        });
        factors.push(each);
    }
    Ok((changes, factors))
}

fn protocol(
    context: &Context<'_>,
    written: &text::File,
    changes: &[Change],
) -> Result<Protocol, RobotError> {
    let (goal, steps) = (&written.goal, written.episode_steps);
    let hold_steps = goal.hold_steps.unwrap_or(steps.div_ceil(6));
    let good = (1..=steps).contains(&hold_steps);
    context.must(good, "goal.hold_steps", "from 1 to episode_steps")?;
    let [first, last] = goal.change_steps.unwrap_or([steps / 3, steps / 2]);
    let must = "two steps of an episode, the earlier one first";
    context.must(first <= last && last < steps, "goal.change_steps", must)?;
    let recovery_steps = goal
        .recovery_steps
        .unwrap_or((steps / 3).clamp(1, steps - last));
    let must = "from 1 to what is left of an episode after the last of change_steps";
    context.must(
        (1..=steps - last).contains(&recovery_steps),
        "goal.recovery_steps",
        must,
    )?;
    let mut names = changes.iter().map(|change| &change.name);
    let default_change = match &goal.default_change {
        Some(wanted) => names.find(|name| *name == wanted),
        // The first is "none".
        None => changes
            .get(1)
            .or(changes.first())
            .map(|change| &change.name),
    };
    let default_change = default_change.cloned().ok_or_else(|| {
        let known: Vec<_> = changes.iter().map(|change| &*change.name).collect();
        let must = format!("the name of a [[change]] (there is: {})", known.join(", "));
        context.refuse("goal.default_change", must)
    })?;
    Ok(Protocol {
        episode_steps: steps,
        episodes: written.episodes,
        hold_steps,
        change_steps: (first, last),
        recovery_steps,
        default_change,
    })
}
