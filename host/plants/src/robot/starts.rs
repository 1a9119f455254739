//! Where episodes start.

use super::actions::interval;
use super::check::Context;
use super::terms::{list, named};
use super::{BodyStart, JointStart, Place, RobotError, StartNoise, text};

pub(super) fn start(context: &Context<'_>, written: &text::File) -> Result<StartNoise, RobotError> {
    let start = &written.start;
    for (key, value, least) in [
        ("start.position", start.position, 0.0),
        ("start.velocity", start.velocity, 0.0),
        ("start.anywhere", start.anywhere, 1.0),
    ] {
        let must = format!("finite and at least {least}");
        context.must(value.is_finite() && value >= least, key, &must)?;
    }
    let joint = |(index, joint)| joints(context, &format!("start.joint[{index}]"), joint);
    let body = |(index, body)| free_body(context, &format!("start.body[{index}]"), body);
    Ok(StartNoise {
        keyframe: start
            .keyframe
            .as_deref()
            .map(|name| named(name, "start.keyframe".to_owned())),
        position: start.position,
        velocity: start.velocity,
        anywhere: start.anywhere,
        joints: list(&start.joints, "start.joints"),
        ranges: (start.joint.iter().enumerate())
            .map(joint)
            .collect::<Result<_, _>>()?,
        bodies: (start.body.iter().enumerate())
            .map(body)
            .collect::<Result<_, _>>()?,
    })
}

fn joints(
    context: &Context<'_>,
    section: &str,
    joint: &text::StartJoints,
) -> Result<JointStart, RobotError> {
    for (field, range) in [
        ("position", joint.position),
        ("offset", joint.offset),
        ("velocity", joint.velocity),
    ] {
        interval(context, &format!("{section}.{field}"), range)?;
    }
    let key = |field: &str| format!("{section}.{field}");
    let place = match (joint.position, joint.offset) {
        (Some(_), Some(_)) => {
            let must = "absent beside position: one is where the joint is, the other how far from the start's pose";
            return Err(context.refuse(&key("offset"), must));
        }
        (Some(range), None) => Some(Place::At(range)),
        (None, Some(range)) => Some(Place::Off(range)),
        (None, None) => None,
    };
    let given = place.is_some() || joint.velocity.is_some();
    let must = "followed by position, offset or velocity";
    context.must(given, &key("joints"), must)?;
    Ok(JointStart {
        joints: list(&joint.joints, &key("joints")),
        place,
        velocity: joint.velocity,
    })
}

fn free_body(
    context: &Context<'_>,
    section: &str,
    body: &text::StartBody,
) -> Result<BodyStart, RobotError> {
    let all = [
        ("x", body.x),
        ("y", body.y),
        ("z", body.z),
        ("yaw", body.yaw),
    ];
    for (field, range) in all {
        interval(context, &format!("{section}.{field}"), range)?;
    }
    let key = format!("{section}.body");
    let given = all.iter().any(|(_, range)| range.is_some());
    context.must(given, &key, "followed by x, y, z or yaw")?;
    Ok(BodyStart {
        body: named(&body.body, key),
        place: [body.x, body.y, body.z],
        yaw: body.yaw,
    })
}
