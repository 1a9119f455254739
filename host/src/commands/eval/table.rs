//! The tables that `engram eval` prints: columns by what the plant has, never words of another plant.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::evaluate::adaptation::SPEED;
use crate::evaluate::{Record, Summary, median};

/// Width of the first column.
const NAME_WIDTH: usize = 22;

/// One column: its heading and how a summary's number is shown under it.
pub(in crate::commands) struct Column {
    /// Its heading.
    pub(in crate::commands) head: String,
    /// What stands under it.
    pub(in crate::commands) cell: Box<dyn Fn(&Summary) -> String>,
}

impl Column {
    fn new(head: impl Into<String>, cell: impl Fn(&Summary) -> String + 'static) -> Self {
        Self {
            head: head.into(),
            cell: Box::new(cell),
        }
    }

    /// Room for the heading, and for "100.0 %".
    fn width(&self) -> usize {
        self.head.chars().count().max(7)
    }
}

/// Everything that is printed for people.
pub(super) fn of(records: &[Record]) -> String {
    let mut text = String::new();
    for record in records {
        one(&mut text, record);
    }
    if let [first, _, ..] = records {
        all(&mut text, first, records);
    }
    text
}

fn one(text: &mut String, record: &Record) {
    let columns = columns(record);
    let trained = record
        .trained_steps
        .map_or_else(String::new, |steps| format!(", {steps} steps"));
    let _ = writeln!(
        text,
        "{} on {}, {} held-out tasks, change '{}': {} ({}, seed {}{trained}), weights {}",
        record.arithmetic,
        record.plant,
        record.tasks,
        record.change,
        record.policy,
        record.agent,
        record.seed,
        record.weights_sha256.get(..12).unwrap_or("")
    );
    head(text, &columns);
    let own = if record.memory_wiped {
        "policy, memory wiped"
    } else {
        "policy"
    };
    line(text, &columns, own, &record.summary);
    for (name, summary) in &record.compared {
        line(text, &columns, name, summary);
    }
    if let Some(outside) = &record.out_of_distribution {
        line(text, &columns, "out of distribution", outside);
    }
    for note in notes(record) {
        let _ = writeln!(text, "{note}");
    }
    if let Some(cost) = &record.quantization {
        let _ = writeln!(
            text,
            "{cost} (f32 {:.2}, int8 {:.2}, random {:.2})",
            cost.reference, cost.other, cost.floor
        );
    }
    text.push('\n');
}

/// Every policy in one table, and the median.
fn all(text: &mut String, first: &Record, records: &[Record]) {
    let columns = columns(first);
    let _ = writeln!(text, "all {} policies", records.len());
    head(text, &columns);
    for record in records {
        let name = format!("{} seed {}", record.agent, record.seed);
        line(text, &columns, &name, &record.summary);
    }
    line(text, &columns, "median", &median_of(records));
}

fn head(text: &mut String, columns: &[Column]) {
    let _ = write!(text, "  {:<NAME_WIDTH$}", "controller");
    for column in columns {
        let width = column.width();
        let _ = write!(text, "   {:>width$}", column.head);
    }
    text.push('\n');
}

fn line(text: &mut String, columns: &[Column], name: &str, summary: &Summary) {
    let _ = write!(text, "  {name:<NAME_WIDTH$}");
    for column in columns {
        let width = column.width();
        let _ = write!(text, "   {:>width$}", (column.cell)(summary));
    }
    text.push('\n');
}

/// What a plant's policies are judged by: its metric where it has one, else the goal that is held.
pub(in crate::commands) fn columns(record: &Record) -> Vec<Column> {
    let mut columns = Vec::new();
    let metrics = &record.summary.metrics;
    let goal = has_goal(record);
    if goal && metrics.is_empty() {
        columns.push(Column::new("held at end", |s| share(s.success)));
    }
    let recovery = goal && (metrics.is_empty() || record.change != "none");
    if recovery {
        columns.push(Column::new("recovered", |s| share(s.recovered)));
    }
    columns.push(Column::new("fell", |s| percent(s.fell)));
    if summaries(record).any(|summary| summary.diverged_steps > 0) {
        columns.push(Column::new("diverged steps", |s| {
            s.diverged_steps.to_string()
        }));
    }
    if recovery {
        columns.push(Column::new("recovery s", |s| {
            number(s.recovery_s_median, 2)
        }));
    }
    columns.push(Column::new("return 1", |s| {
        format!("{:.1}", s.return_episode_1)
    }));
    columns.push(Column::new("return 2", |s| {
        format!("{:.1}", s.return_episode_2)
    }));
    if metrics.is_empty() {
        return columns;
    }
    columns.push(Column::new("90 % after", |s| {
        s.steps_to_90_percent
            .map_or("-".to_owned(), |steps| steps.to_string())
    }));
    for name in metrics.keys() {
        let key = name.clone();
        let share = name.ends_with("_share");
        columns.push(Column::new(heading(name), move |s| {
            match s.metrics.get(&key) {
                Some(value) if share => percent(*value),
                value => number(value.copied(), 3),
            }
        }));
    }
    columns
}

/// Whether the plant has a goal whose holding can be told.
fn has_goal(record: &Record) -> bool {
    record.summary.success.is_some()
}

/// Everybody's numbers.
fn summaries(record: &Record) -> impl Iterator<Item = &Summary> {
    std::iter::once(&record.summary)
        .chain(record.compared.values())
        .chain(&record.out_of_distribution)
}

/// What a table does not say by itself.
pub(in crate::commands) fn notes(record: &Record) -> Vec<String> {
    let mut notes = Vec::new();
    if !has_goal(record) {
        notes.push(format!(
            "{} has no goal, so that no share of goals held or recovered is told: compare returns, or give its file a [goal]",
            record.plant
        ));
    }
    if summaries(record).any(|summary| summary.diverged_steps > 0) {
        notes.push(
            "in a diverged step the simulation failed: it ends the episode and pays nothing, and is no fall; a smaller \
             timestep or weaker actuators (gear, forcerange) help"
                .to_owned(),
        );
    }
    notes
}

/// A metric's name as a heading.
fn heading(name: &str) -> String {
    match name {
        SPEED => "speed m/s".to_owned(),
        "right_way_share" => "right way".to_owned(),
        "speed_from_step_50_m_per_s" => "speed from step 50 m/s".to_owned(),
        "velocity_error_m_per_s" => "|v - v*| m/s".to_owned(),
        other => other.to_owned(),
    }
}

fn share(share: Option<f64>) -> String {
    share.map_or("-".to_owned(), percent)
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.digits$}"))
}

/// The median of every number over several policies.
fn median_of(records: &[Record]) -> Summary {
    let of = |number: &dyn Fn(&Summary) -> Option<f64>| {
        let values: Vec<f64> = records
            .iter()
            .filter_map(|record| number(&record.summary))
            .collect();
        median(&values)
    };
    let each = |number: fn(&Summary) -> f64| of(&|s| Some(number(s))).unwrap_or(f64::NAN);
    let names = records.iter().flat_map(|r| r.summary.metrics.keys());
    let metrics: BTreeMap<String, f64> = names
        .filter_map(|name| {
            let value = of(&|s| s.metrics.get(name).copied())?;
            Some((name.clone(), value))
        })
        .collect();
    Summary {
        return_episode_1: each(|s| s.return_episode_1),
        return_episode_2: each(|s| s.return_episode_2),
        success: of(&|s| s.success),
        recovered: of(&|s| s.recovered),
        fell: each(|s| s.fell),
        recovery_s_median: of(&|s| s.recovery_s_median),
        adaptation: Vec::new(),
        ended_episode_1: each(|s| s.ended_episode_1),
        ended_episode_2: each(|s| s.ended_episode_2),
        diverged_steps: each(|s| s.diverged_steps as f64).round() as u64,
        steps_to_90_percent: of(&|s| s.steps_to_90_percent.map(|steps| steps as f64))
            .map(|steps| steps.round() as usize),
        metrics,
        reward_curve_1: Vec::new(),
        reward_curve_2: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(metrics: &[(&str, f64)]) -> Record {
        Record {
            plant: "half-cheetah-vel".to_owned(),
            policy: "runs/a".to_owned(),
            agent: "trmrl".to_owned(),
            arithmetic: "f32".to_owned(),
            seed: 1,
            trained_steps: Some(5_000_000),
            task_seed: 0,
            tasks: 256,
            change: "none".to_owned(),
            period_s: 0.05,
            memory_wiped: false,
            summary: Summary {
                return_episode_1: -60.0,
                return_episode_2: -50.0,
                success: Some(0.75),
                recovered: Some(0.5),
                fell: 0.0,
                recovery_s_median: None,
                adaptation: Vec::new(),
                ended_episode_1: 0.0,
                ended_episode_2: 0.0,
                diverged_steps: 0,
                steps_to_90_percent: Some(17),
                metrics: metrics
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), *value))
                    .collect(),
                reward_curve_1: Vec::new(),
                reward_curve_2: Vec::new(),
            },
            weights_sha256: "0123456789abcdef".to_owned(),
            out_of_distribution: None,
            quantization: None,
            compared: BTreeMap::new(),
        }
    }

    #[test]
    fn columns_are_the_plants_own() {
        let moving = record(&[("velocity_error_m_per_s", 0.2)]);
        let text = of(&[moving.clone(), moving.clone()]);
        assert!(text.contains("|v - v*| m/s") && text.contains("90 % after"));
        assert!(!text.contains("recovered") && !text.contains("held at end"));
        assert_eq!(text.matches("0.200").count(), 5, "{text}");
        let changed = Record {
            change: "mass".to_owned(),
            ..moving
        };
        assert!(of(&[changed]).contains("recovered"));
        let still = of(&[record(&[])]);
        assert!(still.contains("held at end") && !still.contains("90 %"));
    }

    #[test]
    fn without_a_goal_there_is_no_share_of_it_but_a_reason() {
        let mut record = record(&[]);
        (record.summary.success, record.summary.recovered) = (None, None);
        record.change = "gain".to_owned();
        record
            .compared
            .insert("random".to_owned(), record.summary.clone());
        let text = of(&[record.clone(), record]);
        assert!(text.contains("half-cheetah-vel has no goal"), "{text}");
        for words in ["held at end", "recovered ", "recovery", "75.0 %", "NaN"] {
            let table: Vec<&str> = text
                .lines()
                .filter(|line| !line.contains("no goal"))
                .collect();
            assert!(!table.join("\n").contains(words), "'{words}' in {text}");
        }
        assert!(text.contains("fell") && text.contains("return 2"));
    }

    #[test]
    fn diverged_steps_have_a_column_where_there_are_any() {
        let mut record = record(&[]);
        assert!(!of(&[record.clone()]).contains("diverged"));
        let mut random = record.summary.clone();
        random.diverged_steps = 1234;
        record.compared.insert("random".to_owned(), random);
        let text = of(&[record]);
        assert!(
            text.contains("diverged steps") && text.contains("1234"),
            "{text}"
        );
        assert!(text.contains("timestep"));
    }

    #[test]
    fn cells_stand_under_their_headings() {
        let text = of(&[record(&[(SPEED, 2.5), ("right_way_share", 1.0)])]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[1].chars().count(),
            lines[2].chars().count(),
            "\n{text}"
        );
    }
}
