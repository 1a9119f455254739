//! The pendulum: its rod along the time axis, and the angle from upright.

use engram_plants::pendulum::NAME;

use super::channels::numbers;
use super::drawing::Drawing;
use super::panel::{Panel, ticks};
use super::plot::{Curve, Plot, Scale, line};
use super::svg::{Svg, number};
use crate::evaluate::FlightTrace;

/// Half of the band around upright in which the plant counts as upright, degrees.
const UPRIGHT_DEG: f64 = 17.2;
/// Largest change of the angle in one step that is a motion; beyond it a new episode began.
const JUMP_DEG: f64 = 60.0;
/// Rods drawn along the time axis.
const RODS: usize = 15;

pub(super) struct Pendulum;

impl Pendulum {
    /// Whether the flight has what is drawn here.
    pub(super) fn fits(flight: &FlightTrace) -> bool {
        let observed = flight
            .observation
            .channels
            .iter()
            .map(|known| known.0.as_str());
        flight.plant == NAME && observed.eq(["cos_angle", "sin_angle", "rate"])
    }
}

impl Drawing for Pendulum {
    fn compared(&self, flights: &[FlightTrace]) -> Plot {
        Plot {
            heading: "angle from upright, the same pendulum under each controller".to_owned(),
            scale: fixed(
                (184.0, -4.0),
                &[(0.0, "upright 0°"), (90.0, "90°"), (180.0, "hanging 180°")],
            ),
            goal: Some((0.0, UPRIGHT_DEG)),
            curves: flights.iter().map(angle).collect(),
        }
    }

    fn shows(&self, _: &FlightTrace) -> String {
        "Angle from upright (0° is up), measured rate, and the motor command, around the change."
            .to_owned()
    }

    fn plots(&self, flight: &FlightTrace) -> Vec<Plot> {
        let observed = flight.observation.values.chunks_exact(3);
        let measured = observed.map(|seen| from_upright_deg(seen[1].atan2(seen[0])));
        let rate = numbers(flight.observation.channel(2));
        let fastest = rate
            .iter()
            .fold(1.0, |most: f64, rate| most.max(rate.abs()));
        let marks = ticks(-fastest, fastest, 5);
        vec![
            Plot {
                heading: "angle from upright".to_owned(),
                scale: fixed((180.0, 0.0), &[(0.0, "0°"), (90.0, "90°"), (180.0, "180°")]),
                goal: Some((0.0, UPRIGHT_DEG)),
                curves: vec![
                    Curve {
                        class: format!("{} thin faint", line(flight)),
                        values: measured.collect(),
                        jump: JUMP_DEG,
                        ..Curve::default()
                    },
                    angle(flight),
                ],
            },
            Plot {
                heading: "rate as measured, rad/s".to_owned(),
                scale: Scale::Fixed(
                    (-fastest, fastest),
                    marks.iter().map(|v| (*v, number(*v))).collect(),
                ),
                goal: None,
                curves: vec![Curve {
                    class: line(flight),
                    values: rate,
                    ..Curve::default()
                }],
            },
        ]
    }

    fn commands(&self, flight: &FlightTrace) -> Vec<Plot> {
        let mut plot = command(flight, 1.1, "line s0");
        plot.heading = "motor command of the policy, Nm".to_owned();
        plot.curves.remove(0);
        vec![plot]
    }

    fn both_commands(&self, flight: &FlightTrace) -> Vec<Plot> {
        vec![command(flight, 1.08, &line(flight))]
    }

    fn scene_height(&self) -> f64 {
        104.0
    }

    fn scene(&self, svg: &mut Svg, flights: &[FlightTrace], area: &Panel) {
        if let Some(flight) = flights.first() {
            rods(svg, flight, area);
        }
    }

    fn seconds_around(&self) -> (f64, f64) {
        (4.0, 5.0)
    }

    fn title(&self, _: &FlightTrace) -> String {
        "It notices that its motor was reversed".to_owned()
    }

    fn verdicts(&self) -> [&'static str; 3] {
        ["stays upright", "upright again after", "does not recover"]
    }

    fn width(&self) -> (f64, f64) {
        (440.0, 14.0)
    }
}

fn fixed(up: (f64, f64), known: &[(f64, &str)]) -> Scale {
    let owned = |(value, label): &(f64, &str)| (*value, (*label).to_owned());
    Scale::Fixed(up, known.iter().map(owned).collect())
}

/// The true angle from upright.
fn angle(flight: &FlightTrace) -> Curve {
    Curve {
        class: line(flight),
        values: flight.state.channel(0).map(from_upright_deg).collect(),
        jump: JUMP_DEG,
        ..Curve::default()
    }
}

/// Wanted and issued, on a scale of `margin` times the largest of them, rounded up to a whole number of at least 1.
fn command(flight: &FlightTrace, margin: f64, class: &str) -> Plot {
    let (wanted, issued) = (&flight.wanted.values, &flight.issued.values);
    let most = issued
        .iter()
        .chain(wanted)
        .fold(1.0, |most: f64, value| most.max(f64::from(value.abs())))
        .ceil();
    let curve = |class: String, values: &[f32]| Curve {
        class,
        values: numbers(values.iter().copied()),
        held: true,
        ..Curve::default()
    };
    Plot {
        heading: "command, Nm: wanted (thin) and issued".to_owned(),
        scale: fixed(
            (-margin * most, margin * most),
            &[(-most, &number(-most)), (0.0, "0"), (most, &number(most))],
        ),
        goal: None,
        curves: vec![
            curve(format!("{class} thin faint"), wanted),
            curve(class.to_owned(), issued),
        ],
    }
}

/// Angle from upright in degrees, `[0, 180]`.
fn from_upright_deg(angle_rad: f32) -> f64 {
    crate::classical::wrap(f64::from(angle_rad))
        .abs()
        .to_degrees()
}

/// Snapshots of the rod, each above its moment on the time axis, with a fading trail.
fn rods(svg: &mut Svg, flight: &FlightTrace, area: &Panel) {
    let angles = numbers(flight.state.channel(0));
    let length = 30.0;
    let middle = area.corner.1 + 0.5 * area.size.1;
    for rod in 0..RODS {
        let share = (rod as f64 + 0.5) / RODS as f64;
        let time = area.across.0 + share * (area.across.1 - area.across.0);
        let step = (time / flight.period_s) as usize;
        let pivot = (area.x(time), middle);
        let tip = |step: usize| {
            let angle = angles.get(step).copied().unwrap_or(0.0);
            (
                pivot.0 + length * angle.sin(),
                pivot.1 - length * angle.cos(),
            )
        };
        let first = flight.changes.first();
        let changed = first.is_some_and(|change| step >= change.step);
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
    fn angles_fold_to_the_distance_from_upright() {
        assert!((from_upright_deg(-3.0) - 171.887).abs() < 0.01);
        assert!((from_upright_deg(6.0) - (360.0 - 343.775)).abs() < 0.01);
    }
}
