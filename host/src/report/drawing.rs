//! How flights of a plant are drawn: by its channels, unless it has a drawing of its own.

use super::channels::{self, Channels};
use super::panel::Panel;
use super::pendulum::Pendulum;
use super::plot::Plot;
use super::quadrotor::Quadrotor;
use super::svg::Svg;
use crate::evaluate::FlightTrace;

/// What differs from plant to plant in the figures of a flight.
pub(crate) trait Drawing: Sync {
    /// What controllers are compared by: a curve for each of `flights` in their order, without names.
    fn compared(&self, flights: &[FlightTrace]) -> Plot;

    /// A flight by itself, its commands left out.
    fn plots(&self, flight: &FlightTrace) -> Vec<Plot>;

    /// What the figure of a flight by itself shows, in words.
    fn shows(&self, flight: &FlightTrace) -> String {
        self.plots(flight)
            .first()
            .map(|plot| {
                format!(
                    "First the {}, last the commands, around the change.",
                    plot.heading
                )
            })
            .unwrap_or_default()
    }

    /// What was issued, as the picture shows it.
    fn commands(&self, flight: &FlightTrace) -> Vec<Plot> {
        channels::commands(flight, false)
    }

    /// What was wanted and issued, as a flight by itself shows it.
    fn both_commands(&self, flight: &FlightTrace) -> Vec<Plot> {
        channels::commands(flight, true)
    }

    /// Height of a scene above the picture, pixels; 0 for none.
    fn scene_height(&self) -> f64 {
        0.0
    }

    /// Draws the scene into `area`, whose horizontal scale is the time, in s.
    fn scene(&self, svg: &mut Svg, flights: &[FlightTrace], area: &Panel) {
        let _ = (svg, flights, area);
    }

    /// Seconds before the first and after the last change that are shown.
    fn seconds_around(&self) -> (f64, f64) {
        (1.0, 2.0)
    }

    /// The picture's heading.
    fn title(&self, flight: &FlightTrace) -> String {
        format!("A flight of the {}", flight.plant)
    }

    /// What a controller does after the change: it never loses the goal, it has it again (in how many seconds follows), or
    /// neither.
    fn verdicts(&self) -> [&'static str; 3] {
        ["holds its goal", "recovers after", "does not recover"]
    }

    /// Width of a flight's own figure and the room for names at its right, pixels.
    fn width(&self) -> (f64, f64) {
        (560.0, 124.0)
    }
}

/// How this flight is drawn.
#[must_use]
pub(crate) fn drawing(flight: &FlightTrace) -> &'static dyn Drawing {
    if Pendulum::fits(flight) {
        &Pendulum
    } else if Quadrotor::fits(flight) {
        &Quadrotor
    } else {
        &Channels
    }
}
