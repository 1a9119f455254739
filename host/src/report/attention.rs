//! Where a policy looks: attention by the memory's age, over time and before and after a change.

use super::curves::{Axes, Series, curves};
use super::panel::Panel;
use super::plot::fit;
use super::svg::{Anchor, Svg, number};
use crate::evaluate::{Attention, FlightTrace};

/// Cells of a heat map that a figure can show; of more, neighbours in time are one.
const MOST_CELLS: usize = 8_000;

/// Draws one layer's attention (`None`: the mean over layers) into `panel`, whose vertical scale is the age.
pub(super) fn over_time(
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
    let at = |step: usize, age: usize| match layer {
        Some(layer) => f64::from(attention.at(step, layer, age)),
        None => {
            let sum: f32 = (0..attention.layers)
                .map(|l| attention.at(step, l, age))
                .sum();
            f64::from(sum) / attention.layers.max(1) as f64
        }
    };
    let steps = trace.steps();
    let shown = ((panel.across.1 - panel.across.0) / trace.period_s) as usize;
    let together = (shown * attention.window).div_ceil(MOST_CELLS).max(1);
    let columns = steps / together;
    let value = |column: usize, age: usize| {
        let steps = column * together..(column + 1) * together;
        steps.map(|step| at(step, age)).sum::<f64>() / together as f64
    };
    let mut all: Vec<f64> = (0..columns)
        .flat_map(|column| (0..attention.window).map(move |age| (column, age)))
        .map(|(column, age)| value(column, age))
        .collect();
    all.sort_by(f64::total_cmp);
    // The darkest colour is the 99.5th percentile; less than linear, because most weights are small.
    let most = all
        .get(all.len().saturating_sub(1 + all.len() / 200))
        .copied()
        .unwrap_or(1.0)
        .max(1e-6);
    let times: Vec<f64> = (0..columns)
        .map(|column| trace.time_s(column * together))
        .collect();
    panel.heat(
        svg,
        &times,
        together as f64 * trace.period_s,
        attention.window,
        |column, age| (value(column, age) / most).clamp(0.0, 1.0).powf(0.75),
    );
    for change in &trace.changes {
        // Where the memory of the change itself lies as it grows older.
        let change = trace.time_s(change.step);
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

/// Which memories each layer reads before and after a change: the mean over the changes of `traces`, a panel for each layer.
/// `None` where nobody looked, or nothing changed.
#[must_use]
pub(super) fn around_changes(traces: &[&FlightTrace]) -> Option<Vec<Svg>> {
    let attention = traces.iter().find_map(|trace| trace.attention.as_ref())?;
    let window = attention.window;
    let mut periods: Vec<(f64, &FlightTrace, [std::ops::Range<usize>; 3])> = Vec::new();
    for trace in traces {
        for change in &trace.changes {
            let begin = trace.episodes.iter().rfind(|step| **step <= change.step);
            let end = trace.episodes.iter().find(|step| **step > change.step);
            let (begin, end) = (
                begin.copied().unwrap_or(0) + window,
                end.copied().unwrap_or(trace.steps()),
            );
            let at = |step: usize| step.clamp(begin.min(end), end);
            let ranges = [
                at(change.step.saturating_sub(2 * window))..at(change.step),
                at(change.step)..at(change.step + window / 2),
                at(change.step + window)..at(change.step + 3 * window),
            ];
            periods.push((trace.period_s, trace, ranges));
        }
    }
    let seconds = window as f64 * periods.first()?.0;
    let names = [
        "before".to_owned(),
        format!("first {} s", number(0.5 * seconds)),
        format!("after {} s", number(seconds)),
    ];
    let mean = |layer: usize, period: usize, age: usize| {
        let (mut sum, mut steps) = (0.0, 0);
        for (_, trace, ranges) in &periods {
            let Some(attention) = &trace.attention else {
                continue;
            };
            for step in ranges[period].clone() {
                sum += f64::from(attention.at(step, layer, age));
                steps += 1;
            }
        }
        if steps > 0 {
            sum / f64::from(steps)
        } else {
            f64::NAN
        }
    };
    let figures = (0..attention.layers).map(|layer| {
        let series: Vec<Series> = names
            .iter()
            .zip([4, 1, 0])
            .enumerate()
            .map(|(period, (name, colour))| Series {
                name: name.clone(),
                colour,
                values: (0..window).map(|age| mean(layer, period, age)).collect(),
            })
            .collect();
        let values = series.iter().flat_map(|series| &series.values).copied();
        curves(
            &series,
            &Axes {
                heading: format!("attention of layer {}, share of each memory", layer + 1),
                up: (0.0, fit(values).1),
                name: "age of the memory, steps",
                bold: 2,
                ..Axes::small(1.0)
            },
        )
    });
    Some(figures.collect())
}

/// Words beside a heat map.
pub(super) fn legend(svg: &mut Svg, (x, y): (f64, f64)) {
    let lines = [
        "above the slanted line:",
        "memories from before",
        "the change",
    ];
    for (line, y) in lines.iter().zip([y + 14.0, y + 29.0, y + 44.0]) {
        svg.text("small", (x, y), Anchor::Start, line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::Changed;

    /// One layer, four memories: all attention on the newest before the change, on the oldest after it.
    fn trace() -> FlightTrace {
        let row = |step: usize| {
            if step < 50 {
                [1.0, 0.0, 0.0, 0.0]
            } else {
                [0.0, 0.0, 0.0, 1.0]
            }
        };
        FlightTrace {
            period_s: 0.01,
            holds: vec![true; 100],
            changes: vec![Changed {
                step: 50,
                words: "a".into(),
            }],
            attention: Some(Attention {
                layers: 1,
                window: 4,
                weight: (0..100).flat_map(row).collect(),
            }),
            ..FlightTrace::default()
        }
    }

    #[test]
    fn before_and_after_are_told_apart() {
        let trace = trace();
        let figures = around_changes(&[&trace]).unwrap();
        assert_eq!(figures.len(), 1);
        let text = figures[0].inline();
        assert!(text.contains(">before<") && text.contains(">first 0.02 s<"));
        let still = FlightTrace {
            changes: Vec::new(),
            ..trace
        };
        assert!(around_changes(&[&still]).is_none());
        assert!(around_changes(&[]).is_none());
    }

    #[test]
    fn long_flights_have_fewer_columns() {
        let mut trace = trace();
        trace.holds = vec![true; 40_000];
        let attention = trace.attention.as_mut().unwrap();
        attention.weight = (0..160_000u32)
            .map(|k| (k.wrapping_mul(2_654_435_761) >> 8) as f32)
            .collect();
        let attention = trace.attention.clone().unwrap();
        let panel = Panel {
            corner: (0.0, 0.0),
            size: (400.0, 50.0),
            across: (0.0, 400.0),
            up: (0.0, 4.0),
        };
        let mut svg = Svg::new(400.0, 50.0, "");
        over_time(&mut svg, &trace, &attention, Some(0), panel, "h");
        let cells = svg.inline().matches('z').count();
        assert!(cells > 1_000 && cells <= MOST_CELLS, "{cells}");
    }
}
