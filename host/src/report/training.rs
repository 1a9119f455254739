//! The report's part about training: one run, or several beside each other, of any plant.

use super::page::{Page, Width};
use super::panel::{Panel, ticks};
use super::plot::{round_labels, spread};
use super::svg::{Anchor, Svg};
use engram_train::{Lap, Point, timing};

/// Share of a run, counted from its end, that the table's return is the mean of.
const LAST_SHARE: f64 = 0.1;
/// Colours there are (classes `s0` to `s4`).
const COLOURS: usize = 5;
/// Points of a curve that a figure of this size can show.
const MOST_POINTS: usize = 400;

/// One training run.
#[derive(Clone, Debug)]
pub(crate) struct TrainingRun {
    /// Its folder.
    pub folder: String,
    /// The plant's name.
    pub plant: String,
    /// The agent's name.
    pub agent: String,
    /// Seed of everything random.
    pub seed: u64,
    /// Mean return of an undisturbed episode at the end, deterministic policy; 0 before the first evaluation.
    pub training_return: f32,
    /// Its curve.
    pub points: Vec<Point>,
    /// How long its iterations took; empty where nobody knows.
    pub laps: Vec<Lap>,
}

/// What a curve is drawn against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Across {
    /// Environment steps.
    Steps,
    /// Time that the training took on its machine.
    Minutes,
}

impl Across {
    const fn words(self) -> &'static str {
        match self {
            Self::Steps => "million environment steps",
            Self::Minutes => "minutes of training on its machine",
        }
    }
}

/// Runs of one agent on one plant: seeds of the same.
struct Group<'a> {
    name: String,
    colour: usize,
    runs: Vec<&'a TrainingRun>,
}

/// Writes the section about `runs`; nothing where there are none.
pub(crate) fn section(page: &mut Page, runs: &[TrainingRun]) {
    let groups = groups(runs);
    if groups.is_empty() {
        return;
    }
    let mut words =
        "Against environment steps, exploration included. Return: of an episode, which ends where the robot falls."
            .to_owned();
    if groups.iter().any(|group| group.runs.len() > 1) {
        words.push_str(" Thin lines are single seeds, thick ones their mean.");
    }
    page.section("Training", &words);
    table(page, runs);
    let big = (680.0, 250.0);
    page.figures(
        Width::Middle,
        &[(String::new(), returns(&groups, Across::Steps, big))],
    );
    if runs.iter().any(|run| !run.laps.is_empty()) {
        let figure = returns(&groups, Across::Minutes, big);
        page.figures(Width::Middle, &[(String::new(), figure)]);
    }
    let small = (440.0, 190.0);
    type Value = fn(&Point) -> f64;
    let diagnostics: [(&str, bool, Value); 7] = [
        ("falls per episode", true, |point| {
            point.episodes.map_or(0.0, |episodes| episodes.falls)
        }),
        ("diverged steps per iteration", true, |point| {
            point
                .episodes
                .map_or(0.0, |episodes| episodes.diverged_steps as f64)
        }),
        (
            "divergence (kl) of an iteration, nats per step",
            true,
            |point| point.update.kl,
        ),
        ("explained variance of the returns", false, |point| {
            point.explained
        }),
        ("entropy of the actions, nats", false, |point| {
            point.update.entropy
        }),
        ("norm of the policy's gradient", true, |point| {
            point.update.gradient
        }),
        ("belief error", true, |point| point.update.belief_error),
    ];
    let mut figures: Vec<(String, Svg)> = diagnostics
        .into_iter()
        .filter(|(_, _, value)| {
            let any = |run: &TrainingRun| run.points.iter().any(|point| value(point) != 0.0);
            runs.iter().any(any)
        })
        .map(|(name, from_zero, value)| {
            let points = |run: &TrainingRun| of_points(run, value);
            let figure = curves(&groups, name, Across::Steps, small, from_zero, points);
            (String::new(), figure)
        })
        .collect();
    type Rate = fn(timing::Rates) -> f64;
    let rates: [(&str, Rate); 3] = [
        ("environment steps per second", |rates| rates.total),
        ("environment steps per second, rollout alone", |rates| {
            rates.rollout
        }),
        ("environment steps per second, learner alone", |rates| {
            rates.learner
        }),
    ];
    if runs.iter().any(|run| !run.laps.is_empty()) {
        figures.extend(rates.into_iter().map(|(name, rate)| {
            let points = |run: &TrainingRun| of_laps(run, rate);
            let figure = curves(&groups, name, Across::Steps, small, true, points);
            (String::new(), figure)
        }));
    }
    page.figures(Width::Small, &figures);
}

/// The picture of `runs`: return of an episode, exploration included, against environment steps or against time.
#[must_use]
pub(crate) fn picture(runs: &[TrainingRun], across: Across) -> Svg {
    returns(&groups(runs), across, (680.0, 250.0))
}

fn returns(groups: &[Group], across: Across, size: (f64, f64)) -> Svg {
    let name = "return of an episode";
    curves(groups, name, across, size, false, |run| match across {
        Across::Steps => of_points(run, Point::achieved_return),
        Across::Minutes => over_minutes(run),
    })
}

fn groups(runs: &[TrainingRun]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group> = Vec::new();
    let one_plant = runs.iter().all(|run| run.plant == runs[0].plant);
    for run in runs {
        let name = if one_plant {
            run.agent.clone()
        } else {
            format!("{} {}", run.plant, run.agent)
        };
        match groups.iter_mut().find(|group| group.name == name) {
            Some(group) => group.runs.push(run),
            None => groups.push(Group {
                name,
                colour: groups.len() % COLOURS,
                runs: vec![run],
            }),
        }
    }
    groups
}

fn table(page: &mut Page, runs: &[TrainingRun]) {
    let rows: Vec<Vec<String>> = runs
        .iter()
        .map(|run| {
            let last = run.points.last().copied().unwrap_or_default();
            let from = ((1.0 - LAST_SHARE) * run.points.len() as f64) as usize;
            let end = &run.points[from.min(run.points.len())..];
            let mean =
                end.iter().map(Point::achieved_return).sum::<f64>() / end.len().max(1) as f64;
            let seconds: f64 = run.laps.iter().map(|lap| lap.total_s).sum();
            let known = |text: String| {
                if run.laps.is_empty() {
                    "–".to_owned()
                } else {
                    text
                }
            };
            let rates = timing::rates(&run.laps);
            vec![
                run.folder.clone(),
                run.plant.clone(),
                run.agent.clone(),
                run.seed.to_string(),
                format!("{:.2} M", last.steps as f64 * 1e-6),
                format!("{mean:.1}"),
                format!("{:.1}", run.training_return),
                known(format!("{:.1} min", seconds / 60.0)),
                known(format!("{:.0}", rates.rollout)),
                known(format!("{:.0}", rates.learner)),
                known(format!("{:.0}", rates.total)),
            ]
        })
        .collect();
    let head = [
        "run",
        "plant",
        "agent",
        "seed",
        "steps",
        "return, last tenth",
        "return, deterministic",
        "time",
        "rollout steps/s",
        "learner steps/s",
        "steps/s",
    ];
    page.table(&head, &rows);
}

fn of_points(run: &TrainingRun, value: fn(&Point) -> f64) -> Vec<(f64, f64)> {
    let points = run.points.iter();
    points
        .map(|point| (point.steps as f64 * 1e-6, value(point)))
        .collect()
}

fn of_laps(run: &TrainingRun, value: fn(timing::Rates) -> f64) -> Vec<(f64, f64)> {
    let point = |lap: &Lap| {
        (
            (lap.iteration * lap.steps) as f64 * 1e-6,
            value(lap.rates()),
        )
    };
    run.laps.iter().map(point).collect()
}

/// Returns against the time that iterations took, pauses between sessions apart.
fn over_minutes(run: &TrainingRun) -> Vec<(f64, f64)> {
    let mut minutes = 0.0;
    let timed = |lap: &Lap| {
        minutes += lap.total_s / 60.0;
        let point = run.points.iter().find(|p| p.iteration == lap.iteration)?;
        Some((minutes, point.achieved_return()))
    };
    run.laps.iter().filter_map(timed).collect()
}

/// Every `n`-th point, so that a long run's page stays small; each is the mean of those it stands for.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let bundle = points.len().div_ceil(MOST_POINTS).max(1);
    let mean = |bundle: &[(f64, f64)]| {
        let sum = bundle
            .iter()
            .fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
        (sum.0 / bundle.len() as f64, sum.1 / bundle.len() as f64)
    };
    points.chunks(bundle).map(mean).collect()
}

/// The mean of several curves, as far as all of them go: point by point, as seeds of one agent have as many steps in each
/// iteration, if not as many seconds.
fn mean(curves: &[Vec<(f64, f64)>]) -> Vec<(f64, f64)> {
    let shortest = curves.iter().map(Vec::len).min().unwrap_or(0);
    let count = curves.len() as f64;
    let at = |index: usize| {
        let points = curves.iter().map(|curve| curve[index]);
        let sum = points.fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
        (sum.0 / count, sum.1 / count)
    };
    (0..shortest).map(at).collect()
}

/// Lowest and highest of the values that are drawn.
fn range(all: &[Vec<(f64, f64)>], from_zero: bool) -> (f64, f64) {
    let values = all
        .iter()
        .flatten()
        .map(|point| point.1)
        .filter(|value| value.is_finite());
    let start = if from_zero { 0.0 } else { f64::INFINITY };
    let end = if from_zero { 0.0 } else { f64::NEG_INFINITY };
    let (low, high) = values.fold((start, end), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    if low < high { (low, high) } else { (0.0, 1.0) }
}

fn curves(
    groups: &[Group],
    name: &str,
    across: Across,
    size: (f64, f64),
    from_zero: bool,
    points: impl Fn(&TrainingRun) -> Vec<(f64, f64)>,
) -> Svg {
    let drawn: Vec<Vec<Vec<(f64, f64)>>> = groups
        .iter()
        .map(|group| group.runs.iter().map(|run| thinned(&points(run))).collect())
        .collect();
    let flat: Vec<Vec<(f64, f64)>> = drawn.iter().flatten().cloned().collect();
    let (low, high) = range(&flat, from_zero);
    let margin = 0.05 * (high - low);
    let ends = flat.iter().filter_map(|curve| curve.last());
    let end = ends.fold(0.0, |end: f64, point| end.max(point.0)).max(1e-6);
    let letters = groups.iter().map(|group| group.name.len()).max();
    let legend = match letters {
        Some(letters) if groups.len() > 1 => 14.0 + 7.5 * letters as f64,
        _ => 14.0,
    };
    let mut svg = Svg::new(size.0, size.1 + 90.0, name);
    let panel = Panel {
        corner: (70.0, 34.0),
        size: (size.0 - 70.0 - legend, size.1),
        across: (0.0, end),
        up: (if from_zero { low } else { low - margin }, high + margin),
    };
    let labels = round_labels(panel.up, 5);
    panel.frame(&mut svg, name, &labels);
    let mut marks = Vec::new();
    for (group, curves) in groups.iter().zip(&drawn) {
        let colour = format!("line s{}", group.colour);
        let several = curves.len() > 1;
        for curve in curves {
            let class = if several {
                format!("{colour} thin faint")
            } else {
                colour.clone()
            };
            panel.curve(&mut svg, &class, curve.iter().copied(), f64::INFINITY);
        }
        let line = mean(curves);
        marks.push(line.last().map_or(panel.corner.1, |point| panel.y(point.1)));
        if several {
            panel.curve(
                &mut svg,
                &format!("{colour} bold"),
                line.into_iter(),
                f64::INFINITY,
            );
        }
    }
    if groups.len() > 1 {
        let bounds = (panel.corner.1, panel.corner.1 + panel.size.1);
        let x = panel.corner.0 + panel.size.0 + 8.0;
        for (group, y) in groups.iter().zip(spread(&marks, 15.0, bounds)) {
            let class = format!("strong f{}", group.colour);
            svg.text(&class, (x, y + 4.0), Anchor::Start, &group.name);
        }
    }
    panel.scale_below(&mut svg, &ticks(0.0, end, 5), across.words());
    svg
}

#[cfg(test)]
mod tests {
    use super::*;
    use engram_train::Episodes;

    fn run(agent: &str, seed: u64, iterations: u64) -> TrainingRun {
        let point = |iteration: u64| Point {
            iteration,
            steps: iteration * 1000,
            episode_return: iteration as f64 + seed as f64,
            explained: 0.5,
            ..Point::default()
        };
        let lap = |iteration: u64| Lap {
            iteration,
            steps: 1000,
            rollout_s: 0.25,
            learner_s: 0.5,
            total_s: 1.0,
            ..Lap::default()
        };
        TrainingRun {
            folder: format!("runs/{agent}-{seed}"),
            plant: "some-robot".to_owned(),
            agent: agent.to_owned(),
            seed,
            training_return: 12.5,
            points: (1..=iterations).map(point).collect(),
            laps: (1..=iterations).map(lap).collect(),
        }
    }

    #[test]
    fn seeds_are_drawn_together_and_agents_apart() {
        let mut page = Page::new("title", "lead");
        section(&mut page, &[]);
        assert!(!page.html().contains("Training"));
        section(
            &mut page,
            &[
                run("trmrl", 0, 50),
                run("trmrl", 1, 40),
                run("markov", 0, 2000),
            ],
        );
        let html = page.html();
        for words in [
            "runs/trmrl-1",
            "return of an episode",
            "explained variance",
            "environment steps per second",
            ">markov</text>",
            "Thin lines",
            "4000",
        ] {
            assert!(html.contains(words), "no '{words}'");
        }
        assert!(!html.contains("belief error"), "nothing was measured");
        assert!(!html.contains("falls per") && !html.contains("diverged"));
        assert!(!html.contains("NaN") && !html.contains("inf"));
    }

    #[test]
    fn seeds_that_took_different_times_have_their_mean_between_them() {
        let (quick, mut slow) = (run("trmrl", 0, 3), run("trmrl", 0, 3));
        slow.laps.iter_mut().for_each(|lap| lap.total_s = 3.0);
        // A lap of the quick one takes 1 s, and returns are 1, 2, 3.
        let seconds = |line: &[(f64, f64)]| -> Vec<(f64, f64)> {
            let point = |point: &(f64, f64)| ((60.0 * point.0).round(), point.1);
            line.iter().map(point).collect()
        };
        let line = mean(&[over_minutes(&quick), over_minutes(&slow)]);
        assert_eq!(seconds(&line), [(2.0, 1.0), (4.0, 2.0), (6.0, 3.0)]);
        // An older run's first iterations have no times.
        slow.laps.remove(0);
        assert_eq!(seconds(&over_minutes(&slow)), [(3.0, 2.0), (6.0, 3.0)]);
        assert!(
            picture(&[quick], Across::Minutes)
                .standalone()
                .contains("minutes of training")
        );
    }

    #[test]
    fn falls_are_drawn_and_cost_the_return() {
        let mut falling = run("trmrl", 0, 10);
        for point in &mut falling.points {
            point.episode_return = 9999.0;
            point.episodes = Some(Episodes {
                undisturbed_return: 1234.5,
                falls: 0.5,
                diverged_steps: 3,
            });
        }
        let mut page = Page::new("title", "lead");
        section(&mut page, &[falling]);
        let html = page.html();
        for words in [
            "1234.5",
            "falls per episode",
            "diverged steps per iteration",
        ] {
            assert!(html.contains(words), "no '{words}'");
        }
        assert!(!html.contains("9999"));
    }

    #[test]
    fn a_run_that_has_only_begun_has_a_page_too() {
        let mut page = Page::new("title", "lead");
        let mut begun = run("trmrl", 0, 0);
        begun.training_return = 0.0;
        section(&mut page, &[begun]);
        assert!(!page.html().contains("NaN"));
    }

    #[test]
    fn thinning_keeps_the_mean_and_the_shortest_curve_ends_the_mean() {
        let line: Vec<_> = (0..1000)
            .map(|x| (f64::from(x), 2.0 * f64::from(x)))
            .collect();
        let thin = thinned(&line);
        assert!(
            thin.len() <= MOST_POINTS && thin[0] == (1.0, 2.0),
            "{:?}",
            thin[0]
        );
        assert_eq!(
            mean(&[vec![(1.0, 2.0), (2.0, 4.0)], vec![(1.0, 4.0)]]),
            [(1.0, 3.0)]
        );
    }
}
