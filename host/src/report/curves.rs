//! A figure of named curves against one scale: shares, rewards and errors of several controllers.

use super::panel::{Panel, ticks};
use super::plot::{fit, round_labels, spread};
use super::svg::{Anchor, Svg};

/// A named curve of a comparison, with its colour class's number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    /// Its name in the legend.
    pub name: String,
    /// 0 to 4: the colour.
    pub colour: usize,
    /// Values in order; what is no number lifts the pen.
    pub values: Vec<f64>,
}

/// What the curves are drawn against.
#[derive(Clone, Debug)]
pub(crate) struct Axes<'a> {
    /// Above the panel.
    pub heading: String,
    /// Width and height of the panel, pixels.
    pub size: (f64, f64),
    /// Room for the names at its right, pixels.
    pub names: f64,
    /// Horizontal place of the first value.
    pub first: f64,
    /// From one value to the next.
    pub step: f64,
    /// The horizontal scale's name.
    pub name: &'a str,
    /// Values at the lower and upper edge.
    pub up: (f64, f64),
    /// Labels of the vertical scale; by default round values.
    pub labels: Option<Vec<(f64, String)>>,
    /// Vertical lines: class and place.
    pub lines: Vec<(&'a str, f64)>,
    /// Which curve is drawn bold.
    pub bold: usize,
}

impl Axes<'_> {
    /// For a figure that others stand beside.
    pub(crate) fn small(step: f64) -> Self {
        Self {
            heading: String::new(),
            size: (346.0, 170.0),
            names: 130.0,
            first: 0.0,
            step,
            name: "",
            up: (0.0, 1.0),
            labels: None,
            lines: Vec::new(),
            bold: 0,
        }
    }

    /// For a figure at reading width.
    pub(crate) fn middle(step: f64) -> Self {
        Self {
            size: (496.0, 240.0),
            ..Self::small(step)
        }
    }
}

/// Draws the curves, each with its name where it ends.
#[must_use]
pub(crate) fn curves(series: &[Series], axes: &Axes<'_>) -> Svg {
    const LEFT: f64 = 54.0;
    const TOP: f64 = 34.0;
    let (width, height) = axes.size;
    let mut svg = Svg::new(
        LEFT + width + axes.names,
        TOP + height + 56.0,
        &axes.heading,
    );
    let longest = series.iter().map(|s| s.values.len()).max().unwrap_or(0);
    let end = axes.first + (longest.max(2) - 1) as f64 * axes.step;
    let panel = Panel {
        corner: (LEFT, TOP),
        size: axes.size,
        across: (axes.first, end),
        up: axes.up,
    };
    let round = || round_labels(axes.up, 5);
    let labels = axes.labels.clone().unwrap_or_else(round);
    panel.frame(&mut svg, &axes.heading, &labels);
    for (class, place) in &axes.lines {
        panel.vertical(&mut svg, class, *place);
    }
    let ends: Vec<f64> = series
        .iter()
        .map(|one| {
            let last = one.values.iter().rev().find(|value| value.is_finite());
            last.map_or(panel.corner.1, |last| {
                panel.y(*last).clamp(panel.corner.1, panel.bottom())
            })
        })
        .collect();
    let places = spread(&ends, 15.0, (panel.corner.1, panel.bottom()));
    for (index, (one, y)) in series.iter().zip(places).enumerate() {
        let bold = if index == axes.bold { " bold" } else { "" };
        let points = one.values.iter().enumerate();
        panel.curve(
            &mut svg,
            &format!("line s{}{bold}", one.colour),
            points.map(|(k, value)| (axes.first + k as f64 * axes.step, *value)),
            f64::INFINITY,
        );
        svg.text(
            &format!("strong f{}", one.colour),
            (panel.right() + 8.0, y + 4.0),
            Anchor::Start,
            &one.name,
        );
    }
    panel.scale_below(&mut svg, &ticks(axes.first, end, 6), axes.name);
    svg
}

/// Share of tasks that held the goal per step after the change, one curve per controller.
#[must_use]
pub(crate) fn adaptation(series: &[Series], period_s: f64, heading: String) -> Svg {
    let percent = |quarter: u8| {
        let share = f64::from(quarter) * 0.25;
        (share, format!("{} %", 100.0 * share))
    };
    curves(
        series,
        &Axes {
            heading,
            labels: Some((0..=4).map(percent).collect()),
            name: "seconds since the change",
            ..Axes::middle(period_s)
        },
    )
}

/// Mean reward in each control step of a trial, one curve per policy; an episode ends every `episode_steps`.
#[must_use]
pub(crate) fn rewards(series: &[Series], episode_steps: usize, heading: &str) -> Svg {
    let longest = series.iter().map(|s| s.values.len()).max().unwrap_or(0);
    let episodes = (episode_steps..longest).step_by(episode_steps.max(1));
    curves(
        series,
        &Axes {
            heading: heading.to_owned(),
            size: (576.0, 250.0),
            up: fit(series.iter().flat_map(|s| &s.values).copied()),
            lines: episodes.map(|step| ("boundary", step as f64)).collect(),
            name: "control steps since the trial began; a new episode begins at the vertical line",
            ..Axes::middle(1.0)
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(names: &[&str], value: impl Fn(usize) -> f64) -> Vec<Series> {
        let one = |(colour, name): (usize, &&str)| Series {
            name: (*name).to_owned(),
            colour,
            values: (0..400).map(&value).collect(),
        };
        names.iter().enumerate().map(one).collect()
    }

    #[test]
    fn every_curve_has_its_name_and_the_next_episode_its_line() {
        let series = series(&["oracle", "rl2"], |k| -1.0 / (k + 1) as f64);
        let text = rewards(&series, 200, "reward").standalone();
        assert!(text.contains(">oracle<") && text.contains(">rl2<"));
        assert_eq!(text.matches("class=\"boundary\"").count(), 1);
        assert!(!rewards(&[], 0, "nothing").standalone().contains("NaN"));
    }

    #[test]
    fn what_is_no_number_is_left_out() {
        let series = series(&["policy"], |k| if k % 100 == 7 { f64::NAN } else { 0.5 });
        let text = adaptation(&series, 0.02, "share".to_owned()).standalone();
        assert!(text.contains(">50 %<") && !text.contains("NaN"));
        let data = text.split("class=\"line s0 bold\" d=\"").nth(1).unwrap();
        let data = data.split('"').next().unwrap();
        assert_eq!(
            data.matches('M').count(),
            5,
            "the pen was lifted four times"
        );
    }
}
