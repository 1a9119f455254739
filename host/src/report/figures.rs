//! The report's figures: one flight, adaptation after the change.

use super::panel::{Panel, ticks};
use super::svg::{Anchor, Svg, number};
use super::trace::{Attention, FlightTrace};

/// Half of the band around upright in which the plant counts as upright, degrees.
pub(crate) const UPRIGHT_DEG: f64 = 17.2;
/// Largest change of the angle in one step that is a motion; beyond it a new episode began.
pub(super) const JUMP_DEG: f64 = 60.0;

/// Angle from upright in degrees, `[0, 180]`.
#[must_use]
pub(crate) fn angle_from_upright_deg(angle_rad: f32) -> f64 {
    crate::classical::wrap(f64::from(angle_rad))
        .abs()
        .to_degrees()
}

/// The largest command that a trace shows, rounded up to a whole number of at least 1.
#[must_use]
pub(crate) fn largest_command(trace: &FlightTrace) -> f64 {
    trace
        .issued_nm
        .iter()
        .chain(&trace.command_nm)
        .fold(1.0, |largest: f64, value| {
            largest.max(f64::from(value.abs()))
        })
        .ceil()
}

/// One flight between two times: angle, rate, command (wanted and issued) and, for a policy, attention.
#[must_use]
pub(crate) fn flight(trace: &FlightTrace, from_s: f64, to_s: f64) -> Svg {
    let attention = trace.attention.as_ref();
    let layers = attention.map_or(0, |attention| attention.layers);
    let (width, left, right) = (440.0, 54.0, 14.0);
    let plot = width - left - right;
    let (tall, gap, heat) = (104.0, 40.0, 92.0);
    let height = 34.0 + 3.0 * (tall + gap) + layers as f64 * (heat + gap) + 14.0;
    let mut svg = Svg::new(width, height, &format!("Flight of {}", trace.name));
    let across = (from_s, to_s);
    let seconds = ticks(from_s, to_s, 6);
    let panel = |top: f64, tall: f64, up: (f64, f64)| Panel {
        corner: (left, top),
        size: (plot, tall),
        across,
        up,
    };
    let times = |k: usize| trace.time_s(k);
    let line = format!("line s{}", trace.colour());

    let angle = panel(34.0, tall, (180.0, 0.0));
    angle.frame(
        &mut svg,
        "angle from upright",
        &[(0.0, "0°"), (90.0, "90°"), (180.0, "180°")],
    );
    angle.band(&mut svg, "goal", 0.0, UPRIGHT_DEG);
    if trace.angle_measured_rad.len() == trace.steps() {
        let points = trace.angle_measured_rad.iter().enumerate();
        let points = points.map(|(k, a)| (times(k), angle_from_upright_deg(*a)));
        angle.curve(&mut svg, &format!("{line} thin faint"), points, JUMP_DEG);
    }
    let points = trace.angle_rad.iter().enumerate();
    let points = points.map(|(k, a)| (times(k), angle_from_upright_deg(*a)));
    angle.curve(&mut svg, &line, points, JUMP_DEG);

    let fastest = trace
        .rate_rad_per_s
        .iter()
        .fold(1.0, |m: f64, r| m.max(f64::from(r.abs())));
    let rate = panel(34.0 + tall + gap, tall, (-fastest, fastest));
    let marks = ticks(-fastest, fastest, 5);
    let labels: Vec<(f64, String)> = marks.iter().map(|v| (*v, number(*v))).collect();
    rate.frame(&mut svg, "rate as measured, rad/s", &borrow(&labels));
    let points = trace.rate_rad_per_s.iter().enumerate();
    rate.curve(
        &mut svg,
        &line,
        points.map(|(k, r)| (times(k), f64::from(*r))),
        f64::INFINITY,
    );

    let limit = largest_command(trace);
    let command = panel(
        34.0 + 2.0 * (tall + gap),
        tall,
        (-1.08 * limit, 1.08 * limit),
    );
    let labels = [
        (-limit, number(-limit)),
        (0.0, "0".to_owned()),
        (limit, number(limit)),
    ];
    command.frame(
        &mut svg,
        "command, Nm: wanted (thin) and issued",
        &borrow(&labels),
    );
    let points = trace.command_nm.iter().enumerate();
    command.steps(
        &mut svg,
        &format!("{line} thin faint"),
        points.map(|(k, u)| (times(k), f64::from(*u))),
    );
    let points = trace.issued_nm.iter().enumerate();
    command.steps(
        &mut svg,
        &line,
        points.map(|(k, u)| (times(k), f64::from(*u))),
    );

    let mut panels = vec![angle, rate, command];
    if let Some(attention) = attention {
        for layer in 0..layers {
            let top = 34.0 + 3.0 * (tall + gap) + layer as f64 * (heat + gap);
            let heading = format!(
                "attention of layer {} by age of the memory, steps",
                layer + 1
            );
            panels.push(attention_panel(
                &mut svg,
                trace,
                attention,
                Some(layer),
                panel(top, heat, (0.0, attention.window as f64)),
                &heading,
            ));
        }
    }
    for panel in &panels {
        mark_change(&mut svg, panel, trace);
    }
    if let (Some(change), Some(first)) = (trace.change_s(), panels.first()) {
        let place = (first.x(change) + 5.0, first.corner.1 + 97.0);
        svg.text("small marked", place, Anchor::Start, "change");
    }
    if let Some(last) = panels.last() {
        last.scale_below(&mut svg, &seconds, "seconds");
    }
    svg
}

/// Draws one layer's attention (`None`: the mean over layers) into `panel`, whose vertical scale is the age.
pub(crate) fn attention_panel(
    svg: &mut Svg,
    trace: &FlightTrace,
    attention: &Attention,
    layer: Option<usize>,
    panel: Panel,
    heading: &str,
) -> Panel {
    let oldest = number(attention.window as f64 - 1.0);
    let (first, last) = (0.5, attention.window as f64 - 0.5);
    panel.frame(svg, heading, &[(first, "now"), (last, &oldest)]);
    let value = |step: usize, age: usize| match layer {
        Some(layer) => f64::from(attention.at(step, layer, age)),
        None => {
            let sum: f32 = (0..attention.layers)
                .map(|l| attention.at(step, l, age))
                .sum();
            f64::from(sum) / attention.layers.max(1) as f64
        }
    };
    let steps = trace.steps();
    let mut all: Vec<f64> = (0..steps)
        .flat_map(|step| (0..attention.window).map(move |age| (step, age)))
        .map(|(step, age)| value(step, age))
        .collect();
    all.sort_by(f64::total_cmp);
    // The darkest colour is the 99.5th percentile; less than linear, because most weights are small.
    let most = all
        .get(all.len().saturating_sub(1 + all.len() / 200))
        .copied()
        .unwrap_or(1.0)
        .max(1e-6);
    let times: Vec<f64> = (0..steps).map(|step| trace.time_s(step)).collect();
    panel.heat(
        svg,
        &times,
        trace.period_s,
        attention.window,
        |step, age| (value(step, age) / most).clamp(0.0, 1.0).powf(0.75),
    );
    if let Some(change) = trace.change_s() {
        // Where the memory of the change itself lies as it grows older.
        let end = change + attention.window as f64 * trace.period_s;
        panel.curve(
            svg,
            "mark",
            [
                (change, 0.0),
                (
                    end.min(panel.across.1),
                    (end.min(panel.across.1) - change) / trace.period_s,
                ),
            ]
            .into_iter(),
            f64::INFINITY,
        );
    }
    panel
}

/// The vertical lines at the change and at episode boundaries.
pub(crate) fn mark_change(svg: &mut Svg, panel: &Panel, trace: &FlightTrace) {
    for episode in &trace.episodes {
        panel.vertical(svg, "boundary", trace.time_s(*episode));
    }
    if let Some(change) = trace.change_s() {
        panel.vertical(svg, "mark", change);
    }
}

/// A named curve of a comparison, with its colour class's number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    /// Its name in the legend.
    pub name: String,
    /// 0 to 4: the colour.
    pub colour: usize,
    /// Values in order.
    pub values: Vec<f64>,
}

/// Share of upright tasks per step after the change, one curve per controller.
#[must_use]
pub(crate) fn adaptation(series: &[Series], period_s: f64, change: &str) -> Svg {
    let longest = series
        .iter()
        .map(|s| s.values.len())
        .max()
        .unwrap_or(1)
        .max(2);
    let end = (longest - 1) as f64 * period_s;
    let width = 680.0;
    let mut svg = Svg::new(
        width,
        330.0,
        &format!("Share of tasks upright after {change}"),
    );
    let panel = Panel {
        corner: (54.0, 34.0),
        size: (width - 54.0 - 130.0, 240.0),
        across: (0.0, end),
        up: (0.0, 1.0),
    };
    let labels = [
        (0.0, "0 %"),
        (0.25, "25 %"),
        (0.5, "50 %"),
        (0.75, "75 %"),
        (1.0, "100 %"),
    ];
    panel.frame(
        &mut svg,
        &format!("share of tasks upright after the change ({change})"),
        &labels,
    );
    let marks: Vec<f64> = series
        .iter()
        .map(|s| s.values.last().map_or(panel.corner.1, |v| panel.y(*v)))
        .collect();
    let places = spread(
        &marks,
        15.0,
        (panel.corner.1, panel.corner.1 + panel.size.1),
    );
    for (number, one) in series.iter().enumerate() {
        let bold = if number == 0 { " bold" } else { "" };
        let points = one
            .values
            .iter()
            .enumerate()
            .map(|(k, v)| (k as f64 * period_s, *v));
        panel.curve(
            &mut svg,
            &format!("line s{}{bold}", one.colour),
            points,
            f64::INFINITY,
        );
        if let Some(y) = places.get(number) {
            let x = panel.corner.0 + panel.size.0 + 8.0;
            svg.text(
                &format!("strong f{}", one.colour),
                (x, y + 4.0),
                Anchor::Start,
                &one.name,
            );
        }
    }
    panel.scale_below(&mut svg, &ticks(0.0, end, 6), "seconds since the change");
    svg
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

fn borrow(labels: &[(f64, String)]) -> Vec<(f64, &str)> {
    labels
        .iter()
        .map(|(value, label)| (*value, label.as_str()))
        .collect()
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
    fn angles_fold_to_the_distance_from_upright() {
        assert!((angle_from_upright_deg(-3.0) - 171.887).abs() < 0.01);
        assert!((angle_from_upright_deg(6.0) - (360.0 - 343.775)).abs() < 0.01);
    }
}
