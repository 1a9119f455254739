//! Sources, reward terms, conditions and effects: from their tables to what the plant computes with.

use super::check::Context;
use super::text::{self, Axis, Frame};
use super::{Condition, Named, RobotError, Source, Target, Term};

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

pub(super) fn sources(
    context: &Context<'_>,
    written: &text::File,
) -> Result<Vec<Source>, RobotError> {
    let channel = |(index, channel)| source(context, &format!("observation[{index}]"), channel);
    written
        .observation
        .iter()
        .enumerate()
        .map(channel)
        .collect()
}

fn source(
    context: &Context<'_>,
    section: &str,
    channel: &text::Observation,
) -> Result<Source, RobotError> {
    let body = |kind: &str, name: &str| named(name, format!("{section}.{kind}.body"));
    let joint = |kind: &str, joint: &text::Joint| {
        (
            named(&joint.joint, format!("{section}.{kind}.joint")),
            joint.index,
        )
    };
    let qpos = channel.qpos.as_ref().map(|of| joint("qpos", of));
    let qvel = channel.qvel.as_ref().map(|of| joint("qvel", of));
    let position = channel.body_position.as_ref();
    let velocity = channel.body_velocity.as_ref();
    let rate = channel.body_rate.as_ref();
    let up = channel.body_up.as_ref();
    if let Some(rotation) = &channel.body_rotation {
        for (field, value) in [("row", rotation.row), ("column", rotation.column)] {
            context.must(
                value < 3,
                &format!("{section}.body_rotation.{field}"),
                "0, 1 or 2",
            )?;
        }
    }
    let rotation = channel.body_rotation.as_ref();
    let sensor = channel.sensor.as_ref();
    let hidden = match &channel.hidden {
        Some(name) => Some(Source::Parameter(
            context.parameter(name, &format!("{section}.hidden"))?,
        )),
        None => None,
    };
    context.one(
        section,
        vec![
            (
                "qpos",
                qpos.map(|(joint, index)| Source::JointPosition(joint, index)),
            ),
            (
                "qvel",
                qvel.map(|(joint, index)| Source::JointVelocity(joint, index)),
            ),
            (
                "body_position",
                position.map(|of| Source::BodyPosition(body("body_position", &of.body), of.axis)),
            ),
            (
                "body_velocity",
                velocity.map(|of| {
                    Source::BodyVelocity(body("body_velocity", &of.body), of.axis, of.frame)
                }),
            ),
            (
                "body_rate",
                rate.map(|of| Source::BodyRate(body("body_rate", &of.body), of.axis, of.frame)),
            ),
            (
                "body_rotation",
                rotation.map(|of| {
                    Source::BodyRotation(body("body_rotation", &of.body), of.row, of.column)
                }),
            ),
            (
                "body_up",
                up.map(|of| Source::BodyUp(body("body_up", &of.body), of.axis)),
            ),
            (
                "sensor",
                sensor.map(|of| {
                    Source::Sensor(
                        named(&of.sensor, format!("{section}.sensor.sensor")),
                        of.index,
                    )
                }),
            ),
            ("hidden", hidden),
        ],
    )
}

/// How far a body's own z axis points up: 1 upright, 0 lying, -1 upside down.
fn uprightness(body: Named) -> Source {
    Source::BodyRotation(body, 2, 2)
}

fn target(context: &Context<'_>, target: &text::Target, key: &str) -> Result<Target, RobotError> {
    match target {
        text::Target::Constant(value) => {
            context.must(value.is_finite(), key, "finite")?;
            Ok(Target::Constant(*value))
        }
        text::Target::Hidden(name) => Ok(Target::Parameter(context.parameter(name, key)?)),
    }
}

fn width(context: &Context<'_>, width: Option<f64>, key: &str) -> Result<Option<f64>, RobotError> {
    let good = width.is_none_or(|width| width.is_finite() && width > 0.0);
    context.must(good, &format!("{key}.width"), "finite and above 0")?;
    Ok(width)
}

pub(super) fn rewards(
    context: &Context<'_>,
    written: &text::File,
) -> Result<Vec<(f64, Term)>, RobotError> {
    if written.reward.is_empty() {
        return Err(context.refuse("reward", "given at least once"));
    }
    let mut rewards = Vec::new();
    for (index, reward) in written.reward.iter().enumerate() {
        let section = format!("reward[{index}]");
        context.must(
            reward.weight.is_finite(),
            &format!("{section}.weight"),
            "finite",
        )?;
        rewards.push((reward.weight, term(context, &section, reward)?));
    }
    Ok(rewards)
}

fn term(context: &Context<'_>, section: &str, reward: &text::Reward) -> Result<Term, RobotError> {
    let body = |kind: &str, name: &str| named(name, format!("{section}.{kind}.body"));
    let track = |kind: &str, of: Option<&text::Track>, source: fn(Named, Axis, Frame) -> Source| {
        let key = format!("{section}.{kind}");
        of.map(|of| {
            let target = target(context, &of.target, &format!("{key}.target"))?;
            let width = width(context, of.width, &key)?;
            Ok(Term::Track(
                source(body(kind, &of.body), of.axis, of.frame),
                target,
                width,
            ))
        })
        .transpose()
    };
    let position = reward.track_position.as_ref().map(|of| text::Track {
        body: of.body.clone(),
        axis: of.axis,
        frame: Frame::World,
        target: of.target.clone(),
        width: of.width,
    });
    let velocity = reward.velocity.as_ref();
    let height = reward.height.as_ref();
    let upright = reward.upright.as_ref();
    let joints = reward.joint_velocity.as_ref();
    context.one(
        section,
        vec![
            (
                "velocity",
                velocity.map(|of| {
                    Term::Value(Source::BodyVelocity(
                        body("velocity", &of.body),
                        of.axis,
                        of.frame,
                    ))
                }),
            ),
            (
                "track_velocity",
                track(
                    "track_velocity",
                    reward.track_velocity.as_ref(),
                    Source::BodyVelocity,
                )?,
            ),
            (
                "track_rate",
                track("track_rate", reward.track_rate.as_ref(), Source::BodyRate)?,
            ),
            (
                "track_position",
                track("track_position", position.as_ref(), |body, axis, _| {
                    Source::BodyPosition(body, axis)
                })?,
            ),
            (
                "height",
                height
                    .map(|of| Term::Value(Source::BodyPosition(body("height", &of.body), Axis::Z))),
            ),
            (
                "upright",
                upright.map(|of| Term::Value(uprightness(body("upright", &of.body)))),
            ),
            ("control", reward.control.as_ref().map(|_| Term::Control)),
            (
                "control_change",
                reward.control_change.as_ref().map(|_| Term::ControlChange),
            ),
            (
                "joint_velocity",
                joints.map(|of| {
                    Term::JointVelocity(list(
                        &of.joints,
                        &format!("{section}.joint_velocity.joints"),
                    ))
                }),
            ),
            ("alive", reward.alive.as_ref().map(|_| Term::Alive)),
        ],
    )
}

fn height(of: &text::Height, key: &str) -> (Source, f64) {
    (
        Source::BodyPosition(named(&of.body, format!("{key}.body")), Axis::Z),
        of.height_m,
    )
}

/// Uprightness, and the cosine of the tilt that bounds it.
fn tilt(context: &Context<'_>, of: &text::Tilt, key: &str) -> Result<(Source, f64), RobotError> {
    let angle = of.angle_rad;
    let good = angle > 0.0 && angle < std::f64::consts::PI;
    context.must(good, &format!("{key}.angle_rad"), "above 0 and below pi")?;
    Ok((
        uprightness(named(&of.body, format!("{key}.body"))),
        libm::cos(angle),
    ))
}

pub(super) fn conditions(
    context: &Context<'_>,
    written: &text::File,
) -> Result<Vec<Condition>, RobotError> {
    let mut conditions = Vec::new();
    for (index, ended) in written.ended.iter().enumerate() {
        let section = format!("ended[{index}]");
        let key = |kind: &str| format!("{section}.{kind}");
        let below = ended
            .height_below
            .as_ref()
            .map(|of| height(of, &key("height_below")));
        let above = ended
            .height_above
            .as_ref()
            .map(|of| height(of, &key("height_above")));
        let beyond = ended.tilt_beyond.as_ref();
        let beyond = beyond
            .map(|of| tilt(context, of, &key("tilt_beyond")))
            .transpose()?;
        conditions.push(context.one(
            &section,
            vec![
                (
                    "height_below",
                    below.map(|(source, bound)| Condition::Below(source, bound)),
                ),
                (
                    "height_above",
                    above.map(|(source, bound)| Condition::Above(source, bound)),
                ),
                (
                    "tilt_beyond",
                    beyond.map(|(source, bound)| Condition::Below(source, bound)),
                ),
            ],
        )?);
    }
    Ok(conditions)
}

/// The goal's conditions, and what the first of them measures.
pub(super) fn goal(
    context: &Context<'_>,
    goal: &text::Goal,
) -> Result<(Vec<Condition>, Option<&'static str>), RobotError> {
    let mut conditions = Vec::new();
    let mut metrics = Vec::new();
    if let Some(of) = &goal.velocity {
        let source = Source::BodyVelocity(
            named(&of.body, "goal.velocity.body".to_owned()),
            of.axis,
            of.frame,
        );
        let good = of.within_m_per_s.is_finite() && of.within_m_per_s > 0.0;
        context.must(good, "goal.velocity.within_m_per_s", "finite and above 0")?;
        let target = target(context, &of.target, "goal.velocity.target")?;
        conditions.push(Condition::Within(source, target, of.within_m_per_s));
        metrics.push("velocity_error_m_per_s");
    }
    if let Some(of) = &goal.height {
        let (source, bound) = height(of, "goal.height");
        conditions.push(Condition::Above(source, bound));
        metrics.push("height_m");
    }
    if let Some(of) = &goal.tilt {
        let (source, bound) = tilt(context, of, "goal.tilt")?;
        conditions.push(Condition::Above(source, bound));
        metrics.push("uprightness");
    }
    Ok((conditions, metrics.first().copied()))
}
