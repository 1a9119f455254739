//! What a policy's memory holds: embeddings of several tasks on their principal axes, and how far each layer's memories are
//! from the consensus that it forms of them.

use super::curves::{Axes, Series, curves};
use super::panel::Panel;
use super::plot::fit;
use super::svg::{Anchor, Svg, number};
use crate::evaluate::FlightTrace;

/// Tasks that have a colour.
pub(super) const TASKS: usize = 5;
/// Points of a task that a figure shows.
const MOST_POINTS: usize = 160;
/// Steps of the power iteration; the axes of a figure need no more.
const ITERATIONS: usize = 200;

/// A place in the network whose vectors are shown.
type Vectors<'a> = fn(&'a FlightTrace) -> Option<(usize, &'a [f32])>;

/// The embedded working memories and what the encoder makes of them, a colour for each of `flights`, which are on tasks of
/// their own. Empty where nobody tells.
#[must_use]
pub(super) fn embeddings(flights: &[&FlightTrace]) -> Vec<Svg> {
    let places: [(&str, Vectors<'_>); 2] = [
        ("working memories, embedded", |flight| {
            let memory = flight.memory.as_ref()?;
            Some((memory.model, &memory.embedded))
        }),
        ("the same after the encoder", |flight| {
            let memory = flight.memory.as_ref()?;
            Some((memory.model, &memory.encoded))
        }),
    ];
    let figures = places
        .into_iter()
        .filter_map(|(name, vectors)| scatter(flights, name, vectors));
    figures.collect()
}

/// One figure: points of the first episode, once the memory is full and the task known, on the two axes along which they differ
/// most.
fn scatter<'a>(flights: &[&'a FlightTrace], name: &str, vectors: Vectors<'a>) -> Option<Svg> {
    const SIDE: (f64, f64) = (346.0, 300.0);
    let mut groups: Vec<Vec<&[f32]>> = Vec::new();
    for flight in flights.iter().take(TASKS) {
        let (model, values) = vectors(flight)?;
        let window = flight.attention.as_ref().map_or(0, |seen| seen.window);
        let end = flight.episodes.first().copied().unwrap_or(flight.steps());
        let every = (end / 2).div_ceil(MOST_POINTS).max(1);
        // Its second half: how the task began is not how it is.
        let begin = window.max(end / 2);
        let rows = values.chunks_exact(model).take(end).skip(begin);
        groups.push(rows.step_by(every).collect());
    }
    let all: Vec<&[f32]> = groups.iter().flatten().copied().collect();
    let axes = Principal::of(&all)?;
    let projected: Vec<Vec<[f64; 2]>> = groups
        .iter()
        .map(|group| group.iter().map(|row| axes.project(row)).collect())
        .collect();
    let range = |axis: usize| fit(projected.iter().flatten().map(|point| point[axis]));
    let (width, height) = (54.0 + SIDE.0 + 130.0, 34.0 + SIDE.1 + 40.0);
    let mut svg = Svg::new(width, height, name);
    let panel = Panel {
        corner: (54.0, 34.0),
        size: SIDE,
        across: range(0),
        up: range(1),
    };
    panel.frame::<&str>(&mut svg, name, &[]);
    for (colour, (flight, points)) in flights.iter().zip(&projected).enumerate() {
        // A point is a stroke of no length with round ends.
        let data: String = points
            .iter()
            .map(|[x, y]| format!("M{} {}h0", number(panel.x(*x)), number(panel.y(*y))))
            .collect();
        svg.data(&format!("dots s{colour}"), &data);
        let y = panel.corner.1 + 12.0 + 34.0 * colour as f64;
        let place = |y: f64| (panel.right() + 10.0, y);
        let class = format!("strong f{colour}");
        svg.text(
            &class,
            place(y),
            Anchor::Start,
            &format!("task {}", colour + 1),
        );
        if let Some((name, value, unit)) = flight.task.first() {
            let unit = if unit == "1" { "" } else { unit };
            let words = format!("{name} {value:.3} {unit}");
            svg.text("small", place(y + 14.0), Anchor::Start, &words);
        }
    }
    let percent = |share: f64| number((100.0 * share).round());
    let [first, second] = axes.shares.map(percent);
    let words = [
        format!(
            "{} % of the variance is between tasks",
            percent(between(&groups))
        ),
        format!("principal axes: {first} % of the variance across, {second} % up"),
    ];
    for (line, y) in words.iter().zip([18.0, 33.0]) {
        let place = (panel.corner.0, panel.bottom() + y);
        svg.text("small", place, Anchor::Start, line);
    }
    Some(svg)
}

/// The two axes along which points differ most.
struct Principal {
    mean: Vec<f64>,
    axes: [Vec<f64>; 2],
    /// Their shares of the variance.
    shares: [f64; 2],
}

impl Principal {
    /// By power iteration on the covariance, which finds the axis of the largest variance, and again on what is left without
    /// it. `None` where nothing differs.
    fn of(points: &[&[f32]]) -> Option<Self> {
        let mean = mean(points)?;
        let size = mean.len();
        let mut covariance = vec![vec![0.0; size]; size];
        for point in points {
            let apart: Vec<f64> = apart(point, &mean).collect();
            for (row, x) in covariance.iter_mut().zip(&apart) {
                for (entry, y) in row.iter_mut().zip(&apart) {
                    *entry += x * y / points.len() as f64;
                }
            }
        }
        let total: f64 = (0..size).map(|k| covariance[k][k]).sum();
        if total.partial_cmp(&0.0) != Some(std::cmp::Ordering::Greater) {
            return None;
        }
        let mut take = || {
            let (variance, axis) = largest(&covariance);
            for (row, x) in covariance.iter_mut().zip(&axis) {
                for (entry, y) in row.iter_mut().zip(&axis) {
                    *entry -= variance * x * y;
                }
            }
            (variance / total, axis)
        };
        let ((first, across), (second, up)) = (take(), take());
        Some(Self {
            mean,
            axes: [across, up],
            shares: [first, second],
        })
    }

    fn project(&self, point: &[f32]) -> [f64; 2] {
        [0, 1].map(|axis| {
            let apart = apart(point, &self.mean);
            apart.zip(&self.axes[axis]).map(|(x, a)| x * a).sum()
        })
    }
}

/// Largest eigenvalue of a symmetric matrix without negative ones, with its vector of length 1.
fn largest(matrix: &[Vec<f64>]) -> (f64, Vec<f64>) {
    // A start that hardly lies across the vector.
    let mut vector: Vec<f64> = (0..matrix.len())
        .map(|k| 1.0 + 0.1 * (k as f64).sin())
        .collect();
    let mut value = 0.0;
    for _ in 0..ITERATIONS {
        let next: Vec<f64> = matrix
            .iter()
            .map(|row| row.iter().zip(&vector).map(|(a, b)| a * b).sum())
            .collect();
        let length = next.iter().map(|x| x * x).sum::<f64>().sqrt();
        if length <= f64::MIN_POSITIVE {
            return (0.0, vec![0.0; matrix.len()]);
        }
        value = length;
        vector = next.into_iter().map(|x| x / length).collect();
    }
    (value, vector)
}

fn mean(points: &[&[f32]]) -> Option<Vec<f64>> {
    let mut mean = vec![0.0; points.first()?.len()];
    for point in points {
        for (sum, x) in mean.iter_mut().zip(*point) {
            *sum += f64::from(*x) / points.len() as f64;
        }
    }
    Some(mean)
}

fn apart<'a>(point: &'a [f32], mean: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
    point.iter().zip(mean).map(|(x, mean)| f64::from(*x) - mean)
}

/// Share of the points' variance that is between the groups' means.
fn between(groups: &[Vec<&[f32]>]) -> f64 {
    let spread = |groups: &[Vec<&[f32]>]| -> f64 {
        let one = |group: &Vec<&[f32]>| {
            let mean = mean(group).unwrap_or_default();
            let squares = |point: &&[f32]| apart(point, &mean).map(|x| x * x).sum::<f64>();
            group.iter().map(squares).sum::<f64>()
        };
        groups.iter().map(one).sum()
    };
    let all = [groups.iter().flatten().copied().collect()];
    1.0 - spread(groups) / spread(&all).max(f64::MIN_POSITIVE)
}

/// Distance of the memories from each layer's consensus over the seconds around the change, over the same before it: the mean
/// over `flights`. `None` where nobody tells, or nothing changed.
#[must_use]
pub(super) fn consensus(flights: &[&FlightTrace], (before_s, after_s): (f64, f64)) -> Option<Svg> {
    let first = flights.first()?;
    let layers = first.memory.as_ref()?.layers;
    let period_s = first.period_s;
    let (before, after) = (
        (before_s / period_s) as usize,
        (after_s / period_s) as usize,
    );
    let around: Vec<(&[f32], usize)> = flights
        .iter()
        .filter_map(|flight| {
            let change = flight.changes.first()?.step;
            let episode = flight.episodes.iter().rfind(|step| **step <= change);
            let risk = &flight.memory.as_ref()?.risk;
            // Flights that are there all the time.
            let room = change >= before + episode.copied().unwrap_or(0);
            let ends = flight
                .episodes
                .iter()
                .any(|step| *step > change && *step < change + after);
            let whole = (change + after) * layers <= risk.len();
            (room && whole && !ends).then_some((risk.as_slice(), change - before))
        })
        .collect();
    if around.is_empty() {
        return None;
    }
    let series: Vec<Series> = (0..layers)
        .map(|layer| {
            let at = |step: usize| {
                let of = |(risk, from): &(&[f32], usize)| {
                    f64::from(risk[(from + step) * layers + layer])
                };
                around.iter().map(of).sum::<f64>()
            };
            let level = (0..before).map(at).sum::<f64>() / before.max(1) as f64;
            Series {
                name: format!("layer {}", layer + 1),
                colour: layer % TASKS,
                values: (0..before + after).map(|step| at(step) / level).collect(),
            }
        })
        .collect();
    let values = series.iter().flat_map(|series| &series.values).copied();
    Some(curves(
        &series,
        &Axes {
            heading: format!(
                "attention-weighted variance of the values, 1 is before the change; {} flights",
                around.len()
            ),
            first: -(before as f64) * period_s,
            up: (0.0, fit(values).1),
            lines: vec![("mark", 0.0)],
            name: "seconds since the change",
            bold: layers,
            ..Axes::middle(period_s)
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::{Attention, Changed, Representations};

    #[test]
    fn the_axes_are_those_of_the_largest_variance() {
        // Variances 9 along (3, 4)/5 and 1 across it, nothing along the third.
        let points: Vec<[f32; 3]> = [(3.0, 1.0), (-3.0, 1.0), (3.0, -1.0), (-3.0, -1.0)]
            .iter()
            .map(|(a, b)| [0.6 * a - 0.8 * b + 5.0, 0.8 * a + 0.6 * b, 7.0])
            .collect();
        let points: Vec<&[f32]> = points.iter().map(|point| point.as_slice()).collect();
        let principal = Principal::of(&points).unwrap();
        let [across, up] = &principal.axes;
        assert!((across[0] / across[1] - 0.75).abs() < 1e-6, "{across:?}");
        assert!((up[0] / up[1] + 4.0 / 3.0).abs() < 1e-6, "{up:?}");
        assert!((principal.shares[0] - 0.9).abs() < 1e-6);
        assert!((principal.shares[1] - 0.1).abs() < 1e-6);
        let [x, y] = principal.project(points[0]);
        assert!((x.abs() - 3.0).abs() < 1e-5 && (y.abs() - 1.0).abs() < 1e-5);
        assert!(Principal::of(&points[..1]).is_none());
        assert!(Principal::of(&[]).is_none());
    }

    #[test]
    fn variance_between_tasks_is_told_from_that_within() {
        let points: [&[f32]; 4] = [&[1.0, 0.0], &[3.0, 0.0], &[-1.0, 0.0], &[-3.0, 0.0]];
        let apart = between(&[points[..2].to_vec(), points[2..].to_vec()]);
        assert!((apart - 0.8).abs() < 1e-9, "{apart}");
        let mixed = between(&[vec![points[0], points[2]], vec![points[1], points[3]]]);
        assert!(mixed.abs() < 1e-9, "{mixed}");
    }

    fn flight(offset: f32) -> FlightTrace {
        let rows = |k: u16| [offset, f32::from(k % 7)];
        FlightTrace {
            period_s: 0.01,
            holds: vec![true; 400],
            episodes: vec![200],
            task: vec![("mass".into(), offset, "kg".into())],
            changes: vec![Changed {
                step: 300,
                words: String::new(),
            }],
            attention: Some(Attention {
                layers: 1,
                window: 4,
                weight: vec![0.25; 1600],
            }),
            memory: Some(Representations {
                model: 2,
                layers: 1,
                embedded: (0..400).flat_map(rows).collect(),
                encoded: (0..400).flat_map(rows).collect(),
                risk: (0..400).map(|k| if k < 300 { 2.0 } else { 6.0 }).collect(),
            }),
            ..FlightTrace::default()
        }
    }

    #[test]
    fn tasks_have_their_colours_and_the_consensus_its_level() {
        let flights = [flight(0.0), flight(20.0)];
        let flights: Vec<&FlightTrace> = flights.iter().collect();
        let figures = embeddings(&flights);
        assert_eq!(figures.len(), 2);
        let text = figures[1].inline();
        assert!(
            text.contains("dots s0") && text.contains("dots s1") && text.contains("mass 20.000 kg")
        );
        assert!(
            text.contains("96 % of the variance is between tasks"),
            "{text}"
        );
        let text = consensus(&flights, (0.5, 0.5)).unwrap().inline();
        assert!(
            text.contains("2 flights") && text.contains(">3<"),
            "three times the level: {text}"
        );
        assert!(
            consensus(&flights, (2.0, 0.5)).is_none(),
            "no such time in the episode"
        );
        let blind = FlightTrace::default();
        assert!(embeddings(&[&blind]).is_empty() && consensus(&[&blind], (0.5, 0.5)).is_none());
    }
}
