//! How commands become controls, what delays them, and actuators that the model lacks.

use super::check::Context;
use super::terms::named;
use super::text::{self, AroundStart};
use super::{Action, Added, Around, RobotError, Servo};

/// Control steps by which a channel may lag, at most.
pub const MAX_DELAY_STEPS: usize = 64;

/// What becomes of every action channel's command.
pub(super) fn actions(
    context: &Context<'_>,
    written: &text::File,
) -> Result<Vec<Action>, RobotError> {
    let mut actions = Vec::new();
    for (index, action) in written.action.iter().enumerate() {
        let key = |field: &str| format!("action[{index}].{field}");
        let around = match &action.around {
            None => Around::Nothing,
            Some(text::Around::Start(AroundStart::Pose)) => Around::Pose,
            Some(text::Around::Start(AroundStart::Control)) => Around::Control,
            Some(text::Around::Value(value)) => {
                context.must(value.is_finite(), &key("around"), "finite")?;
                Around::Value(*value)
            }
        };
        if let Some(gains) = &action.position {
            let good = gains.kp.is_finite() && gains.kp > 0.0;
            context.must(good, &key("position.kp"), "finite and above 0")?;
            let good = gains.kd.is_finite() && gains.kd >= 0.0;
            context.must(good, &key("position.kd"), "finite and at least 0")?;
            let must =
                "\"pose\" or a number: a motor that follows positions has no control to start from";
            context.must(around != Around::Control, &key("around"), must)?;
        }
        if let Some(filter_s) = action.filter_s {
            let good = filter_s.is_finite() && filter_s > 0.0;
            context.must(good, &key("filter_s"), "finite and above 0")?;
        }
        let good = action.noise_std.is_finite() && action.noise_std >= 0.0;
        context.must(good, &key("noise_std"), "finite and at least 0")?;
        delay(context, &key("delay_steps"), action.delay_steps)?;
        actions.push(Action {
            actuator: named(&action.actuator, key("actuator")),
            around,
            position: action.position.as_ref().map(|gains| [gains.kp, gains.kd]),
            filter_s: action.filter_s,
            noise_std: action.noise_std,
            delay_steps: action.delay_steps,
        });
    }
    Ok(actions)
}

fn delay(context: &Context<'_>, key: &str, steps: usize) -> Result<(), RobotError> {
    let must = format!("at most {MAX_DELAY_STEPS}");
    context.must(steps <= MAX_DELAY_STEPS, key, &must)
}

/// Control steps by which every observation channel lags.
pub(super) fn delays(
    context: &Context<'_>,
    written: &text::File,
) -> Result<Vec<usize>, RobotError> {
    let mut delays = Vec::new();
    for (index, channel) in written.observation.iter().enumerate() {
        let key = format!("observation[{index}].delay_steps");
        delay(context, &key, channel.delay_steps)?;
        delays.push(channel.delay_steps);
    }
    Ok(delays)
}

/// The actuators that the file gives a model.
pub(super) fn added(context: &Context<'_>, written: &text::File) -> Result<Vec<Added>, RobotError> {
    let mut added: Vec<Added> = Vec::new();
    for (index, actuator) in written.actuator.iter().enumerate() {
        let key = |field: &str| format!("actuator[{index}].{field}");
        let plain = super::check::is_plain(&actuator.name, engram_image::limits::TEXT_BYTES);
        let must = "printable ASCII without spaces, of at least one byte and no more than a channel's name";
        context.must(plain, &key("name"), must)?;
        let new = added.iter().all(|other| other.name != actuator.name);
        let must = "unlike the name of every other [[actuator]]";
        context.must(new, &key("name"), must)?;
        let ranges = [
            ("ctrlrange", Some(actuator.ctrlrange)),
            ("forcerange", actuator.forcerange),
        ];
        for (field, range) in ranges {
            interval(context, &key(field), range)?;
        }
        let good = actuator.gear.is_finite() && actuator.gear != 0.0;
        context.must(good, &key("gear"), "finite and other than 0")?;
        for (field, gain) in [("kp", actuator.kp), ("kv", actuator.kv)] {
            let good = gain.is_none_or(|gain| gain.is_finite() && gain > 0.0);
            context.must(good, &key(field), "finite and above 0")?;
        }
        let servo = match (actuator.kp, actuator.kv) {
            (None, None) => Servo::Motor,
            (Some(kp), kv) => Servo::Position {
                kp,
                kv: kv.unwrap_or(0.0),
            },
            (None, Some(kv)) => Servo::Velocity { kv },
        };
        added.push(Added {
            name: actuator.name.clone(),
            joint: named(&actuator.joint, key("joint")),
            ctrlrange: actuator.ctrlrange,
            forcerange: actuator.forcerange,
            gear: actuator.gear,
            servo,
        });
    }
    Ok(added)
}

/// Two finite numbers in order, where they are given.
pub(super) fn interval(
    context: &Context<'_>,
    key: &str,
    range: Option<[f64; 2]>,
) -> Result<(), RobotError> {
    let good = range.is_none_or(|[low, high]| low <= high && (high - low).is_finite());
    let must = "two finite numbers, the smaller one first";
    context.must(good, key, must)
}

/// How many changes come in one trial of training, on average.
pub(super) fn changes_per_trial(
    context: &Context<'_>,
    written: &text::File,
) -> Result<f64, RobotError> {
    let steps = (written.episode_steps * written.episodes) as f64;
    let good = written.changes_per_trial > 0.0 && written.changes_per_trial <= steps;
    let must = "above 0 and at most one for every control step of a trial; without any, leave out in_training";
    context.must(good, "changes_per_trial", must)?;
    Ok(written.changes_per_trial)
}
