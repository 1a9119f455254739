//! Rewards, ends and goals: from their tables to what the plant computes with.

use super::check::Context;
use super::measured::{Bound, Condition, Effort, Measure, Reached, Seen, Shape, Term, Touch};
use super::quantity::{self, Several};
use super::terms::{list, named};
use super::text::{self, Axis, Frame};
use super::{Named, RobotError, Source, Target};

fn target(context: &Context<'_>, target: &text::Target, key: &str) -> Result<Target, RobotError> {
    match target {
        text::Target::Constant(value) => {
            context.must(value.is_finite(), key, "finite")?;
            Ok(Target::Constant(*value))
        }
        text::Target::Hidden(name) => Ok(Target::Parameter(context.parameter(name, key)?)),
    }
}

/// Sources with their targets: one target for all of them, or as many as there are; without any, 0.
fn measure(
    context: &Context<'_>,
    sources: Vec<Source>,
    targets: Option<&Several<text::Target>>,
    key: &str,
) -> Result<Measure, RobotError> {
    let Some(targets) = targets else {
        let zero = |source| (source, Target::Constant(0.0));
        return Ok(Measure(sources.into_iter().map(zero).collect()));
    };
    let each: Vec<Target> = targets
        .each(key)
        .map(|(key, written)| target(context, written, &key))
        .collect::<Result<_, _>>()?;
    let count = sources.len();
    let must = format!("one target, or a list of {count}: one for each number that is compared");
    let good = !targets.is_list() || each.len() == count;
    context.must(good, key, &must)?;
    let each = each.iter().cycle().copied();
    Ok(Measure(sources.into_iter().zip(each).collect()))
}

/// A number above 0.
fn positive(context: &Context<'_>, value: f64, key: &str) -> Result<f64, RobotError> {
    let good = value.is_finite() && value > 0.0;
    context.must(good, key, "finite and above 0")?;
    Ok(value)
}

/// What a tracking term makes of a distance.
fn shape(
    context: &Context<'_>,
    width: Option<f64>,
    square: bool,
    key: &str,
) -> Result<Shape, RobotError> {
    let Some(width) = width else {
        return Ok(if square {
            Shape::Square
        } else {
            Shape::Absolute
        });
    };
    let must = "absent beside width, whose closeness has the square already";
    context.must(!square, &format!("{key}.square"), must)?;
    Ok(Shape::Closeness(positive(
        context,
        width,
        &format!("{key}.width"),
    )?))
}

/// A body's numbers as the older tables name them.
fn seen(of: &text::Track, key: &str) -> Seen {
    Seen {
        body: named(&of.body, format!("{key}.body")),
        relative_to: None,
        frame: of.frame,
    }
}

fn along(of: &text::Track, key: &str, source: fn(Seen, Axis) -> Source) -> Vec<Source> {
    let seen = seen(of, key);
    of.axis
        .each("axis")
        .map(|(_, axis)| source(seen.clone(), *axis))
        .collect()
}

/// A number of a body in the world.
fn body(name: &str, key: &str) -> Seen {
    Seen {
        body: named(name, format!("{key}.body")),
        relative_to: None,
        frame: Frame::World,
    }
}

/// How far a body's own z axis points up: 1 upright, 0 lying, -1 upside down.
fn uprightness(name: &str, key: &str) -> Source {
    Source::BodyRotation(body(name, key), 2, 2)
}

fn height(of: &text::Height, key: &str) -> Source {
    Source::BodyPosition(body(&of.body, key), Axis::Z)
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
        let (kind, written_term) = context.one_of(&section, reward.kinds())?;
        let key = format!("{section}.{kind}");
        let term = term(context, &key, &written_term, &written.goal)?;
        rewards.push((reward.weight, term));
    }
    Ok(rewards)
}

fn term(
    context: &Context<'_>,
    key: &str,
    term: &text::Term,
    goal: &text::Goal,
) -> Result<Term, RobotError> {
    let of_joints = |effort, of: &text::Joints| {
        Term::Effort(effort, list(&of.joints, &format!("{key}.joints")))
    };
    let track = |of: &text::Track, source: fn(Seen, Axis) -> Source| {
        let target_key = format!("{key}.target");
        let measure = measure(
            context,
            along(of, key, source),
            Some(&of.target),
            &target_key,
        )?;
        Ok(Term::Track(
            measure,
            shape(context, of.width, of.square, key)?,
        ))
    };
    Ok(match term {
        text::Term::Velocity(of) => {
            let seen = Seen {
                frame: of.frame,
                ..body(&of.body, key)
            };
            Term::Value(Measure::of(Source::BodyVelocity(seen, of.axis)))
        }
        text::Term::TrackVelocity(of) => track(of, Source::BodyVelocity)?,
        text::Term::TrackRate(of) => track(of, Source::BodyRate)?,
        text::Term::TrackPosition(of) => {
            let good = of.frame == Frame::World;
            let must =
                "\"world\": a place is one in the world (track of a body_position has relative_to)";
            context.must(good, &format!("{key}.frame"), must)?;
            track(of, Source::BodyPosition)?
        }
        text::Term::Height(of) => Term::Value(Measure::of(Source::BodyPosition(
            body(&of.body, key),
            Axis::Z,
        ))),
        text::Term::Upright(of) => Term::Value(Measure::of(uprightness(&of.body, key))),
        text::Term::Value(of) => {
            let (kind, quantity) = context.one_of(key, of.quantities())?;
            let sources = quantity::sources(context, &format!("{key}.{kind}"), &quantity, false)?;
            Term::Value(measure(context, sources, None, key)?)
        }
        text::Term::Track(of) => {
            let (kind, quantity) = context.one_of(key, of.quantities())?;
            let sources = quantity::sources(context, &format!("{key}.{kind}"), &quantity, false)?;
            let target_key = format!("{key}.target");
            let measure = measure(context, sources, of.target.as_ref(), &target_key)?;
            Term::Track(measure, shape(context, of.width, of.square, key)?)
        }
        text::Term::Control(_) => Term::Control,
        text::Term::ControlChange(_) => Term::ControlChange,
        text::Term::JointVelocity(of) => of_joints(Effort::Velocity, of),
        text::Term::JointAcceleration(of) => of_joints(Effort::Acceleration, of),
        text::Term::Torque(of) => of_joints(Effort::Torque, of),
        text::Term::Power(of) => Term::Power(list(&of.actuators, &format!("{key}.actuators"))),
        text::Term::Gait(of) => gait(context, of, key)?,
        text::Term::Landing(of) => {
            let feet = feet(context, &of.bodies, of.with.as_ref(), key)?;
            let air_s = of.air_s;
            let good = air_s.is_finite() && air_s >= 0.0;
            context.must(good, &format!("{key}.air_s"), "finite and at least 0, in s")?;
            Term::Landing { feet, air_s }
        }
        text::Term::Reached(_) => {
            let must = "beside a reached in [goal], which says when that is";
            context.must(goal.reached.is_some(), key, must)?;
            Term::Reached
        }
        text::Term::Alive(_) => Term::Alive,
    })
}

fn feet(
    context: &Context<'_>,
    bodies: &[String],
    with: Option<&String>,
    key: &str,
) -> Result<Vec<Touch>, RobotError> {
    let bodies_key = format!("{key}.bodies");
    context.must(!bodies.is_empty(), &bodies_key, "at least one body")?;
    let with: Option<Named> = with.map(|name| named(name, format!("{key}.with")));
    let foot = |body| Touch {
        body,
        with: with.clone(),
    };
    Ok(list(bodies, &bodies_key).into_iter().map(foot).collect())
}

fn gait(context: &Context<'_>, of: &text::Gait, key: &str) -> Result<Term, RobotError> {
    let feet = feet(context, &of.bodies, of.with.as_ref(), key)?;
    let must = format!("{} numbers, one for each of bodies, in turns", feet.len());
    let phases = format!("{key}.phases");
    let good = of.phases.len() == feet.len() && of.phases.iter().all(|phase| phase.is_finite());
    context.must(good, &phases, &must)?;
    let good = of.duty > 0.0 && of.duty < 1.0;
    context.must(good, &format!("{key}.duty"), "above 0 and below 1")?;
    Ok(Term::Gait {
        feet: feet.into_iter().zip(of.phases.iter().copied()).collect(),
        period_s: quantity::period(context, key, &of.period_s)?,
        duty: of.duty,
    })
}

/// Uprightness and the cosine of the tilt that bounds it.
fn tilt(context: &Context<'_>, of: &text::Tilt, key: &str) -> Result<(Source, f64), RobotError> {
    let angle = of.angle_rad;
    let good = angle > 0.0 && angle < std::f64::consts::PI;
    context.must(good, &format!("{key}.angle_rad"), "above 0 and below pi")?;
    Ok((uprightness(&of.body, key), libm::cos(angle)))
}

fn of(source: Source, bound: Bound) -> Condition {
    Condition {
        measure: Measure::of(source),
        bound,
    }
}

/// A condition on any quantity, and what it measures.
fn condition(
    context: &Context<'_>,
    key: &str,
    written: &text::Condition,
) -> Result<(Condition, String), RobotError> {
    let (kind, quantity) = context.one_of(key, written.quantities())?;
    let sources = quantity::sources(context, &format!("{key}.{kind}"), &quantity, false)?;
    let is_several = sources.len() > 1;
    let (word, bound) = context.one_of(
        key,
        vec![
            ("below", written.below.map(Bound::Below)),
            ("above", written.above.map(Bound::Above)),
            ("within", written.within.map(Bound::Within)),
            ("beyond", written.beyond.map(Bound::Beyond)),
        ],
    )?;
    let word_key = format!("{key}.{word}");
    let is_distance = match bound {
        Bound::Below(value) | Bound::Above(value) => {
            context.must(value.is_finite(), &word_key, "finite")?;
            let must = "absent beside below and above: within and beyond compare with a target";
            context.must(written.target.is_none(), &format!("{key}.target"), must)?;
            false
        }
        Bound::Within(value) | Bound::Beyond(value) => {
            positive(context, value, &word_key)?;
            true
        }
    };
    let target_key = format!("{key}.target");
    let measure = measure(context, sources, written.target.as_ref(), &target_key)?;
    let compares = is_distance && !kind.ends_with("_error") && kind != "distance";
    let what = match (compares, is_several) {
        (true, _) => "_error",
        (false, true) => "_norm",
        (false, false) => "",
    };
    let name = format!("{kind}{what}{}", quantity.unit());
    Ok((Condition { measure, bound }, name))
}

fn conditions(
    context: &Context<'_>,
    key: &str,
    all: &[text::Condition],
) -> Result<Vec<(Condition, String)>, RobotError> {
    context.must(!all.is_empty(), key, "at least one condition")?;
    all.iter()
        .enumerate()
        .map(|(index, written)| condition(context, &format!("{key}[{index}]"), written))
        .collect()
}

/// When an episode ends by itself: when all conditions of one of these hold.
pub(super) fn ends(
    context: &Context<'_>,
    written: &text::File,
) -> Result<Vec<Vec<Condition>>, RobotError> {
    let mut ends = Vec::new();
    for (index, ended) in written.ended.iter().enumerate() {
        let section = format!("ended[{index}]");
        let (kind, end) = context.one_of(&section, ended.kinds())?;
        let key = format!("{section}.{kind}");
        ends.push(match &end {
            text::End::HeightBelow(end) => {
                vec![of(height(end, &key), Bound::Below(end.height_m))]
            }
            text::End::HeightAbove(end) => {
                vec![of(height(end, &key), Bound::Above(end.height_m))]
            }
            text::End::TiltBeyond(end) => {
                let (source, cosine) = tilt(context, end, &key)?;
                vec![of(source, Bound::Below(cosine))]
            }
            text::End::All(all) => conditions(context, &key, all)?
                .into_iter()
                .map(|(condition, _)| condition)
                .collect(),
        });
    }
    Ok(ends)
}

/// A goal as it is checked.
pub(super) struct Goal {
    pub(super) conditions: Vec<Condition>,
    /// What the first of them measures.
    pub(super) metric_name: Option<String>,
    pub(super) reached: Option<Reached>,
}

/// The goal's conditions, and when it is reached.
pub(super) fn goal(context: &Context<'_>, goal: &text::Goal) -> Result<Goal, RobotError> {
    let mut all: Vec<(Condition, String)> = Vec::new();
    if let Some(velocity) = &goal.velocity {
        let key = "goal.velocity";
        let within = positive(
            context,
            velocity.within_m_per_s,
            "goal.velocity.within_m_per_s",
        )?;
        let seen = Seen {
            frame: velocity.frame,
            ..body(&velocity.body, key)
        };
        let axes = velocity.axis.each("axis");
        let sources = axes.map(|(_, axis)| Source::BodyVelocity(seen.clone(), *axis));
        let targets = Some(&velocity.target);
        let measure = measure(context, sources.collect(), targets, "goal.velocity.target")?;
        let bound = Bound::Within(within);
        all.push((
            Condition { measure, bound },
            "velocity_error_m_per_s".to_owned(),
        ));
    }
    if let Some(height_of) = &goal.height {
        let source = height(height_of, "goal.height");
        let condition = of(source, Bound::Above(height_of.height_m));
        all.push((condition, "height_m".to_owned()));
    }
    if let Some(tilt_of) = &goal.tilt {
        let (source, cosine) = tilt(context, tilt_of, "goal.tilt")?;
        all.push((of(source, Bound::Above(cosine)), "uprightness".to_owned()));
    }
    if let Some(others) = &goal.all {
        all.extend(conditions(context, "goal.all", others)?);
    }
    let reached = goal.reached.as_ref().map(|reached| Reached {
        steps: reached.steps,
        ends: reached.then == text::Then::End,
    });
    if let Some(reached) = reached {
        let must = "from 1 on, in steps";
        context.must(reached.steps > 0, "goal.reached.steps", must)?;
        let must = "beside a condition (velocity, height, tilt or all): there is no goal to reach";
        context.must(!all.is_empty(), "goal.reached", must)?;
    }
    let (conditions, mut names): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    let metric_name = (!names.is_empty()).then(|| names.swap_remove(0));
    Ok(Goal {
        conditions,
        metric_name,
        reached,
    })
}
