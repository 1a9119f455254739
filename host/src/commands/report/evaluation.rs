//! Results of `engram eval`: the headline, numbers, share of tasks that hold the goal, and reward per control step.

use std::path::{Path, PathBuf};

use anyhow::bail;
use engram_plants::pendulum;

use crate::commands::eval::table;
use crate::evaluate::{Record, Summary};
use crate::output::tell;
use crate::report::curves::{Series, adaptation, rewards};
use crate::report::page::{Page, Width};

/// Colours that a figure has.
const COLOURS: usize = 5;

/// The most important shares in large letters; nothing on plants without a goal.
pub(super) fn headline(page: &mut Page, record: &Record) {
    let (Some(success), Some(recovered)) = (record.summary.success, record.summary.recovered)
    else {
        return;
    };
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let change = &record.change;
    let [held, again] = if record.plant == pendulum::NAME {
        [
            "of held-out tasks upright throughout the last second".to_owned(),
            format!("upright again within 2 s after the change ({change})"),
        ]
    } else {
        [
            "of held-out tasks held the goal at the end of the first episode".to_owned(),
            format!("held it again in time after the change ({change})"),
        ]
    };
    let mut facts = vec![(percent(success), held), (percent(recovered), again)];
    let others = [
        ("wiped", "the same with the memory wiped every step"),
        ("one-step", "a policy trained without memory"),
        ("markov", "a policy trained without memory"),
        ("classical", "a classical controller"),
    ];
    for (name, words) in others {
        let share = record.compared.get(name).and_then(|other| other.recovered);
        facts.extend(share.map(|share| (percent(share), words.to_owned())));
    }
    page.facts(&facts);
}

/// One evaluation as tables and figures.
pub(super) fn section(page: &mut Page, record: &Record) {
    let judged = if record.plant == pendulum::NAME {
        "Held: angle under 0.3 rad and rate under 1 rad/s of the true state. Recovered: held at every step from 2 s after the change \
         to the end. Fell: below the horizontal at some time after the change."
    } else if record.summary.metrics.is_empty() {
        "Recovered: the goal held from the allowed time after the change to the end. Fell: the goal lost altogether, or an episode \
         that ended by itself."
    } else {
        "'90 % after': control steps of the first episode until the reward per step has gone 90 % of its way to the final one. \
         Fell: an episode ended by itself."
    };
    page.section(
        &format!(
            "{} on {} held-out tasks, change '{}'",
            record.plant, record.tasks, record.change
        ),
        &format!(
            "{} policy of {} ({}, training seed {}), weights {}. {judged}",
            record.arithmetic, record.policy, record.agent, record.seed, record.weights_sha256
        ),
    );
    let own = ("policy", &record.summary);
    let others = record.compared.iter().map(|(name, s)| (name.as_str(), s));
    let outside = record.out_of_distribution.iter();
    let outside = outside.map(|s| ("policy, out of distribution", s));
    let all: Vec<(&str, &Summary)> = std::iter::once(own).chain(others).chain(outside).collect();
    let columns = table::columns(record);
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|(name, summary)| {
            let cells = columns.iter().map(|column| (column.cell)(summary));
            std::iter::once((*name).to_owned()).chain(cells).collect()
        })
        .collect();
    let heads = columns.iter().map(|column| column.head.as_str());
    let heads: Vec<&str> = std::iter::once("controller").chain(heads).collect();
    page.table(&heads, &rows);
    for note in table::notes(record) {
        page.words(&note);
    }
    if let Some(cost) = &record.quantization {
        page.words(&format!("Int8 against f32, on the same tasks: {cost}."));
    }
    let series = |values: fn(&Summary) -> Vec<f64>| -> Vec<Series> {
        let shown = all.iter().filter(|(name, _)| {
            // They lie on the policy's own curve, or are of other tasks.
            !matches!(*name, "float" | "policy, out of distribution")
        });
        let one = |(name, summary): &(&str, &Summary)| Series {
            name: (*name).to_owned(),
            colour: colour(name),
            values: values(summary),
        };
        shown.map(one).collect()
    };
    let mut figures = Vec::new();
    if !record.summary.adaptation.is_empty() {
        let heading = format!(
            "share of tasks that hold the goal after the change ({})",
            record.change
        );
        let shares = series(|summary| summary.adaptation.clone());
        figures.push(adaptation(&shares, record.period_s, heading));
    }
    let episode_steps = record.summary.reward_curve_1.len();
    if episode_steps > 0 && record.plant != pendulum::NAME {
        let heading = "mean reward per control step";
        figures.push(rewards(&series(curve), episode_steps, heading));
    }
    let figures: Vec<_> = figures.into_iter().map(|f| (String::new(), f)).collect();
    page.figures(Width::Middle, &figures);
    page.command(&format!(
        "engram eval {} --tasks {} --change {}",
        record.policy, record.tasks, record.change
    ));
}

/// The same colour for the same controller in every figure.
fn colour(name: &str) -> usize {
    match name {
        "policy" => 0,
        "wiped" => 1,
        "one-step" | "markov" => 2,
        "classical" | "oracle" => 3,
        _ => 4,
    }
}

/// Both episodes, one after the other.
fn curve(summary: &Summary) -> Vec<f64> {
    [&summary.reward_curve_1[..], &summary.reward_curve_2].concat()
}

/// Writes the picture of the evaluations in `files`, each named after its file; files that differ in a number at
/// the end of their names (`-0`, `-1`: seeds) make one curve, their mean.
pub(super) fn write_rewards(
    files: &[(PathBuf, Vec<Record>)],
    picture: &Path,
) -> anyhow::Result<()> {
    let mut curves: Vec<(String, Vec<Vec<f64>>)> = Vec::new();
    let mut ground: Option<(&str, usize)> = None;
    for (file, records) in files {
        for record in records {
            let steps = record.summary.reward_curve_1.len();
            if steps == 0 {
                bail!(
                    "{} holds no reward per step: evaluate again with this version",
                    file.display()
                );
            }
            let this = (record.plant.as_str(), steps);
            if *ground.get_or_insert(this) != this {
                bail!(
                    "{} is on {}, others are on {}: one picture shows one plant",
                    file.display(),
                    record.plant,
                    ground.map_or("", |(plant, _)| plant)
                );
            }
            let values = curve(&record.summary);
            let name = name(file);
            match curves.iter_mut().find(|(known, _)| *known == name) {
                Some((_, seeds)) => seeds.push(values),
                None => curves.push((name, vec![values])),
            }
        }
    }
    let Some((plant, episode_steps)) = ground else {
        bail!("--rewards shows evaluations: give --eval FILE");
    };
    let series: Vec<Series> = curves
        .into_iter()
        .enumerate()
        .map(|(index, (name, seeds))| Series {
            name,
            colour: index % COLOURS,
            values: mean(&seeds),
        })
        .collect();
    let heading = format!("{plant}: mean reward per control step over held-out tasks");
    let figure = rewards(&series, episode_steps, &heading);
    super::write(picture, &figure.standalone())?;
    tell!("wrote {}", picture.display());
    Ok(())
}

/// A file's name without its ending and the seed's number.
fn name(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    match stem.rsplit_once('-') {
        Some((name, seed)) if !seed.is_empty() && seed.bytes().all(|b| b.is_ascii_digit()) => {
            name.to_owned()
        }
        _ => stem.into_owned(),
    }
}

fn mean(seeds: &[Vec<f64>]) -> Vec<f64> {
    let steps = seeds.iter().map(Vec::len).min().unwrap_or(0);
    let of = |step: usize| seeds.iter().filter_map(move |seed| seed.get(step));
    (0..steps)
        .map(|step| of(step).sum::<f64>() / seeds.len() as f64)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_of_one_name_are_one_curve() {
        assert_eq!(name(Path::new("a/b/rl2-0.json")), "rl2");
        assert_eq!(name(Path::new("one-step.json")), "one-step");
        assert_eq!(mean(&[vec![1.0, 2.0, 5.0], vec![3.0, 4.0]]), vec![2.0, 3.0]);
    }
}
