//! The one picture: several controllers on the same flight around the same change.

use super::figures::{
    JUMP_DEG, UPRIGHT_DEG, angle_from_upright_deg, attention_panel, largest_command, mark_change,
    spread,
};
use super::panel::{Panel, ticks};
use super::svg::{Anchor, Svg, number};
use super::trace::FlightTrace;

const WIDTH: f64 = 1120.0;
const LEFT: f64 = 96.0;
const RIGHT: f64 = 196.0;
/// Rods drawn along the time axis.
const RODS: usize = 15;

/// Draws the flights of `traces`; the first is the policy itself, whose command and attention are shown.
///
/// Returns `None` when there is no trace with at least two steps.
#[must_use]
pub(crate) fn picture(traces: &[FlightTrace], title: &str, lead: &str) -> Option<Svg> {
    let policy = traces.first().filter(|trace| trace.steps() > 1)?;
    let height = if policy.attention.is_some() {
        846.0
    } else {
        666.0
    };
    let mut svg = Svg::new(WIDTH, height, title);
    svg.rectangle("paper", (0.0, 0.0), (WIDTH, height), 12.0);
    svg.text("title", (LEFT, 46.0), Anchor::Start, title);
    svg.text("lead", (LEFT, 70.0), Anchor::Start, lead);

    let across = shown(policy);
    let panel = |top: f64, tall: f64, up: (f64, f64)| Panel {
        corner: (LEFT, top),
        size: (WIDTH - LEFT - RIGHT, tall),
        across,
        up,
    };
    rods(&mut svg, policy, &panel(92.0, 104.0, (0.0, 1.0)));

    let angle = panel(238.0, 190.0, (184.0, -4.0));
    angle.frame(
        &mut svg,
        "angle from upright, the same pendulum under each controller",
        &[(0.0, "upright 0°"), (90.0, "90°"), (180.0, "hanging 180°")],
    );
    angle.band(&mut svg, "goal", 0.0, UPRIGHT_DEG);
    let ends: Vec<f64> = traces
        .iter()
        .map(|trace| angle.y(last_angle(trace, across.1)))
        .collect();
    let places = spread(&ends, 36.0, (242.0, 412.0));
    for (number, trace) in traces.iter().enumerate().rev() {
        let class = if number == 0 {
            "line bold s0".to_owned()
        } else {
            format!("line s{}", trace.colour())
        };
        let points = trace.angle_rad.iter().enumerate();
        let points = points.map(|(k, a)| (trace.time_s(k), angle_from_upright_deg(*a)));
        angle.curve(&mut svg, &class, points, JUMP_DEG);
        let x = LEFT + angle.size.0 + 12.0;
        let y = places[number];
        svg.text(
            &format!("strong f{}", trace.colour()),
            (x, y),
            Anchor::Start,
            &trace.name,
        );
        svg.text("small", (x, y + 14.0), Anchor::Start, &verdict(trace));
    }

    let limit = largest_command(policy);
    let command = panel(474.0, 116.0, (-1.1 * limit, 1.1 * limit));
    let labels = [
        (-limit, number(-limit)),
        (0.0, "0".to_owned()),
        (limit, number(limit)),
    ];
    let labels: Vec<(f64, &str)> = labels.iter().map(|(v, l)| (*v, l.as_str())).collect();
    command.frame(&mut svg, "motor command of the policy, Nm", &labels);
    let points = policy.issued_nm.iter().enumerate();
    command.steps(
        &mut svg,
        "line s0",
        points.map(|(k, u)| (policy.time_s(k), f64::from(*u))),
    );
    let x = LEFT + command.size.0 + 12.0;
    svg.text(
        "small",
        (x, command.y(0.0) - 4.0),
        Anchor::Start,
        "issued to the motor,",
    );
    svg.text(
        "small",
        (x, command.y(0.0) + 11.0),
        Anchor::Start,
        "after range and slew limits",
    );

    let mut panels = vec![angle, command];
    if let Some(attention) = &policy.attention {
        let heat = panel(636.0, 140.0, (0.0, attention.window as f64));
        panels.push(attention_panel(
            &mut svg,
            policy,
            attention,
            None,
            heat,
            "where the policy looks: attention by age of the memory, in steps (stronger colour is more)",
        ));
        let y = heat.corner.1;
        svg.text(
            "small",
            (x, y + 14.0),
            Anchor::Start,
            "above the slanted line:",
        );
        svg.text(
            "small",
            (x, y + 29.0),
            Anchor::Start,
            "memories from before",
        );
        svg.text("small", (x, y + 44.0), Anchor::Start, "the change");
    }
    for panel in &panels {
        mark_change(&mut svg, panel, policy);
    }
    if let Some(last) = panels.last() {
        last.scale_below(&mut svg, &ticks(across.0, across.1, 10), "seconds");
    }
    if let Some(change) = policy.change_s() {
        let x = angle.x(change);
        svg.line("mark", (x, 92.0), (x, 210.0));
        svg.text("marked", (x + 8.0, 206.0), Anchor::Start, &policy.change);
    }
    Some(svg)
}

/// The times to show, in s: the episode with the change, or everything where there is none; at most 4 s before
/// and 5 s after the change.
#[must_use]
pub(crate) fn shown(trace: &FlightTrace) -> (f64, f64) {
    let end = trace.time_s(trace.steps().saturating_sub(1));
    let Some(change) = trace.change_s() else {
        return (0.0, end);
    };
    let starts = trace.episodes.iter().map(|step| trace.time_s(*step));
    let episode = starts.filter(|start| *start <= change).fold(0.0, f64::max);
    (episode.max(change - 4.0), end.min(change + 5.0))
}

fn last_angle(trace: &FlightTrace, until_s: f64) -> f64 {
    let last = ((until_s / trace.period_s).round() as usize).min(trace.steps().saturating_sub(1));
    trace
        .angle_rad
        .get(last)
        .map_or(180.0, |angle| angle_from_upright_deg(*angle))
}

fn verdict(trace: &FlightTrace) -> String {
    match (trace.change_step, trace.recovery_s()) {
        (Some(_), Some(0.0)) => "stays upright".to_owned(),
        (Some(_), Some(seconds)) => format!("upright again after {seconds:.1} s"),
        (Some(_), None) => "does not recover".to_owned(),
        (None, _) => String::new(),
    }
}

/// Snapshots of the rod, each above its moment on the time axis, with a fading trail.
fn rods(svg: &mut Svg, trace: &FlightTrace, area: &Panel) {
    let length = 30.0;
    let middle = area.corner.1 + 0.5 * area.size.1;
    for rod in 0..RODS {
        let share = (rod as f64 + 0.5) / RODS as f64;
        let time = area.across.0 + share * (area.across.1 - area.across.0);
        let step = (time / trace.period_s) as usize;
        let pivot = (area.x(time), middle);
        let tip = |step: usize| {
            let angle = f64::from(trace.angle_rad.get(step).copied().unwrap_or(0.0));
            (
                pivot.0 + length * angle.sin(),
                pivot.1 - length * angle.cos(),
            )
        };
        let changed = trace.change_step.is_some_and(|change| step >= change);
        let (bob, radius) = if changed { ("bob2", 7.5) } else { ("bob", 6.0) };
        for back in [9, 6, 3] {
            if step >= back {
                svg.disc(&format!("{bob} ghost"), tip(step - back), radius - 1.5);
            }
        }
        svg.line("rod", pivot, tip(step));
        svg.disc("pivot", pivot, 3.0);
        svg.disc(bob, tip(step), radius);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_flown_makes_no_picture() {
        assert!(picture(&[], "", "").is_none());
        assert!(picture(&[FlightTrace::default()], "", "").is_none());
    }

    #[test]
    fn a_trace_without_change_or_attention_is_drawn() {
        let trace = FlightTrace {
            name: "zero".into(),
            period_s: 0.02,
            angle_rad: vec![3.0; 100],
            issued_nm: vec![0.0; 100],
            ..FlightTrace::default()
        };
        let text = picture(&[trace], "a", "b").unwrap().standalone();
        assert!(text.contains("zero") && !text.contains("NaN"));
    }
}
