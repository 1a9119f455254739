//! The figures of flights: several controllers on the same flight around the same change, and one flight by itself.

use super::attention;
use super::drawing::{Drawing, drawing};
use super::panel::{Panel, ticks};
use super::plot::{Plot, spread};
use super::svg::{Anchor, Svg};
use crate::evaluate::FlightTrace;

const WIDTH: f64 = 1120.0;
const LEFT: f64 = 96.0;
const RIGHT: f64 = 196.0;
/// Between two panels, pixels.
const GAP: f64 = 46.0;

/// Draws the flights of `traces`; the first is the policy itself, whose commands and attention are shown.
///
/// Returns `None` when there is no trace with at least two steps.
#[must_use]
pub(super) fn picture(traces: &[FlightTrace], title: &str, lead: &str) -> Option<Svg> {
    let policy = traces.first().filter(|trace| trace.steps() > 1)?;
    let drawing = drawing(policy);
    let (scene, compared) = (drawing.scene_height(), 190.0);
    let commands = drawing.commands(policy);
    let tall = if commands.len() > 1 { 70.0 } else { 116.0 };
    let gap = if commands.len() > 1 { 26.0 } else { GAP };
    let below = commands.len() as f64 * (tall + gap) - gap;
    let attended = policy.attention.as_ref().map_or(0.0, |_| 140.0 + GAP);
    let angle_top = if scene > 0.0 {
        92.0 + scene + 42.0
    } else {
        116.0
    };
    let command_top = angle_top + compared + GAP;
    let end = if policy.attention.is_some() {
        70.0
    } else {
        76.0
    };
    let height = command_top + below + attended + end;
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
    drawing.scene(&mut svg, traces, &panel(92.0, scene, (0.0, 1.0)));
    let all = drawing.compared(traces);
    let mut panels = vec![compare(
        &mut svg,
        drawing,
        traces,
        all,
        &panel(angle_top, compared, (0.0, 1.0)),
    )];
    let x = LEFT + WIDTH - LEFT - RIGHT + 12.0;
    for (index, plot) in commands.iter().enumerate() {
        let top = command_top + index as f64 * (tall + gap);
        let place = panel(top, tall, (0.0, 1.0));
        panels.push(plot.draw(&mut svg, &place, policy.period_s));
        if commands.len() == 1 {
            let middle = top + 0.5 * tall;
            let lines = ["issued to the motor,", "after range and slew limits"];
            for (line, y) in lines.iter().zip([middle - 4.0, middle + 11.0]) {
                svg.text("small", (x, y), Anchor::Start, line);
            }
        }
    }
    if let Some(attention) = &policy.attention {
        let top = command_top + below + GAP;
        let heat = panel(top, 140.0, (0.0, attention.window as f64));
        panels.push(attention::over_time(
            &mut svg,
            policy,
            attention,
            None,
            heat,
            "where the policy looks: attention by age of the memory, in steps (stronger colour is more)",
        ));
        attention::legend(&mut svg, (x, top));
    }
    for panel in &panels {
        mark_changes(&mut svg, panel, policy);
    }
    if let Some(last) = panels.last() {
        last.scale_below(&mut svg, &ticks(across.0, across.1, 10), "seconds");
    }
    label_changes(&mut svg, drawing, policy, &panels[0]);
    Some(svg)
}

/// The panel that compares the controllers, each with its name and what became of it.
fn compare(
    svg: &mut Svg,
    drawing: &dyn Drawing,
    traces: &[FlightTrace],
    mut all: Plot,
    panel: &Panel,
) -> Panel {
    let period_s = traces.first().map_or(1.0, |trace| trace.period_s);
    let panel = Panel {
        up: all.scale(panel.across, period_s).0,
        ..*panel
    };
    if let Some(policy) = all.curves.first_mut() {
        policy.class = "line bold s0".to_owned();
    }
    let ends: Vec<f64> = (all.curves.iter())
        .map(|curve| curve.end(&panel, period_s))
        .collect();
    all.curves.reverse();
    all.draw(svg, &panel, period_s);
    let bounds = (panel.corner.1 + 4.0, panel.bottom() - 16.0);
    let places = spread(&ends, 36.0, bounds);
    for (trace, y) in traces.iter().zip(places).rev() {
        let x = panel.right() + 12.0;
        let class = format!("strong f{}", trace.colour());
        svg.text(&class, (x, y), Anchor::Start, &trace.name);
        let verdict = verdict(drawing, trace);
        svg.text("small", (x, y + 14.0), Anchor::Start, &verdict);
    }
    panel
}

/// The vertical lines at changes and at episode boundaries.
fn mark_changes(svg: &mut Svg, panel: &Panel, trace: &FlightTrace) {
    for episode in &trace.episodes {
        panel.vertical(svg, "boundary", trace.time_s(*episode));
    }
    for change in &trace.changes {
        panel.vertical(svg, "mark", trace.time_s(change.step));
    }
}

/// What changed, in words: below a scene that lies on the time axis, else in the panel itself; several by number.
fn label_changes(svg: &mut Svg, drawing: &dyn Drawing, trace: &FlightTrace, panel: &Panel) {
    let on_axis = drawing.scene_height() > 0.0 && drawing.scene_height() < 200.0;
    for (index, change) in trace.changes.iter().enumerate() {
        let x = panel.x(trace.time_s(change.step));
        if on_axis {
            svg.line("mark", (x, 92.0), (x, 210.0));
            svg.text("marked", (x + 8.0, 206.0), Anchor::Start, &change.words);
        } else {
            let words = match trace.changes.len() {
                // What is too long for the panel stands above the picture.
                1 if change.words.len() > 60 => "change".to_owned(),
                1 => change.words.clone(),
                _ => format!("{}: {}", index + 1, change.words),
            };
            let y = panel.corner.1 + 16.0 + 14.0 * (index % 6) as f64;
            svg.text("marked", (x + 8.0, y), Anchor::Start, &words);
        }
    }
}

/// The times to show, in s: the episode with the first change and all that follow closely, or everything where there is none;
/// no more before and after them than the drawing says.
#[must_use]
pub(super) fn shown(trace: &FlightTrace) -> (f64, f64) {
    let end = trace.time_s(trace.steps().saturating_sub(1));
    let (Some(first), Some(last)) = (trace.change_s(), trace.changes.last()) else {
        return (0.0, end);
    };
    let (before, after) = drawing(trace).seconds_around();
    let starts = trace.episodes.iter().map(|step| trace.time_s(*step));
    let episode = starts.filter(|start| *start <= first).fold(0.0, f64::max);
    let last = trace.time_s(last.step);
    (episode.max(first - before), end.min(last + after))
}

fn verdict(drawing: &dyn Drawing, trace: &FlightTrace) -> String {
    let [stays, again, lost] = drawing.verdicts();
    match trace.recovery_s() {
        _ if trace.changes.is_empty() || !trace.has_goal => String::new(),
        Some(0.0) => stays.to_owned(),
        Some(seconds) => format!("{again} {seconds:.1} s"),
        None => lost.to_owned(),
    }
}

/// One flight between two times: the plant's own plots, commands (wanted and issued) and, for a policy, attention.
#[must_use]
pub(super) fn flight(trace: &FlightTrace, from_s: f64, to_s: f64) -> Svg {
    let drawing = drawing(trace);
    let attention = trace.attention.as_ref();
    let layers = attention.map_or(0, |attention| attention.layers);
    let mut plots = drawing.plots(trace);
    plots.extend(drawing.both_commands(trace));
    let (width, right) = drawing.width();
    let left = 54.0;
    let (tall, gap, heat) = (104.0, 40.0, 92.0);
    let height = 34.0 + plots.len() as f64 * (tall + gap) + layers as f64 * (heat + gap) + 14.0;
    let mut svg = Svg::new(width, height, &format!("Flight of {}", trace.name));
    let panel = |top: f64, tall: f64, up: (f64, f64)| Panel {
        corner: (left, top),
        size: (width - left - right, tall),
        across: (from_s, to_s),
        up,
    };
    let mut panels = Vec::new();
    for (index, plot) in plots.iter().enumerate() {
        let place = panel(34.0 + index as f64 * (tall + gap), tall, (0.0, 1.0));
        panels.push(plot.draw(&mut svg, &place, trace.period_s));
    }
    if let Some(attention) = attention {
        for layer in 0..layers {
            let top = 34.0 + plots.len() as f64 * (tall + gap) + layer as f64 * (heat + gap);
            panels.push(attention::over_time(
                &mut svg,
                trace,
                attention,
                Some(layer),
                panel(top, heat, (0.0, attention.window as f64)),
                &format!(
                    "attention of layer {} by age of the memory, steps",
                    layer + 1
                ),
            ));
        }
    }
    for panel in &panels {
        mark_changes(&mut svg, panel, trace);
    }
    if let Some(first) = panels.first() {
        for (index, change) in trace.changes.iter().enumerate() {
            let place = (
                first.x(trace.time_s(change.step)) + 5.0,
                first.corner.1 + 97.0,
            );
            let words = match trace.changes.len() {
                1 => "change".to_owned(),
                _ => format!("{}", index + 1),
            };
            svg.text("small marked", place, Anchor::Start, &words);
        }
    }
    if let Some(last) = panels.last() {
        last.scale_below(&mut svg, &ticks(from_s, to_s, 6), "seconds");
    }
    svg
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::{Changed, FlightOptions, Signals, Subject};

    #[test]
    fn nothing_flown_makes_no_picture() {
        assert!(picture(&[], "", "").is_none());
        assert!(picture(&[FlightTrace::default()], "", "").is_none());
    }

    #[test]
    fn a_plant_of_any_name_is_drawn_by_its_channels() {
        let mut trace = FlightTrace {
            name: "zero".into(),
            plant: "crane".into(),
            period_s: 0.02,
            reward: vec![0.5; 100],
            holds: vec![false; 100],
            has_goal: true,
            observation: Signals::new([("swing", "rad"), ("trolley", "m")]),
            issued: Signals::new([("force", "N")]),
            changes: vec![
                Changed {
                    step: 40,
                    words: "a heavier load".into(),
                },
                Changed {
                    step: 60,
                    words: "wind".into(),
                },
            ],
            ..FlightTrace::default()
        };
        for step in 0..100u8 {
            trace.observation.push([f32::from(step), 1.0]);
            trace.issued.push([0.0]);
        }
        trace.wanted = trace.issued.clone();
        let alone = flight(&trace, 0.0, 2.0).inline();
        for words in ["reward", "measured, rad", "trolley", "force"] {
            assert!(alone.contains(words), "no {words}");
        }
        let text = picture(&[trace], "a", "b").unwrap().standalone();
        for words in ["zero", "1: a heavier load", "2: wind", "does not recover"] {
            assert!(text.contains(words), "no {words}");
        }
        assert!(!text.contains("NaN") && !alone.contains("NaN"));
    }

    #[test]
    fn the_pendulum_and_the_quadrotor_have_drawings_of_their_own() {
        let image = |name: &str| {
            let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../images");
            let subject = Subject::load(&root.join(name)).unwrap();
            let options = FlightOptions {
                compare: true,
                ..FlightOptions::default()
            };
            let flights = subject
                .simulate(&engram_plants::Plants::built_in(), &options)
                .unwrap();
            let (from, to) = shown(&flights[0]);
            let alone = flight(&flights[0], from, to).inline();
            let picture = picture(&flights, "title", "lead").unwrap().standalone();
            assert!(!picture.contains("NaN") && !alone.contains("NaN"));
            (picture, alone)
        };
        let (picture, alone) = image("pendulum.engram");
        assert!(picture.contains("hanging 180°") && picture.matches("class=\"rod\"").count() == 15);
        assert!(alone.contains("attention of layer 2"));
        let (picture, alone) = image("quadrotor.engram");
        for words in [
            "from above",
            "from the side",
            "the path in space",
            "front_right",
            "back_left",
            "classical cascade",
            "memory wiped",
        ] {
            assert!(picture.contains(words), "no {words}");
        }
        // The place of the change in three views.
        assert_eq!(picture.matches(">change<").count(), 3);
        assert!(picture.len() < 150_000, "{}", picture.len());
        assert!(alone.contains("attitude, degrees"));
    }
}
