//! What a panel of a flight's figure shows: curves against one scale, a value for each control step.

use super::panel::{Panel, ticks};
use super::svg::{Anchor, Svg};
use crate::evaluate::FlightTrace;

/// Curves of one quantity over the steps of a flight.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Plot {
    /// Above the panel.
    pub heading: String,
    /// Its vertical scale.
    pub scale: Scale,
    /// A band that is the goal.
    pub goal: Option<(f64, f64)>,
    /// The curves, the most important one last.
    pub curves: Vec<Curve>,
}

/// A vertical scale.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Scale {
    /// Fits what is shown, with round labels.
    #[default]
    Fitting,
    /// Fits what is shown: decimal logarithms of lengths in m.
    LogMetres,
    /// From the lower to the upper edge, upside down where the first is the larger one, with values and their labels.
    Fixed((f64, f64), Vec<(f64, String)>),
}

/// One curve.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Curve {
    /// Its name at the right edge; empty for none.
    pub name: String,
    /// Classes of its line.
    pub class: String,
    /// A value for each step; what is no number lifts the pen.
    pub values: Vec<f64>,
    /// Each value holds until the next.
    pub held: bool,
    /// A larger step from one value to the next is no motion, and lifts the pen; 0 where any is one.
    pub jump: f64,
}

impl Plot {
    /// Curves against a scale that fits what is shown of them.
    #[must_use]
    pub(crate) fn fitting(heading: &str, curves: Vec<Curve>) -> Self {
        Self {
            heading: heading.to_owned(),
            curves,
            ..Self::default()
        }
    }

    /// The scale over these seconds, and its labels.
    #[must_use]
    pub(crate) fn scale(
        &self,
        across: (f64, f64),
        period_s: f64,
    ) -> ((f64, f64), Vec<(f64, String)>) {
        let step = |time: f64| (time / period_s).round() as usize;
        let shown = |curve: &Curve| {
            let (from, to) = (step(across.0), step(across.1) + 1);
            let to = to.min(curve.values.len());
            curve.values.get(from..to).unwrap_or_default().to_vec()
        };
        let up = || fit(self.curves.iter().flat_map(shown));
        match &self.scale {
            Scale::Fitting => (up(), round_labels(up(), 4)),
            Scale::LogMetres => (up(), log_labels(up(), metres)),
            Scale::Fixed(up, labels) => (*up, labels.clone()),
        }
    }

    /// Draws it over `panel`, whose vertical scale becomes the plot's.
    pub(crate) fn draw(&self, svg: &mut Svg, panel: &Panel, period_s: f64) -> Panel {
        let (up, labels) = self.scale(panel.across, period_s);
        let panel = Panel { up, ..*panel };
        panel.frame(svg, &self.heading, &labels);
        if let Some((low, high)) = self.goal {
            panel.band(svg, "goal", low, high);
        }
        for curve in &self.curves {
            let points = curve.values.iter().enumerate();
            let points = points.map(|(step, value)| (step as f64 * period_s, *value));
            if curve.held {
                panel.steps(svg, &curve.class, points);
            } else {
                let jump = if curve.jump > 0.0 {
                    curve.jump
                } else {
                    f64::INFINITY
                };
                panel.curve(svg, &curve.class, points, jump);
            }
        }
        self.names(svg, &panel, period_s);
        panel
    }

    /// The curves' names at the right edge, beside where they end.
    fn names(&self, svg: &mut Svg, panel: &Panel, period_s: f64) {
        let named = || self.curves.iter().filter(|curve| !curve.name.is_empty());
        let ends: Vec<f64> = named().map(|curve| curve.end(panel, period_s)).collect();
        let bounds = (panel.corner.1 + 4.0, panel.bottom() - 4.0);
        for (curve, y) in named().zip(spread(&ends, 13.0, bounds)) {
            let colour = curve
                .class
                .split(' ')
                .find_map(|class| class.strip_prefix('s'));
            let class = format!("small f{}", colour.unwrap_or("4"));
            let place = (panel.right() + 6.0, y + 4.0);
            svg.text(&class, place, Anchor::Start, &curve.name);
        }
    }
}

impl Curve {
    /// Height at which it leaves the panel at the right, pixels.
    #[must_use]
    pub(crate) fn end(&self, panel: &Panel, period_s: f64) -> f64 {
        let last = (panel.across.1 / period_s).round() as usize;
        let last = last.min(self.values.len().saturating_sub(1));
        let shown = self.values.get(..=last).unwrap_or_default();
        let end = shown.iter().rev().find(|value| value.is_finite());
        let y = panel.y(end.copied().unwrap_or(panel.up.0));
        y.clamp(panel.corner.1, panel.bottom())
    }
}

/// Lowest and highest of the finite values with a little room; `(0, 1)` of none.
#[must_use]
pub(crate) fn fit(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let finite = values.filter(|value| value.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    if low > high {
        return (0.0, 1.0);
    }
    let room = match high - low {
        span if span > 1e-6 * high.abs() => 0.06 * span,
        _ if high == 0.0 => 1.0,
        _ => 0.5 * high.abs(),
    };
    (low - room, high + room)
}

/// About so many round values of a scale, with as many digits as it takes to tell them apart.
#[must_use]
pub(crate) fn round_labels(up: (f64, f64), count: usize) -> Vec<(f64, String)> {
    let ticks = ticks(up.0.min(up.1), up.0.max(up.1), count);
    let step = match ticks[..] {
        [first, second, ..] => second - first,
        _ => 1.0,
    };
    let digits = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
    // Adding 0 turns a negative zero into one that has no sign.
    let label = |tick: f64| (tick, format!("{:.digits$}", tick + 0.0));
    ticks.into_iter().map(label).collect()
}

/// Labels of a scale of decimal logarithms: 1 and 3 in every decade.
#[must_use]
pub(crate) fn log_labels(up: (f64, f64), words: fn(f64) -> String) -> Vec<(f64, String)> {
    // Of whole numbers, so that none is 0.30000000000000004.
    let power = |digit: f64, decade: i32| match decade {
        ..0 => digit / 10f64.powi(-decade),
        _ => digit * 10f64.powi(decade),
    };
    let decades = up.0.floor() as i32..=up.1.ceil() as i32;
    decades
        .flat_map(|decade| [1.0, 3.0].map(|digit| power(digit, decade)))
        .map(|value| (value.log10(), words(value)))
        .filter(|(place, _)| *place >= up.0 && *place <= up.1)
        .collect()
}

/// A length in m, in the unit that suits it.
fn metres(length: f64) -> String {
    match length {
        ..0.0099 => format!("{:.0} mm", 1000.0 * length),
        ..0.99 => format!("{:.0} cm", 100.0 * length),
        _ => format!("{length:.0} m"),
    }
}

/// Names of the controller's colour for lines.
#[must_use]
pub(crate) fn line(trace: &FlightTrace) -> String {
    format!("line s{}", trace.colour())
}

/// Moves labels apart so that neighbours keep `distance` and all lie within `bounds` where there is room;
/// the order of the result is the input's.
#[must_use]
pub(crate) fn spread(positions: &[f64], distance: f64, bounds: (f64, f64)) -> Vec<f64> {
    let mut order: Vec<usize> = (0..positions.len()).collect();
    order.sort_by(|a, b| positions[*a].total_cmp(&positions[*b]));
    let mut placed = positions.to_vec();
    let mut floor = bounds.0;
    for &index in &order {
        placed[index] = placed[index].max(floor);
        floor = placed[index] + distance;
    }
    let mut ceiling = bounds.1;
    for &index in order.iter().rev() {
        placed[index] = placed[index].min(ceiling);
        ceiling = placed[index] - distance;
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_do_not_overlap() {
        let placed = spread(&[10.0, 10.0, 12.0, 80.0], 15.0, (0.0, 100.0));
        let mut sorted = placed.clone();
        sorted.sort_by(f64::total_cmp);
        assert!(
            sorted.windows(2).all(|pair| pair[1] - pair[0] > 14.5),
            "{placed:?}"
        );
        assert_eq!(placed[3], 80.0);
        assert_eq!(
            spread(&[99.0, 100.0], 15.0, (0.0, 100.0)),
            vec![85.0, 100.0]
        );
    }

    #[test]
    fn a_scale_fits_what_it_shows() {
        assert_eq!(fit([f64::NAN].into_iter()), (0.0, 1.0));
        let (low, high) = fit([2.0, f64::NAN, -1.0].into_iter());
        assert!(low < -1.0 && low > -1.5 && high > 2.0 && high < 2.5);
        let (low, high) = fit([0.0, 0.0].into_iter());
        assert!(low < 0.0 && high > 0.0);
        let words = |up| round_labels(up, 4).into_iter().map(|(_, label)| label);
        assert!(words((-0.0021, 0.0011)).eq(["-0.002", "-0.001", "0.000", "0.001"]));
        assert!(words((-1.06, 1.06)).eq(["-1", "0", "1"]));
        let plain = log_labels((-1.1, 1.2), |value| value.to_string());
        assert!(
            plain
                .iter()
                .map(|label| label.1.as_str())
                .eq(["0.1", "0.3", "1", "3", "10"])
        );
        let labels = log_labels((-2.6, 0.1), metres);
        let words: Vec<&str> = labels.iter().map(|(_, label)| label.as_str()).collect();
        assert_eq!(words, ["3 mm", "1 cm", "3 cm", "10 cm", "30 cm", "1 m"]);
    }

    #[test]
    fn every_named_curve_has_its_name_and_holes_lift_the_pen() {
        let mut svg = Svg::new(100.0, 100.0, "");
        let curve = |name: &str, values: &[f64]| Curve {
            name: name.into(),
            class: "line s1".into(),
            values: values.to_vec(),
            ..Curve::default()
        };
        let curves = vec![
            curve("a", &[0.0, f64::NAN, 1.0, 2.0]),
            curve("b", &[]),
            curve("", &[1.0]),
        ];
        let panel = Panel {
            corner: (0.0, 0.0),
            size: (100.0, 50.0),
            across: (0.0, 0.3),
            up: (0.0, 1.0),
        };
        Plot::fitting("heading", curves).draw(&mut svg, &panel, 0.1);
        let text = svg.inline();
        assert!(text.contains(">a<") && text.contains(">b<") && text.contains(">heading<"));
        assert_eq!(text.matches("class=\"small f1\"").count(), 2);
        assert!(!text.contains("NaN"), "{text}");
    }
}
