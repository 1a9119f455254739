//! The quadrotor: its path in space, from above and from the side, the error, the attitude and the four motors.

use std::ops::Range;

use engram_plants::quadrotor::{ATTITUDE, NAME, POSITION};

use super::channels::numbers;
use super::drawing::Drawing;
use super::panel::{Panel, ticks};
use super::plot::{Curve, Plot, Scale, line};
use super::svg::{Anchor, Svg, number};
use crate::evaluate::{FlightTrace, Signals};

/// An error is drawn from here on, m: the scale is logarithmic.
const LEAST_M: f64 = 0.001;
/// Points of a path that a figure of this size can show.
const MOST_POINTS: usize = 200;
/// The camera of the view in space: turned to the left and down, rad.
const CAMERA: (f64, f64) = (0.6, 0.42);

pub(super) struct Quadrotor;

impl Quadrotor {
    /// Whether the flight has what is drawn here.
    pub(super) fn fits(flight: &FlightTrace) -> bool {
        let names = |first: usize, known: &[&str]| {
            let place = |name: &str| flight.state.place(name);
            (known.iter().enumerate()).all(|(index, name)| place(name) == Some(first + index))
        };
        let attitude = ["attitude_w", "attitude_x", "attitude_y", "attitude_z"];
        flight.plant == NAME
            && names(POSITION, &["x_m", "y_m", "z_m"])
            && names(ATTITUDE, &attitude)
    }
}

impl Drawing for Quadrotor {
    fn compared(&self, flights: &[FlightTrace]) -> Plot {
        let mut plot = errors(flights.iter().map(error).collect());
        plot.heading =
            "distance from the set point, the same craft under each controller".to_owned();
        plot
    }

    fn plots(&self, flight: &FlightTrace) -> Vec<Plot> {
        let axes = ["x", "y", "z"].iter().enumerate();
        let position = axes.map(|(axis, name)| Curve {
            name: format!("{name} {}", ["forward", "left", "up"][axis]),
            class: format!("line s{axis}"),
            values: numbers(flight.state.channel(POSITION + axis)),
            ..Curve::default()
        });
        let attitudes: Vec<[f64; 2]> = rows(&flight.state).map(roll_and_pitch).collect();
        let angles = ["roll", "pitch"].iter().enumerate();
        let angles = angles.map(|(axis, name)| Curve {
            name: (*name).to_owned(),
            class: format!("line s{axis}"),
            values: attitudes.iter().map(|angles| angles[axis]).collect(),
            ..Curve::default()
        });
        vec![
            errors(vec![error(flight)]),
            Plot::fitting("position, m", position.collect()),
            Plot::fitting("attitude, degrees", angles.collect()),
        ]
    }

    fn title(&self, flight: &FlightTrace) -> String {
        let words = match flight.changes.len() {
            0 => "A quadrotor at its set point",
            _ => "It notices that its craft has changed",
        };
        words.to_owned()
    }

    fn scene_height(&self) -> f64 {
        300.0
    }

    fn scene(&self, svg: &mut Svg, flights: &[FlightTrace], area: &Panel) {
        let Some(policy) = flights.first() else {
            return;
        };
        let step = |time: f64| ((time / policy.period_s) as usize).min(policy.steps());
        let end = step(area.across.1) + 1;
        let change = policy.changes.first().map_or(0, |change| change.step);
        let episode = policy.episodes.iter().rfind(|step| **step <= change);
        let episode = episode.copied().unwrap_or(0);
        let (left, top) = (area.corner.0, area.corner.1 + 18.0);
        space(svg, flights, episode..end, (left - 30.0, top));
        let around = step(area.across.0).max(episode)..end;
        let views = [
            ("from above: y over x, cm", 1, (left + 412.0, top)),
            ("from the side: z over x, cm", 2, (left + 724.0, top)),
        ];
        for (name, axis, corner) in views {
            view(svg, flights, around.clone(), (name, axis), corner);
        }
    }
}

/// States of a flight, as numbers.
fn rows(state: &Signals) -> impl Iterator<Item = &[f32]> {
    state.values.chunks_exact(state.channels.len().max(1))
}

fn position(state: &[f32]) -> [f64; 3] {
    [0, 1, 2].map(|axis| f64::from(state[POSITION + axis]))
}

/// Distance from the set point, as its decimal logarithm.
fn error(flight: &FlightTrace) -> Curve {
    let distance = |state: &[f32]| position(state).iter().map(|x| x * x).sum::<f64>().sqrt();
    Curve {
        class: line(flight),
        values: rows(&flight.state)
            .map(|state| distance(state).max(LEAST_M).log10())
            .collect(),
        // From where an episode ends to where the next begins is no motion.
        jump: 0.5,
        ..Curve::default()
    }
}

fn errors(curves: Vec<Curve>) -> Plot {
    Plot {
        heading: "distance from the set point".to_owned(),
        scale: Scale::LogMetres,
        goal: None,
        curves,
    }
}

/// In degrees.
fn roll_and_pitch(state: &[f32]) -> [f64; 2] {
    let [w, x, y, z] = [0, 1, 2, 3].map(|k| f64::from(state[ATTITUDE + k]));
    let roll = (2.0 * (w * x + y * z)).atan2(1.0 - 2.0 * (x * x + y * y));
    let pitch = (2.0 * (w * y - z * x)).clamp(-1.0, 1.0).asin();
    [roll.to_degrees(), pitch.to_degrees()]
}

/// Points of a flight's path between two steps, thinned out to what can be seen.
fn path(flight: &FlightTrace, steps: &Range<usize>) -> Vec<[f64; 3]> {
    let every = steps.len().div_ceil(MOST_POINTS).max(1);
    let shown = rows(&flight.state).take(steps.end).skip(steps.start);
    shown.step_by(every).map(position).collect()
}

/// A round length that is at least the largest coordinate of these points.
fn extent(points: &[[f64; 3]]) -> f64 {
    let most = points
        .iter()
        .flatten()
        .fold(0.01, |most: f64, x| most.max(x.abs()));
    let size = 10f64.powf(most.log10().floor());
    let round = [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0];
    let round = round.into_iter().map(|factor| factor * size);
    round
        .into_iter()
        .find(|length| *length >= 1.05 * most)
        .unwrap_or(most)
}

/// One plane of space, around the changes: x forward to the right, or seen from behind.
fn view(
    svg: &mut Svg,
    flights: &[FlightTrace],
    steps: Range<usize>,
    (name, axis): (&str, usize),
    corner: (f64, f64),
) {
    const SIDE: f64 = 230.0;
    let policy = path(&flights[0], &steps);
    let cm = 100.0 * extent(&policy);
    let panel = Panel {
        corner,
        size: (SIDE, SIDE),
        across: (-cm, cm),
        up: (-cm, cm),
    };
    let marks = ticks(-cm, cm, 4);
    let labels: Vec<_> = marks.iter().map(|v| (*v, number(*v))).collect();
    panel.frame(svg, name, &labels);
    for mark in &marks {
        panel.vertical(svg, "grid", *mark);
    }
    let at = |point: [f64; 3]| (panel.x(100.0 * point[0]), panel.y(100.0 * point[axis]));
    let inside = |point: &[f64; 3]| {
        [0, axis]
            .iter()
            .all(|axis| (100.0 * point[*axis]).abs() <= cm)
    };
    let change = flights[0].changes.first().map(|change| change.step);
    let change = change.unwrap_or(steps.start).clamp(steps.start, steps.end);
    for flight in flights.iter().rev() {
        // What was before the change stands back.
        for (part, faint) in [
            (steps.start..change + 1, " thin faint"),
            (change..steps.end, ""),
        ] {
            let points = path(flight, &part).into_iter();
            let points = points.map(|point| inside(&point).then(|| at(point)));
            let class = format!("{}{faint}", line(flight));
            svg.path(&class, &points.collect::<Vec<_>>());
        }
    }
    set_point(svg, at([0.0; 3]));
    changes(svg, &flights[0], &steps, at);
    panel.scale_below(svg, &marks, "x, cm");
}

/// A cross where the craft should be.
fn set_point(svg: &mut Svg, (x, y): (f64, f64)) {
    svg.line("rod", (x - 5.0, y), (x + 5.0, y));
    svg.line("rod", (x, y - 5.0), (x, y + 5.0));
}

/// The place of each change, numbered where there are several.
fn changes(
    svg: &mut Svg,
    flight: &FlightTrace,
    steps: &Range<usize>,
    at: impl Fn([f64; 3]) -> (f64, f64),
) {
    for (index, change) in flight.changes.iter().enumerate() {
        let Some(state) = rows(&flight.state).nth(change.step) else {
            continue;
        };
        if !steps.contains(&change.step) {
            continue;
        }
        let place = at(position(state));
        svg.disc("bob2", place, 4.5);
        let words = match flight.changes.len() {
            1 => "change".to_owned(),
            _ => format!("{}", index + 1),
        };
        svg.text(
            "marked",
            (place.0 + 9.0, place.1 - 9.0),
            Anchor::Start,
            &words,
        );
    }
}

/// The paths in space above a floor, with their shadows, and the policy's craft at some moments.
fn space(svg: &mut Svg, flights: &[FlightTrace], steps: Range<usize>, corner: (f64, f64)) {
    const SIZE: (f64, f64) = (330.0, 264.0);
    let policy = path(&flights[0], &steps);
    let size = extent(&policy);
    let (sin, cos) = CAMERA.0.sin_cos();
    let scale = 0.34 * SIZE.0 / size;
    let at = |[x, y, z]: [f64; 3]| {
        let (right, away) = (cos * x - sin * y, sin * x + cos * y);
        let up = CAMERA.1.cos() * z + CAMERA.1.sin() * away;
        (
            corner.0 + 0.5 * SIZE.0 + scale * right,
            corner.1 + 0.48 * SIZE.1 - scale * up,
        )
    };
    svg.text(
        "head",
        (corner.0 + 30.0, corner.1 - 8.0),
        Anchor::Start,
        "the path in space, from the start of the episode",
    );
    let floor = -size;
    let lines = 4;
    for k in 0..=lines {
        let place = size * (2.0 * f64::from(k) / f64::from(lines) - 1.0);
        svg.line("grid", at([place, -size, floor]), at([place, size, floor]));
        svg.line("grid", at([-size, place, floor]), at([size, place, floor]));
    }
    let side = at([0.0, -size, floor]);
    let words = format!("{} m", number(2.0 * size));
    svg.text("small", (side.0, side.1 + 16.0), Anchor::Middle, &words);
    let inside = |point: &[f64; 3]| point.iter().all(|x| x.abs() <= size);
    for flight in flights.iter().rev() {
        let points: Vec<Option<[f64; 3]>> = path(flight, &steps)
            .into_iter()
            .map(|point| inside(&point).then_some(point))
            .collect();
        let shadow = |point: [f64; 3]| at([point[0], point[1], floor]);
        let shadows: Vec<_> = points.iter().map(|point| point.map(shadow)).collect();
        svg.path("line thin s4 ghost", &shadows);
        let drawn: Vec<_> = points.iter().map(|point| point.map(at)).collect();
        svg.path(&line(flight), &drawn);
    }
    svg.line("boundary", at([0.0; 3]), at([0.0, 0.0, floor]));
    set_point(svg, at([0.0; 3]));
    craft(svg, &flights[0], steps.clone(), 0.13 * size, at);
    changes(svg, &flights[0], &steps, at);
}

/// The craft where it starts, and again wherever it is farther from where it was drawn before than it is large.
fn craft(
    svg: &mut Svg,
    flight: &FlightTrace,
    steps: Range<usize>,
    arm: f64,
    at: impl Fn([f64; 3]) -> (f64, f64),
) {
    const MOST: usize = 5;
    let mut drawn: Vec<[f64; 3]> = Vec::new();
    for state in rows(&flight.state).take(steps.end).skip(steps.start) {
        let place = position(state);
        let near = |other: &[f64; 3]| {
            let apart = [0, 1, 2].map(|axis| place[axis] - other[axis]);
            apart.iter().map(|x| x * x).sum::<f64>() < (3.2 * arm).powi(2)
        };
        if drawn.iter().any(near) || drawn.len() >= MOST {
            continue;
        }
        drawn.push(place);
        let [w, x, y, z] = [0, 1, 2, 3].map(|k| f64::from(state[ATTITUDE + k]));
        // First two columns of the matrix from body to world.
        let forward = [
            1.0 - 2.0 * (y * y + z * z),
            2.0 * (x * y + w * z),
            2.0 * (x * z - w * y),
        ];
        let left = [
            2.0 * (x * y - w * z),
            1.0 - 2.0 * (x * x + z * z),
            2.0 * (y * z + w * x),
        ];
        let corner = |f: f64, l: f64| {
            [0, 1, 2].map(|k| place[k] + arm * 0.7 * (f * forward[k] + l * left[k]))
        };
        svg.line("rod", at(corner(1.0, 1.0)), at(corner(-1.0, -1.0)));
        svg.line("rod", at(corner(1.0, -1.0)), at(corner(-1.0, 1.0)));
        for (f, l) in [(1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0)] {
            let ring: Vec<_> = (0..=12)
                .map(|k| (std::f64::consts::TAU * f64::from(k) / 12.0).sin_cos())
                .map(|(s, c)| Some(at(corner(f + 0.55 * c, l + 0.55 * s))))
                .collect();
            svg.path("line thin s0", &ring);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_round_and_large_enough() {
        assert!((extent(&[[0.17, -0.02, 0.0]]) - 0.2).abs() < 1e-12);
        assert!((extent(&[[0.0, -0.98, 0.5]]) - 1.5).abs() < 1e-12);
        assert!(extent(&[]) > 0.0);
    }

    #[test]
    fn attitudes_are_told_in_degrees() {
        let mut state = [0.0; 17];
        let half = 15f32.to_radians();
        (state[ATTITUDE], state[ATTITUDE + 1]) = (half.cos(), half.sin());
        let [roll, pitch] = roll_and_pitch(&state);
        assert!(
            (roll - 30.0).abs() < 1e-4 && pitch.abs() < 1e-4,
            "{roll} {pitch}"
        );
    }
}
