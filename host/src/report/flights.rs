//! The report's part about flights of any plant: the picture, each controller by itself, many tasks, and the memory.

use super::attention;
use super::curves::{Axes, Series, curves};
use super::drawing::drawing;
use super::memory::{TASKS, consensus, embeddings};
use super::page::{Page, Width};
use super::picture;
use super::plot::{fit, log_labels};
use super::svg::Svg;
use crate::evaluate::FlightTrace;

/// Where the flights come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Logs.
    Logs,
    /// Simulation, by integers.
    Integers,
    /// Simulation, in f32.
    Float,
}

/// The picture of flights on one task, which is a file of its own, too: controllers beside each other, the policy first. `None`
/// where nothing was flown.
#[must_use]
pub(crate) fn picture(
    flights: &[FlightTrace],
    title: Option<&str>,
    origin: Origin,
) -> Option<String> {
    figure(flights, title, origin).map(|figure| figure.standalone())
}

fn figure(flights: &[FlightTrace], title: Option<&str>, origin: Origin) -> Option<Svg> {
    let first = flights.first()?;
    let bits = if origin == Origin::Float {
        "f32"
    } else {
        "int8"
    };
    let words: Vec<&str> = first
        .changes
        .iter()
        .map(|change| change.words.as_str())
        .collect();
    let lead = first.change_s().map_or_else(
        || "one flight, frozen weights".to_owned(),
        |seconds| {
            let words = if words.len() > 2 {
                "it changes".to_owned()
            } else {
                words.join(", then ")
            };
            format!("Frozen {bits} weights. After {seconds:.1} s {words}.")
        },
    );
    let own = drawing(first).title(first);
    picture::picture(flights, title.unwrap_or(&own), &lead)
}

/// Writes the section about the flights on one task.
pub(crate) fn section(
    page: &mut Page,
    flights: &[FlightTrace],
    title: Option<&str>,
    origin: Origin,
) {
    let (Some(first), Some(figure)) = (flights.first(), figure(flights, title, origin)) else {
        return;
    };
    let words = if origin == Origin::Logs {
        "From the flight logs. Every controller meets the same task, start and noise."
    } else {
        "One held-out task, flown in simulation on the host. Every controller meets the same task, start and noise."
    };
    page.section("The flight", words);
    page.figures(Width::Wide, &[(String::new(), figure)]);
    page.section("Each controller by itself", &drawing(first).shows(first));
    let (from, to) = picture::shown(first);
    let each: Vec<_> = flights
        .iter()
        .map(|trace| (trace.name.clone(), picture::flight(trace, from, to)))
        .collect();
    page.figures(Width::Small, &each);
}

/// Writes which memories the policy reads before and after a change; nothing for policies that do not look back.
pub(crate) fn attention(page: &mut Page, flights: &[&FlightTrace]) {
    let Some(figures) = attention::around_changes(flights) else {
        return;
    };
    let words = match flights.len() {
        1 => "Attention by the age of the memory, before and after the change, averaged over heads and steps.".to_owned(),
        flights => format!(
            "Attention by the age of the memory, before and after the change, averaged over heads, steps and {flights} held-out tasks."
        ),
    };
    page.section("Which memories it reads", &words);
    let figures: Vec<_> = figures
        .into_iter()
        .map(|figure| (String::new(), figure))
        .collect();
    page.figures(Width::Small, &figures);
}

/// Writes the mean of what the plant is judged by over many tasks: over the trial, and since the change. `controllers` hold
/// a flight for each task, in the same order.
pub(crate) fn over_tasks(page: &mut Page, controllers: &[&[FlightTrace]]) {
    let Some(first) = controllers.first().and_then(|flights| flights.first()) else {
        return;
    };
    let (name, _) = first.judged();
    let tasks = controllers[0].len();
    page.section(
        &format!("{name} on {tasks} held-out tasks"),
        if first.metric.channels.is_empty() {
            "Mean over the tasks, which are the same for every controller. An episode that ended by itself earns nothing more; around the change, flights are left out that ended before it."
        } else {
            "Mean over the tasks, which are the same for every controller. Where an episode ended by itself, its last value stays; around the change, flights are left out that ended before it."
        },
    );
    let lengths = lengths(controllers);
    let series = |from: &dyn Fn(usize) -> usize, whole: bool| -> Vec<Series> {
        let one = |flights: &&[FlightTrace]| Series {
            name: flights[0].name.clone(),
            colour: flights[0].colour(),
            values: mean(flights, &lengths, from, whole),
        };
        controllers.iter().map(one).collect()
    };
    let mut figures = Vec::new();
    let draw = |mut series: Vec<Series>, axes: Axes<'_>| {
        let all = |series: &[Series]| -> Vec<f64> {
            let values = series.iter().flat_map(|series| &series.values);
            values.copied().filter(|value| value.is_finite()).collect()
        };
        let values = all(&series);
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // Errors of all sizes, next to each other.
        let logarithmic = least > 0.0 && most > 20.0 * least;
        if logarithmic {
            for value in series.iter_mut().flat_map(|series| &mut series.values) {
                *value = value.log10();
            }
        }
        let up = fit(all(&series).into_iter());
        let labels = logarithmic.then(|| log_labels(up, |value| value.to_string()));
        (String::new(), curves(&series, &Axes { up, labels, ..axes }))
    };
    let trial = series(&|_| 0, true);
    let middle = Axes::middle(first.period_s);
    let mut begin = 0;
    let episodes = lengths.iter().map(|length| {
        begin += length;
        ("boundary", begin as f64 * first.period_s)
    });
    let mut lines: Vec<_> = episodes.collect();
    lines.pop();
    figures.push(draw(
        trial,
        Axes {
            heading: format!("{name}, mean over the trial"),
            lines,
            name: "seconds since the trial began",
            ..middle.clone()
        },
    ));
    if !first.changes.is_empty() {
        let episode = lengths.last().copied().unwrap_or(0);
        let before = drawing(first).seconds_around().0 / first.period_s;
        let before = (before as usize).min(episode / 4);
        let since = series(&|change| change.saturating_sub(before), false);
        figures.push(draw(
            since,
            Axes {
                heading: format!("{name}, mean around the change"),
                first: -(before as f64) * first.period_s,
                lines: vec![("mark", 0.0)],
                name: "seconds since the change",
                ..middle
            },
        ));
    }
    page.figures(Width::Middle, &figures);
}

/// The steps at which a flight's episodes begin, and its end.
fn bounds(flight: &FlightTrace) -> Vec<usize> {
    let mut bounds = vec![0];
    bounds.extend(&flight.episodes);
    bounds.push(flight.steps());
    bounds
}

/// Steps of each episode that none ended by itself: those of the longest.
fn lengths(controllers: &[&[FlightTrace]]) -> Vec<usize> {
    let mut lengths: Vec<usize> = Vec::new();
    for flight in controllers.iter().flat_map(|flights| flights.iter()) {
        for (episode, bounds) in bounds(flight).windows(2).enumerate() {
            lengths.resize(lengths.len().max(episode + 1), 0);
            lengths[episode] = lengths[episode].max(bounds[1] - bounds[0]);
        }
    }
    lengths
}

/// Mean per step of what the flights are judged by, each from a step on that `from` makes of that of its change, as far as all
/// of them reach. A step without a value keeps the one before, and so do those that an episode lacks because it ended by
/// itself, but for a reward: they earn nothing. Flights without a change are left out unless they are shown `whole`.
fn mean(
    flights: &[FlightTrace],
    lengths: &[usize],
    from: impl Fn(usize) -> usize,
    whole: bool,
) -> Vec<f64> {
    let filled = |flight: &FlightTrace| {
        let values = flight.judged().1;
        let (mut filled, mut change) = (Vec::new(), None);
        for (bounds, length) in bounds(flight).windows(2).zip(lengths) {
            let first = flight.changes.first().map(|change| change.step);
            if let Some(step) = first.filter(|step| (bounds[0]..bounds[1]).contains(step)) {
                change = Some(filled.len() + step - bounds[0]);
            }
            let end = filled.len() + length;
            let mut last = f64::NAN;
            for value in &values[bounds[0]..bounds[1]] {
                last = if value.is_finite() {
                    f64::from(*value)
                } else {
                    last
                };
                filled.push(last);
            }
            let lacking = if flight.metric.channels.is_empty() {
                0.0
            } else {
                last
            };
            filled.resize(end, lacking);
        }
        let from = if whole { 0 } else { from(change?) };
        Some(filled.split_off(from.min(filled.len())))
    };
    let filled: Vec<Vec<f64>> = flights.iter().filter_map(filled).collect();
    let steps = filled.iter().map(Vec::len).min().unwrap_or(0);
    (0..steps)
        .map(|step| filled.iter().map(|values| values[step]).sum::<f64>() / filled.len() as f64)
        .collect()
}

/// Writes what the memory of an f32 policy holds over `flights`, each on a task of its own; nothing of policies that do not
/// tell.
pub(crate) fn memory(page: &mut Page, flights: &[&FlightTrace]) {
    let embeddings: Vec<_> = embeddings(flights)
        .into_iter()
        .map(|figure| (String::new(), figure))
        .collect();
    let Some(first) = flights.first().filter(|_| !embeddings.is_empty()) else {
        return;
    };
    page.section(
        "What the memory holds",
        &format!(
            "Working memories of the second half of the first episode on {} held-out tasks, by the f32 policy: as they enter the encoder, and as they \
             leave it. What the encoder tells apart lies apart on the right.",
            flights.len().min(TASKS)
        ),
    );
    page.figures(Width::Small, &embeddings);
    if let Some(figure) = consensus(flights, drawing(first).seconds_around()) {
        page.section(
            "The consensus of the layers",
            "Each layer's output is the mean of its memories' values, weighted by attention: what the memories agree on. Their \
             weighted variance is how far they are from it.",
        );
        page.figures(Width::Middle, &[(String::new(), figure)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::{Changed, Signals};

    /// Two episodes of five steps; the second ends by itself after `last` of them, and its change comes at its step 2.
    fn flight(name: &str, value: f32, last: usize) -> FlightTrace {
        let steps = 5 + last;
        FlightTrace {
            name: name.into(),
            period_s: 0.1,
            holds: vec![true; steps],
            metric: Signals {
                channels: vec![("error_m".into(), String::new())],
                values: (0..steps)
                    .map(|step| if step < 7 { value } else { 2.0 * value })
                    .collect(),
            },
            reward: vec![1.0; steps],
            episodes: vec![5],
            changes: vec![Changed {
                step: 7,
                words: "wind".into(),
            }],
            ..FlightTrace::default()
        }
    }

    #[test]
    fn who_ends_early_keeps_its_error_and_earns_nothing() {
        let mut flights = [flight("a", 1.0, 5), flight("a", 3.0, 3)];
        let lengths = lengths(&[&flights]);
        assert_eq!(lengths, [5, 5]);
        let since = mean(&flights, &lengths, |change| change - 1, false);
        assert_eq!(since, [2.0, 4.0, 4.0, 4.0]);
        assert_eq!(mean(&flights, &lengths, |_| 0, true).len(), 10);
        for flight in &mut flights {
            flight.metric = Signals::default();
        }
        assert_eq!(
            mean(&flights, &lengths, |change| change, false),
            [1.0, 0.5, 0.5]
        );
        flights[1].changes.clear();
        assert_eq!(mean(&flights, &lengths, |change| change, false), [1.0; 3]);
    }

    #[test]
    fn a_page_shows_the_mean_of_every_controller() {
        let (policy, wiped) = ([flight("policy", 1.0, 5)], [flight("memory wiped", 2.0, 4)]);
        let mut page = Page::new("", "");
        over_tasks(&mut page, &[&policy, &wiped]);
        section(&mut page, &policy, None, Origin::Float);
        let html = page.html();
        for words in [
            "error_m, mean around the change",
            ">memory wiped<",
            "Frozen f32 weights. After 0.7 s wind.",
        ] {
            assert!(html.contains(words), "no {words}");
        }
        assert!(!html.contains("NaN"));
        let mut empty = Page::new("", "");
        over_tasks(&mut empty, &[]);
        section(&mut empty, &[], None, Origin::Logs);
        attention(&mut empty, &[&policy[0]]);
        memory(&mut empty, &[&policy[0]]);
        assert_eq!(empty.html(), Page::new("", "").html());
    }
}
