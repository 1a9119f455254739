//! Evaluations of plants that are judged by what a step is worth: numbers, and reward per control step.

use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::commands::eval::table;
use crate::evaluate::{Record, Summary};
use crate::output::tell;
use crate::report::curves::{Series, rewards};
use crate::report::page::{Page, Width};

/// Colours that a figure has.
const COLOURS: usize = 5;

/// One evaluation as table and figure.
pub(super) fn section(page: &mut Page, record: &Record) {
    page.section(
        &format!("{} on {} held-out tasks", record.plant, record.tasks),
        &format!(
            "{} policy of {} ({}, training seed {}), weights {}. '90 % after': control steps of the first episode until \
             the reward per step has gone 90 % of its way to the final one. Fell: an episode ended by itself.",
            record.arithmetic, record.policy, record.agent, record.seed, record.weights_sha256
        ),
    );
    let own = ("policy".to_owned(), &record.summary);
    let others = record.compared.iter().map(|(name, s)| (name.clone(), s));
    let outside = record.out_of_distribution.iter();
    let outside = outside.map(|s| ("policy, out of distribution".to_owned(), s));
    let all: Vec<(String, &Summary)> = std::iter::once(own).chain(others).chain(outside).collect();
    let columns = table::columns(record);
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|(name, summary)| {
            let cells = columns.iter().map(|column| (column.cell)(summary));
            std::iter::once(name.clone()).chain(cells).collect()
        })
        .collect();
    let heads = columns.iter().map(|column| column.head.as_str());
    page.table(
        &std::iter::once("controller")
            .chain(heads)
            .collect::<Vec<_>>(),
        &rows,
    );
    for note in table::notes(record) {
        page.words(&note);
    }
    let series: Vec<Series> = all
        .iter()
        .take(COLOURS)
        .enumerate()
        .map(|(colour, (name, summary))| Series {
            name: name.clone(),
            colour,
            values: curve(summary),
        })
        .collect();
    let episode_steps = record.summary.reward_curve_1.len();
    if episode_steps > 0 {
        let figure = rewards(&series, episode_steps, "mean reward per control step");
        page.figures(Width::Middle, &[(String::new(), figure)]);
    }
    page.command(&format!(
        "engram eval {} --tasks {} --change {}",
        record.policy, record.tasks, record.change
    ));
}

/// Both episodes, one after the other.
fn curve(summary: &Summary) -> Vec<f64> {
    [&summary.reward_curve_1[..], &summary.reward_curve_2].concat()
}

/// Writes the picture of the evaluations in `files`, each named after its file; files that differ in a number at
/// the end of their names (`-0`, `-1`: seeds) make one curve, their mean.
pub(super) fn write(files: &[(PathBuf, Vec<Record>)], picture: &Path) -> anyhow::Result<()> {
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
