//! `engram report`: one HTML page with the numbers and the plots.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use engram_export::checkpoint::folder;

mod rewards;

use crate::evaluate::{Agreement, Classic, Plan, Record, Subject, Summary, fly};
use crate::output::tell;
use crate::report::figures::{self, Series};
use crate::report::page::{Page, Width};
use crate::report::training::{self, Across, TrainingRun};
use crate::report::{FlightTrace, flight_trace, names, picture};
use engram_export::Checkpoint;
use engram_export::checkpoint::Agent;
use engram_flight::Flight;
use engram_plants::bounded_file;
use engram_plants::{Driven, Plants, TaskSet, pendulum};
use engram_train::{CURVE_FILE, curve, timing};

/// Name of an evaluation's result inside a run's folder.
const EVALUATION_FILE: &str = "eval.json";

/// Write one HTML page with the numbers and plots of a run and of flights.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  engram report runs/pendulum -o report.html
  engram report runs/half-cheetah-vel-0 runs/half-cheetah-vel-1 runs/oracle-0    seeds together, agents apart
  engram report runs/pendulum --flight policy.mcap --flight wiped.mcap --picture demo.svg
  engram eval policy.engram --compare wiped,classical --json > runs/pendulum/eval.json
  engram report --eval oracle-0.json --eval rl2-0.json --rewards adaptation.svg

Without --flight, one trial of a pendulum is flown in simulation on the host. An eval.json in the first DIR is
shown as tables.")]
pub struct Args {
    /// Folders of training runs; their curves are drawn together, and the first one is flown.
    dir: Vec<PathBuf>,
    /// Log of a flight (`engram fly --log`); the first one is the policy, the others stand beside it.
    #[arg(long, value_name = "LOG")]
    flight: Vec<PathBuf>,
    /// Image that is flown in simulation; by default the run's f32 policy.
    #[arg(long, conflicts_with = "flight")]
    image: Option<PathBuf>,
    /// Another run or image that is flown beside it, for example the memoryless policy.
    #[arg(long, value_name = "RUN_OR_IMAGE", conflicts_with = "flight")]
    beside: Vec<PathBuf>,
    /// Change in the simulated flight.
    #[arg(long, default_value = "polarity-mass")]
    change: String,
    /// Number of the held-out task of the simulated flight.
    #[arg(long, default_value_t = 0)]
    task: u32,
    /// Result of `engram eval --json`, one object per line; by default DIR/eval.json where there is one.
    #[arg(long, value_name = "FILE")]
    eval: Vec<PathBuf>,
    /// Also write the reward per control step of the --eval results as SVG: one curve for each file, of which
    /// those that differ in a number at the end of their names (seeds) are averaged.
    #[arg(long, value_name = "FILE.svg", requires = "eval")]
    rewards: Option<PathBuf>,
    /// Also write the training curves of the DIRs as SVG: return against environment steps.
    #[arg(long, value_name = "FILE.svg", requires = "dir")]
    curves: Option<PathBuf>,
    /// The same against minutes.
    #[arg(long, value_name = "FILE.svg", requires = "dir")]
    curves_over_time: Option<PathBuf>,
    /// Also write the picture of the flights as SVG.
    #[arg(long, value_name = "FILE.svg")]
    picture: Option<PathBuf>,
    /// The picture's heading.
    #[arg(long, default_value = "It notices that its motor was reversed")]
    title: String,
    /// Where to write the page.
    #[arg(short, long, default_value = "report.html")]
    output: PathBuf,
}

/// Gathers what there is and writes the page.
///
/// # Errors
/// Names the file that cannot be read or written, or what to give.
pub fn run(args: Args, plants: &Plants) -> anyhow::Result<()> {
    if args.dir.is_empty() && args.flight.is_empty() && args.image.is_none() && args.eval.is_empty()
    {
        bail!("nothing to report: give a run's folder, --flight LOG, --image FILE or --eval FILE");
    }
    let traces = if args.flight.is_empty() {
        simulated(&args, plants)?
    } else {
        logged(&args.flight)?
    };
    let results = evaluations(&args)?;
    if let Some(picture) = &args.rewards {
        rewards::write(&results, picture)?;
    }
    let records: Vec<&Record> = results.iter().flat_map(|(_, records)| records).collect();
    let runs = training_runs(&args.dir)?;
    for (path, across) in [
        (&args.curves, Across::Steps),
        (&args.curves_over_time, Across::Minutes),
    ] {
        if let Some(path) = path {
            write(path, &training::picture(&runs, across).standalone())?;
            tell!("wrote {}", path.display());
        }
    }
    let mut page = Page::new(
        "Engram: a policy that adapts with frozen weights",
        "What was trained, how it copes when the dynamics change in mid-flight, and where it looks while it does.",
    );
    if let Some(record) = records
        .first()
        .filter(|record| record.plant == pendulum::NAME)
    {
        headline(&mut page, record);
    }
    flights(&mut page, &traces, &args)?;
    for record in records {
        if record.plant == pendulum::NAME {
            numbers(&mut page, record);
        } else {
            rewards::section(&mut page, record);
        }
    }
    training::section(&mut page, &runs);
    write(&args.output, &page.html())?;
    tell!("wrote {}", args.output.display());
    Ok(())
}

/// Writes a page or a figure, whole or not at all.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    folder::write_one(path, text.as_bytes()).context("cannot write the report")
}

fn logged(paths: &[PathBuf]) -> anyhow::Result<Vec<FlightTrace>> {
    paths
        .iter()
        .map(|path| {
            let flight =
                Flight::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            if let Some(flaws) = flight.not_whole() {
                bail!("{} is not whole: {flaws}", path.display());
            }
            if flight.steps.is_empty() {
                bail!("{} holds no step: there is nothing to show", path.display());
            }
            let memoryless = flight
                .image
                .as_deref()
                .and_then(|bytes| engram_image::Image::read(bytes).ok())
                .is_some_and(|image| image.config.window == 1);
            let header = &flight.header;
            if header.plant != pendulum::NAME {
                bail!(
                    "{}: pictures show flights of the pendulum, this is one of {}; `engram replay` does it again, and Foxglove shows it",
                    path.display(),
                    header.plant
                );
            }
            let name = match (header.controller.as_str(), memoryless, header.wiped) {
                ("policy", true, _) => names::MEMORYLESS.to_owned(),
                ("policy", false, true) => names::WIPED.to_owned(),
                ("policy", false, false) => format!("policy on {}", header.board),
                _ => names::CLASSICAL.to_owned(),
            };
            let mut trace = flight_trace(&flight, &name);
            // A log says `name: what it does`; and what never looks back has no attention to show.
            if let Some((_, words)) = trace.change.split_once(": ") {
                trace.change = words.to_owned();
            }
            trace.attention = trace.attention.filter(|_| !memoryless && !header.wiped);
            Ok(trace)
        })
        .collect()
}

fn simulated(args: &Args, plants: &Plants) -> anyhow::Result<Vec<FlightTrace>> {
    let Some(path) = args.image.as_ref().or(args.dir.first()) else {
        return Ok(Vec::new());
    };
    let subject = Subject::load(path)?;
    if subject.plant != pendulum::NAME {
        // The picture of a flight has an angle from upright; other robots have none.
        return Ok(Vec::new());
    }
    let plant = plants.open(&subject.plant)?;
    let mut driven = Driven::new(plant.make());
    let contract = plant.spec().contract();
    let tasks = args.task as usize + 1;
    // What the figures show are a pendulum's channels.
    if !Classic::fits(&contract) {
        return Ok(Vec::new());
    }
    let plan = Plan::new(&plant, TaskSet::HeldOut, tasks, &args.change, 0)?;
    let Some(trial) = plan.trials.last() else {
        return Ok(Vec::new());
    };
    let prepared = subject.prepare(&contract, Agreement::Needed)?;
    let mut traces = vec![prepared.fly_watched(&mut driven, trial, "policy")?];
    traces.push(
        fly(
            &mut driven,
            trial,
            prepared.controller(true).as_mut(),
            names::WIPED,
        )?
        .0,
    );
    for path in &args.beside {
        let other = Subject::load(path)?;
        let name = match other.agent {
            Agent::OneStep | Agent::Markov => names::MEMORYLESS,
            other => other.into(),
        };
        let prepared = other.prepare(&contract, Agreement::Needed)?;
        traces.push(
            fly(
                &mut driven,
                trial,
                prepared.controller(false).as_mut(),
                name,
            )?
            .0,
        );
    }
    if Classic::fits(&contract) {
        traces.push(
            fly(
                &mut driven,
                trial,
                &mut Classic::new(&contract),
                names::CLASSICAL,
            )?
            .0,
        );
    }
    Ok(traces)
}

/// Each file of results with what it holds.
fn evaluations(args: &Args) -> anyhow::Result<Vec<(PathBuf, Vec<Record>)>> {
    let mut files = args.eval.clone();
    if let Some(beside) = args.dir.first().map(|dir| dir.join(EVALUATION_FILE))
        && files.is_empty()
        && beside.exists()
    {
        files.push(beside);
    }
    let mut results = Vec::new();
    for file in files {
        let mut records = Vec::new();
        let text =
            bounded_file::text(&file).with_context(|| format!("cannot read {}", file.display()))?;
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let record = Record::read(line).with_context(|| {
                format!("{} is not what `engram eval --json` prints", file.display())
            })?;
            records.push(record);
        }
        results.push((file, records));
    }
    Ok(results)
}

fn headline(page: &mut Page, record: &Record) {
    let mut facts = vec![
        (
            percent(record.summary.success),
            "of held-out tasks upright throughout the last second".to_owned(),
        ),
        (
            percent(record.summary.recovered),
            format!(
                "upright again within 2 s after the change ({})",
                record.change
            ),
        ),
    ];
    if let Some(wiped) = record.compared.get("wiped") {
        facts.push((
            percent(wiped.recovered),
            "the same with the memory wiped every step".to_owned(),
        ));
    }
    if let Some(one_step) = record.compared.get("one-step") {
        facts.push((
            percent(one_step.recovered),
            "a policy trained without memory".to_owned(),
        ));
    }
    if let Some(classical) = record.compared.get("classical") {
        facts.push((
            percent(classical.recovered),
            "a classical adaptive controller (RLS + LQR)".to_owned(),
        ));
    }
    page.facts(&facts);
}

fn flights(page: &mut Page, traces: &[FlightTrace], args: &Args) -> anyhow::Result<()> {
    let Some(first) = traces.first() else {
        return Ok(());
    };
    let lead = first.change_s().map_or_else(
        || "one flight, frozen weights".to_owned(),
        |seconds| {
            format!(
                "Frozen int8 weights. After {seconds:.1} s {}.",
                first.change
            )
        },
    );
    let lead = if args.flight.is_empty() && args.image.is_none() {
        lead.replace("int8", "f32")
    } else {
        lead
    };
    let Some(figure) = picture::picture(traces, &args.title, &lead) else {
        return Ok(());
    };
    if let Some(path) = &args.picture {
        write(path, &figure.standalone())?;
        tell!("wrote {}", path.display());
    }
    let words = if args.flight.is_empty() {
        "One held-out task, flown in simulation on the host. Every controller meets the same task, start and noise."
    } else {
        "From the flight logs. Every controller meets the same task, start and noise."
    };
    page.section("The flight", words);
    page.figures(Width::Wide, &[(String::new(), figure)]);
    page.section(
        "Each controller by itself",
        "Angle from upright (0° is up), measured rate, and the motor command, around the change.",
    );
    let (from, to) = picture::shown(first);
    let each: Vec<_> = traces
        .iter()
        .map(|trace| (trace.name.clone(), figures::flight(trace, from, to)))
        .collect();
    page.figures(Width::Small, &each);
    Ok(())
}

fn numbers(page: &mut Page, record: &Record) {
    page.section(
        &format!("{} held-out tasks, change '{}'", record.tasks, record.change),
        &format!(
            "{} policy of {} ({}, training seed {}), weights {}. Upright: angle under 0.3 rad and rate under 1 rad/s of the true \
             state. Recovered: upright at every step from 2 s after the change to the end. Fell: below the horizontal \
             at some time after the change.",
            record.arithmetic, record.policy, record.agent, record.seed, record.weights_sha256
        ),
    );
    let own = ("policy".to_owned(), &record.summary);
    let others = record
        .compared
        .iter()
        .map(|(name, summary)| (name.clone(), summary));
    let outside = record
        .out_of_distribution
        .iter()
        .map(|summary| ("policy, out of distribution".to_owned(), summary));
    let all: Vec<(String, &Summary)> = std::iter::once(own).chain(others).chain(outside).collect();
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|(name, summary)| {
            vec![
                name.clone(),
                percent(summary.success),
                percent(summary.recovered),
                percent(summary.fell),
                summary
                    .recovery_s_median
                    .map_or("–".to_owned(), |seconds| format!("{seconds:.2} s")),
                format!("{:.1}", summary.return_episode_1),
                format!("{:.1}", summary.return_episode_2),
            ]
        })
        .collect();
    let head = [
        "controller",
        "upright at end",
        "recovered",
        "fell",
        "median recovery",
        "return 1",
        "return 2",
    ];
    page.table(&head, &rows);
    if let Some(cost) = &record.quantization {
        page.words(&format!("Int8 against f32, on the same tasks: {cost}."));
    }
    let series: Vec<Series> = all
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "float" | "policy, out of distribution"))
        .map(|(name, summary)| Series {
            name: name.clone(),
            colour: colour(name),
            values: summary.adaptation.clone(),
        })
        .collect();
    page.figures(
        Width::Middle,
        &[(
            String::new(),
            figures::adaptation(&series, record.period_s, &record.change),
        )],
    );
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
        "one-step" => 2,
        "classical" => 3,
        _ => 4,
    }
}

/// The training runs in `dirs`; a folder without a curve, as of a policy that was copied, has nothing to show.
fn training_runs(dirs: &[PathBuf]) -> anyhow::Result<Vec<TrainingRun>> {
    let with_curve = dirs.iter().filter(|dir| folder::holds(dir, CURVE_FILE));
    with_curve
        .map(|dir| {
            let checkpoint = Checkpoint::load(dir)?;
            Ok(TrainingRun {
                folder: dir.display().to_string(),
                plant: checkpoint.plant,
                agent: checkpoint.agent.to_string(),
                seed: checkpoint.seed,
                training_return: checkpoint.training_return,
                points: curve::read(dir)?,
                laps: timing::read(dir)?,
            })
        })
        .collect()
}

fn percent(share: impl Into<Option<f64>>) -> String {
    share
        .into()
        .map_or("–".to_owned(), |share| format!("{:.1} %", 100.0 * share))
}
