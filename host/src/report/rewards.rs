//! The figure of adaptation within episodes: mean reward in each control step of a trial, one curve per policy.

use super::figures::{Series, spread};
use super::panel::{Panel, ticks};
use super::svg::{Anchor, Svg, number};

/// Room for the names at the right, pixels.
const NAMES_WIDTH: f64 = 130.0;

/// Mean reward per control step; an episode ends every `episode_steps`. The first curve is drawn bold.
#[must_use]
pub(crate) fn rewards(series: &[Series], episode_steps: usize, heading: &str) -> Svg {
    let longest = series.iter().map(|s| s.values.len()).max().unwrap_or(0);
    let end = longest.max(2) as f64;
    let values = || series.iter().flat_map(|s| &s.values).copied();
    let low = values().fold(f64::INFINITY, f64::min);
    let high = values().fold(f64::NEG_INFINITY, f64::max);
    let (low, high) = if low < high { (low, high) } else { (0.0, 1.0) };
    let margin = 0.05 * (high - low);
    let width = 760.0;
    let mut svg = Svg::new(width, 340.0, heading);
    let panel = Panel {
        corner: (54.0, 34.0),
        size: (width - 54.0 - NAMES_WIDTH, 250.0),
        across: (0.0, end),
        up: (low - margin, high + margin),
    };
    let marks: Vec<(f64, String)> = ticks(low, high, 5)
        .into_iter()
        .map(|value| (value, number(value)))
        .collect();
    let labels: Vec<(f64, &str)> = marks.iter().map(|(v, text)| (*v, text.as_str())).collect();
    panel.frame(&mut svg, heading, &labels);
    for step in (episode_steps..longest).step_by(episode_steps.max(1)) {
        panel.vertical(&mut svg, "boundary", step as f64);
    }
    let ends: Vec<f64> = series
        .iter()
        .map(|s| s.values.last().map_or(panel.corner.1, |v| panel.y(*v)))
        .collect();
    let bounds = (panel.corner.1, panel.corner.1 + panel.size.1);
    let places = spread(&ends, 15.0, bounds);
    for (index, (one, place)) in series.iter().zip(places).enumerate() {
        let bold = if index == 0 { " bold" } else { "" };
        let points = one.values.iter().enumerate();
        panel.curve(
            &mut svg,
            &format!("line s{}{bold}", one.colour),
            points.map(|(step, value)| (step as f64, *value)),
            f64::INFINITY,
        );
        let x = panel.corner.0 + panel.size.0 + 8.0;
        let class = format!("strong f{}", one.colour);
        svg.text(&class, (x, place + 4.0), Anchor::Start, &one.name);
    }
    panel.scale_below(
        &mut svg,
        &ticks(0.0, end, 8),
        "control steps since the trial began; a new episode begins at the vertical line",
    );
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_curve_has_its_name_and_the_next_episode_its_line() {
        let series: Vec<Series> = ["oracle", "rl2"]
            .into_iter()
            .enumerate()
            .map(|(colour, name)| Series {
                name: name.to_owned(),
                colour,
                values: (0..400).map(|k| -1.0 / f64::from(k + 1)).collect(),
            })
            .collect();
        let text = rewards(&series, 200, "reward").standalone();
        assert!(text.contains(">oracle<") && text.contains(">rl2<"));
        assert_eq!(text.matches("class=\"boundary\"").count(), 1);
        assert!(!rewards(&[], 0, "nothing").standalone().contains("NaN"));
    }
}
