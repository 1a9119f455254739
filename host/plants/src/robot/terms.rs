//! What hidden parameters do: from their tables to what the plant computes with.

use super::check::Context;
use super::{Effect, Named, RobotError, text};

pub(super) fn named(name: &str, key: String) -> Named {
    Named {
        name: name.to_owned(),
        key,
    }
}

/// Names in a list, each with its key.
pub(super) fn list(names: &[String], key: &str) -> Vec<Named> {
    let entry = |(index, name): (usize, &String)| named(name, format!("{key}[{index}]"));
    names.iter().enumerate().map(entry).collect()
}

pub(super) fn effects(
    context: &Context<'_>,
    written: &text::File,
) -> Result<Vec<Effect>, RobotError> {
    let effect = |(index, hidden)| effect(context, &format!("hidden[{index}]"), hidden);
    written.hidden.iter().enumerate().map(effect).collect()
}

fn effect(
    context: &Context<'_>,
    section: &str,
    hidden: &text::Hidden,
) -> Result<Effect, RobotError> {
    let key = |kind: &str| format!("{section}.{kind}");
    let mass = hidden.mass_scale.as_ref();
    let damping = hidden.damping_scale.as_ref();
    let friction = hidden.friction_scale.as_ref();
    let gear = hidden.gear_scale.as_ref();
    let strength = hidden.strength_scale.as_ref();
    let polarity = hidden.polarity.as_ref();
    context.one(
        section,
        vec![
            (
                "mass_scale",
                mass.map(|of| Effect::Mass(list(&of.bodies, &key("mass_scale.bodies")))),
            ),
            (
                "damping_scale",
                damping.map(|of| Effect::Damping(list(&of.joints, &key("damping_scale.joints")))),
            ),
            (
                "friction_scale",
                friction.map(|of| Effect::Friction(list(&of.geoms, &key("friction_scale.geoms")))),
            ),
            (
                "gear_scale",
                gear.map(|of| Effect::Gear(list(&of.actuators, &key("gear_scale.actuators")))),
            ),
            (
                "strength_scale",
                strength.map(|of| {
                    Effect::Strength(list(&of.actuators, &key("strength_scale.actuators")))
                }),
            ),
            (
                "polarity",
                polarity
                    .map(|of| Effect::Polarity(list(&of.actuators, &key("polarity.actuators")))),
            ),
            (
                "gravity_tilt",
                hidden
                    .gravity_tilt
                    .as_ref()
                    .map(|of| Effect::GravityTilt(of.axis)),
            ),
            ("goal", hidden.goal.as_ref().map(|_| Effect::Goal)),
        ],
    )
}
