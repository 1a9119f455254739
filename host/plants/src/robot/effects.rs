//! What hidden parameters do: from their tables to effects, and which values an effect can take.

use super::actions::MAX_DELAY_STEPS;
use super::check::Context;
use super::terms::{list, named};
use super::text::{self, Draw};
use super::{ALL, Effect, Payload, Push, RobotError};

pub(super) fn effects(
    context: &Context<'_>,
    written: &text::File,
) -> Result<Vec<Effect>, RobotError> {
    let effect = |(index, hidden)| effect(context, written, &format!("hidden[{index}]"), hidden);
    written.hidden.iter().enumerate().map(effect).collect()
}

fn effect(
    context: &Context<'_>,
    written: &text::File,
    section: &str,
    hidden: &text::Hidden,
) -> Result<Effect, RobotError> {
    type Make = fn(Vec<super::Named>) -> Effect;
    let bodies = |kind: &str, of: &Option<text::Bodies>, make: Make| {
        let key = format!("{section}.{kind}.bodies");
        of.as_ref().map(|of| make(list(&of.bodies, &key)))
    };
    let joints = |kind: &str, of: &Option<text::Joints>, make: Make| {
        let key = format!("{section}.{kind}.joints");
        of.as_ref().map(|of| make(list(&of.joints, &key)))
    };
    let actuators = |kind: &str, of: &Option<text::Actuators>, make: Make| {
        let key = format!("{section}.{kind}.actuators");
        of.as_ref().map(|of| make(list(&of.actuators, &key)))
    };
    let friction = hidden.friction_scale.as_ref().map(|of| {
        let key = format!("{section}.friction_scale.geoms");
        Effect::Friction(list(&of.geoms, &key))
    });
    let observed: Vec<&str> = names(&written.observation, |channel| &channel.name);
    let commanded: Vec<&str> = names(&written.action, |channel| &channel.name);
    let observations = |kind: &str, of: &Option<text::Observations>| {
        let key = format!("{section}.{kind}.observations");
        of.as_ref()
            .map(|of| channels(context, &key, &of.observations, &observed))
            .transpose()
    };
    let actions = |kind: &str, of: &Option<text::Actions>| {
        let key = format!("{section}.{kind}.actions");
        of.as_ref()
            .map(|of| channels(context, &key, &of.actions, &commanded))
            .transpose()
    };
    let payload = hidden.payload.as_ref();
    let payload = payload.map(|of| payload_of(context, &format!("{section}.payload"), of));
    let push = hidden.push.as_ref();
    let push = push.map(|of| push_of(context, written, &format!("{section}.push"), of));
    let center = hidden.center_of_mass.as_ref().map(|of| {
        let body = named(&of.body, format!("{section}.center_of_mass.body"));
        Effect::CenterOfMass(body, of.axis)
    });
    let tilt = hidden.gravity_tilt.as_ref();
    let kinds = vec![
        (
            "mass_scale",
            bodies("mass_scale", &hidden.mass_scale, Effect::Mass),
        ),
        ("payload", payload.transpose()?),
        ("center_of_mass", center),
        (
            "damping_scale",
            joints("damping_scale", &hidden.damping_scale, Effect::Damping),
        ),
        (
            "armature",
            joints("armature", &hidden.armature, Effect::Armature),
        ),
        (
            "friction_loss",
            joints("friction_loss", &hidden.friction_loss, Effect::FrictionLoss),
        ),
        ("friction_scale", friction),
        (
            "gear_scale",
            actuators("gear_scale", &hidden.gear_scale, Effect::Gear),
        ),
        (
            "strength_scale",
            actuators("strength_scale", &hidden.strength_scale, Effect::Strength),
        ),
        (
            "gain_scale",
            actuators("gain_scale", &hidden.gain_scale, Effect::Gain),
        ),
        (
            "polarity",
            actuators("polarity", &hidden.polarity, Effect::Polarity),
        ),
        ("gravity_tilt", tilt.map(|of| Effect::GravityTilt(of.axis))),
        (
            "gravity_scale",
            hidden.gravity_scale.as_ref().map(|_| Effect::GravityScale),
        ),
        ("push", push.transpose()?),
        (
            "observation_bias",
            observations("observation_bias", &hidden.observation_bias)?
                .map(Effect::ObservationBias),
        ),
        (
            "observation_delay",
            observations("observation_delay", &hidden.observation_delay)?
                .map(Effect::ObservationDelay),
        ),
        (
            "observation_noise",
            observations("observation_noise", &hidden.observation_noise)?
                .map(Effect::ObservationNoise),
        ),
        (
            "action_delay",
            actions("action_delay", &hidden.action_delay)?.map(Effect::ActionDelay),
        ),
        (
            "action_noise",
            actions("action_noise", &hidden.action_noise)?.map(Effect::ActionNoise),
        ),
        (
            "action_filter",
            actions("action_filter", &hidden.action_filter)?.map(Effect::ActionFilter),
        ),
        ("goal", hidden.goal.as_ref().map(|_| Effect::Goal)),
    ];
    context.one(section, kinds)
}

fn names<T>(channels: &[T], name: fn(&T) -> &String) -> Vec<&str> {
    channels
        .iter()
        .map(|channel| name(channel).as_str())
        .collect()
}

/// The numbers of the channels that a list names.
fn channels(
    context: &Context<'_>,
    key: &str,
    wanted: &[String],
    known: &[&str],
) -> Result<Vec<usize>, RobotError> {
    if let [one] = wanted
        && one == ALL
    {
        return Ok((0..known.len()).collect());
    }
    context.must(!wanted.is_empty(), key, "at least one channel's name")?;
    let mut channels = Vec::new();
    for (index, name) in wanted.iter().enumerate() {
        let key = format!("{key}[{index}]");
        let channel = known.iter().position(|known| known == name);
        let channel = channel.ok_or_else(|| {
            let must = format!("the name of a channel (there is: {})", known.join(", "));
            context.refuse(&key, must)
        })?;
        let must = "another channel than those before it: this one would count twice";
        context.must(!channels.contains(&channel), &key, must)?;
        channels.push(channel);
    }
    Ok(channels)
}

fn payload_of(context: &Context<'_>, key: &str, of: &text::Payload) -> Result<Effect, RobotError> {
    let finite = of
        .at
        .is_none_or(|at| at.iter().all(|entry| entry.is_finite()));
    context.must(finite, &format!("{key}.at"), "three finite numbers, in m")?;
    let good = of.radius_m.is_finite() && of.radius_m >= 0.0;
    context.must(good, &format!("{key}.radius_m"), "finite and at least 0")?;
    Ok(Effect::Payload(Payload {
        body: named(&of.body, format!("{key}.body")),
        at: of.at,
        radius_m: of.radius_m,
    }))
}

fn push_of(
    context: &Context<'_>,
    written: &text::File,
    key: &str,
    of: &text::Push,
) -> Result<Effect, RobotError> {
    let period_s = f64::from(written.period_us) * 1e-6;
    let longest = 1e6 * period_s;
    let good = of.for_s > 0.0 && of.for_s <= longest;
    let must = "above 0, and at most a million control periods";
    context.must(good, &format!("{key}.for_s"), must)?;
    let good = of.every_s > of.for_s && of.every_s.is_finite();
    let must = "finite and longer than for_s: the time between two pushes, on average";
    context.must(good, &format!("{key}.every_s"), must)?;
    // From the end of a push to the beginning of the next.
    let pause_steps = ((of.every_s - of.for_s) / period_s).max(1.0);
    Ok(Effect::Push(Push {
        body: named(&of.body, format!("{key}.body")),
        axis: of.axis,
        chance: 1.0 / pause_steps,
        steps: (of.for_s / period_s).round().max(1.0) as u32,
    }))
}

/// A range in order, and one whose values the effect can take.
pub(super) fn range(
    context: &Context<'_>,
    key: &str,
    [low, high]: [f32; 2],
    hidden: &text::Hidden,
) -> Result<(), RobotError> {
    let finite = low.is_finite() && (high - low).is_finite() && low < high;
    let must = "two finite numbers, the smaller one first, with a finite distance";
    context.must(finite, key, must)?;
    let above_0 = low > 0.0;
    if hidden.drawn() == Draw::LogUniform {
        context.must(above_0, key, "above 0 for draw = \"log-uniform\"")?;
    }
    if hidden.mass_scale.is_some() || hidden.friction_scale.is_some() {
        context.must(
            above_0,
            key,
            "above 0: masses and friction are multiplied by it",
        )?;
    }
    if hidden.strength_scale.is_some() || hidden.gain_scale.is_some() {
        let must = "at least 0: forces are multiplied by it (polarity turns them round)";
        context.must(low >= 0.0, key, must)?;
    }
    if hidden.polarity.is_some() {
        context.must((low, high) == (-1.0, 1.0), key, "[-1.0, 1.0]")?;
        let good = hidden.drawn() == Draw::Either;
        let section = key.rsplit_once('.').map_or(key, |(section, _)| section);
        let key = format!("{section}.draw");
        context.must(good, &key, "\"either\": it is one of the two ends")?;
    }
    for (given, must) in [
        (
            hidden.damping_scale.is_some(),
            "at least 0: damping is multiplied by it",
        ),
        (
            hidden.gravity_scale.is_some(),
            "at least 0: gravity is multiplied by it",
        ),
        (
            hidden.payload.is_some(),
            "at least 0, in kg: it is added to the body",
        ),
        (
            hidden.armature.is_some(),
            "at least 0: it is added to the joints' armature",
        ),
        (
            hidden.friction_loss.is_some(),
            "at least 0: it is added to the joints' friction loss",
        ),
        (
            hidden.observation_noise.is_some() || hidden.action_noise.is_some(),
            "at least 0: it is added to the noise's standard deviation",
        ),
        (
            hidden.action_filter.is_some(),
            "at least 0, in s: it is added to the filter's time constant",
        ),
        (
            hidden.push.is_some(),
            "at least 0, in N: a push has a direction of its own",
        ),
    ] {
        context.must(low >= 0.0 || !given, key, must)?;
    }
    if hidden.observation_delay.is_some() || hidden.action_delay.is_some() {
        let good =
            low >= 0.0 && high <= MAX_DELAY_STEPS as f32 && libm::roundf(high) > libm::roundf(low);
        let must = format!(
            "from 0 to {MAX_DELAY_STEPS} control steps, and ends that are not the same when they are rounded to whole steps"
        );
        context.must(good, key, &must)?;
    }
    let quarter = std::f32::consts::FRAC_PI_2;
    if hidden.gravity_tilt.is_some() {
        let must = "within a quarter of a turn, in rad";
        context.must(low >= -quarter && high <= quarter, key, must)?;
    }
    Ok(())
}

impl text::Hidden {
    /// Whether its value may be below 0, so that a change may turn it round.
    pub(super) fn is_signed(&self) -> bool {
        self.gear_scale.is_some()
            || self.polarity.is_some()
            || self.gravity_tilt.is_some()
            || self.center_of_mass.is_some()
            || self.observation_bias.is_some()
            || self.goal.is_some()
    }
}
